//! SAML assertions: a base64 response whose issuer, times, audience, recipient and attributes
//! are checked, each strictly.
//!
//! The XML signature is *not* verified: who can reach a loopback address may assert what he
//! likes. An assertion counts once; the caller refuses a replayed id.
//!
//! Source: Tencent Cloud's role-SSO guides (attribute names, audience, recipient).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::refusal::Refusal;
use crate::emulator::world::{SAML_RECIPIENT, SamlProvider};

const ROLE: &str = "https://cloud.tencent.com/SAML/Attributes/Role";
const SESSION: &str = "https://cloud.tencent.com/SAML/Attributes/RoleSessionName";
const AUDIENCES: [&str; 2] = ["cloud.tencent.com", "https://cloud.tencent.com"];
const DEEPEST: usize = 64;

/// What an assertion says, before anybody believes it.
#[derive(Debug, Default, Eq, PartialEq)]
struct Assertion {
    id: String,
    issuer: String,
    not_before: Option<String>,
    not_on_or_after: Vec<String>,
    audiences: Vec<String>,
    recipients: Vec<String>,
    roles: Vec<String>,
    sessions: Vec<String>,
    count: usize,
}

/// Checks a `SAMLAssertion` at `now` (seconds since 1970) and returns its id.
pub(super) fn check(
    provider: &SamlProvider,
    role_arn: &str,
    encoded: &str,
    now: u64,
) -> Result<String, Refusal> {
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| refused("it is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8"))?;
    let assertion = read(&text)?;
    if assertion.count != 1 || assertion.id.is_empty() {
        return Err(refused("it must hold one assertion with an ID"));
    }
    if assertion.issuer != provider.issuer {
        return Err(refused("it is of another issuer"));
    }
    in_time(&assertion, now)?;
    let for_us = |audience: &String| AUDIENCES.contains(&audience.as_str());
    if !assertion.audiences.iter().any(for_us) {
        return Err(refused("it is for another audience"));
    }
    if !assertion.recipients.iter().any(|it| it == SAML_RECIPIENT) {
        return Err(refused("it is for another recipient"));
    }
    if assertion.sessions.len() != 1 {
        return Err(refused("it must hold one RoleSessionName attribute"));
    }
    let pair = |text: &String| names(text, role_arn, &provider.arn());
    if !assertion.roles.iter().any(pair) {
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

fn in_time(assertion: &Assertion, now: u64) -> Result<(), Refusal> {
    let second = |text: &String| {
        text.parse::<jiff::Timestamp>()
            .map(|moment| u64::try_from(moment.as_second()).unwrap_or(0))
            .map_err(|_| refused("one of its times is not readable"))
    };
    if assertion.not_on_or_after.is_empty() {
        return Err(refused("it has no NotOnOrAfter"));
    }
    for end in &assertion.not_on_or_after {
        if second(end)? <= now {
            return Err(refused("it is expired"));
        }
    }
    match assertion.not_before.as_ref().map(second).transpose()? {
        Some(start) if start > now => Err(refused("it is not valid yet")),
        _ => Ok(()),
    }
}

/// Walks over the XML once. A document type is refused: that is where entity attacks begin.
fn read(xml: &str) -> Result<Assertion, Refusal> {
    let broken = || refused("it is not well-formed XML");
    let mut reader = Reader::from_str(xml);
    let mut assertion = Assertion::default();
    let mut path: Vec<String> = Vec::new();
    let mut attribute = String::new();
    let mut text = String::new();
    loop {
        match reader.read_event().map_err(|_| broken())? {
            Event::Start(element) => {
                let name = element.local_name().as_ref().to_owned();
                opened(&mut assertion, &mut attribute, &name, &element)?;
                path.push(name);
                text.clear();
                if path.len() > DEEPEST {
                    return Err(refused("it is nested too deeply"));
                }
            }
            Event::Empty(element) => {
                let name = element.local_name().as_ref().to_owned();
                opened(&mut assertion, &mut attribute, &name, &element)?;
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|_| broken())?;
                match character {
                    Some(character) => text.push(character),
                    None => text.push_str(
                        resolve_predefined_entity(&reference.xml10_content()).ok_or_else(broken)?,
                    ),
                }
            }
            Event::End(_) => {
                closed(&mut assertion, &path, &attribute, text.trim());
                path.pop();
                text.clear();
            }
            Event::DocType(_) => return Err(refused("it has a document type")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if path.is_empty() {
        Ok(assertion)
    } else {
        Err(broken())
    }
}

fn opened(
    assertion: &mut Assertion,
    attribute: &mut String,
    name: &str,
    element: &BytesStart<'_>,
) -> Result<(), Refusal> {
    let value = |wanted: &str| value_of(element, wanted);
    match name {
        "Assertion" => {
            assertion.count += 1;
            assertion.id = value("ID")?.unwrap_or_default();
        }
        "Conditions" => {
            assertion.not_before = value("NotBefore")?;
            assertion.not_on_or_after.extend(value("NotOnOrAfter")?);
        }
        "SubjectConfirmationData" => {
            assertion.recipients.extend(value("Recipient")?);
            assertion.not_on_or_after.extend(value("NotOnOrAfter")?);
        }
        "Attribute" => *attribute = value("Name")?.unwrap_or_default(),
        _ => {}
    }
    Ok(())
}

fn closed(assertion: &mut Assertion, path: &[String], attribute: &str, text: &str) {
    let mut upwards = path.iter().rev().map(String::as_str);
    match (upwards.next(), upwards.next()) {
        (Some("Issuer"), Some("Assertion")) => text.clone_into(&mut assertion.issuer),
        (Some("Audience"), Some("AudienceRestriction")) => {
            assertion.audiences.push(text.to_owned());
        }
        (Some("AttributeValue"), Some("Attribute")) if attribute == ROLE => {
            assertion.roles.push(text.to_owned());
        }
        (Some("AttributeValue"), Some("Attribute")) if attribute == SESSION => {
            assertion.sessions.push(text.to_owned());
        }
        _ => {}
    }
}

fn value_of(element: &BytesStart<'_>, wanted: &str) -> Result<Option<String>, Refusal> {
    let broken = || refused("it is not well-formed XML");
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| broken())?;
        if attribute.key.local_name().as_ref() == wanted {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
            return Ok(Some(value.map_err(|_| broken())?.into_owned()));
        }
    }
    Ok(None)
}

fn refused(why: &str) -> Refusal {
    Refusal::parameter(format!("The SAML assertion is refused: {why}."))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;

    use super::{STANDARD, SamlProvider, check, read};

    const ROLE: &str = "qcs::cam::uin/100000000001:roleName/staff";

    fn provider() -> SamlProvider {
        SamlProvider::new("100000000001", "example-saml")
    }

    fn assertion() -> String {
        let encoded = provider().assertion(ROLE, "a&b <c>", 1_000, Duration::from_mins(5));
        String::from_utf8(STANDARD.decode(encoded.unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn text_is_unescaped() {
        let read = read(&assertion()).unwrap();
        assert_eq!(read.sessions, ["a&b <c>"]);
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
