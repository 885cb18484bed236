//! One plain request and its answer, for what is not measured by the request.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::answer::{Parsed, parse};

/// Servers may hold a request for 1.5 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of a request.
pub(crate) fn get(path: &str, host: &str, keep_alive: bool) -> Vec<u8> {
    let connection = if keep_alive {
        ""
    } else {
        "Connection: close\r\n"
    };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{connection}\r\n").into_bytes()
}

/// The body of a 200; anything else is an error.
pub(crate) fn fetch(
    mut connection: TcpStream,
    host: SocketAddr,
    path: &str,
) -> io::Result<Vec<u8>> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&get(path, &host.to_string(), false))?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    match parse(&answer) {
        Parsed::Whole {
            status: 200,
            body_from,
        } => Ok(answer.split_off(body_from)),
        Parsed::Whole { status, .. } => Err(failed(host, path, &format!("status {status}"))),
        Parsed::Partial => Err(failed(host, path, "cut off")),
        Parsed::Malformed(why) => Err(failed(host, path, why)),
    }
}

fn failed(host: SocketAddr, path: &str, why: &str) -> io::Error {
    io::Error::other(format!("http://{host}{path}: {why}"))
}
