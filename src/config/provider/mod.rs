//! `[role.NAME.provider.KIND]`: one file per family of providers.
//!
//! To add a kind: a struct and a variant in the model, a reader in its family's file, and a
//! line in [`KINDS`]; what identifies its credentials goes into the fingerprint.

mod command;
mod huawei;
mod identity_center;
mod policy;
mod shared;
mod tencent;

use std::collections::BTreeMap;

use super::document::Gaps;
use super::host::Host;
use super::mask::{quotable, reference};
use super::model::{HuaweiDomain, Login, Provider, Source, Upstream};
use super::reader::{Complaint, Table, Value, suggestion};
use super::report::{Message, Severity};
use super::source::Place;
use crate::credentials::Cloud;
use crate::name::Name;

pub(super) use policy::canonical;

/// What a provider may refer to, and the defaults from outside its table.
#[derive(Debug)]
pub(super) struct Surroundings<'s, 'd> {
    pub(super) host: &'s Host,
    /// `[upstream]`.
    pub(super) upstream: &'s Upstream,
    /// The cloud of each key; `None` where its table does not say.
    pub(super) keys: &'s BTreeMap<Name, Option<Cloud>>,
    pub(super) roles: &'s BTreeMap<Name, Place<'d>>,
    /// `None` where a login's table is wrong.
    pub(super) logins: &'s BTreeMap<Name, Option<Login>>,
    pub(super) gaps: &'s Gaps,
}

type Reader = fn(&mut Table<'_, '_>, &Surroundings<'_, '_>) -> Option<(Cloud, Provider)>;

/// Every kind and who reads it.
const KINDS: [(&str, Reader); 13] = [
    ("command", command::command),
    ("huawei-agency-credentials", huawei::agency_credentials),
    ("huawei-assume-agency", huawei::assume_agency),
    ("huawei-assume-agency-with-oidc", huawei::with_oidc),
    ("huawei-assume-agency-with-saml", huawei::with_saml),
    ("huawei-identity-center", identity_center::huawei),
    ("huawei-instance-metadata", huawei::instance_metadata),
    ("tencent-assume-role", tencent::assume_role),
    ("tencent-assume-role-with-saml", tencent::with_saml),
    (
        "tencent-assume-role-with-web-identity",
        tencent::with_web_identity,
    ),
    ("tencent-get-federation-token", tencent::federation_token),
    ("tencent-identity-center", identity_center::tencent),
    ("tencent-instance-metadata", tencent::instance_metadata),
];

/// The account whose credentials a provider will obtain, where its settings say.
pub(super) fn account_of(provider: &Provider) -> Option<String> {
    let account = match provider {
        Provider::HuaweiAgencyCredentials(it) => match &it.delegating {
            HuaweiDomain::Id(id) => Some(id.as_str()),
            HuaweiDomain::Name(_) => None,
        },
        Provider::HuaweiAssumeAgency(it) => huawei::account_of(&it.agency_urn),
        Provider::HuaweiAssumeAgencyWithOidc(it) => huawei::account_of(&it.agency_urn),
        Provider::HuaweiAssumeAgencyWithSaml(it) => huawei::account_of(&it.agency_urn),
        Provider::TencentAssumeRole(it) => tencent::account_of(&it.role_arn),
        Provider::TencentAssumeRoleWithWebIdentity(it) => tencent::account_of(&it.role_arn),
        Provider::TencentAssumeRoleWithSaml(it) => tencent::account_of(&it.role_arn),
        Provider::HuaweiIdentityCenter(it) => Some(it.account_id.as_str()),
        Provider::TencentIdentityCenter(it) => return Some(it.account_id.to_string()),
        Provider::Command(_)
        | Provider::HuaweiInstanceMetadata(_)
        | Provider::TencentGetFederationToken(_)
        | Provider::TencentInstanceMetadata(_) => None,
    };
    account.map(ToOwned::to_owned)
}

/// What a provider's table gives as its `source`, whether or not all else in it is right.
pub(super) fn raw_source<'d>(whole: &Value<'_, 'd>) -> Option<(&'d str, Place<'d>)> {
    if !whole.is_table() {
        return None;
    }
    let (_, provider) = whole.entries()?.into_iter().next()?;
    if !provider.is_table() {
        return None;
    }
    let entries = provider.entries()?;
    let (_, source) = entries.into_iter().find(|(key, _)| *key == "source")?;
    Some((source.as_text()?, source.place().clone()))
}

/// The table `provider` of a role, which has one table inside.
pub(super) fn provider(
    whole: &Value<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
) -> Option<(Cloud, Provider)> {
    let mut kinds = whole.entries()?;
    kinds.sort_by_key(|(_, value)| value.place().span.start);
    let mut kinds = kinds.into_iter();
    let Some((kind, value)) = kinds.next() else {
        whole.complain(
            Complaint::new("says nothing of where the credentials come from").hint(format!(
                "add a table such as [{}.tencent-assume-role]",
                whole.path()
            )),
        );
        return None;
    };
    for (_, other) in kinds {
        value.findings().add(
            Message::at(
                Severity::Mistake,
                other.key_place(),
                "a role has one provider, and this is its second",
                Some("make it a role of its own".to_owned()),
            )
            .and("the first is here", value.key_place()),
        );
    }
    let Some((_, read)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        unknown_kind(&value, kind);
        return None;
    };
    let mut table = value.table()?;
    let read = read(&mut table, surroundings);
    table.finish();
    read
}

fn unknown_kind(value: &Value<'_, '_>, kind: &str) {
    let place = value.key_place();
    let hint = suggestion(kind, KINDS.iter().map(|(known, _)| *known));
    value.findings().mistake(
        place,
        format!("unknown provider `{}`", quotable(kind)),
        hint,
    );
}

/// The role in whose provider a value stands: `role.NAME.provider.KIND.KEY`.
fn own_role<'v>(value: &'v Value<'_, '_>) -> Option<&'v str> {
    let (table, _) = value.path().rsplit_once('.')?;
    let (provider, _) = table.rsplit_once('.')?;
    provider.strip_suffix(".provider")?.strip_prefix("role.")
}

/// The key or role named by a `source`.
fn source(
    value: &Value<'_, '_>,
    surroundings: &Surroundings<'_, '_>,
    cloud: Cloud,
) -> Option<Source> {
    let text = value.text()?;
    if let Some((name, its_cloud)) = surroundings.keys.get_key_value(text) {
        if let Some(other) = its_cloud.filter(|its| *its != cloud) {
            value.complain(
                Complaint::new(format!(
                    "names a key of {other}, and this provider is {cloud}'s"
                ))
                .hint(format!("a [key.*] with `cloud = \"{cloud}\"`")),
            );
        }
        return Some(Source::Key(name.clone()));
    }
    if let Some((name, _)) = surroundings.roles.get_key_value(text) {
        return Some(Source::Role(name.clone()));
    }
    if surroundings.logins.contains_key(text) {
        let hint = format!(
            "name a [role.*] whose provider is `{cloud}-identity-center` with `login = \"{text}\"`"
        );
        value.complain(Complaint::new(format!("names `{text}`, which is a login")).hint(hint));
        return None;
    }
    if !surroundings.gaps.may_hold(text) {
        let own = own_role(value);
        let known = surroundings.keys.keys().chain(surroundings.roles.keys());
        let known = known.map(Name::as_str).filter(|name| Some(*name) != own);
        let hint = suggestion(text, known);
        let text = format!("names `{}`, which is no key and no role", reference(text));
        value.complain(Complaint {
            text,
            hint: hint.or_else(|| Some("define it: [key.NAME] or [role.NAME]".to_owned())),
        });
    }
    None
}
