//! The whole crate from outside, in one binary: it links once.

#![cfg(test)] // for the lints: what panics in a helper here is a test, too

mod admin;
mod binary;
mod clients;
mod config_errors;
mod daemon;
mod emulator;
mod huawei;
mod left_out;
mod listeners;
mod login;
mod providers;
mod support;
mod vending;
