//! What a set looks like on the wire: one pure renderer per format, and the bodies made once
//! per set, so that no request ever renders anything.

pub mod aws;
pub mod native;
pub mod tencent;

use std::fmt::Write as _;
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
    /// The expiry everybody is told.
    pub shown_expiry: SystemTime,
}

/// Answers ready to send. The bytes are wiped when the last response that uses them is done.
#[derive(Clone)]
pub struct Bodies {
    pub aws_container: Bytes,
    pub native: Bytes,
    pub tencent: Bytes,
}

impl Bodies {
    /// Renders every format once.
    #[must_use]
    pub fn render(rendering: Rendering<'_>) -> Self {
        Self {
            aws_container: wiped(aws::container(rendering)),
            native: wiped(native::credentials(rendering)),
            tencent: wiped(tencent::metadata(rendering)),
        }
    }
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bodies(redacted)")
    }
}

fn wiped(text: String) -> Bytes {
    Bytes::from_owner(Zeroizing::new(text.into_bytes()))
}

/// Pretty JSON, one member per line, in the order given; some clients read it line by line.
/// Values are JSON already.
fn object(members: &[(&str, serde_json::Value)]) -> String {
    let mut text = String::from("{\n");
    for (at, (key, value)) in members.iter().enumerate() {
        let comma = if at + 1 < members.len() { "," } else { "" };
        writeln!(text, "  \"{key}\": {value}{comma}").expect("writing to a string");
    }
    text.push('}');
    text
}
