//! The AWS shapes: container credentials and `credential_process`.

use serde_json::json;

use super::{Rendering, object};
use crate::clock::rfc3339_seconds;

/// The container credentials answer. `RoleArn` is there since s3fs counts five keys; it names
/// our role, as there is no ARN that would be true.
#[must_use]
pub fn container(rendering: Rendering<'_>) -> String {
    let keys = &rendering.set.keys;
    object(&[
        ("RoleArn", json!(rendering.role.as_str())),
        ("AccessKeyId", json!(keys.access_key_id)),
        ("SecretAccessKey", json!(keys.secret_access_key.expose())),
        ("Token", json!(keys.session_token.expose())),
        ("Expiration", json!(rfc3339_seconds(rendering.shown_expiry))),
    ])
}
