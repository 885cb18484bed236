//! What the process gives up before it holds a secret. There is no log yet at that moment, so
//! what the kernel refuses is handed back as sentences; the unit file sets the same.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// No reading of our memory by other processes of the same user, and no core dumps. A program
/// that this process becomes (`exec`) is what it would have been without.
///
/// # Errors
/// The kernel refuses.
pub fn hide_memory() -> Result<(), String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        format!("cannot keep other processes of this user out of our memory: {error}")
    })
}

/// The same, and no core dumps of programs we run either. One sentence for each refusal.
#[must_use]
pub(super) fn apply() -> Vec<String> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let no_core = setrlimit(Resource::Core, none)
        .map_err(|error| format!("cannot switch off core dumps: {error}"));
    [hide_memory(), no_core]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Every connection is a descriptor: take as many as the hard limit gives.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}
