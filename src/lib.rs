//! credvend keeps temporary cloud credentials fresh and hands them out locally.
//!
//! Data walks one way:
//!
//! ```text
//! config ──► provider (per role) ──► refresh (per role) ──► store ──► listener ──► local program
//!                 │                        │    ▲              │
//!             upstream ──► cloud STS   schedule clock          └─────► admin, observe
//! ```
//!
//! `secret`, `name`, `clock`, `credentials`, `schedule`, `regular_file`, `directory`, `stamp`, `mac`,
//! `future` and `authorities` are the vocabulary and import only one another; `config` is built on
//! them alone.
//! `formats` renders a set for the wire, `sink` writes it into files; `login` keeps who is signed
//! in where; `refresh` decides when and what to adopt; listeners know the store and the clock;
//! only `daemon` knows everybody. `emulator` is the other side of the wire: a strict stand-in for
//! the cloud's STS, behind `credvend dev` and the tests.

pub mod admin;
mod authorities;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod daemon;
pub mod directory;
pub mod emulator;
pub mod formats;
pub mod future;
pub mod listener;
pub mod login;
pub mod mac;
pub mod name;
pub mod observe;
pub mod provider;
pub mod refresh;
pub mod regular_file;
pub mod schedule;
pub mod secret;
pub mod sink;
pub mod stamp;
pub mod store;
