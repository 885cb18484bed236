//! What `credvend status` shows, gathered from the store. Pure but for the clock's reading.

use std::time::{Duration, SystemTime};

use super::roles::Managed;
use crate::admin::api::{LastError, RoleStatus};
use crate::clock::{BootTime, rfc3339_seconds};
use crate::credentials::shortened;
use crate::store::View;

/// One role as seen at this moment.
#[must_use]
pub(super) fn role(managed: &Managed, now: BootTime, wall: SystemTime) -> RoleStatus {
    let view = managed.handle.role().view();
    let valid = view.valid(now);
    let next = view.next_attempt.map(|at| now.until(at));
    RoleStatus {
        name: managed.config.name.to_string(),
        cloud: managed.config.cloud.to_string(),
        held: view.held(now).as_str().to_owned(),
        refresh: view.refresh.as_str().to_owned(),
        access_key_id: valid.map(|held| shortened(&held.set.keys.access_key_id)),
        expires_at: valid.map(|held| rfc3339_seconds(held.shown_expiry)),
        expires_in_seconds: valid.map(|held| held.shown_remaining(now).as_secs()),
        real_expires_at: valid.map(|held| rfc3339_seconds(held.real_expiry)),
        min_remaining_seconds: view.min_remaining.as_secs(),
        generation: valid.map(|held| held.set.generation),
        next_refresh_at: next.map(|pause| rfc3339_seconds(wall + pause)),
        next_refresh_in_seconds: next.as_ref().map(Duration::as_secs),
        last_success_at: view.last_success.map(rfc3339_seconds),
        consecutive_failures: view.consecutive_failures,
        last_error: last_error(&view),
        lazy: managed.config.lazy,
        provider: managed.config.provider.kind().to_owned(),
    }
}

fn last_error(view: &View) -> Option<LastError> {
    view.failure.as_ref().map(|failure| LastError {
        class: failure.class.to_owned(),
        message: failure.message.clone(),
        code: failure.code.clone(),
        request_id: failure.request_id.clone(),
        at: rfc3339_seconds(failure.at),
    })
}
