//! What the portals know: who may be what, who waits for approval, who is signed in.

mod newest;

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::BootTime;
use crate::emulator::random::Random;
use crate::emulator::world::ACCOUNT;
use newest::Newest;

/// One account as a person sees it in a portal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PortalAccount {
    pub id: String,
    pub name: String,
    pub permission_sets: Vec<PortalRole>,
}

/// What that person may be there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PortalRole {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// Longest session, in seconds.
    pub session_seconds: u64,
}

/// The one person there is, in each cloud's portal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Person {
    pub huawei: Vec<PortalAccount>,
    pub tencent: Vec<PortalAccount>,
}

/// What one role of a portal is called in counts and faults: a permission set has the same name in
/// every account.
pub(super) fn called(account: &PortalAccount, role: &PortalRole) -> String {
    format!("{}/{}", account.id, role.name)
}

/// The role that is looked for, with its account.
pub(super) fn find(
    accounts: &[PortalAccount],
    is_it: impl Fn(&PortalAccount, &PortalRole) -> bool,
) -> Option<(&PortalAccount, &PortalRole)> {
    accounts.iter().find_map(|account| {
        let mut roles = account.permission_sets.iter();
        let role = roles.find(|role| is_it(account, role))?;
        Some((account, role))
    })
}

/// How the portals behave.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// How often a client may ask for the approval, in seconds.
    pub interval_seconds: u64,
    /// How long a code or state waits for approval.
    pub code_seconds: u64,
    /// Life of a session.
    pub session_seconds: u64,
    /// Life of a client's registration.
    pub client_seconds: u64,
    /// Longest life of a role's keys, below what its permission set allows.
    pub keys_seconds: Option<u64>,
    /// Whether sessions come with a refresh token.
    pub refresh_tokens: bool,
    /// Lifetimes as times since 1970, as the documentation shows them.
    pub absolute_times: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            interval_seconds: 1,
            code_seconds: 600,
            session_seconds: 8 * 3_600,
            client_seconds: 90 * 86_400,
            keys_seconds: None,
            refresh_tokens: false,
            absolute_times: false,
        }
    }
}

impl Rules {
    /// How long keys of that role live at most.
    pub(super) fn longest(self, role: &PortalRole) -> Duration {
        let longest = self.keys_seconds.unwrap_or(role.session_seconds);
        Duration::from_secs(longest.min(role.session_seconds))
    }
}

/// What a person says.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    Approve,
    Deny,
}

/// A sign-in that waits, or waited.
#[derive(Debug)]
pub(super) struct Waiting {
    /// What the page shows; for Tencent, the state itself.
    pub(super) shown: String,
    pub(super) client: String,
    pub(super) decision: Option<Decision>,
    pub(super) ends_at: BootTime,
    pub(super) asked_at: Option<BootTime>,
    /// A session was handed out for it: it opens no other.
    pub(super) is_redeemed: bool,
}

impl Waiting {
    pub(super) fn new(shown: &str, client: &str, ends_at: BootTime) -> Self {
        Self {
            shown: shown.to_owned(),
            client: client.to_owned(),
            decision: None,
            ends_at,
            asked_at: None,
            is_redeemed: false,
        }
    }

    /// Decides, if somebody still waits for it.
    fn decide(&mut self, decision: Decision, now: BootTime) -> bool {
        let is_open = now < self.ends_at && self.decision.is_none();
        if is_open {
            self.decision = Some(decision);
        }
        is_open
    }
}

/// A registered client of Huawei's.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) secret: String,
    /// Whether it may use the device flow.
    pub(super) has_device_grant: bool,
    pub(super) ends_at: BootTime,
}

/// Everything the portals know.
#[derive(Debug, Default)]
pub struct Portal {
    pub rules: Rules,
    pub person: Person,
    /// Huawei's registered clients, by id.
    pub(super) clients: Newest<Client>,
    /// By device code.
    pub(super) codes: Newest<Waiting>,
    /// By state.
    pub(super) states: Newest<Waiting>,
    /// By token: its end.
    pub(super) sessions: Newest<BootTime>,
    /// By token: the client it was given to.
    pub(super) refresh_tokens: Newest<String>,
}

impl Portal {
    /// Three accounts with five permission sets at Huawei, two with three at Tencent.
    #[must_use]
    pub fn example() -> Self {
        let role = |name: &str, session_seconds| PortalRole {
            name: name.to_owned(),
            description: format!("the permission set {name} of the emulator"),
            session_seconds,
        };
        let account = |id: &str, name: &str, permission_sets| PortalAccount {
            id: id.to_owned(),
            name: name.to_owned(),
            permission_sets,
        };
        let (read, admin) = (role("read-only", 3_600), role("admin", 7_200));
        Self {
            person: Person {
                huawei: vec![
                    account(
                        "0a1b2c3d4e5f60718293a4b5c6d7e8f0",
                        "team-a",
                        vec![read.clone(), admin.clone()],
                    ),
                    account(
                        "1a1b2c3d4e5f60718293a4b5c6d7e8f1",
                        "team-b",
                        vec![read.clone(), admin.clone()],
                    ),
                    account(
                        "2a1b2c3d4e5f60718293a4b5c6d7e8f2",
                        "team-c",
                        vec![read.clone()],
                    ),
                ],
                tencent: vec![
                    account(ACCOUNT, "team-a", vec![read.clone(), admin]),
                    account("100000000021", "team-b", vec![read]),
                ],
            },
            ..Self::default()
        }
    }

    /// What waits for a person: the codes and states as the page shows them.
    #[must_use]
    pub fn waiting(&self, now: BootTime) -> Vec<String> {
        self.codes
            .values()
            .chain(self.states.values())
            .filter(|it| it.decision.is_none() && now < it.ends_at)
            .map(|it| it.shown.clone())
            .collect()
    }

    /// The person decides about the sign-in with this code or state. A state nobody asked about
    /// yet is known from here on: a browser may be faster than the one who polls. False if a
    /// code is unknown, or either is too old or decided already.
    pub fn decide(&mut self, shown: &str, decision: Decision, now: BootTime) -> bool {
        let of_device = self.codes.values_mut().find(|it| it.shown == shown);
        match of_device {
            Some(waiting) => waiting.decide(decision, now),
            None => is_state(shown) && self.state(shown, now).decide(decision, now),
        }
    }

    /// The sign-in of this state, known from now on.
    pub(super) fn state(&mut self, state: &str, now: BootTime) -> &mut Waiting {
        let ends_at = now + Duration::from_secs(self.rules.code_seconds);
        self.states
            .get_or_insert_with(state, || Waiting::new(state, "", ends_at))
    }

    /// Ends every session, as an administrator would.
    pub fn end_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Sessions that are good at the moment.
    #[must_use]
    pub fn sessions(&self, now: BootTime) -> usize {
        self.sessions
            .values()
            .filter(|ends_at| now < **ends_at)
            .count()
    }

    /// The tokens of sessions: for tests of what may not be seen anywhere.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.sessions.names().map(str::to_owned).collect()
    }

    pub(super) fn is_signed_in(&self, token: &str, now: BootTime) -> bool {
        self.sessions
            .get(token)
            .is_some_and(|ends_at| now < *ends_at)
    }

    /// A session from now on; its token.
    pub(super) fn sign_in(&mut self, now: BootTime) -> io::Result<String> {
        let token = Random::draw()?.token();
        let ends_at = now + Duration::from_secs(self.rules.session_seconds);
        self.sessions.insert(token.clone(), ends_at);
        Ok(token)
    }
}

/// 32 letters and digits, as the official tool makes them.
pub(super) fn is_state(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_shortens_keys_and_never_lengthens_them() {
        let role = PortalRole {
            name: "read-only".to_owned(),
            description: String::new(),
            session_seconds: 3_600,
        };
        for (rule, expected) in [(None, 3_600), (Some(900), 900), (Some(7_200), 3_600)] {
            let rules = Rules {
                keys_seconds: rule,
                ..Rules::default()
            };
            assert_eq!(
                rules.longest(&role),
                Duration::from_secs(expected),
                "{rule:?}"
            );
        }
    }
}
