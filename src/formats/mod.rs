//! What a set looks like on the wire: one pure renderer per format, and the bodies made once
//! per set, so that no request ever renders anything.
//!
//! A body is written straight into one buffer that is wiped when the last response that uses it
//! is done; no copy of a secret is left behind by the rendering.

pub mod alibaba;
pub mod aws;
pub mod env;
pub mod huawei;
pub mod native;
pub mod tencent;

use std::io::Write;
use std::time::SystemTime;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::credentials::{Cloud, CredentialSet};
use crate::name::Name;

/// What renderers work from.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    pub role: &'a Name,
    pub cloud: Cloud,
    pub set: &'a CredentialSet,
    /// When it was issued, as everybody is told.
    pub issued_at: SystemTime,
    /// The expiry everybody is told.
    pub shown_expiry: SystemTime,
}

/// Answers ready to send. The bytes are wiped when the last response that uses them is done.
#[derive(Clone)]
pub struct Bodies {
    pub alibaba: Bytes,
    pub aws_container: Bytes,
    pub aws_imds: Bytes,
    pub huawei: Bytes,
    pub huawei_container: Bytes,
    pub native: Bytes,
    pub tencent: Bytes,
}

impl Bodies {
    /// Renders every format once.
    #[must_use]
    pub fn render(rendering: Rendering<'_>) -> Self {
        Self {
            alibaba: Bytes::from_owner(alibaba::credentials(rendering)),
            aws_container: Bytes::from_owner(aws::container(rendering)),
            aws_imds: Bytes::from_owner(aws::instance_metadata(rendering)),
            huawei: Bytes::from_owner(huawei::metadata(rendering)),
            huawei_container: Bytes::from_owner(huawei::container(rendering)),
            native: Bytes::from_owner(native::credentials(rendering)),
            tencent: Bytes::from_owner(tencent::metadata(rendering)),
        }
    }
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bodies(redacted)")
    }
}

/// A rendered body: wiped on drop.
pub type Body = Zeroizing<Vec<u8>>;

/// One value of a body.
#[derive(Clone, Copy)]
enum Value<'a> {
    Integer(u64),
    Text(&'a str),
}

/// Pretty JSON, one member per line, in the order given; some clients read it line by line.
fn object(members: &[(&str, Value<'_>)]) -> Body {
    enclosed("{\n", members, "}")
}

/// The same as the only member of another object.
fn wrapped(key: &str, members: &[(&str, Value<'_>)]) -> Body {
    enclosed(&format!("{{\"{key}\": {{\n"), members, "}}")
}

fn enclosed(head: &str, members: &[(&str, Value<'_>)], tail: &str) -> Body {
    // Room for all of it, so that the buffer never moves and leaves a copy; and for hardly more,
    // since a thousand roles hold fourteen of these each.
    let room: usize = members
        .iter()
        .map(|(key, value)| {
            "  \"\": ,\n".len()
                + key.len()
                + match value {
                    Value::Integer(_) => LONGEST_INTEGER,
                    Value::Text(text) => quoted_length(text),
                }
        })
        .sum();
    let mut body = Zeroizing::new(Vec::with_capacity(head.len() + room + tail.len()));
    body.extend_from_slice(head.as_bytes());
    for (at, (key, value)) in members.iter().enumerate() {
        let written = write!(body, "  \"{key}\": ").and_then(|()| match value {
            Value::Integer(number) => write!(body, "{number}"),
            Value::Text(text) => serde_json::to_writer(&mut *body, text).map_err(Into::into),
        });
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        body.extend_from_slice(if at + 1 < members.len() {
            b",\n"
        } else {
            b"\n"
        });
    }
    body.extend_from_slice(tail.as_bytes());
    body
}

/// The digits of the largest one.
const LONGEST_INTEGER: usize = 20;

/// The length of a text as JSON, with its quotes.
fn quoted_length(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

/// One set that every renderer's test renders.
#[cfg(test)]
pub(crate) mod testing {
    use std::time::{Duration, SystemTime};

    use super::Rendering;
    use crate::clock::BootTime;
    use crate::credentials::{Cloud, CredentialSet, Keys};
    use crate::name::Name;

    /// Calls `check` with a rendering of a known set that shows 2027-01-15T08:00:00Z.
    pub(crate) fn with_rendering(check: impl FnOnce(Rendering<'_>)) {
        let role: Name = "app".parse().unwrap();
        let issued_at = SystemTime::UNIX_EPOCH + Duration::from_hours(499_998);
        let set = CredentialSet {
            keys: Keys {
                access_key_id: "AKIDexample".into(),
                secret_access_key: "se/cr+et==".into(),
                session_token: "tok\"en\\with everything".into(),
            },
            issued_at,
            obtained_at: BootTime::default(),
            expires_at: BootTime::new(Duration::from_hours(2)),
            generation: 7,
            etag: "\"0123\"".into(),
        };
        check(Rendering {
            role: &role,
            cloud: Cloud::Tencent,
            set: &set,
            issued_at,
            shown_expiry: issued_at + Duration::from_millis(7_200_900),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::testing::with_rendering;
    use super::{Bodies, Value, object};

    #[test]
    fn every_body_is_json_and_debug_shows_nothing_of_it() {
        with_rendering(|rendering| {
            let bodies = Bodies::render(rendering);
            for body in [
                &bodies.alibaba,
                &bodies.aws_container,
                &bodies.aws_imds,
                &bodies.huawei,
                &bodies.huawei_container,
                &bodies.native,
                &bodies.tencent,
            ] {
                let parsed: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                assert!(parsed.is_object());
            }
            assert_eq!(format!("{bodies:?}"), "Bodies(redacted)");
        });
    }

    #[test]
    fn a_body_fits_its_first_buffer_and_fills_it() {
        let all: String = (0..=0x100_u32).filter_map(char::from_u32).collect();
        for text in [
            "",
            "plain",
            "\u{1}\u{1f}\u{7f}",
            "\"\\\n\r\t\u{8}\u{c}/",
            &all,
        ] {
            let body = object(&[("a", Value::Text(text)), ("b", Value::Integer(u64::MAX))]);
            // The last member has no comma.
            assert_eq!(body.capacity(), body.len() + 1, "{text:?}");
        }
    }
}
