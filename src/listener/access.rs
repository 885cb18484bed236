//! Who may connect, decided from what the kernel says about the other end. Pure.
//!
//! 1. `allow` means what it says: who is not in it is refused, root included.
//! 2. Without `allow`, TCP admits root and the daemon's own user; a Unix socket admits whoever
//!    its mode let in.
//! 3. A peer whose user the kernel did not tell is admitted only where anybody on this host is, and
//!    one from outside this host only where `allow-remote` says so, too.

use std::fmt;

use super::sock_diag::Unanswered;
use crate::config::model::{Address, Allow, Principals};
use crate::name::Name;
use crate::observe::audit::Peer;

/// The rule of one listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Admission {
    Anybody,
    /// On this host.
    AnyLocal,
    Only(Principals),
    /// Root and this uid, the daemon's own.
    RootAndSelf(u32),
}

/// What the kernel said about the other end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// Nobody asked, since anybody is admitted.
    NotAsked,
    Known {
        uid: u32,
        gid: Option<u32>,
        pid: Option<i32>,
    },
    /// It has an address of this host, but is no living socket of it: closed already, or redirected
    /// on its way here.
    NoSuchSocket,
    /// Another host, or another network namespace.
    Outside,
    /// The kernel gave no answer.
    NoAnswer,
}

impl Admission {
    /// The rule that `allow` stands for at `address`; `own` is the daemon's effective uid.
    #[must_use]
    pub fn new(allow: Option<&Allow>, address: &Address, allow_remote: bool, own: u32) -> Self {
        match (allow, address) {
            (Some(Allow::Only(principals)), _) => Self::Only(principals.clone()),
            // Whoever has the path of a socket is on this host, whatever its network.
            (Some(Allow::AnyLocal) | None, Address::Unix(_)) => Self::Anybody,
            (Some(Allow::AnyLocal), Address::Tcp(_)) if allow_remote => Self::Anybody,
            (Some(Allow::AnyLocal), Address::Tcp(_)) => Self::AnyLocal,
            (None, Address::Tcp(_)) => Self::RootAndSelf(own),
        }
    }

    /// Whether the kernel has to be asked who the peer is.
    #[must_use]
    pub fn needs_identity(&self) -> bool {
        !matches!(self, Self::Anybody)
    }

    /// Whether this peer is let in.
    #[must_use]
    pub fn admits(&self, identity: Identity) -> bool {
        match (self, identity) {
            (Self::Anybody, _) => true,
            (Self::AnyLocal, identity) => identity != Identity::Outside,
            (Self::Only(principals), Identity::Known { uid, gid, .. }) => {
                principals.contains(uid, gid)
            }
            (Self::RootAndSelf(own), Identity::Known { uid, .. }) => uid == 0 || uid == *own,
            (
                Self::Only(_) | Self::RootAndSelf(_),
                Identity::NotAsked
                | Identity::NoSuchSocket
                | Identity::Outside
                | Identity::NoAnswer,
            ) => false,
        }
    }
}

impl Identity {
    /// What the kernel's answer to whose a connection is makes of its other end. Where it names
    /// nobody, the other end's address decides whether it is on this host.
    #[must_use]
    pub fn of_owner(
        answer: Result<Option<u32>, Unanswered>,
        is_of_this_host: impl Fn() -> bool,
    ) -> Self {
        match answer {
            Ok(Some(uid)) => Self::Known {
                uid,
                gid: None,
                pid: None,
            },
            Ok(None) | Err(_) if !is_of_this_host() => Self::Outside,
            Ok(None) => Self::NoSuchSocket,
            Err(_) => Self::NoAnswer,
        }
    }

    /// The uid, where known.
    #[must_use]
    pub fn uid(self) -> Option<u32> {
        match self {
            Self::Known { uid, .. } => Some(uid),
            Self::NotAsked | Self::NoSuchSocket | Self::Outside | Self::NoAnswer => None,
        }
    }

    /// As audit events show it.
    #[must_use]
    pub fn peer(self) -> Peer {
        match self {
            Self::Known { uid, gid, pid } => Peer {
                uid: Some(uid),
                gid,
                pid,
                unit: None,
            },
            Self::NotAsked | Self::NoSuchSocket | Self::Outside | Self::NoAnswer => Peer::default(),
        }
    }
}

/// Tells a refused peer who it is to us and which setting would let it in.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    pub listener: &'a Name,
    pub identity: Identity,
    /// Whether the listener has `allow-remote`.
    pub is_remote: bool,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listener = self.listener;
        match self.identity {
            Identity::Known { uid, .. } => write!(
                f,
                "uid {uid} is not allowed to use listener `{listener}`: add it to \
                 allow = {{ users = [...] }} of that listener"
            ),
            Identity::NotAsked => write!(
                f,
                "who uses listener `{listener}` was not asked when this connection was made, \
                 and has to be known now: connect again"
            ),
            Identity::NoSuchSocket => write!(
                f,
                "the kernel knows no socket at the other end of this connection (closed already, \
                 or redirected on its way), so listener `{listener}` cannot tell who asks: use a \
                 Unix socket, or set allow = \"any-local\" there"
            ),
            Identity::Outside if self.is_remote => write!(
                f,
                "this connection comes from outside this host (another host or network \
                 namespace), where the kernel tells no users, so listener `{listener}` cannot \
                 tell who asks: only allow = \"any-local\" lets it in there"
            ),
            Identity::Outside => write!(
                f,
                "this connection comes from outside this host (another host or network \
                 namespace), and listener `{listener}` is for this host: use a Unix socket, \
                 which can be mounted into a container"
            ),
            Identity::NoAnswer => write!(
                f,
                "the kernel does not say who is at the other end of this connection (sock_diag \
                 gives no answer), so listener `{listener}` cannot tell who asks: use a Unix \
                 socket, or set allow = \"any-local\" there"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Admission, Identity, Refusal, Unanswered};
    use crate::config::model::{Address, Allow, Principals};

    const OWN: u32 = 990;

    fn known(uid: u32, gid: u32) -> Identity {
        Identity::Known {
            uid,
            gid: Some(gid),
            pid: None,
        }
    }

    #[test]
    fn who_is_let_in() {
        let tcp = Address::Tcp("127.0.0.1:1".parse().unwrap());
        let unix = Address::Unix("/run/x".into());
        let only = |users: &[u32], groups: &[u32]| {
            Some(Allow::Only(Principals {
                users: users.iter().copied().collect(),
                groups: groups.iter().copied().collect(),
            }))
        };
        let nobody = Some(Allow::Only(Principals {
            users: BTreeSet::new(),
            groups: BTreeSet::new(),
        }));
        for (case, allow, address, identity, admitted) in [
            ("TCP, root", None, &tcp, known(0, 0), true),
            ("TCP, ourselves", None, &tcp, known(OWN, 5), true),
            ("TCP, a stranger", None, &tcp, known(1000, 0), false),
            ("TCP, unknown", None, &tcp, Identity::NoSuchSocket, false),
            ("TCP, no answer", None, &tcp, Identity::NoAnswer, false),
            ("Unix, anybody", None, &unix, known(1000, 1000), true),
            ("a user", only(&[7], &[]), &tcp, known(7, 1), true),
            ("not root", only(&[7], &[]), &tcp, known(0, 0), false),
            ("not ourselves", only(&[7], &[]), &tcp, known(OWN, 0), false),
            ("a group", only(&[], &[4]), &unix, known(9, 4), true),
            ("another group", only(&[], &[4]), &unix, known(9, 5), false),
            ("an empty allow", nobody.clone(), &unix, known(0, 0), false),
            (
                "never asked",
                only(&[7], &[]),
                &tcp,
                Identity::NotAsked,
                false,
            ),
            (
                "any local",
                Some(Allow::AnyLocal),
                &tcp,
                Identity::NotAsked,
                true,
            ),
        ] {
            let admission = Admission::new(allow.as_ref(), address, false, OWN);
            assert_eq!(admission.admits(identity), admitted, "{case}");
        }
    }

    #[test]
    fn whoever_is_outside_this_host_is_let_in_only_where_that_is_said() {
        let address = Address::Tcp("127.0.0.1:1".parse().unwrap());
        let root = Some(Allow::Only(Principals {
            users: [0].into(),
            groups: BTreeSet::new(),
        }));
        for (allow, allow_remote, admitted) in [
            (Some(Allow::AnyLocal), false, false),
            (Some(Allow::AnyLocal), true, true),
            (root, true, false),
            (None, true, false),
        ] {
            let admission = Admission::new(allow.as_ref(), &address, allow_remote, OWN);
            let found = admission.admits(Identity::Outside);
            assert_eq!(found, admitted, "{allow:?}, {allow_remote}");
        }
        let any_local = Admission::AnyLocal;
        for unknown in [Identity::NoSuchSocket, Identity::NoAnswer] {
            assert!(any_local.admits(unknown), "{unknown:?}");
        }
    }

    #[test]
    fn the_address_decides_where_the_kernel_names_nobody() {
        for (answer, is_of_this_host, identity) in [
            (Ok(None), true, Identity::NoSuchSocket),
            (Ok(None), false, Identity::Outside),
            (Err(Unanswered), true, Identity::NoAnswer),
            (Err(Unanswered), false, Identity::Outside),
        ] {
            let found = Identity::of_owner(answer, || is_of_this_host);
            assert_eq!(found, identity, "{answer:?}, {is_of_this_host}");
        }
        let owned = Identity::of_owner(Ok(Some(7)), || panic!("not asked"));
        assert_eq!(owned.uid(), Some(7));
    }

    #[test]
    fn nobody_outside_is_told_to_open_a_listener_that_is_for_this_host() {
        let refusal = |is_remote| {
            let refusal = Refusal {
                listener: &"metadata".parse().unwrap(),
                identity: Identity::Outside,
                is_remote,
            };
            refusal.to_string()
        };
        for is_remote in [false, true] {
            let text = refusal(is_remote);
            assert!(text.contains("from outside this host"), "{text}");
            assert_eq!(text.contains("any-local"), is_remote, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_uid_and_the_setting() {
        let text = Refusal {
            listener: &"metadata".parse().unwrap(),
            identity: known(1000, 1000),
            is_remote: false,
        }
        .to_string();
        assert!(text.contains("uid 1000"), "{text}");
        assert!(
            text.contains("`metadata`") && text.contains("allow = { users ="),
            "{text}"
        );
    }
}
