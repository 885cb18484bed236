//! Identity Center roles with the loop that keeps them fresh, while the portals hand out sets that
//! must not be adopted.

use std::sync::Arc;
use std::time::Duration;

use credvend::clock::{Clock, SystemClock};
use credvend::credentials::Cloud;
use credvend::emulator::{Fault, FaultKind};
use credvend::observe::metrics::Metrics;
use credvend::refresh::{Handle, RefreshReply, Refresher, Settings, Shared};
use credvend::schedule::Tuning;
use credvend::store::{Refresh, Role};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::setup::{Parts, TEAM_A, World};

/// What is wrong with a set.
const KINDS: [FaultKind; 4] = [
    FaultKind::Expired,
    FaultKind::Incomplete,
    FaultKind::Truncated,
    FaultKind::WrongAccount,
];

/// A portal's role, and what the emulator calls it.
#[derive(Clone, Copy, Debug)]
struct Subject {
    cloud: Cloud,
    role: &'static str,
    account: &'static str,
    action: &'static str,
    named: &'static str,
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        cloud: Cloud::Huawei,
        role: "a-read",
        account: TEAM_A,
        action: "GetAgencyCredentials",
        named: "0a1b2c3d4e5f60718293a4b5c6d7e8f0/read-only",
    },
    Subject {
        cloud: Cloud::Tencent,
        role: "app",
        account: "100000000001",
        action: "assume_role_with_saml",
        named: "100000000001/read-only",
    },
];

impl Subject {
    fn config(self, world: &World) -> String {
        let more = match self.cloud {
            Cloud::Huawei => format!("endpoint = \"{}\"\naccount-id", world.cloud.endpoint()),
            Cloud::Tencent => "duration = \"1h\"\naccount-id".to_owned(),
        };
        let text = match self.cloud {
            Cloud::Huawei => world.huawei(""),
            Cloud::Tencent => world.tencent(""),
        };
        text.replace("account-id", &more)
    }
}

struct AtWork {
    world: World,
    subject: Subject,
    role: Arc<Role>,
    handle: Handle,
    _parts: Parts,
    _stop: DropGuard,
}

impl AtWork {
    /// Somebody has signed in; `fault` waits for the first set.
    async fn start(subject: Subject, fault: Option<Fault>) -> Self {
        let world = World::start();
        let parts = world.parts(&subject.config(&world));
        world.sign_in(&parts).await;
        world
            .cloud
            .state
            .push_faults(fault.into_iter().collect())
            .unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let name = subject.role.parse().unwrap();
        let role = Arc::new(Role::new(name, subject.cloud, Arc::clone(&clock)));
        let settings = Settings {
            provider: parts.role(subject.role),
            tuning: Tuning::default(),
            expected_account: Some(subject.account.to_owned()),
            lazy: false,
            source: None,
        };
        let (_, jumps) = watch::channel(0);
        let shared = Shared {
            clock,
            metrics: Arc::new(Metrics::new()),
            etag_key: Arc::from(&b"key"[..]),
            changed: Arc::default(),
            jumps,
            draw: || 0.5,
        };
        let (refresher, handle) = Refresher::new(Arc::clone(&role), settings, shared);
        let stop = CancellationToken::new();
        tokio::spawn(refresher.run(stop.clone()));
        Self {
            world,
            subject,
            role,
            handle,
            _parts: parts,
            _stop: stop.drop_guard(),
        }
    }

    /// The key id that is held, after a look at the whole set.
    fn whole(&self) -> Option<String> {
        let now = SystemClock.boot();
        let view = self.role.view();
        let set = &view.valid(now)?.set;
        assert!(set.keys.are_complete(), "a partial set");
        let id = &set.keys.access_key_id;
        let state = &self.world.cloud.state;
        let owner = match self.subject.cloud {
            Cloud::Huawei => state.with_huawei(|world| world.issued_to(id)),
            Cloud::Tencent => state.with_world(|world| world.issued_to(id)),
        };
        assert_eq!(
            owner.as_deref(),
            Some(self.subject.account),
            "a foreign set"
        );
        Some(id.clone())
    }

    /// Looks at every state of the role until it holds a set.
    async fn holds(&self) -> String {
        let mut changes = self.role.subscribe();
        let looking = async {
            loop {
                if let Some(id) = self.whole() {
                    return id;
                }
                if self.role.view().refresh == Refresh::Failing {
                    self.handle.refresh().await;
                    continue;
                }
                changes.changed().await.expect("the refresher is at work");
            }
        };
        let held = tokio::time::timeout(Duration::from_secs(30), looking).await;
        held.expect("it gets over the fault")
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_set_of_a_portal_keeps_it_from_being_adopted() {
    for subject in SUBJECTS {
        for kind in KINDS {
            let fault = Fault::new(kind)
                .on_action(subject.action)
                .on_role(subject.named);
            let at_work = AtWork::start(subject, Some(fault)).await;
            at_work.holds().await;
            let state = &at_work.world.cloud.state;
            assert_eq!(state.faults(), [], "{subject:?} {kind:?} struck");
            let struck = format!("fault: {}", serde_json::json!(kind).as_str().unwrap());
            let calls = state.calls();
            assert_eq!(calls.by_outcome[&struck], 1, "{calls:#?}");
        }
    }
}

#[tokio::test]
async fn what_is_held_survives_a_refresh_that_brings_less() {
    for subject in SUBJECTS {
        for kind in KINDS.into_iter().chain([FaultKind::Backwards]) {
            let at_work = AtWork::start(subject, None).await;
            let held = at_work.holds().await;
            // Tencent's keys can be had in two ways; neither may bring a better set.
            let fault = Fault::new(kind).forever();
            at_work.world.cloud.state.push_fault(fault).unwrap();
            let reply = at_work.handle.refresh().await;
            let case = format!("{subject:?} {kind:?}: {reply:?}");
            assert!(!matches!(reply, RefreshReply::Refreshed { .. }), "{case}");
            assert_eq!(at_work.whole(), Some(held), "{case}");
        }
    }
}
