//! SAML assertions: a base64 response whose issuer, times, audience, recipient and attributes
//! are checked, each strictly.
//!
//! The XML signature is *not* verified: who can reach a loopback address may assert what he
//! likes. An assertion counts once; the caller refuses a replayed id.
//!
//! Source: Tencent Cloud's role-SSO guides (attribute names, audience, recipient).

use super::refusal::Refusal;
use crate::emulator::saml;
use crate::emulator::world::{SAML_RECIPIENT, SamlProvider};

const ROLE: &str = "https://cloud.tencent.com/SAML/Attributes/Role";
const SESSION: &str = "https://cloud.tencent.com/SAML/Attributes/RoleSessionName";
const AUDIENCES: [&str; 2] = ["cloud.tencent.com", "https://cloud.tencent.com"];

/// Checks a `SAMLAssertion` at `now` (seconds since 1970) and returns its id.
pub(super) fn check(
    provider: &SamlProvider,
    role_arn: &str,
    encoded: &str,
    now: u64,
) -> Result<String, Refusal> {
    let assertion = saml::check(provider, encoded, now).map_err(refused)?;
    let for_us = |audience: &String| AUDIENCES.contains(&audience.as_str());
    if !assertion.audiences.iter().any(for_us) {
        return Err(refused("it is for another audience"));
    }
    if !assertion.recipients.iter().any(|it| it == SAML_RECIPIENT) {
        return Err(refused("it is for another recipient"));
    }
    if assertion.attribute(SESSION).count() != 1 {
        return Err(refused("it must hold one RoleSessionName attribute"));
    }
    let pair = |text: &str| names(text, role_arn, &provider.arn());
    if !assertion.attribute(ROLE).any(pair) {
        return Err(Refusal::unauthorized(
            "The SAML assertion does not name this role and this provider.",
        ));
    }
    Ok(assertion.id)
}

/// `ROLE[;ROLE…],PROVIDER`, with both in it.
fn names(attribute: &str, role_arn: &str, principal_arn: &str) -> bool {
    attribute.rsplit_once(',').is_some_and(|(roles, provider)| {
        provider.trim() == principal_arn && roles.split(';').any(|role| role.trim() == role_arn)
    })
}

fn refused(why: &str) -> Refusal {
    Refusal::parameter(format!("The SAML assertion is refused: {why}."))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{SamlProvider, check};

    const ROLE: &str = "qcs::cam::uin/100000000001:roleName/staff";

    fn provider() -> SamlProvider {
        SamlProvider::new("100000000001", "example-saml")
    }

    fn assertion() -> String {
        let encoded = provider().assertion(ROLE, "a&b <c>", 1_000, Duration::from_mins(5));
        String::from_utf8(STANDARD.decode(encoded.unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn each_part_of_an_assertion_counts() {
        let good = assertion();
        let verdict = |xml: &str, now| {
            check(&provider(), ROLE, &STANDARD.encode(xml), now)
                .map_or_else(|refusal| refusal.message, |_| "ok".to_owned())
        };
        assert_eq!(verdict(&good, 1_000), "ok");
        assert_eq!(verdict(&good, 1_299), "ok");
        assert!(verdict(&good, 1_300).contains("expired"));
        assert!(verdict(&good, 999).contains("not valid yet"));
        for (from, to, why) in [
            ("example-saml.example", "other.example", "another issuer"),
            (
                "<saml:Audience>https://cloud",
                "<saml:Audience>https://other",
                "another audience",
            ),
            (
                "com/login/saml\"/>",
                "com/login/other\"/>",
                "another recipient",
            ),
            (
                "Attributes/RoleSessionName",
                "Attributes/Name",
                "RoleSessionName",
            ),
            (
                "roleName/staff,",
                "roleName/other,",
                "does not name this role",
            ),
            (
                "saml-provider/example-saml",
                "saml-provider/other",
                "does not name this role",
            ),
            (
                "NotOnOrAfter=\"1970",
                "NotOnOrAfter=\"yesterday 1970",
                "not readable",
            ),
            ("</saml:Assertion>", "", "not well-formed"),
            ("</samlp:Response>", "", "not well-formed"),
            (
                "<samlp:Response",
                "<!DOCTYPE x><samlp:Response",
                "document type",
            ),
            (
                "<saml:Assertion ",
                "<saml:Assertion/><saml:Assertion ",
                "one assertion",
            ),
            ("&amp;", "&unknown;", "not well-formed"),
        ] {
            let changed = good.replace(from, to);
            assert_ne!(changed, good, "{from}");
            let verdict = verdict(&changed, 1_000);
            assert!(verdict.contains(why), "{from} -> {to}: {verdict}");
        }
    }

    #[test]
    fn several_roles_may_stand_before_the_provider() {
        let other = "qcs::cam::uin/100000000001:roleName/other";
        let several = assertion().replace(ROLE, &format!("{other};{ROLE}"));
        let encoded = STANDARD.encode(several);
        for role in [ROLE, other] {
            assert!(check(&provider(), role, &encoded, 1_000).is_ok(), "{role}");
        }
    }
}
