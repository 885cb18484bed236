//! The server of the admin socket.
//!
//! Who asks is what the kernel says (`SO_PEERCRED`); what is done is the daemon's business,
//! behind [`Operations`]. What this module promises:
//!
//! 1. Reading status is for whoever can connect; the rest for root, the daemon's own user and
//!    the configured operators.
//! 2. An operation that has begun runs to its end, though the asker hangs up.
//! 3. Every operation and every refusal is in the audit log, with the peer's uid.
//! 4. A request is bounded in head, body and time, and so are the connections.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, TRANSFER_ENCODING,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Operations;
use super::api::{Answer, Refusal, RefusalBody, RefusalCode, RoleQuestion, RoleSelection};
use crate::config::model::Principals;
use crate::observe::audit::{self, Peer};

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Every name of a large host's roles fits.
const LARGEST_SELECTION: usize = 64 * 1024;
const LARGEST_BODY: usize = 4 * 1024;
/// For a head, a body, and an idle connection.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_CONNECTIONS: usize = 64;
/// After a failure of `accept` that is not one connection's own, e.g. no more descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What browsers and proxies send and no command of ours does.
const FORBIDDEN_HEADERS: [&str; 6] = [
    "origin",
    "referer",
    "x-forwarded-for",
    "forwarded",
    "via",
    "sec-fetch-site",
];

/// Who may do more than read status.
#[derive(Debug)]
struct Rights {
    operators: Arc<ArcSwap<Principals>>,
    own_uid: u32,
}

impl Rights {
    fn allow(&self, peer: &Peer) -> bool {
        peer.uid.is_some_and(|uid| {
            uid == 0 || uid == self.own_uid || self.operators.load().contains(uid, peer.gid)
        })
    }
}

/// Serves until `stop`, then lets answers finish. A reload may store other `operators`.
pub async fn serve(
    listener: UnixListener,
    operations: Arc<dyn Operations>,
    operators: Arc<ArcSwap<Principals>>,
    stop: CancellationToken,
) {
    let rights = Arc::new(Rights {
        operators,
        own_uid: rustix::process::geteuid().as_raw(),
    });
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "admin socket cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let peer = peer_of(&stream);
            let (operations, rights) = (Arc::clone(&operations), Arc::clone(&rights));
            let service = service_fn(move |request| {
                let (operations, rights) = (Arc::clone(&operations), Arc::clone(&rights));
                let peer = peer.clone();
                async move { Ok::<_, hyper::Error>(answer(request, peer, operations, &rights).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(LONGEST_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "admin connection broke");
                }
                drop(place);
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    graceful.shutdown().await;
}

fn peer_of(stream: &UnixStream) -> Peer {
    stream.peer_cred().map_or_else(
        |_| Peer::default(),
        |cred| Peer {
            uid: Some(cred.uid()),
            gid: Some(cred.gid()),
            pid: cred.pid(),
            unit: None,
        },
    )
}

/// What a path and a method ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route {
    Status,
    Operation(Operation),
    /// Another method is wanted: this one.
    WrongMethod(&'static str),
    Nowhere,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Forget,
    Refresh,
    Reload,
    Whoami,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Forget => "forget",
            Self::Refresh => "refresh",
            Self::Reload => "reload",
            Self::Whoami => "whoami",
        }
    }

    fn largest_body(self) -> usize {
        match self {
            Self::Forget | Self::Refresh => LARGEST_SELECTION,
            Self::Reload | Self::Whoami => LARGEST_BODY,
        }
    }
}

fn route(method: &Method, path: &str) -> Route {
    let operation = match path {
        "/admin/v1/status" => {
            return if method == Method::GET || method == Method::HEAD {
                Route::Status
            } else {
                Route::WrongMethod("GET, HEAD")
            };
        }
        "/admin/v1/forget" => Operation::Forget,
        "/admin/v1/refresh" => Operation::Refresh,
        "/admin/v1/reload" => Operation::Reload,
        "/admin/v1/whoami" => Operation::Whoami,
        _ => return Route::Nowhere,
    };
    if method == Method::POST {
        Route::Operation(operation)
    } else {
        Route::WrongMethod("POST")
    }
}

/// The header, if there is one, for which a request is refused whatever it asks for.
fn forbidden_header(headers: &HeaderMap) -> Option<&'static str> {
    FORBIDDEN_HEADERS.into_iter().find(|name| {
        let mut values = headers.get_all(*name).iter();
        // A person who types the address into a browser is no page that reaches for it.
        values.any(|value| *name != "sec-fetch-site" || value != "none")
    })
}

async fn answer(
    request: Request<Incoming>,
    peer: Peer,
    operations: Arc<dyn Operations>,
    rights: &Rights,
) -> Response<Full<Bytes>> {
    if let Some(header) = forbidden_header(request.headers()) {
        audit::operator("request", &peer, header, &"refused: forbidden header");
        return refuse(&Refusal::new(
            RefusalCode::NotAllowed,
            format!("requests with the header `{header}` are refused"),
        ));
    }
    let operation = match route(request.method(), request.uri().path()) {
        Route::Status => return json(StatusCode::OK, &operations.status()),
        Route::Operation(operation) => operation,
        Route::WrongMethod(allowed) => {
            let mut response = error(
                StatusCode::METHOD_NOT_ALLOWED,
                &Refusal::new(RefusalCode::BadRequest, format!("the method is {allowed}")),
            );
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allowed));
            return response;
        }
        Route::Nowhere => {
            return error(
                StatusCode::NOT_FOUND,
                &Refusal::new(RefusalCode::BadRequest, "there is nothing at this path"),
            );
        }
    };
    if !rights.allow(&peer) {
        audit::operator(operation.as_str(), &peer, "", &"refused: not an operator");
        let who = peer
            .uid
            .map_or_else(|| "an unknown uid".to_owned(), |uid| format!("uid {uid}"));
        return refuse(&Refusal::new(
            RefusalCode::NotAllowed,
            format!("not allowed: {who} is not among [admin] operators"),
        ));
    }
    let body = match body(request, operation.largest_body()).await {
        Ok(body) => body,
        Err(refusal) => return refuse(&refusal),
    };
    // A task of its own: if the asker hangs up, hyper drops our future, and an operation must
    // not stop half-way.
    tokio::spawn(async move { carry_out(operation, &body, &peer, &*operations).await })
        .await
        .unwrap_or_else(|_| {
            refuse(&Refusal::new(
                RefusalCode::Internal,
                "the operation failed: this is a bug in credvend, see its log",
            ))
        })
}

async fn body(request: Request<Incoming>, largest: usize) -> Result<Bytes, Refusal> {
    let refusal = |what: String| Refusal::new(RefusalCode::BadRequest, what);
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Err(refusal("a body needs a Content-Length".to_owned()));
    }
    let limited = Limited::new(request.into_body(), largest).collect();
    match timeout(PATIENCE, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(refusal(format!(
            "the body is cut short or longer than {largest} bytes"
        ))),
        Err(_) => Err(refusal("the body did not come in time".to_owned())),
    }
}

async fn carry_out(
    operation: Operation,
    body: &[u8],
    peer: &Peer,
    operations: &dyn Operations,
) -> Response<Full<Bytes>> {
    match operation {
        Operation::Forget => match parse::<RoleSelection>(body) {
            Ok(request) if request.all == request.roles.is_empty() => {
                let subject = subject(&request);
                finish(operation, peer, &subject, operations.forget(request).await)
            }
            Ok(_) => refuse(&Refusal::new(
                RefusalCode::BadRequest,
                "name roles, or say `\"all\": true`",
            )),
            Err(refusal) => refuse(&refusal),
        },
        Operation::Refresh => match parse::<RoleSelection>(body) {
            Ok(request) => {
                let subject = subject(&request);
                finish(operation, peer, &subject, operations.refresh(request).await)
            }
            Err(refusal) => refuse(&refusal),
        },
        Operation::Reload => finish(operation, peer, "", operations.reload().await),
        Operation::Whoami => match parse::<RoleQuestion>(body) {
            Ok(request) => {
                let subject = request.role.clone();
                finish(operation, peer, &subject, operations.whoami(request).await)
            }
            Err(refusal) => refuse(&refusal),
        },
    }
}

fn subject(selection: &RoleSelection) -> String {
    if selection.roles.is_empty() {
        "all roles".to_owned()
    } else {
        selection.roles.join(",")
    }
}

/// The body as JSON; no body at all stands for `{}`.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The parser's own sentence may quote what it found.
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            RefusalCode::BadRequest,
            format!(
                "the body is not the JSON this operation takes (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

fn finish<T: Serialize + Debug>(
    operation: Operation,
    peer: &Peer,
    subject: &str,
    answer: Answer<T>,
) -> Response<Full<Bytes>> {
    match answer {
        Ok(done) => {
            audit::operator(operation.as_str(), peer, subject, &"done");
            json(StatusCode::OK, &done)
        }
        Err(refusal) => {
            audit::operator(operation.as_str(), peer, subject, &refusal.message);
            refuse(&refusal)
        }
    }
}

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status =
        StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(status, refusal)
}

fn error(status: StatusCode, refusal: &Refusal) -> Response<Full<Bytes>> {
    json(
        status,
        &RefusalBody {
            error: refusal.clone(),
        },
    )
}

fn json(status: StatusCode, document: &impl Serialize) -> Response<Full<Bytes>> {
    // Plain structs with text keys: there is nothing in them that JSON cannot hold.
    let body = serde_json::to_vec_pretty(document).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_root_and_the_daemons_user_have_rights() {
        let rights = Rights {
            operators: Arc::new(ArcSwap::from_pointee(Principals {
                users: [1000].into(),
                groups: [50].into(),
            })),
            own_uid: 990,
        };
        let peer = |uid, gid| Peer {
            uid: Some(uid),
            gid: Some(gid),
            ..Peer::default()
        };
        for (uid, gid, allowed) in [
            (0, 0, true),
            (990, 990, true),
            (1000, 1, true),
            (1001, 50, true),
            (1001, 1, false),
            (65534, 65534, false),
        ] {
            assert_eq!(
                rights.allow(&peer(uid, gid)),
                allowed,
                "uid {uid}, gid {gid}"
            );
        }
        assert!(!rights.allow(&Peer::default()), "a peer nobody knows");
        rights.operators.store(Arc::default());
        assert!(!rights.allow(&peer(1000, 1)), "after a reload");
    }

    #[test]
    fn paths_and_methods_are_exact() {
        assert_eq!(route(&Method::HEAD, "/admin/v1/status"), Route::Status);
        assert_eq!(
            route(&Method::POST, "/admin/v1/forget"),
            Route::Operation(Operation::Forget)
        );
        assert_eq!(
            route(&Method::GET, "/admin/v1/forget"),
            Route::WrongMethod("POST")
        );
        assert_eq!(route(&Method::GET, "/admin/v1/status/"), Route::Nowhere);
        assert_eq!(route(&Method::GET, "/v1/roles"), Route::Nowhere);
    }

    #[test]
    fn what_browsers_and_proxies_add_is_refused() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        assert_eq!(forbidden_header(&headers("sec-fetch-site", "none")), None);
        assert!(forbidden_header(&headers("sec-fetch-site", "cross-site")).is_some());
        assert!(forbidden_header(&headers("origin", "")).is_some());
        assert_eq!(forbidden_header(&headers("accept", "*/*")), None);
    }
}
