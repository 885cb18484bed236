//! The whole program: the real binary with real sockets, beside an emulated cloud.

mod alone;
mod cold;
mod commands;
mod corrections;
mod dev;
mod everyday;
mod faults;
mod forgetting;
mod impostor;
mod manager;
mod notified;
mod outage;
mod records;
mod reloads;
mod remembered;
mod secrets;
mod site;
mod stopping;
mod strangers;
mod warm;
mod whereabouts;
