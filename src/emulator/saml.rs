//! SAML assertions: a base64 response whose issuer and times are checked, each strictly. What
//! else is in it is the cloud's own business.
//!
//! The XML signature is *not* verified: who can reach a loopback address may assert what he
//! likes. An assertion counts once; the caller refuses a replayed id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::world::SamlProvider;

const DEEPEST: usize = 64;

/// What an assertion says, before anybody believes it.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Assertion {
    pub(super) id: String,
    pub(super) issuer: String,
    not_before: Option<String>,
    not_on_or_after: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) recipients: Vec<String>,
    /// Of the subject, with its `Format`.
    pub(super) name_id: String,
    pub(super) name_format: Option<String>,
    /// Names and values, in their order.
    attributes: Vec<(String, String)>,
    /// `SessionNotOnOrAfter` of the authentication.
    pub(super) session_end: Option<String>,
    count: usize,
}

impl Assertion {
    /// The values of one attribute.
    pub(super) fn attribute<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.attributes.iter().filter(move |(its, _)| its == name);
        named.map(|(_, value)| value.as_str())
    }

    /// All attributes, with their names.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.attributes.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Checks an assertion at `now` (seconds since 1970), or says why it is refused.
pub(super) fn check(
    provider: &SamlProvider,
    encoded: &str,
    now: u64,
) -> Result<Assertion, &'static str> {
    let bytes = STANDARD.decode(encoded).map_err(|_| "it is not base64")?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let assertion = read(&text)?;
    if assertion.count != 1 || assertion.id.is_empty() {
        return Err("it must hold one assertion with an ID");
    }
    if assertion.issuer != provider.issuer {
        return Err("it is of another issuer");
    }
    in_time(&assertion, now)?;
    Ok(assertion)
}

fn in_time(assertion: &Assertion, now: u64) -> Result<(), &'static str> {
    let second = |text: &String| {
        text.parse::<jiff::Timestamp>()
            .map(|moment| u64::try_from(moment.as_second()).unwrap_or(0))
            .map_err(|_| "one of its times is not readable")
    };
    if assertion.not_on_or_after.is_empty() {
        return Err("it has no NotOnOrAfter");
    }
    for end in &assertion.not_on_or_after {
        if second(end)? <= now {
            return Err("it is expired");
        }
    }
    match assertion.not_before.as_ref().map(second).transpose()? {
        Some(start) if start > now => Err("it is not valid yet"),
        _ => Ok(()),
    }
}

/// Walks over the XML once. A document type is refused: that is where entity attacks begin.
fn read(xml: &str) -> Result<Assertion, &'static str> {
    let broken = || "it is not well-formed XML";
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
                    return Err("it is nested too deeply");
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
            Event::DocType(_) => return Err("it has a document type"),
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
) -> Result<(), &'static str> {
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
        "NameID" => assertion.name_format = value("Format")?,
        "AuthnStatement" => assertion.session_end = value("SessionNotOnOrAfter")?,
        "Attribute" => *attribute = value("Name")?.unwrap_or_default(),
        _ => {}
    }
    Ok(())
}

fn closed(assertion: &mut Assertion, path: &[String], attribute: &str, text: &str) {
    let mut upwards = path.iter().rev().map(String::as_str);
    match (upwards.next(), upwards.next()) {
        (Some("Issuer"), Some("Assertion")) => text.clone_into(&mut assertion.issuer),
        (Some("NameID"), Some("Subject")) => text.clone_into(&mut assertion.name_id),
        (Some("Audience"), Some("AudienceRestriction")) => {
            assertion.audiences.push(text.to_owned());
        }
        (Some("AttributeValue"), Some("Attribute")) => {
            let attribute = (attribute.to_owned(), text.to_owned());
            assertion.attributes.push(attribute);
        }
        _ => {}
    }
}

fn value_of(element: &BytesStart<'_>, wanted: &str) -> Result<Option<String>, &'static str> {
    let broken = || "it is not well-formed XML";
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| broken())?;
        if attribute.key.local_name().as_ref() == wanted {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Explicit1_0);
            return Ok(Some(value.map_err(|_| broken())?.into_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{SamlProvider, check};

    #[test]
    fn text_is_unescaped() {
        let provider = SamlProvider::new("1", "example-saml");
        let encoded = provider.assertion("role", "a&b <c>", 1_000, Duration::from_mins(5));
        let read = check(&provider, &encoded.unwrap(), 1_000).unwrap();
        let name = "https://cloud.tencent.com/SAML/Attributes/RoleSessionName";
        assert_eq!(read.attribute(name).collect::<Vec<_>>(), ["a&b <c>"]);
        assert_eq!(read.session_end, None);
    }
}
