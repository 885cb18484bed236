//! Every provider against a scripted cloud on loopback, and the HTTP client below them.
//!
//! Real sockets and a paused clock do not mix, so time passes here; nothing waits for long.

// `cfg(test)` always holds here; clippy knows helpers of tests by it.
#[cfg(test)]
mod cloud;
#[cfg(test)]
mod command;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sts;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod upstream;
