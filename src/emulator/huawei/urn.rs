//! Names of agencies and identity providers: `iam::ACCOUNT:KIND:NAME`.

use crate::emulator::world::{OidcProvider, Role, SamlProvider, World};

/// The parts of a name of this kind.
fn parts<'u>(urn: &'u str, kind: &str) -> Option<(&'u str, &'u str)> {
    let (account, rest) = urn.strip_prefix("iam::")?.split_once(':')?;
    let (its_kind, name) = rest.split_once(':')?;
    (its_kind == kind && !account.is_empty() && !name.is_empty()).then_some((account, name))
}

pub(super) fn agency<'w>(world: &'w World, urn: &str) -> Option<&'w Role> {
    let (account, name) = parts(urn, "agency")?;
    world.role(account, name)
}

/// Whether a text has the form of an agency's name.
pub(super) fn is_agency(urn: &str) -> bool {
    urn.len() <= 1500 && parts(urn, "agency").is_some()
}

pub(super) fn oidc_provider<'w>(world: &'w World, urn: &str) -> Option<&'w OidcProvider> {
    let (account, name) = parts(urn, "oidc-provider")?;
    world.oidc_provider(account, name)
}

pub(super) fn saml_provider<'w>(world: &'w World, urn: &str) -> Option<&'w SamlProvider> {
    let (account, name) = parts(urn, "saml-provider")?;
    world.saml_provider(account, name)
}
