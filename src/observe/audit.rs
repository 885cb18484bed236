//! Who got which credentials, who was refused, and what operators did.
//!
//! Audit events are log events of the target `credvend::audit`, so they reach wherever the log
//! goes, at `info`. They name the whole access key id and never a secret.

use std::fmt;
use std::time::Duration;

use crate::name::Name;

/// The other end of a connection, as far as the kernel tells.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Peer {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub pid: Option<i32>,
    /// The systemd unit of the peer's process, where known.
    pub unit: Option<String>,
}

/// One set handed to one peer.
#[derive(Clone, Copy, Debug)]
pub struct HandOut<'a> {
    pub listener: &'a Name,
    pub protocol: &'static str,
    pub role: &'a Name,
    pub peer: &'a Peer,
    pub access_key_id: &'a str,
    pub remaining: Duration,
}

/// What an operator asked for over the admin socket, and how it went.
pub fn operator(action: &'static str, peer: &Peer, subject: &str, result: &dyn fmt::Display) {
    tracing::info!(
        target: "credvend::audit",
        action,
        uid = peer.uid,
        pid = peer.pid,
        subject,
        result = %result,
        "operator request"
    );
}
