//! Temporary keys: making them, and remembering them so that they can sign further calls.
//!
//! Life is counted on the boot clock. Moving the emulated clock, which stands for a host whose
//! own clock is wrong, therefore neither kills nor revives a key. Keys are remembered for a
//! while past their end, so that an expired one is told from an unknown one; [`MOST_ISSUED`]
//! bounds them, and the oldest are forgotten first.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Instance, OTHER_ACCOUNT};
use crate::clock::BootTime;
use crate::credentials::Cloud;
use crate::emulator::faults::Twist;
use crate::emulator::moment::Moment;
use crate::emulator::random::Random;
use crate::secret::Secret;

/// Temporary keys remembered at the same time.
const MOST_ISSUED: usize = 20_000;

/// Assertions remembered as used, at the same time.
const MOST_ASSERTIONS: usize = 10_000;

/// Who a key belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// A federated user: a copy of the user `uin` with fewer rights.
    Federated {
        account: String,
        uin: String,
        name: String,
    },
    /// A role session.
    Role {
        account: String,
        role: String,
        role_id: String,
        session: String,
        /// Uin of who asked for it; the account's own where nobody signed.
        requester: String,
    },
    /// A user or, if uin and account are equal, the account itself.
    User { account: String, uin: String },
}

impl Caller {
    /// The account (owner uin).
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::Federated { account, .. }
            | Self::Role { account, .. }
            | Self::User { account, .. } => account,
        }
    }

    /// The uin that stands behind it.
    #[must_use]
    pub fn uin(&self) -> &str {
        match self {
            Self::Federated { uin, .. } | Self::User { uin, .. } => uin,
            Self::Role { requester, .. } => requester,
        }
    }

    /// The role's name, for a role session.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        match self {
            Self::Role { role, .. } => Some(role),
            Self::Federated { .. } | Self::User { .. } => None,
        }
    }

    /// The same, of another account.
    fn elsewhere(mut self) -> Self {
        match &mut self {
            Self::Federated { account, uin, .. } | Self::User { account, uin } => {
                OTHER_ACCOUNT.clone_into(account);
                OTHER_ACCOUNT.clone_into(uin);
            }
            Self::Role { account, .. } => OTHER_ACCOUNT.clone_into(account),
        }
        self
    }
}

/// A temporary key the emulator will recognise.
#[derive(Debug)]
pub struct IssuedKey {
    pub secret: Secret,
    pub token: Secret,
    pub caller: Caller,
    pub expires_at: BootTime,
}

/// What is to be issued.
#[derive(Debug)]
pub(in crate::emulator) struct Issue {
    pub(in crate::emulator) caller: Caller,
    /// Whose keys it shall look like.
    pub(in crate::emulator) cloud: Cloud,
    pub(in crate::emulator) lifetime: Duration,
    pub(in crate::emulator) now: Moment,
    /// What a fault does to it.
    pub(in crate::emulator) twist: Option<Twist>,
}

/// A fresh set, on its way to the client.
#[derive(Debug)]
pub(in crate::emulator) struct Issued {
    pub(in crate::emulator) id: String,
    pub(in crate::emulator) key: Arc<IssuedKey>,
    /// Its end on the host's wall clock, in seconds since 1970.
    pub(in crate::emulator) host_expiry: u64,
}

/// The set an instance's metadata shows, and what it was made for.
#[derive(Debug)]
struct Shown {
    role: String,
    session: Duration,
    id: String,
    host_expiry: u64,
}

/// What was issued, and which assertions were used up.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Ledger {
    keys: HashMap<String, Arc<IssuedKey>>,
    order: VecDeque<String>,
    /// Per account and role, the end of the newest set: what `backwards` goes back from.
    newest: BTreeMap<(String, String), BootTime>,
    assertions: BTreeSet<String>,
    assertion_order: VecDeque<String>,
    /// What the metadata service hands out, until half of its life is over.
    instance: Option<Shown>,
}

impl Ledger {
    /// Makes a set and remembers it.
    pub(in crate::emulator) fn issue(&mut self, issue: Issue) -> io::Result<Issued> {
        let random = Random::draw()?;
        let place = issue.caller.role().map_or_else(
            || (issue.caller.account().to_owned(), String::new()),
            |role| (issue.caller.account().to_owned(), role.to_owned()),
        );
        let newest = self.newest.get(&place).copied();
        let life_seconds = life(&issue, newest);
        let lifetime = Duration::from_secs(u64::try_from(life_seconds).unwrap_or(0));
        let expires_at = issue.now.boot + lifetime;
        self.newest.insert(place, expires_at);

        let caller = match issue.twist {
            Some(Twist::WrongAccount) => issue.caller.elsewhere(),
            Some(Twist::Backwards | Twist::Expired) | None => issue.caller,
        };
        let key = Arc::new(IssuedKey {
            secret: random.secret().into(),
            token: random.token().into(),
            caller,
            expires_at,
        });
        let id = match issue.cloud {
            Cloud::Huawei => random.huawei_id("HSTA", 28),
            Cloud::Tencent => random.temporary_id(),
        };
        self.remember(id.clone(), Arc::clone(&key));
        Ok(Issued {
            id,
            key,
            host_expiry: issue.now.host.saturating_add_signed(life_seconds),
        })
    }

    /// Recognises a key from now on, and forgets the oldest if there are too many.
    pub(in crate::emulator) fn remember(&mut self, id: String, key: Arc<IssuedKey>) {
        if self.keys.insert(id.clone(), key).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MOST_ISSUED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    /// A key issued before, expired ones included.
    pub(in crate::emulator) fn find(&self, id: &str) -> Option<Arc<IssuedKey>> {
        self.keys.get(id).cloned()
    }

    /// Whether this assertion is used for the first time; from now on it is used.
    pub(in crate::emulator) fn use_assertion(&mut self, id: &str) -> bool {
        if !self.assertions.insert(id.to_owned()) {
            return false;
        }
        self.assertion_order.push_back(id.to_owned());
        if self.assertion_order.len() > MOST_ASSERTIONS
            && let Some(oldest) = self.assertion_order.pop_front()
        {
            self.assertions.remove(&oldest);
        }
        true
    }

    /// The set the instance shows, unless it is time for another one.
    pub(super) fn shown_on_instance(&self, bound: &Instance, now: BootTime) -> Option<Issued> {
        let shown = self.instance.as_ref()?;
        let key = self.find(&shown.id)?;
        let is_young = now.until(key.expires_at) > bound.session / 2;
        (shown.role == bound.role && shown.session == bound.session && is_young).then(|| Issued {
            id: shown.id.clone(),
            key,
            host_expiry: shown.host_expiry,
        })
    }

    /// From now on the instance shows this set.
    pub(super) fn show_on_instance(&mut self, bound: &Instance, issued: &Issued) {
        self.instance = Some(Shown {
            role: bound.role.clone(),
            session: bound.session,
            id: issued.id.clone(),
            host_expiry: issued.host_expiry,
        });
    }
}

/// Seconds of life a set gets. `backwards` stays valid but ends before the one issued last: it
/// is for who must prefer the set already held.
fn life(issue: &Issue, newest: Option<BootTime>) -> i64 {
    match issue.twist {
        Some(Twist::Expired) => -60,
        Some(Twist::Backwards) => {
            let held = newest.map_or(issue.lifetime, |end| issue.now.boot.until(end));
            seconds(held.min(issue.lifetime) / 2)
        }
        Some(Twist::WrongAccount) | None => seconds(issue.lifetime),
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{BootTime, Caller, Cloud, Duration, Issue, Ledger, MOST_ISSUED, Moment, Twist};

    fn issue(seconds: u64, twist: Option<Twist>) -> Issue {
        Issue {
            caller: Caller::User {
                account: "100000000001".to_owned(),
                uin: "100000000002".to_owned(),
            },
            cloud: Cloud::Tencent,
            lifetime: Duration::from_secs(seconds),
            now: Moment {
                host: 1_700_000_000,
                ahead: 0,
                boot: BootTime::new(Duration::from_secs(1_000)),
            },
            twist,
        }
    }

    #[test]
    fn a_backwards_set_is_valid_but_ends_before_the_one_issued_last() {
        let mut ledger = Ledger::default();
        let first = ledger.issue(issue(7_200, None)).unwrap();
        let second = ledger.issue(issue(7_200, Some(Twist::Backwards))).unwrap();
        assert!(second.key.expires_at < first.key.expires_at);
        assert!(second.host_expiry > 1_700_000_000);
    }

    #[test]
    fn an_assertion_counts_once() {
        let mut ledger = Ledger::default();
        assert!(ledger.use_assertion("_a"));
        assert!(!ledger.use_assertion("_a"));
        assert!(ledger.use_assertion("_b"));
    }

    #[test]
    fn only_so_many_keys_are_remembered_and_the_oldest_go_first() {
        let mut ledger = Ledger::default();
        let first = ledger.issue(issue(60, None)).unwrap().id;
        let second = ledger.issue(issue(60, None)).unwrap().id;
        for _ in 0..MOST_ISSUED - 1 {
            ledger.issue(issue(60, None)).unwrap();
        }
        assert!(ledger.find(&first).is_none());
        assert!(ledger.find(&second).is_some());
        assert_eq!(ledger.keys.len(), MOST_ISSUED);
    }
}
