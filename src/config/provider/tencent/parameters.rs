//! Parameters of Tencent's actions. Limits are those of the STS API of 2018-08-13 (its
//! published model and the pages of each action).

use std::collections::BTreeMap;

use crate::config::provider::shared::expanded;
use crate::config::reader::{Complaint, Value};

pub(super) const ROLE_ARN: &str = "as in \"qcs::cam::uin/100000000001:roleName/app\"";
pub(super) const PRINCIPAL_ARN: &str = "as in \"qcs::cam::uin/100000000001:saml-provider/corp\"";

pub(super) fn federated_name(text: &str, host: &str) -> Result<String, Complaint> {
    let expanded = expanded(text, host)?;
    if !expanded.is_empty()
        && expanded.len() <= 128
        && expanded.bytes().all(|b| b.is_ascii_alphabetic())
    {
        return Ok(expanded);
    }
    Err(
        Complaint::new("must be letters only, as GetFederationToken wants it")
            .hint("1 to 128 of a to z and A to Z; host names rarely are"),
    )
}

pub(super) fn role_arn(text: &str) -> Result<String, Complaint> {
    arn(text, &["roleName/", "role/"])
        .ok_or_else(|| Complaint::new("is not the name of a role").hint(ROLE_ARN))
}

pub(super) fn principal_arn(text: &str) -> Result<String, Complaint> {
    arn(text, &["saml-provider/"])
        .ok_or_else(|| Complaint::new("is not the name of a SAML provider").hint(PRINCIPAL_ARN))
}

/// `qcs::cam::uin/ACCOUNT:KIND/NAME`.
fn arn(text: &str, kinds: &[&str]) -> Option<String> {
    let (account, resource) = text.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    let name = kinds.iter().find_map(|kind| resource.strip_prefix(kind))?;
    let is_account = !account.is_empty() && account.bytes().all(|b| b.is_ascii_digit());
    let is_name = !name.is_empty() && name.chars().all(|c| !c.is_whitespace() && !c.is_control());
    (is_account && is_name).then(|| text.to_owned())
}

/// The account a role belongs to, out of its full name.
pub(in crate::config) fn account_of(role_arn: &str) -> Option<&str> {
    let (account, _) = role_arn.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    Some(account)
}

pub(super) fn tags(value: &Value<'_, '_>) -> Option<BTreeMap<String, String>> {
    let entries = value.entries()?;
    if entries.len() > 50 {
        value.complain(Complaint::new("has more than 50 entries"));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in entries {
        if name.is_empty() || name.chars().count() > 128 {
            value.findings().mistake(
                value.key_place(),
                "the key of a tag must have 1 to 128 characters",
                None,
            );
        }
        let text = value.parsed(|text| match text.chars().count() {
            0..=256 => Ok(text.to_owned()),
            _ => Err(Complaint::new("must have at most 256 characters")),
        });
        tags.insert(name.to_owned(), text.unwrap_or_default());
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    use super::{account_of, federated_name, principal_arn, role_arn};

    #[test]
    fn role_names_have_three_parts() {
        for right in [
            "qcs::cam::uin/100000000001:roleName/app",
            "qcs::cam::uin/1:role/4611686018427397919",
            "qcs::cam::uin/1:role/tencentcloudServiceRoleName/x",
        ] {
            assert!(role_arn(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "app",
            "qcs::cam::uin/:roleName/app",
            "qcs::cam::uin/x:roleName/app",
            "qcs::cam::uin/1:roleName/",
            "qcs::cam::uin/1:roleName/a b",
            "qcs::cam::uin/1:user/app",
            "arn:aws:iam::1:role/app",
        ] {
            assert!(role_arn(wrong).is_err(), "{wrong}");
        }
        assert!(principal_arn("qcs::cam::uin/1:saml-provider/corp").is_ok());
        assert!(principal_arn("qcs::cam::uin/1:roleName/corp").is_err());
        assert_eq!(account_of("qcs::cam::uin/42:roleName/app"), Some("42"));
    }

    #[test]
    fn federated_users_have_letters_only() {
        assert!(federated_name("app", "web1").is_ok());
        assert!(federated_name("app-%H", "web1").is_err());
    }
}
