//! `[key.NAME]`: a long-lived access key, known here by its references only.

use super::model::Key;
use super::reader::Table;
use super::values;
use crate::credentials::Cloud;

const REFERENCE: &str = "write `\"file:/PATH\"`, `\"env:NAME\"` or `\"systemd:NAME\"`";

/// What is known of a key even if its table is wrong elsewhere.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) cloud: Option<Cloud>,
    pub(super) key: Option<Key>,
}

pub(super) fn key(mut table: Table<'_, '_>) -> Read {
    let cloud = table.required("cloud", "\"tencent\" or \"huawei\"", |value| {
        value.parsed(values::cloud)
    });
    let id = table.required("id", REFERENCE, values::secret);
    let secret = table.required("secret", REFERENCE, values::secret);
    table.finish();
    let key = match (cloud, id, secret) {
        (Some(cloud), Some(id), Some(secret)) => Some(Key { cloud, id, secret }),
        _ => None,
    };
    Read { cloud, key }
}
