//! What providers of all clouds have in common: durations, session names, assertions.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Surroundings;
use crate::config::model::SamlAssertion;
use crate::config::reader::{Complaint, Table};
use crate::config::values::{self, spoken, worded};

const SESSION_NAME: &str = "credvend-%H";

/// `duration` in whole seconds, where `usual` holds unless set.
pub(super) fn duration(
    table: &mut Table<'_, '_>,
    usual: Duration,
    limits: RangeInclusive<Duration>,
) -> Option<Duration> {
    let Some(value) = table.get("duration") else {
        return Some(usual);
    };
    let duration = values::positive_duration(&value)?;
    if duration < *limits.start() {
        value.complain(
            Complaint::new("is shorter than this action allows")
                .hint(format!("at least {}", spoken(*limits.start()))),
        );
        return None;
    }
    if duration > *limits.end() {
        value.complain(
            Complaint::new("is longer than this action allows")
                .hint(format!("at most {}", spoken(*limits.end()))),
        );
        return None;
    }
    if duration.subsec_nanos() != 0 {
        value.complain(Complaint::new("must be in whole seconds"));
        return None;
    }
    Some(duration)
}

pub(super) fn session_name(
    table: &mut Table<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<String> {
    let host = &surroundings.host.name;
    match table.get("session-name") {
        Some(value) => value.parsed(|text| expanded_session_name(text, host)),
        None => Some(default_session_name(host)),
    }
}

/// The default fits whatever the host is called.
fn default_session_name(host: &str) -> String {
    let host: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '-'
            }
        })
        .collect();
    SESSION_NAME
        .replace("%H", &host)
        .chars()
        .take(128)
        .collect()
}

fn expanded_session_name(text: &str, host: &str) -> Result<String, Complaint> {
    let expanded = expanded(text, host)?;
    worded(&expanded, "+=,.@-", 2..=128).map_err(|complaint| {
        if expanded == text {
            return complaint;
        }
        Complaint {
            text: format!(
                "{}, and with the host name it is `{expanded}`",
                complaint.text
            ),
            ..complaint
        }
    })
}

/// `%H` becomes the host name and `%%` a per cent sign.
pub(super) fn expanded(text: &str, host: &str) -> Result<String, Complaint> {
    let mut expanded = String::with_capacity(text.len() + host.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('H') => expanded.push_str(host),
                Some('%') => expanded.push('%'),
                Some(_) | None => {
                    return Err(Complaint::new("has a `%` that means nothing")
                        .hint("`%H` is the host name, `%%` a per cent sign"));
                }
            },
            _ => expanded.push(c),
        }
    }
    Ok(expanded)
}

/// `saml-assertion` or `saml-command`.
pub(super) fn saml_assertion(table: &mut Table<'_, '_>) -> Option<SamlAssertion> {
    let stored = table.get("saml-assertion");
    let printed = table.get("saml-command");
    match (&stored, &printed) {
        (Some(_), Some(printed)) => table.findings().mistake(
            printed.key_place(),
            "`saml-assertion` and `saml-command` are both set",
            "keep the one the assertion is to come from".to_owned(),
        ),
        (None, None) => table.missing(
            "saml-assertion",
            "a reference such as \"file:/PATH\", or `saml-command = [\"/PROGRAM\"]`",
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
    let stored = stored.and_then(|stored| values::secret(&stored));
    let printed = printed.and_then(|printed| values::program(&printed));
    stored
        .map(SamlAssertion::Secret)
        .or_else(|| printed.map(SamlAssertion::Command))
}

#[cfg(test)]
mod tests {
    use super::{default_session_name, expanded_session_name};

    #[test]
    fn session_names_hold_the_host_name() {
        assert_eq!(
            expanded_session_name("app-%H", "web1").as_deref(),
            Ok("app-web1")
        );
        assert!(
            expanded_session_name("100%%", "web1").is_err(),
            "% is not allowed on the wire"
        );
        assert!(expanded_session_name("app-%h", "web1").is_err());
        assert!(expanded_session_name("%", "web1").is_err());
        assert!(expanded_session_name("a", "web1").is_err());
        let long = expanded_session_name("app-%H", &"x".repeat(200)).unwrap_err();
        assert!(long.text.contains("with the host name"), "{long:?}");
        assert_eq!(default_session_name("web 1"), "credvend-web-1");
        assert_eq!(default_session_name(&"x".repeat(200)).len(), 128);
    }
}
