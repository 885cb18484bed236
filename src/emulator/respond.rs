//! From one HTTP request to one answer: which part of the emulator it is for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use super::orders::Orders;
use super::reply::{Reply, dated, reply};
use super::state::State;
use super::tencent::{metadata, sts};
use super::wire::ResetSwitch;
use super::{control, huawei, portal};

/// Longest body. Source: "request structure", POST with signature v3.
const LONGEST_BODY: usize = 10 * 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers one request; an error ends the connection without an answer.
pub(super) async fn respond(
    state: Arc<State>,
    orders: Orders,
    reset: ResetSwitch,
    request: Request<Incoming>,
) -> io::Result<Reply> {
    let (head, body) = request.into_parts();
    let body = body_of(body).await?;
    let path = head.uri.path();
    if path.starts_with("/_emulator/") {
        return Ok(control::respond(&state, &orders, &head, body.as_deref()));
    }
    if metadata::is_ours(path) {
        return metadata::respond(&state, &reset, &head).await;
    }
    if portal::is_ours(&head.method, path) {
        return portal::respond(&state, &reset, &head, body.as_deref().unwrap_or_default()).await;
    }
    if huawei::is_ours(path) {
        return huawei::respond(&state, &reset, &head, body.as_deref()).await;
    }
    if path != "/" {
        let page = reply(StatusCode::NOT_FOUND, "text/plain", "there is only /\n");
        return Ok(dated(page, state.moment(0)));
    }
    sts::respond(&state, &reset, &head, body.as_deref()).await
}

/// The body, or `None` if it is too long.
async fn body_of(body: Incoming) -> io::Result<Option<Bytes>> {
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, LONGEST_BODY).collect());
    match collected.await {
        Ok(Ok(collected)) => Ok(Some(collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
