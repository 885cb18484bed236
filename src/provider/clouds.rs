//! Which clouds there are, for providers that belong to none of them.

use super::context::BuildContext;
use super::service::Identify;
use super::{huawei, tencent};
use crate::clock::BootTime;
use crate::config::model;
use crate::credentials::{Cloud, Obtained};

/// Whom to ask whose keys a set is.
pub(super) fn identity_service(
    cloud: Cloud,
    settings: &model::Service,
    context: &BuildContext,
) -> Box<dyn Identify> {
    match cloud {
        Cloud::Huawei => Box::new(huawei::identity_service(settings, context)),
        Cloud::Tencent => Box::new(tencent::identity_service(settings, context)),
    }
}

/// Reads a set in one of the cloud's own shapes, as its tools print it; `None` if it is none of
/// these.
pub(super) fn printed(
    cloud: Cloud,
    bytes: &[u8],
    sent_at: BootTime,
) -> Option<Result<Obtained, String>> {
    match cloud {
        Cloud::Huawei => huawei::printed(bytes, sent_at),
        Cloud::Tencent => tencent::printed(bytes, sent_at),
    }
}
