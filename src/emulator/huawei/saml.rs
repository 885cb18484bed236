//! SAML assertions for an agency: recipient, audience, subject, and the attributes that say which
//! agency and for how long. Issuer and times are [`crate::emulator::saml`]'s.
//!
//! Source: IAM, "configuring SAML assertions" and `AssumeAgencyWithSAML`. The names of the
//! attributes and the audience are not settled there: any attribute may hold the pair of agency
//! and provider, the length is told by the last word of its name, and the audience is the
//! recipient's host.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::emulator::saml::{self, Assertion};
use crate::emulator::world::{HUAWEI_SAML_RECIPIENT, NAME_FORMAT, Role, SamlProvider};

const HOST: &str = "https://auth.huawei.com";
const SESSION_DURATION: &str = "SessionDuration";
const LENGTHS: std::ops::RangeInclusive<u64> = 900..=43_200;

/// What a good assertion says.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Asserted {
    pub(super) id: String,
    /// The longest session, if the identity provider limits it.
    pub(super) longest: Option<Duration>,
    pub(super) audience: String,
    pub(super) subject: String,
    pub(super) subject_type: String,
    /// Tells subjects of this provider from equal ones of others.
    pub(super) name_qualifier: String,
}

/// Why an assertion is refused.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    /// It is good, and for another agency or provider.
    Elsewhere,
    Other(&'static str),
}

impl From<&'static str> for Flaw {
    fn from(why: &'static str) -> Self {
        Self::Other(why)
    }
}

/// Checks a `saml_assertion` at `now` (seconds since 1970).
pub(super) fn check(
    provider: &SamlProvider,
    agency: &Role,
    encoded: &str,
    now: u64,
) -> Result<Asserted, Flaw> {
    let assertion = saml::check(provider, encoded, now)?;
    let [recipient] = assertion.recipients.as_slice() else {
        return Err("it must have one recipient".into());
    };
    let is_ours = recipient == HUAWEI_SAML_RECIPIENT
        || recipient.starts_with(&format!("{HUAWEI_SAML_RECIPIENT}/acs/"));
    if !is_ours {
        return Err("it is for another recipient".into());
    }
    let audience = assertion
        .audiences
        .iter()
        .find(|it| it.strip_prefix(HOST).is_some_and(is_end_or_path))
        .ok_or("it is for another audience")?;
    if assertion.name_id.is_empty() {
        return Err("it must hold a NameID".into());
    }
    if !names(&assertion, &agency.urn(), &provider.urn()) {
        return Err(Flaw::Elsewhere);
    }
    let format = assertion.name_format.as_deref().unwrap_or("unspecified");
    let qualified = format!("{}{}/{}", provider.issuer, provider.account, provider.name);
    Ok(Asserted {
        longest: longest(&assertion, now)?,
        audience: audience.clone(),
        subject: assertion.name_id.clone(),
        subject_type: format
            .strip_prefix(NAME_FORMAT)
            .unwrap_or(format)
            .to_owned(),
        name_qualifier: STANDARD.encode(Sha256::digest(qualified)),
        id: assertion.id,
    })
}

fn is_end_or_path(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// `AGENCY[;AGENCY…],PROVIDER`, with both in it.
fn names(assertion: &Assertion, agency_urn: &str, provider_urn: &str) -> bool {
    assertion.attributes().any(|(_, value)| {
        value.rsplit_once(',').is_some_and(|(agencies, provider)| {
            let mut agencies = agencies.split(';').map(str::trim);
            provider.trim() == provider_urn && agencies.any(|it| it == agency_urn)
        })
    })
}

/// The shorter of `SessionDuration` and what is left until `SessionNotOnOrAfter`.
fn longest(assertion: &Assertion, now: u64) -> Result<Option<Duration>, &'static str> {
    let mut limits = Vec::new();
    for (name, value) in assertion.attributes() {
        if name.rsplit('/').next() != Some(SESSION_DURATION) {
            continue;
        }
        let seconds = value.parse().ok().filter(|it| LENGTHS.contains(it));
        limits.push(seconds.ok_or("SessionDuration lies between 900 and 43200")?);
    }
    if let Some(end) = &assertion.session_end {
        let end: jiff::Timestamp = end
            .parse()
            .map_err(|_| "SessionNotOnOrAfter is not readable")?;
        let end = u64::try_from(end.as_second()).unwrap_or(0);
        if end <= now {
            return Err("its session is expired");
        }
        limits.push(end - now);
    }
    Ok(limits.into_iter().min().map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

    fn provider() -> SamlProvider {
        SamlProvider::new(ACCOUNT, "example-saml")
    }

    fn staff() -> Role {
        Role::new(ACCOUNT, "staff")
    }

    fn assertion() -> String {
        let life = Duration::from_mins(5);
        let encoded = provider().huawei_assertion(&staff().urn(), "a&b", 1_000, life);
        String::from_utf8(STANDARD.decode(encoded.unwrap()).unwrap()).unwrap()
    }

    fn checked(xml: &str) -> Result<Asserted, Flaw> {
        check(&provider(), &staff(), &STANDARD.encode(xml), 1_000)
    }

    #[test]
    fn a_good_one_tells_who_it_is_about() {
        let good = checked(&assertion()).unwrap();
        assert_eq!((&*good.subject, &*good.subject_type), ("a&b", "persistent"));
        assert_eq!(good.audience, HUAWEI_SAML_RECIPIENT);
        assert_eq!(good.longest, Some(Duration::from_hours(12)));
        let twin = SamlProvider::new(ACCOUNT, "other");
        let life = Duration::from_mins(5);
        let other = twin.huawei_assertion(&staff().urn(), "a&b", 1_000, life);
        let other = check(&twin, &staff(), &other.unwrap(), 1_000).unwrap();
        assert_ne!(good.name_qualifier, other.name_qualifier);
    }

    #[test]
    fn each_part_counts() {
        let good = assertion();
        let elsewhere = "elsewhere";
        for (from, to, why) in [
            ("com/saml\"/>", "com/login\"/>", "another recipient"),
            (
                "<saml:SubjectConfirmationData",
                "<saml:Other",
                "one recipient",
            ),
            (
                "<saml:Audience>https://auth.huawei.com",
                "<saml:Audience>https://auth.huawei.com.example",
                "another audience",
            ),
            ("a&amp;b", "", "a NameID"),
            ("agency:staff", "agency:app", elsewhere),
            (
                "saml-provider:example-saml",
                "saml-provider:other",
                elsewhere,
            ),
            (">43200<", ">899<", "SessionDuration lies"),
            (">43200<", ">soon<", "SessionDuration lies"),
            (
                "<saml:AttributeStatement>",
                "<saml:AuthnStatement SessionNotOnOrAfter=\"1970-01-01T00:16:40Z\"/><saml:AttributeStatement>",
                "session is expired",
            ),
            (
                "<saml:AttributeStatement>",
                "<saml:AuthnStatement SessionNotOnOrAfter=\"soon\"/><saml:AttributeStatement>",
                "not readable",
            ),
        ] {
            let changed = good.replace(from, to);
            assert_ne!(changed, good, "{from}");
            match checked(&changed).unwrap_err() {
                Flaw::Elsewhere => assert_eq!(why, elsewhere, "{from} -> {to}"),
                Flaw::Other(said) => assert!(said.contains(why), "{from} -> {to}: {said}"),
            }
        }
    }

    #[test]
    fn the_shorter_limit_counts() {
        let good = assertion();
        let limited = |duration: &str, end: &str| {
            let end = format!(
                "<saml:AuthnStatement SessionNotOnOrAfter=\"{end}\"/><saml:AttributeStatement>"
            );
            let changed = good
                .replace(">43200<", &format!(">{duration}<"))
                .replace("<saml:AttributeStatement>", &end);
            checked(&changed).unwrap().longest.unwrap().as_secs()
        };
        assert_eq!(limited("900", "1970-01-01T01:16:40Z"), 900);
        assert_eq!(limited("43200", "1970-01-01T01:16:40Z"), 3_600);
    }

    #[test]
    fn no_assertion_of_the_other_cloud_passes() {
        let life = Duration::from_mins(5);
        let other = provider().assertion(&staff().arn(), "a", 1_000, life);
        let flaw = check(&provider(), &staff(), &other.unwrap(), 1_000);
        assert_eq!(flaw, Err("it is for another recipient".into()));
    }
}
