//! Which provider each kind of the configuration stands for.

use std::sync::Arc;

use super::context::BuildContext;
use super::{Provider, command, huawei, identity_center, tencent};
use crate::config::model;

/// The provider a role is configured with. Never fails and does no I/O: a secret that cannot be
/// read, or a program that is not there, shows at the first attempt.
#[must_use]
pub fn build(role: &model::Role, context: &BuildContext) -> Arc<dyn Provider> {
    match &role.provider {
        model::Provider::HuaweiAgencyCredentials(settings) => {
            Arc::new(huawei::AgencyCredentials::new(settings, context))
        }
        model::Provider::HuaweiAssumeAgency(settings) => {
            Arc::new(huawei::AssumeAgency::new(settings, context))
        }
        model::Provider::HuaweiAssumeAgencyWithOidc(settings) => {
            Arc::new(huawei::AssumeAgencyWithOidc::new(settings, context))
        }
        model::Provider::HuaweiAssumeAgencyWithSaml(settings) => {
            Arc::new(huawei::AssumeAgencyWithSaml::new(settings, context))
        }
        model::Provider::HuaweiIdentityCenter(settings) => Arc::new(
            identity_center::HuaweiIdentityCenter::new(settings, context),
        ),
        model::Provider::HuaweiInstanceMetadata(settings) => {
            Arc::new(huawei::InstanceMetadata::new(settings, context))
        }
        model::Provider::TencentAssumeRole(settings) => {
            Arc::new(tencent::AssumeRole::new(settings, context))
        }
        model::Provider::TencentAssumeRoleWithWebIdentity(settings) => {
            Arc::new(tencent::AssumeRoleWithWebIdentity::new(settings, context))
        }
        model::Provider::TencentAssumeRoleWithSaml(settings) => {
            Arc::new(tencent::AssumeRoleWithSaml::new(settings, context))
        }
        model::Provider::TencentGetFederationToken(settings) => {
            Arc::new(tencent::GetFederationToken::new(settings, context))
        }
        model::Provider::TencentIdentityCenter(settings) => Arc::new(
            identity_center::TencentIdentityCenter::new(settings, context),
        ),
        model::Provider::TencentInstanceMetadata(settings) => {
            Arc::new(tencent::InstanceMetadata::new(settings, context))
        }
        model::Provider::Command(settings) => Arc::new(command::Command::new(settings, context)),
    }
}
