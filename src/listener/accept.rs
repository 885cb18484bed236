//! Accepting connections, and finding out who is at their other end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::Instant;

use super::access::Identity;
use super::connection;
use super::line::Line;
use super::live::Live;
use super::origin;
use super::places::Guest;
use super::session::Session;

/// While no descriptor is to be had, accepting again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two complaints about that.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// A listening socket of either kind.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Accepts until it is dropped.
pub(crate) async fn accept(live: Arc<Live>, socket: Socket) {
    let mut complained: Option<Instant> = None;
    loop {
        let accepted = match &socket {
            Socket::Tcp(listener) => accept_tcp(&live, listener).await,
            Socket::Unix(listener) => accept_unix(&live, listener).await,
        };
        let Err(error) = accepted else { continue };
        let errno = Errno::from_io_error(&error);
        if matches!(errno, Some(Errno::CONNABORTED | Errno::INTR)) {
            continue; // the client went away while it was queued
        }
        if complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
            complained = Some(Instant::now());
            tracing::warn!(listener = %live.name, %error, "cannot accept connections; trying on");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn accept_tcp(live: &Arc<Live>, listener: &TcpListener) -> io::Result<()> {
    let (stream, client) = listener.accept().await?;
    let ends = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let Ok(server) = ends else {
        return Ok(()); // gone already
    };
    // Asked where anybody is let in, too: audit events name who got credentials, and no single user
    // may take all connections.
    let identity = origin::identify(&live.context.kernel, client, server);
    let session = session(live, identity, Some(server));
    spawn(live, stream, session).await;
    Ok(())
}

async fn accept_unix(live: &Arc<Live>, listener: &UnixListener) -> io::Result<()> {
    let (stream, _) = listener.accept().await?;
    let identity = match stream.peer_cred() {
        Ok(peer) => Identity::Known {
            uid: peer.uid(),
            gid: Some(peer.gid()),
            pid: peer.pid(),
        },
        Err(_) => Identity::NoAnswer,
    };
    let session = session(live, identity, None);
    spawn(live, stream, session).await;
    Ok(())
}

fn session(live: &Arc<Live>, identity: Identity, server: Option<SocketAddr>) -> Session {
    Session {
        live: Arc::clone(live),
        identity,
        peer: identity.peer(),
        local: server.map(|server| server.ip()),
        ambiguous_length: Arc::default(),
        closing: live.closing(),
    }
}

/// Waits for room, so that more than the limit stay in the kernel's queue.
async fn spawn(live: &Arc<Live>, stream: impl Line + Send + 'static, session: Session) {
    let identity = session.identity;
    let is_admitted = live.rules.load().admission.admits(identity);
    let Some(slot) = live.slot(Guest::new(identity, is_admitted)).await else {
        session.denied_for_number();
        return;
    };
    tokio::spawn(async move {
        connection::serve(stream, session).await;
        drop(slot);
    });
}
