//! Huawei Cloud: every provider against the emulated cloud, from one attempt to a running daemon,
//! and the emulator itself.

// `cfg(test)` always holds here; clippy knows helpers of tests by it.
#[cfg(test)]
mod ask;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod emulator;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod unsigned;
#[cfg(test)]
mod world;
