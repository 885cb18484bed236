//! The server of the admin socket.
//!
//! Who asks is what the kernel says (`SO_PEERCRED`); what is done is the daemon's business,
//! behind [`Operations`]. What this module promises:
//!
//! 1. Reading status is for whoever can connect; the rest for root, the daemon's own user and
//!    the configured operators.
//! 2. An operation that has begun runs to its end, though the asker hangs up.
//! 3. Every operation and every refusal is in the audit log, with the peer's uid; equal refusals are
//!    put together. The questions of a command that waits for a sign-in are not: they come every few
//!    seconds.
//! 4. A request is bounded in head, body and time, and so are the connections: all of them, and
//!    those of one user.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::api::{Refusal, RefusalCode};
use super::connections::{Asked, Reception};
use super::denials::Denials;
use super::places::Guest;
use super::routes::{Route, error, forbidden_header, json, refuse, route};
use super::{Operations, connections, operation};
use crate::config::model::Principals;
use crate::listener::answer::closing;
use crate::listener::exchange;
use crate::listener::guard::{self, Head, Violation};
use crate::observe::audit::Peer;

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

impl connections::Visitor for Peer {
    fn peer(&self) -> Peer {
        self.clone()
    }
}

/// Serves until `stop`, then lets answers finish. A reload may store other `operators`.
pub async fn serve(
    listener: UnixListener,
    operations: Arc<dyn Operations>,
    operators: Arc<ArcSwap<Principals>>,
    denials: Denials,
    stop: CancellationToken,
) {
    let desk = Desk {
        operations,
        rights: Rights {
            operators,
            own_uid: rustix::process::geteuid().as_raw(),
        },
        denials: denials.clone(),
    };
    let accept = async move || {
        let (stream, _) = listener.accept().await?;
        let peer = peer_of(&stream);
        Ok((stream, peer))
    };
    connections::serve(&denials, accept, Arc::new(desk), stop).await;
}

/// What answers requests.
#[derive(Debug)]
struct Desk {
    operations: Arc<dyn Operations>,
    rights: Rights,
    denials: Denials,
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

impl Reception for Desk {
    type Visitor = Peer;

    fn guest(&self, peer: &Peer) -> Guest {
        if self.rights.allow(peer) {
            Guest::Operator
        } else {
            Guest::Stranger(peer.uid)
        }
    }

    async fn answer(&self, peer: Peer, asked: Asked) -> Response<Full<Bytes>> {
        let request = match form(asked) {
            Ok(request) => request,
            Err(violation) => {
                self.denials.note(violation.reason(), &peer);
                let refusal = Refusal::new(RefusalCode::BadRequest, violation.to_string());
                return closing(refuse(&refusal));
            }
        };
        if let Some(header) = forbidden_header(request.headers()) {
            self.denials.note("header", &peer);
            return refuse(&Refusal::new(
                RefusalCode::NotAllowed,
                format!("requests with the header `{header}` are refused"),
            ));
        }
        let operation = match route(request.method(), request.uri().path()) {
            Route::Status => return json(StatusCode::OK, &self.operations.status()),
            Route::Operation(operation) => operation,
            Route::WrongMethod(allowed) => {
                self.denials.note("method", &peer);
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
                self.denials.note("path", &peer);
                return error(
                    StatusCode::NOT_FOUND,
                    &Refusal::new(RefusalCode::BadRequest, "there is nothing at this path"),
                );
            }
        };
        if !self.rights.allow(&peer) {
            self.denials.not_an_operator(operation.as_str(), &peer);
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
            Err(refusal) => {
                self.denials.note("request", &peer);
                return closing(refuse(&refusal)); // the rest of the body may still come
            }
        };
        let operations = Arc::clone(&self.operations);
        // A task of its own: if the asker hangs up, hyper drops our future, and an operation must
        // not stop half-way.
        tokio::spawn(
            async move { operation::carry_out(operation, &body, &peer, &*operations).await },
        )
        .await
        .unwrap_or_else(|_| {
            refuse(&Refusal::new(
                RefusalCode::Internal,
                "the operation failed: this is a bug in credvend, see its log",
            ))
        })
    }

    fn refuse_head(&self, peer: &Peer, status: StatusCode) -> Response<Full<Bytes>> {
        self.denials.note("request", peer);
        let message = exchange::reason(status);
        error(status, &Refusal::new(RefusalCode::BadRequest, message))
    }
}

/// The request, if it is clear what it asks for and where it ends.
fn form(asked: Asked) -> Result<Request<Incoming>, Violation> {
    let request = asked.request;
    guard::check_form(Head {
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
        ambiguous_length: asked.ambiguous_length,
        local: None,
    })?;
    Ok(request)
}

async fn body(request: Request<Incoming>, largest: usize) -> Result<Bytes, Refusal> {
    let refusal = |what: String| Refusal::new(RefusalCode::BadRequest, what);
    let limited = Limited::new(request.into_body(), largest).collect();
    match timeout(connections::PATIENCE, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(_)) => Err(refusal(format!(
            "the body is cut short or longer than {largest} bytes"
        ))),
        Err(_) => Err(refusal("the body did not come in time".to_owned())),
    }
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
}
