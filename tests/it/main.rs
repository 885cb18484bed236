//! The whole crate from outside, in one binary: it links once.

mod admin;
mod binary;
mod config_errors;
mod emulator;
mod listeners;
mod providers;
mod support;
