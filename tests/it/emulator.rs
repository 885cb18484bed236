//! The emulator from outside: what it refuses and with which code, what it accepts, and what its
//! faults look like to a client.

// `cfg(test)` is always true here; it tells clippy that helpers, too, may panic.
#[cfg(test)]
mod accepted;
#[cfg(test)]
mod client;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod parameters;
#[cfg(test)]
mod portal;
#[cfg(test)]
mod strictness;
