//! The body of Tencent's CVM metadata service. cosfs reads it line by line and wants each key
//! on a line of its own; the Go SDK wants `ExpiredTime` as an integer and a valid `Expiration`;
//! nearly all want `Code` to be `Success`.

use serde_json::json;

use super::{Rendering, object};
use crate::clock::{rfc3339_seconds, unix_seconds};

/// The answer under `cam/security-credentials/ROLE` and `/accesskey/ROLE`.
#[must_use]
pub fn metadata(rendering: Rendering<'_>) -> String {
    let keys = &rendering.set.keys;
    object(&[
        ("TmpSecretId", json!(keys.access_key_id)),
        ("TmpSecretKey", json!(keys.secret_access_key.expose())),
        ("ExpiredTime", json!(unix_seconds(rendering.shown_expiry))),
        ("Expiration", json!(rfc3339_seconds(rendering.shown_expiry))),
        ("Token", json!(keys.session_token.expose())),
        ("Code", json!("Success")),
    ])
}
