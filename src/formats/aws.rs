//! The AWS shapes: container credentials and instance metadata. They differ in more than order:
//! s3fs counts the key words of a body, and wants one more in a container's.

use super::{Body, Rendering, Value, object};
use crate::clock::rfc3339_seconds;

/// The container credentials answer. `RoleArn` is there since s3fs counts five keys; it names
/// our role, as there is no ARN that would be true.
#[must_use]
pub fn container(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    let expiration = rfc3339_seconds(rendering.shown_expiry);
    object(&[
        ("RoleArn", Value::Text(rendering.role.as_str())),
        ("AccessKeyId", Value::Text(&keys.access_key_id)),
        (
            "SecretAccessKey",
            Value::Text(keys.secret_access_key.expose()),
        ),
        ("Token", Value::Text(keys.session_token.expose())),
        ("Expiration", Value::Text(&expiration)),
    ])
}

/// The answer under `iam/security-credentials/ROLE` of the instance metadata service. No
/// `RoleArn`: s3fs wants exactly four of its key words here.
#[must_use]
pub fn instance_metadata(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    let expiration = rfc3339_seconds(rendering.shown_expiry);
    let last_updated = rfc3339_seconds(rendering.issued_at);
    object(&[
        ("Code", Value::Text("Success")),
        ("LastUpdated", Value::Text(&last_updated)),
        ("Type", Value::Text("AWS-HMAC")),
        ("AccessKeyId", Value::Text(&keys.access_key_id)),
        (
            "SecretAccessKey",
            Value::Text(keys.secret_access_key.expose()),
        ),
        ("Token", Value::Text(keys.session_token.expose())),
        ("Expiration", Value::Text(&expiration)),
    ])
}

#[cfg(test)]
mod tests {
    use super::{container, instance_metadata};
    use crate::formats::testing::with_rendering;

    #[test]
    fn the_container_body_is_this() {
        with_rendering(|rendering| {
            assert_eq!(
                str::from_utf8(&container(rendering)).unwrap(),
                r#"{
  "RoleArn": "app",
  "AccessKeyId": "AKIDexample",
  "SecretAccessKey": "se/cr+et==",
  "Token": "tok\"en\\with everything",
  "Expiration": "2027-01-15T08:00:00Z"
}"#
            );
        });
    }

    #[test]
    fn the_instance_metadata_body_is_this() {
        with_rendering(|rendering| {
            assert_eq!(
                str::from_utf8(&instance_metadata(rendering)).unwrap(),
                r#"{
  "Code": "Success",
  "LastUpdated": "2027-01-15T06:00:00Z",
  "Type": "AWS-HMAC",
  "AccessKeyId": "AKIDexample",
  "SecretAccessKey": "se/cr+et==",
  "Token": "tok\"en\\with everything",
  "Expiration": "2027-01-15T08:00:00Z"
}"#
            );
        });
    }

    /// s3fs cuts at commas, takes the first key word of each piece, and wants exactly five of
    /// them in a container and four on an instance.
    #[test]
    fn s3fs_counts_the_keys_it_expects() {
        with_rendering(|rendering| {
            for (body, expected) in [(container(rendering), 5), (instance_metadata(rendering), 4)] {
                let text = str::from_utf8(&body).unwrap();
                let words = [
                    "AccessKeyId",
                    "SecretAccessKey",
                    "Token",
                    "Expiration",
                    "RoleArn",
                ];
                let found: Vec<_> = text
                    .split(',')
                    .filter_map(|piece| words.iter().find(|word| piece.contains(*word)))
                    .collect();
                assert_eq!(found.len(), expected, "{found:?}");
            }
        });
    }
}
