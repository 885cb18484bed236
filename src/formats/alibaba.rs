//! The body of Alibaba Cloud's instance metadata, which its credentials URI has as well.
//!
//! Source: the vendor's documentation and SDKs. `Code` must be `Success`, and `Expiration` is
//! parsed in one fixed form without fraction or offset.

use super::{Body, Rendering, Value, object};
use crate::clock::rfc3339_seconds;

/// The answer under `ram/security-credentials/ROLE` and at the credentials URI.
#[must_use]
pub fn credentials(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    let expiration = rfc3339_seconds(rendering.shown_expiry);
    let last_updated = rfc3339_seconds(rendering.issued_at);
    object(&[
        ("AccessKeyId", Value::Text(&keys.access_key_id)),
        (
            "AccessKeySecret",
            Value::Text(keys.secret_access_key.expose()),
        ),
        ("Expiration", Value::Text(&expiration)),
        ("SecurityToken", Value::Text(keys.session_token.expose())),
        ("LastUpdated", Value::Text(&last_updated)),
        ("Code", Value::Text("Success")),
    ])
}

#[cfg(test)]
mod tests {
    use super::credentials;
    use crate::formats::testing::with_rendering;

    #[test]
    fn the_body_is_this() {
        with_rendering(|rendering| {
            assert_eq!(
                str::from_utf8(&credentials(rendering)).unwrap(),
                r#"{
  "AccessKeyId": "AKIDexample",
  "AccessKeySecret": "se/cr+et==",
  "Expiration": "2027-01-15T08:00:00Z",
  "SecurityToken": "tok\"en\\with everything",
  "LastUpdated": "2027-01-15T06:00:00Z",
  "Code": "Success"
}"#
            );
        });
    }
}
