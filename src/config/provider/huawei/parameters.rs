//! Parameters of Huawei Cloud's actions. Limits are those of the definitions that the official
//! SDKs of STS and IAM are made from.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::provider::shared::expanded;
use crate::config::reader::{Complaint, Table, Value};
use crate::config::values::{self, worded};
use crate::secret::SecretRef;

pub(super) const AGENCY_URN: &str = "as in \"iam::0123456789abcdef0123456789abcdef:agency:app\"";
pub(super) const OIDC_PROVIDER_URN: &str =
    "as the console shows it, as in \"iam::0123456789abcdef0123456789abcdef:oidc-provider:ci\"";
pub(super) const SAML_PROVIDER_URN: &str =
    "as the console shows it, as in \"iam::0123456789abcdef0123456789abcdef:saml-provider:corp\"";

/// The name of an agency of either kind.
pub(super) fn agency_urn(text: &str) -> Result<String, Complaint> {
    let mut parts = text.split(':');
    let is_agency = parts.next() == Some("iam") && parts.nth(2) == Some("agency");
    if is_agency && urn(text).is_ok() {
        return Ok(text.to_owned());
    }
    Err(Complaint::new("is not the URN of an agency").hint(AGENCY_URN))
}

/// Five parts: `SERVICE:REGION:ACCOUNT:KIND:NAME`.
pub(super) fn urn(text: &str) -> Result<String, Complaint> {
    let wrong = || Complaint::new("is not a URN").hint("SERVICE:REGION:ACCOUNT:KIND:NAME");
    let parts: Vec<&str> = text.splitn(5, ':').collect();
    let [service, region, account, kind, name] = parts[..] else {
        return Err(wrong());
    };
    let plain = |part: &str, most: usize| {
        part.len() <= most
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+/=-_".contains(&b))
    };
    let fits = !service.is_empty()
        && plain(service, 1500)
        && plain(&region.replace('*', ""), 255)
        && !account.is_empty()
        && plain(account, 64)
        && !kind.is_empty()
        && plain(kind, 64)
        && !name.is_empty()
        && !name.chars().any(|c| c.is_control() || c.is_whitespace())
        && text.len() <= 1500;
    if fits {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// The account in a URN.
pub(in crate::config) fn account_of(urn: &str) -> Option<&str> {
    urn.split(':').nth(2)
}

pub(super) fn policy_id(text: &str) -> Result<String, Complaint> {
    worded(text, "-", 1..=64)
}

/// IAM v3.0's `session_user`: a letter first, 5 to 64 letters, digits, `_` and `-`.
pub(super) fn session_user(text: &str, host: &str) -> Result<String, Complaint> {
    let expanded = expanded(text, host)?;
    let begins_well = expanded.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins_well && worded(&expanded, "-", 5..=64).is_ok() {
        return Ok(expanded);
    }
    Err(
        Complaint::new("must have 5 to 64 letters, digits, `_` and `-`, and begin with a letter")
            .hint(format!("with the host name it is `{expanded}`")),
    )
}

pub(super) fn tags(value: &Value<'_, '_>) -> Option<BTreeMap<String, String>> {
    let entries = value.entries()?;
    if entries.len() > 20 {
        value.complain(Complaint::new("has more than 20 entries"));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in entries {
        if let Err(complaint) = tag_key(name) {
            let text = format!("the key of a tag {}", complaint.text);
            value
                .findings()
                .mistake(value.key_place(), text, complaint.hint);
        }
        let text = value.parsed(|text| worded(text, " .:/=+-@", 0..=255));
        tags.insert(name.to_owned(), text.unwrap_or_default());
    }
    Some(tags)
}

pub(super) fn transitive_tag_keys(value: &Value<'_, '_>) -> Option<BTreeSet<String>> {
    let keys = value.list(|item| item.parsed(tag_key))?;
    if keys.len() > 20 {
        value.complain(Complaint::new("has more than 20 entries"));
        return None;
    }
    Some(keys.into_iter().collect())
}

fn tag_key(text: &str) -> Result<String, Complaint> {
    if text.starts_with("_sys_") {
        return Err(Complaint::new("may not begin with `_sys_`"));
    }
    worded(text, " .:=+-@/", 1..=128)
}

/// `serial-number` and `token-code`: neither or both.
pub(super) fn mfa(table: &mut Table<'_, '_>) -> Option<(String, SecretRef)> {
    let serial = table.get("serial-number");
    let code = table.get("token-code");
    match (&serial, &code) {
        (Some(_), None) => table.missing(
            "token-code",
            "where the code that the device shows is to be read: \"file:/PATH\"",
        ),
        (None, Some(_)) => {
            table.missing("serial-number", "that of the device that shows the code");
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let serial = serial.and_then(|serial| serial.parsed(|text| worded(text, "+=/:,.@-", 9..=256)));
    let code = code.and_then(|code| values::secret(&code));
    serial.zip(code)
}

/// A list of tables.
pub(super) fn provided_contexts(value: &Value<'_, '_>) -> Option<Vec<(String, SecretRef)>> {
    let contexts = value.list(|item| {
        let mut table = item.table()?;
        let provider = table.required("context-provider-urn", "who made the assertion", |value| {
            value.parsed(urn)
        });
        let assertion = table.required(
            "context-assertion",
            "a reference to it: \"file:/PATH\"",
            values::secret,
        );
        table.finish();
        Some((provider?, assertion?))
    })?;
    if contexts.is_empty() || contexts.len() > 5 {
        value.complain(Complaint::new("must have 1 to 5 entries"));
        return None;
    }
    Some(contexts)
}

#[cfg(test)]
mod tests {
    use super::{account_of, agency_urn, session_user, urn};

    #[test]
    fn urns_have_five_parts() {
        for right in [
            "iam::0123456789abcdef0123456789abcdef:agency:app",
            "iam::1:agency:a/b c".trim_end_matches(" c"),
            "iam::1:agency:team:app",
        ] {
            assert!(agency_urn(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "app",
            "iam::1:agency:",
            "iam:::agency:app",
            "iam::1:agency",
            "iam::1:user:app",
            "sts::1:agency:app",
            "iam::1:agency:a b",
            "qcs::cam::uin/1:roleName/app",
        ] {
            assert!(agency_urn(wrong).is_err(), "{wrong}");
        }
        assert!(urn("iam::1:oidc-provider:ci").is_ok());
        assert!(urn(&format!("iam::1:agency:{}", "x".repeat(1500))).is_err());
        assert_eq!(account_of("iam::42:agency:app"), Some("42"));
    }

    #[test]
    fn session_users_begin_with_a_letter() {
        assert_eq!(session_user("app-%H", "web1").as_deref(), Ok("app-web1"));
        for wrong in ["app", "1-application", "app.%H", "app %H", "%"] {
            assert!(session_user(wrong, "web1").is_err(), "{wrong}");
        }
    }
}
