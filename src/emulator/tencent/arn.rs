//! Six-part names of roles and SAML providers, as parameters write them.

use super::refusal::Refusal;
use crate::emulator::world::{Role, World};

/// A well-formed `RoleArn`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct RoleArn<'a> {
    pub(super) account: &'a str,
    which: Which<'a>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Which<'a> {
    Id(&'a str),
    Name(&'a str),
}

impl<'a> RoleArn<'a> {
    /// `qcs::cam::uin/UIN:roleName/NAME`, `…:role/ID`, and the same below
    /// `role/tencentcloudServiceRole` for service roles.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (account, resource) = account_and_resource(text)?;
        let which = if let Some(name) = resource.strip_prefix("roleName/") {
            Which::Name(name)
        } else {
            let rest = resource.strip_prefix("role/")?;
            if let Some(id) = rest.strip_prefix("tencentcloudServiceRole/") {
                Which::Id(id)
            } else if let Some(name) = rest.strip_prefix("tencentcloudServiceRoleName/") {
                Which::Name(name)
            } else {
                Which::Id(rest)
            }
        };
        let is_fine = match which {
            Which::Id(id) => is_number(id),
            Which::Name(name) => is_cam_name(name),
        };
        is_fine.then_some(Self { account, which })
    }

    pub(super) fn find<'w>(&self, world: &'w World) -> Option<&'w Role> {
        match self.which {
            Which::Id(id) => world.role_by_id(self.account, id),
            Which::Name(name) => world.role(self.account, name),
        }
    }
}

/// The role a `RoleArn` parameter names, if there is one by that name.
///
/// A role that is missing from an account that exists was seen to give
/// `InternalError.GetRoleError` with the words "role not exist"; a missing account gives the
/// documented `ResourceNotFound.RoleNotFound`, except for web identities, which do not list it.
pub(super) fn role<'w>(
    world: &'w World,
    arn: &str,
    is_web_identity: bool,
) -> Result<&'w Role, Refusal> {
    let Some(parsed) = RoleArn::parse(arn) else {
        return Err(Refusal::parameter(
            "RoleArn is not of the form qcs::cam::uin/UIN:roleName/NAME",
        ));
    };
    parsed.find(world).ok_or_else(|| {
        if is_web_identity || world.has_account(parsed.account) {
            Refusal::new("InternalError.GetRoleError", "role not exist")
        } else {
            Refusal::new("ResourceNotFound.RoleNotFound", "The role does not exist.")
        }
    })
}

/// Account and name of `qcs::cam::uin/UIN:saml-provider/NAME`.
pub(super) fn saml_provider(text: &str) -> Result<(&str, &str), Refusal> {
    account_and_resource(text)
        .and_then(|(account, resource)| Some((account, resource.strip_prefix("saml-provider/")?)))
        .filter(|(_, name)| is_cam_name(name))
        .ok_or_else(|| {
            Refusal::parameter(
                "PrincipalArn is not of the form qcs::cam::uin/UIN:saml-provider/NAME",
            )
        })
}

fn account_and_resource(text: &str) -> Option<(&str, &str)> {
    let (account, resource) = text.strip_prefix("qcs::cam::uin/")?.split_once(':')?;
    is_number(account).then_some((account, resource))
}

pub(super) fn is_number(text: &str) -> bool {
    (1..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_cam_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{RoleArn, saml_provider};

    #[test]
    fn the_documented_spellings_are_understood_and_no_others() {
        for good in [
            "qcs::cam::uin/100000000001:roleName/app",
            "qcs::cam::uin/100000000001:role/4611686018427000001",
            "qcs::cam::uin/100000000001:role/tencentcloudServiceRole/4611686018427000001",
            "qcs::cam::uin/100000000001:role/tencentcloudServiceRoleName/TKE_QCSRole",
        ] {
            assert!(RoleArn::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "app",
            "qcs::cam:uin/100000000001:roleName/app",
            "qcs::cam::uin/one:roleName/app",
            "qcs::cam::uin/100000000001:roleName/",
            "qcs::cam::uin/100000000001:roleName/a b",
            "qcs::cam::uin/100000000001:role/app",
            "arn:aws:iam::100000000001:role/app",
        ] {
            assert!(RoleArn::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_saml_provider_is_named_by_account_and_name() {
        let arn = "qcs::cam::uin/100000000001:saml-provider/example-saml";
        assert_eq!(saml_provider(arn), Ok(("100000000001", "example-saml")));
        assert!(saml_provider("example-saml").is_err());
    }
}
