//! Identity providers, and what stands in for them: they hand out their own tokens and
//! assertions, so that nobody needs one to try the unsigned actions.
//!
//! A real OIDC provider signs with a private key and publishes the public one. Here both sides
//! share an HS256 key, which a test can generate without any cryptographic library but HMAC.
//! Assertions of the SAML provider are not signed at all; each cloud's `saml` says what is checked.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use quick_xml::escape::escape;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::clock::rfc3339_seconds;
use crate::emulator::random::Random;
use crate::secret::Secret;

/// `Recipient` and consumer address of assertions.
/// Source: the role-SSO guides of Tencent Cloud.
pub(in crate::emulator) const SAML_RECIPIENT: &str = "https://cloud.tencent.com/login/saml";
/// The same of Huawei Cloud. Source: IAM, "configuring SAML assertions".
pub(in crate::emulator) const HUAWEI_SAML_RECIPIENT: &str = "https://auth.huawei.com/saml";
/// Before the short names of formats.
pub(in crate::emulator) const NAME_FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:";

/// An OIDC provider as CAM knows it.
#[derive(Debug)]
pub struct OidcProvider {
    pub account: String,
    /// What `ProviderId` names.
    pub name: String,
    /// The only `iss` accepted.
    pub issuer: String,
    /// `aud` must hold one of these.
    pub audiences: Vec<String>,
    /// The only `sub`s accepted; empty: any.
    pub subjects: Vec<String>,
    /// HS256 key, as text.
    pub key: Secret,
}

impl OidcProvider {
    /// With a generated key, the audience of Tencent's own clusters, and any subject.
    pub fn new(account: &str, name: &str) -> io::Result<Self> {
        Ok(Self {
            account: account.to_owned(),
            name: name.to_owned(),
            issuer: format!("https://{name}.example"),
            audiences: vec!["sts.cloud.tencent.com".to_owned()],
            subjects: Vec::new(),
            key: Random::draw()?.secret().into(),
        })
    }

    /// A token as this provider would issue it at `now` (seconds since 1970).
    #[must_use]
    pub fn token(&self, subject: &str, now: u64, lifetime: Duration) -> String {
        self.sign(&json!({
            "iss": self.issuer,
            "aud": self.audiences.first(),
            "sub": subject,
            "iat": now,
            "exp": now + lifetime.as_secs(),
        }))
    }

    /// Any claims at all, signed: for tests of what is refused.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signed = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// The keyed hash over header and claims.
    pub(in crate::emulator) fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(self.key.expose().as_bytes())
            .expect("HMAC takes keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}

/// A SAML provider as CAM knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SamlProvider {
    pub account: String,
    pub name: String,
    /// The entity id of the identity provider: the only `Issuer` accepted.
    pub issuer: String,
}

impl SamlProvider {
    #[must_use]
    pub fn new(account: &str, name: &str) -> Self {
        Self {
            account: account.to_owned(),
            name: name.to_owned(),
            issuer: format!("https://{name}.example/metadata"),
        }
    }

    /// As a `PrincipalArn` parameter names it.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("qcs::cam::uin/{}:saml-provider/{}", self.account, self.name)
    }

    /// As a `provider_urn` parameter of Huawei Cloud names it.
    #[must_use]
    pub fn urn(&self) -> String {
        format!("iam::{}:saml-provider:{}", self.account, self.name)
    }

    /// An assertion (base64) for Tencent Cloud as this provider would issue it at `now` (seconds
    /// since 1970).
    pub fn assertion(
        &self,
        role_arn: &str,
        session_name: &str,
        now: u64,
        lifetime: Duration,
    ) -> io::Result<String> {
        let role = format!("{role_arn},{}", self.arn());
        self.response(&Wording {
            recipient: SAML_RECIPIENT,
            audience: "https://cloud.tencent.com",
            subject: session_name,
            attributes: &[
                ("https://cloud.tencent.com/SAML/Attributes/Role", &role),
                (
                    "https://cloud.tencent.com/SAML/Attributes/RoleSessionName",
                    session_name,
                ),
            ],
            from: now,
            to: now + lifetime.as_secs(),
        })
    }

    /// The same for an agency of Huawei Cloud.
    pub fn huawei_assertion(
        &self,
        agency_urn: &str,
        subject: &str,
        now: u64,
        lifetime: Duration,
    ) -> io::Result<String> {
        let agency = format!("{agency_urn},{}", self.urn());
        self.response(&Wording {
            recipient: HUAWEI_SAML_RECIPIENT,
            audience: HUAWEI_SAML_RECIPIENT,
            subject,
            attributes: &[
                ("https://auth.huawei.com/SAML/Attributes/Agency", &agency),
                (
                    "https://auth.huawei.com/SAML/Attributes/SessionDuration",
                    "43200",
                ),
            ],
            from: now,
            to: now + lifetime.as_secs(),
        })
    }

    fn response(&self, wording: &Wording<'_>) -> io::Result<String> {
        let id = format!("_{}", Random::draw()?.request_id());
        let at = |seconds: u64| {
            rfc3339_seconds(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        };
        let (from, to) = (at(wording.from), at(wording.to));
        let issuer = escape(self.issuer.as_str());
        let Wording {
            recipient,
            audience,
            ..
        } = wording;
        let subject = escape(wording.subject);
        let attributes = wording.attributes.iter().map(|(name, value)| {
            let value = escape(*value);
            format!(
                r#"<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>"#
            )
        });
        let attributes = attributes.collect::<Vec<_>>().join("\n");
        Ok(STANDARD.encode(format!(
            r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Version="2.0" ID="{id}-response" IssueInstant="{from}" Destination="{recipient}">
<saml:Issuer>{issuer}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
<saml:Assertion Version="2.0" ID="{id}" IssueInstant="{from}">
<saml:Issuer>{issuer}</saml:Issuer>
<saml:Subject><saml:NameID Format="{NAME_FORMAT}persistent">{subject}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{to}" Recipient="{recipient}"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{from}" NotOnOrAfter="{to}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AttributeStatement>
{attributes}
</saml:AttributeStatement>
</saml:Assertion>
</samlp:Response>"#
        )))
    }
}

/// What one cloud wants to read in an assertion.
struct Wording<'a> {
    recipient: &'a str,
    audience: &'a str,
    subject: &'a str,
    attributes: &'a [(&'a str, &'a str)],
    from: u64,
    to: u64,
}
