//! Our own shape, for clients that know us.

use serde_json::json;

use super::{Rendering, object};
use crate::clock::rfc3339_seconds;

/// The answer of `GET /v1/roles/ROLE/credentials`.
#[must_use]
pub fn credentials(rendering: Rendering<'_>) -> String {
    let set = rendering.set;
    object(&[
        ("role", json!(rendering.role.as_str())),
        ("cloud", json!(rendering.cloud.as_str())),
        ("access_key_id", json!(set.keys.access_key_id)),
        (
            "secret_access_key",
            json!(set.keys.secret_access_key.expose()),
        ),
        ("session_token", json!(set.keys.session_token.expose())),
        ("expires_at", json!(rfc3339_seconds(rendering.shown_expiry))),
        ("issued_at", json!(rfc3339_seconds(set.issued_at))),
        ("generation", json!(set.generation)),
    ])
}
