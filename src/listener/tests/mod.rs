//! The data plane from its sockets inwards: bytes in, bytes out.

mod access;
mod cold;
mod huawei;
mod life;
mod metadata;
mod protocols;
mod refusals;
pub(crate) mod support;
