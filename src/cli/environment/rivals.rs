//! Variables that show a program another identity than the one it is given, in the order of the
//! SDKs: static keys, then roles and profiles that would be assumed or looked up first.

use crate::credentials::Cloud;

pub(super) const AWS: [&str; 8] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    // botocore reads the longer name first.
    "AWS_DEFAULT_PROFILE",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];
pub(super) const ALIBABA: [&str; 6] = [
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_ROLE_ARN",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "ALIBABA_CLOUD_PROFILE",
];
const TENCENT: [&str; 10] = [
    "TENCENTCLOUD_SECRET_ID",
    "TENCENTCLOUD_SECRET_KEY",
    "TENCENTCLOUD_TOKEN",
    "TENCENTCLOUD_SESSION_TOKEN",
    "TENCENTCLOUD_SECURITY_TOKEN",
    // tccli and Terraform assume these with whatever keys they have, or instead of them.
    "TENCENTCLOUD_ROLE_ARN",
    "TENCENTCLOUD_ASSUME_ROLE_ARN",
    "TENCENTCLOUD_CAM_ROLE_NAME",
    "TKE_PROVIDER_ID",
    "TKE_ROLE_ARN",
];
const HUAWEI: [&str; 14] = [
    "HUAWEICLOUD_SDK_AK",
    "HUAWEICLOUD_SDK_SK",
    "HUAWEICLOUD_SDK_SECURITY_TOKEN",
    // They win over keys.
    "HUAWEICLOUD_SDK_IDP_ID",
    "HUAWEICLOUD_SDK_ID_TOKEN_FILE",
    "HUAWEICLOUD_OIDC_PROVIDER_URN",
    "HUAWEICLOUD_OIDC_AGENCY_URN",
    "HW_ACCESS_KEY",
    "HW_SECRET_KEY",
    "HW_SECURITY_TOKEN",
    "HW_ASSUME_ROLE_AGENCY_NAME",
    "OBS_ACCESS_KEY_ID",
    "OBS_SECRET_ACCESS_KEY",
    "OBS_SECURITY_TOKEN",
];

/// Those that the tools of a role's own cloud read.
pub(super) fn of(cloud: Cloud) -> &'static [&'static str] {
    match cloud {
        Cloud::Huawei => &HUAWEI,
        Cloud::Tencent => &TENCENT,
    }
}
