//! How upstreams are reached: `[upstream]`, and the same keys in a provider.

use std::time::Duration;

use super::endpoint;
use super::model::Upstream;
use super::reader::Table;
use super::values;

/// One HTTP call, from connecting to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Until the connection is up, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What holds where nothing was configured.
pub(super) fn defaults() -> Upstream {
    Upstream {
        proxy: None,
        ca_file: None,
        timeout: TIMEOUT,
        connect_timeout: CONNECT_TIMEOUT,
    }
}

/// Takes the four keys out of a table; what is absent is as in `outer`.
pub(super) fn read(table: &mut Table<'_, '_>, outer: &Upstream) -> Upstream {
    let proxy = table.optional("proxy", |value| value.parsed(endpoint::proxy));
    let ca_file = table.optional("ca-file", |value| value.parsed(values::path));
    let timeout = table.optional("timeout", values::positive_duration);
    let connect_timeout = table.optional("connect-timeout", values::positive_duration);
    Upstream {
        proxy: proxy.or_else(|| outer.proxy.clone()),
        ca_file: ca_file.or_else(|| outer.ca_file.clone()),
        timeout: timeout.unwrap_or(outer.timeout),
        connect_timeout: connect_timeout.unwrap_or(outer.connect_timeout),
    }
}
