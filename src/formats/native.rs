//! Our own shape, for clients that know us.

use super::{Body, Rendering, Value, object};
use crate::clock::rfc3339_seconds;

/// The answer of `GET /v1/roles/ROLE/credentials`.
#[must_use]
pub fn credentials(rendering: Rendering<'_>) -> Body {
    let set = rendering.set;
    let expires_at = rfc3339_seconds(rendering.shown_expiry);
    let issued_at = rfc3339_seconds(rendering.issued_at);
    object(&[
        ("role", Value::Text(rendering.role.as_str())),
        ("cloud", Value::Text(rendering.cloud.as_str())),
        ("access_key_id", Value::Text(&set.keys.access_key_id)),
        (
            "secret_access_key",
            Value::Text(set.keys.secret_access_key.expose()),
        ),
        (
            "session_token",
            Value::Text(set.keys.session_token.expose()),
        ),
        ("expires_at", Value::Text(&expires_at)),
        ("issued_at", Value::Text(&issued_at)),
        ("generation", Value::Integer(set.generation)),
    ])
}

#[cfg(test)]
mod tests {
    use super::credentials;
    use crate::formats::testing::with_rendering;

    #[test]
    fn the_native_body_is_this() {
        with_rendering(|rendering| {
            assert_eq!(
                str::from_utf8(&credentials(rendering)).unwrap(),
                r#"{
  "role": "app",
  "cloud": "tencent",
  "access_key_id": "AKIDexample",
  "secret_access_key": "se/cr+et==",
  "session_token": "tok\"en\\with everything",
  "expires_at": "2027-01-15T08:00:00Z",
  "issued_at": "2027-01-15T06:00:00Z",
  "generation": 7
}"#
            );
        });
    }
}
