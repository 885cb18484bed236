//! The body of Tencent's CVM metadata service. cosfs reads it line by line and wants each key
//! on a line of its own; the Go SDK wants `ExpiredTime` as an integer and a valid `Expiration`;
//! nearly all want `Code` to be `Success`.

use super::{Body, Rendering, Value, object};
use crate::clock::{rfc3339_seconds, unix_seconds};

/// The answer under `cam/security-credentials/ROLE` and `/accesskey/ROLE`.
#[must_use]
pub fn metadata(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    let expiration = rfc3339_seconds(rendering.shown_expiry);
    object(&[
        ("TmpSecretId", Value::Text(&keys.access_key_id)),
        ("TmpSecretKey", Value::Text(keys.secret_access_key.expose())),
        (
            "ExpiredTime",
            Value::Integer(unix_seconds(rendering.shown_expiry)),
        ),
        ("Expiration", Value::Text(&expiration)),
        ("Token", Value::Text(keys.session_token.expose())),
        ("Code", Value::Text("Success")),
    ])
}

#[cfg(test)]
mod tests {
    use super::metadata;
    use crate::formats::testing::with_rendering;

    #[test]
    fn the_metadata_body_is_this() {
        with_rendering(|rendering| {
            assert_eq!(
                str::from_utf8(&metadata(rendering)).unwrap(),
                r#"{
  "TmpSecretId": "AKIDexample",
  "TmpSecretKey": "se/cr+et==",
  "ExpiredTime": 1800000000,
  "Expiration": "2027-01-15T08:00:00Z",
  "Token": "tok\"en\\with everything",
  "Code": "Success"
}"#
            );
        });
    }

    /// cosfs looks for its four keys line by line, each with a quoted value behind a colon.
    #[test]
    fn cosfs_finds_its_four_keys_each_on_a_line_of_its_own() {
        with_rendering(|rendering| {
            let body = metadata(rendering);
            let text = str::from_utf8(&body).unwrap();
            for key in ["TmpSecretId", "TmpSecretKey", "Token", "Expiration"] {
                let lines: Vec<_> = text.lines().filter(|line| line.contains(key)).collect();
                assert_eq!(lines.len(), 1, "{key}");
                let (_, value) = lines[0].split_once(": ").expect("a colon");
                assert!(value.starts_with('"') && value.ends_with("\","), "{key}");
            }
        });
    }
}
