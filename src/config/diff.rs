//! What a reload changes, as decisions for the daemon and as sentences for people.

use std::collections::BTreeMap;

use super::model::{Config, Listener, Role};
use crate::name::Name;

/// What a new configuration does to one role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RoleChange {
    Added,
    Removed,
    /// How it is refreshed, not whose credentials it has: held sets are kept.
    Tuned,
    /// Provider, source, policy or expected account: held sets are dropped.
    Identity,
}

/// What a new configuration does to one listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenerChange {
    Added,
    Removed,
    /// Another address, mode or owner: a new socket.
    Socket,
    /// Other peers are let in: the socket stays, its connections are closed.
    Access,
    /// Roles, protocols, hosts and the like: socket and connections stay.
    Content,
}

/// The difference between two configurations. Empty if nothing that matters changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Roles that changed; those that did not are not listed.
    pub roles: BTreeMap<Name, RoleChange>,
    /// Listeners that changed; those that did not are not listed.
    pub listeners: BTreeMap<Name, ListenerChange>,
    /// Sinks that were added, removed or changed.
    pub sinks: BTreeMap<Name, &'static str>,
    /// Other tables that changed, by their names.
    pub tables: Vec<&'static str>,
}

impl Difference {
    /// What leads from one configuration to the other.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let tables = [
            ("daemon", old.daemon != new.daemon),
            ("admin", old.admin != new.admin),
            ("metrics", old.metrics != new.metrics),
            ("limits", old.limits != new.limits),
            ("login", old.logins != new.logins),
        ];
        Self {
            roles: changes(
                &old.roles,
                &new.roles,
                (RoleChange::Added, RoleChange::Removed),
                role_change,
            ),
            listeners: changes(
                &old.listeners,
                &new.listeners,
                (ListenerChange::Added, ListenerChange::Removed),
                listener_change,
            ),
            sinks: changes(&old.sinks, &new.sinks, ("added", "removed"), |old, new| {
                (old != new).then_some("changed")
            }),
            tables: tables
                .into_iter()
                .filter_map(|(name, changed)| changed.then_some(name))
                .collect(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
            && self.listeners.is_empty()
            && self.sinks.is_empty()
            && self.tables.is_empty()
    }

    /// One sentence per change.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let roles = self.roles.iter().map(|(name, change)| match change {
            RoleChange::Added => format!("role `{name}` added"),
            RoleChange::Removed => format!("role `{name}` removed"),
            RoleChange::Tuned => format!("role `{name}` tuned; its set is kept"),
            RoleChange::Identity => {
                format!("role `{name}` changed: its identity, so its set is dropped")
            }
        });
        let listeners = self.listeners.iter().map(|(name, change)| match change {
            ListenerChange::Added => format!("listener `{name}` added"),
            ListenerChange::Removed => format!("listener `{name}` removed"),
            ListenerChange::Socket => format!("listener `{name}` changed: it gets a new socket"),
            ListenerChange::Access => {
                format!("listener `{name}` changed: who may connect, so its connections are closed")
            }
            ListenerChange::Content => format!("listener `{name}` changed"),
        });
        let sinks = self.sinks.iter();
        let sinks = sinks.map(|(name, change)| format!("sink `{name}` {change}"));
        let tables = self.tables.iter().map(|name| format!("[{name}] changed"));
        roles.chain(listeners).chain(sinks).chain(tables).collect()
    }
}

/// What a new configuration changes, in sentences.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Vec<String> {
    Difference::between(old, new).sentences()
}

fn changes<T, C: Copy>(
    old: &BTreeMap<Name, T>,
    new: &BTreeMap<Name, T>,
    (added, removed): (C, C),
    change: impl Fn(&T, &T) -> Option<C>,
) -> BTreeMap<Name, C> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let gone = gone.map(|name| (name.clone(), removed));
    let there = new.iter().filter_map(|(name, new)| {
        let change = match old.get(name) {
            Some(old) => change(old, new)?,
            None => added,
        };
        Some((name.clone(), change))
    });
    gone.chain(there).collect()
}

/// What became of a role that is in both configurations; `None` if nothing.
#[must_use]
pub fn role_change(old: &Role, new: &Role) -> Option<RoleChange> {
    if old.fingerprint != new.fingerprint {
        Some(RoleChange::Identity)
    } else if old != new {
        Some(RoleChange::Tuned)
    } else {
        None
    }
}

/// What became of a listener that is in both configurations; `None` if nothing.
#[must_use]
pub fn listener_change(old: &Listener, new: &Listener) -> Option<ListenerChange> {
    if !old.shares_socket_with(new) {
        Some(ListenerChange::Socket)
    } else if old.allow != new.allow {
        Some(ListenerChange::Access)
    } else if old != new {
        Some(ListenerChange::Content)
    } else {
        None
    }
}
