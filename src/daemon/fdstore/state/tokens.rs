//! What is known of token files, as written: values in base64 like the documents of logins, times
//! on the boot clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::times::nanoseconds;
use super::{base64, from_base64};
use crate::clock::BootTime;
use crate::listener::token::KeptToken;

#[derive(Deserialize, Serialize)]
pub(super) struct TokenEntry {
    current: Option<Zeroizing<String>>,
    previous: Vec<Previous>,
}

#[derive(Deserialize, Serialize)]
struct Previous {
    token: Zeroizing<String>,
    until_boot_ns: u64,
}

/// A path that is no text is left out; the configuration has none.
pub(super) fn write(tokens: &BTreeMap<PathBuf, KeptToken>) -> BTreeMap<String, TokenEntry> {
    let entries = tokens.iter().filter_map(|(path, token)| {
        let entry = TokenEntry {
            current: token.current.as_ref().map(|value| base64(value)),
            previous: token
                .previous
                .iter()
                .map(|(value, until)| Previous {
                    token: base64(value),
                    until_boot_ns: nanoseconds(until.since_boot()),
                })
                .collect(),
        };
        Some((path.to_str()?.to_owned(), entry))
    });
    entries.collect()
}

pub(super) fn read(entries: &BTreeMap<String, TokenEntry>) -> BTreeMap<PathBuf, KeptToken> {
    let tokens = entries.iter().map(|(path, entry)| {
        let previous = entry.previous.iter().filter_map(|previous| {
            let until = BootTime::new(Duration::from_nanos(previous.until_boot_ns));
            Some((from_base64(&previous.token)?, until))
        });
        let token = KeptToken {
            current: entry.current.as_ref().and_then(|text| from_base64(text)),
            previous: previous.collect(),
        };
        (PathBuf::from(path), token)
    });
    tokens.collect()
}
