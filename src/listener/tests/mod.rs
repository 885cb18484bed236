//! The data plane from its sockets inwards: bytes in, bytes out.

mod access;
mod bench;
mod cold;
mod huawei;
mod life;
mod malformed;
mod metadata;
mod outside;
mod protocols;
mod refusals;
mod slow;
pub(crate) mod support;
