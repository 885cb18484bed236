//! What makes a role the same role: a hash over everything that decides whose credentials its
//! sets are and what they may do.
//!
//! Tuning is left out (durations, regions, endpoints, time-outs): a set obtained under other
//! tuning is as good as a new one. Every field has its length before it, so that no two
//! different lists of fields give the same bytes.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::model::{
    HuaweiDomain, HuaweiRestrictions, Key, Portal, Provider, Role, SamlAssertion, Source,
};
use super::provider::canonical;
use crate::mac::hex;
use crate::name::Name;

/// The fingerprint of a role, in hex. The sources of `roles` must be free of cycles.
pub(super) fn of(name: &Name, roles: &BTreeMap<Name, Role>, keys: &BTreeMap<Name, Key>) -> String {
    let mut fields = Fields::default();
    if let Some(role) = roles.get(name) {
        describe(role, roles, keys, &mut fields);
    }
    fields.finish()
}

fn describe(
    role: &Role,
    roles: &BTreeMap<Name, Role>,
    keys: &BTreeMap<Name, Key>,
    fields: &mut Fields,
) {
    fields.add("cloud", role.cloud.as_str());
    fields.add("kind", role.provider.kind());
    fields.add_if_any("expected-account", role.expected_account.as_deref());
    match role.provider.source() {
        Some(Source::Key(name)) => {
            fields.add("source-key", name.as_str());
            if let Some(key) = keys.get(name) {
                fields.add("id", &key.id.to_string());
                fields.add("secret", &key.secret.to_string());
            }
        }
        Some(Source::Role(name)) => {
            fields.add("source-role", name.as_str());
            fields.add("source-fingerprint", &of(name, roles, keys));
        }
        None => {}
    }
    settings(&role.provider, fields);
}

fn settings(provider: &Provider, fields: &mut Fields) {
    match provider {
        Provider::HuaweiAgencyCredentials(it) => {
            fields.add("agency-name", &it.agency_name);
            match &it.delegating {
                HuaweiDomain::Id(id) => fields.add("domain-id", id),
                HuaweiDomain::Name(name) => fields.add("domain-name", name),
            }
            fields.add_if_any("session-name", it.session_name.as_deref());
            fields.add_if_any("policy", it.policy.as_deref().map(canonical).as_deref());
        }
        Provider::HuaweiAssumeAgency(it) => {
            fields.add("agency-urn", &it.agency_urn);
            fields.add("session-name", &it.session_name);
            restrict(&it.restrictions, fields);
            fields.add_if_any("external-id", it.external_id.as_deref());
            fields.add_if_any("source-identity", it.source_identity.as_deref());
            for (key, value) in &it.tags {
                fields.add("tag", key);
                fields.add("=", value);
            }
            for key in &it.transitive_tag_keys {
                fields.add("transitive-tag-key", key);
            }
            for (provider, assertion) in &it.provided_contexts {
                fields.add("context-provider-urn", provider);
                fields.add("context-assertion", &assertion.to_string());
            }
        }
        Provider::HuaweiAssumeAgencyWithOidc(it) => {
            fields.add("provider-urn", &it.provider_urn);
            fields.add("agency-urn", &it.agency_urn);
            fields.add("session-name", &it.session_name);
            restrict(&it.restrictions, fields);
            fields.add("id-token", &it.id_token.to_string());
        }
        Provider::HuaweiAssumeAgencyWithSaml(it) => {
            fields.add("provider-urn", &it.provider_urn);
            fields.add("agency-urn", &it.agency_urn);
            restrict(&it.restrictions, fields);
            present(&it.assertion, fields);
        }
        Provider::HuaweiIdentityCenter(it) => {
            fields.add("login", it.login.as_str());
            fields.add("portal", &Portal::Huawei(it.portal.clone()).identity());
            fields.add("account-id", &it.account_id);
            fields.add("permission-set", &it.permission_set);
        }
        Provider::HuaweiInstanceMetadata(_) => {}
        Provider::TencentAssumeRole(it) => {
            fields.add("role-arn", &it.role_arn);
            fields.add("session-name", &it.session_name);
            fields.add_if_any("policy", it.policy.as_deref().map(canonical).as_deref());
            fields.add_if_any("external-id", it.external_id.as_deref());
            fields.add_if_any("source-identity", it.source_identity.as_deref());
            for (key, value) in &it.tags {
                fields.add("tag", key);
                fields.add("=", value);
            }
        }
        Provider::TencentAssumeRoleWithWebIdentity(it) => {
            fields.add("provider-id", &it.provider_id);
            fields.add("role-arn", &it.role_arn);
            fields.add("session-name", &it.session_name);
            fields.add("web-identity-token", &it.web_identity_token.to_string());
        }
        Provider::TencentAssumeRoleWithSaml(it) => {
            fields.add("principal-arn", &it.principal_arn);
            fields.add("role-arn", &it.role_arn);
            fields.add("session-name", &it.session_name);
            present(&it.assertion, fields);
        }
        Provider::TencentGetFederationToken(it) => {
            fields.add("session-name", &it.session_name);
            fields.add("policy", &canonical(&it.policy));
        }
        Provider::TencentIdentityCenter(it) => {
            fields.add("login", it.login.as_str());
            fields.add("portal", &Portal::Tencent(it.portal.clone()).identity());
            fields.add("account-id", &it.account_id.to_string());
            fields.add("permission-set", &it.permission_set);
            fields.add("session-name", &it.session_name);
        }
        Provider::TencentInstanceMetadata(it) => {
            fields.add_if_any("role-name", it.role_name.as_deref());
        }
        Provider::Command(it) => {
            for word in &it.command {
                fields.add("command", word);
            }
        }
    }
}

fn restrict(restrictions: &HuaweiRestrictions, fields: &mut Fields) {
    let policy = restrictions.policy.as_deref().map(canonical);
    fields.add_if_any("policy", policy.as_deref());
    for id in &restrictions.policy_ids {
        fields.add("policy-id", id);
    }
}

fn present(assertion: &SamlAssertion, fields: &mut Fields) {
    match assertion {
        SamlAssertion::Secret(reference) => fields.add("saml-assertion", &reference.to_string()),
        SamlAssertion::Command(words) => {
            for word in words {
                fields.add("saml-command", word);
            }
        }
    }
}

#[derive(Default)]
struct Fields(Sha256);

impl Fields {
    fn add(&mut self, name: &str, value: &str) {
        for part in [name, value] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part.as_bytes());
        }
    }

    fn add_if_any(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}
