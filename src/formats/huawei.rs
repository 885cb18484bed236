//! Huawei's shapes: the body of the ECS metadata service and that of a container's credentials.
//!
//! Expiry has six digits of a second, of which the last three are zero: the only spelling that
//! the parsers of all its SDKs take (some cut a fixed number of characters off its end).

use super::Value::Text;
use super::{Body, Rendering, wrapped};
use crate::clock::rfc3339_seconds;

/// The answer of `GET /openstack/latest/securitykey`.
#[must_use]
pub fn metadata(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    wrapped(
        "credential",
        &[
            ("access", Text(&keys.access_key_id)),
            ("secret", Text(keys.secret_access_key.expose())),
            ("securitytoken", Text(keys.session_token.expose())),
            ("expires_at", Text(&expiry(rendering))),
        ],
    )
}

/// The answer to a container's POST.
#[must_use]
pub fn container(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    wrapped(
        "credentials",
        &[
            ("accessKeyId", Text(&keys.access_key_id)),
            ("secretAccessKey", Text(keys.secret_access_key.expose())),
            ("securityToken", Text(keys.session_token.expose())),
            ("expiration", Text(&expiry(rendering))),
        ],
    )
}

fn expiry(rendering: Rendering<'_>) -> String {
    rfc3339_seconds(rendering.shown_expiry).replace('Z', ".000000Z")
}

#[cfg(test)]
mod tests {
    use super::{container, metadata};
    use crate::formats::testing::with_rendering;

    #[test]
    fn metadata_is_spelled_as_the_sdks_read_it() {
        with_rendering(|rendering| {
            let body = metadata(rendering);
            assert_eq!(
                str::from_utf8(&body).unwrap(),
                r#"{"credential": {
  "access": "AKIDexample",
  "secret": "se/cr+et==",
  "securitytoken": "tok\"en\\with everything",
  "expires_at": "2027-01-15T08:00:00.000000Z"
}}"#
            );
        });
    }

    #[test]
    fn container_credentials_have_other_names() {
        with_rendering(|rendering| {
            let body = container(rendering);
            assert_eq!(
                str::from_utf8(&body).unwrap(),
                r#"{"credentials": {
  "accessKeyId": "AKIDexample",
  "secretAccessKey": "se/cr+et==",
  "securityToken": "tok\"en\\with everything",
  "expiration": "2027-01-15T08:00:00.000000Z"
}}"#
            );
        });
    }
}
