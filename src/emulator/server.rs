//! Accepts connections, and can stop accepting and start again without forgetting anything.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::orders::{Order, Orders};
use super::respond::respond;
use super::state::State;
use super::wire::{ResetSwitch, Wire};

/// Connections at the same time; more wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 1_024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const HEAD_BYTES: usize = 64 * 1024;

/// A listener for the emulator. Loopback only: it believes unsigned assertions and gives out
/// secrets for the asking.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the emulator listens on loopback addresses only, and {address} is none"),
        ));
    }
    let listener = std::net::TcpListener::bind(address).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("the emulator cannot listen on {address}: {error}"),
        )
    })?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Runs until it is dropped, which closes everything.
pub(super) async fn serve(
    state: Arc<State>,
    address: SocketAddr,
    listener: TcpListener,
    orders: Orders,
    mut inbox: mpsc::Receiver<Order>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let accepts = connections.len() < MOST_CONNECTIONS;
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Pause(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                Some(Order::Resume(done)) => {
                    let outcome = if listener.is_some() { Ok(()) } else {
                        listen(address).map(|again| listener = Some(again))
                    };
                    drop(done.send(outcome));
                }
                None => return,
            },
            accepted = accept(listener.as_ref()), if accepts => match accepted {
                Ok(stream) => {
                    let (state, orders) = (Arc::clone(&state), orders.clone());
                    connections.spawn(connection(state, orders, stream));
                }
                Err(error) => {
                    debug!(%error, "accepting failed");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn connection(state: Arc<State>, orders: Orders, stream: TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection is slower than it could be");
    }
    let reset = ResetSwitch::default();
    let wire = TokioIo::new(Wire::new(stream, reset.clone()));
    let service = service_fn(move |request| {
        respond(Arc::clone(&state), orders.clone(), reset.clone(), request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(wire, service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}
