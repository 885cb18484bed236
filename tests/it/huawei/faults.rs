//! Each fault once per provider, with the loop that keeps a role fresh around it: whatever the
//! cloud sends, nothing expired, partial or foreign is ever held, and the role gets over it.

use std::sync::Arc;
use std::time::Duration;

use credvend::credentials::Cloud;
use credvend::emulator::{Fault, FaultKind, HUAWEI_ACCOUNT};
use credvend::observe::metrics::Metrics;
use credvend::refresh::{Handle, RefreshReply, Refresher, Settings, Shared};
use credvend::schedule::Tuning;
use credvend::store::{Refresh, Role};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::world::{Kind, World};

/// So that a busy machine does not turn patience into time-outs.
const AT_ONCE: usize = 8;

/// A role of this kind at work.
struct AtWork {
    world: World,
    role: Arc<Role>,
    handle: Handle,
    _stop: DropGuard,
}

impl AtWork {
    fn start(world: World, kind: Kind) -> Self {
        let clock = world.clock();
        let role = Arc::new(Role::new(
            "app".parse().unwrap(),
            Cloud::Huawei,
            Arc::clone(&clock),
        ));
        let settings = Settings {
            provider: world.provider(kind),
            tuning: Tuning::default(),
            expected_account: Some(HUAWEI_ACCOUNT.to_owned()),
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
            role,
            handle,
            _stop: stop.drop_guard(),
        }
    }

    /// Looks at every state of the role until it holds a valid set, and at that set. Where
    /// somebody has to act, somebody does.
    async fn holds(&self) -> String {
        let mut changes = self.role.subscribe();
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
    }

    /// The key id that is served now, after a look at the whole set.
    fn whole(&self) -> Option<String> {
        let now = self.world.clock().boot();
        let view = self.role.view();
        let set = &view.valid(now)?.set;
        assert!(set.keys.are_complete(), "a partial set");
        assert!(set.is_valid(now), "an expired set");
        self.world.cloud.state.with_huawei(|world| {
            let owner = world
                .issued_to(&set.keys.access_key_id)
                .expect("issued here");
            assert_eq!(owner, HUAWEI_ACCOUNT, "a foreign set");
        });
        Some(set.keys.access_key_id.clone())
    }
}

fn every_fault() -> Vec<Fault> {
    let plain = [
        FaultKind::Expired,
        FaultKind::Garbage,
        FaultKind::Hang,
        FaultKind::Incomplete,
        FaultKind::Reset,
        FaultKind::Status,
        FaultKind::Throttle,
        FaultKind::Truncated,
        FaultKind::WrongAccount,
    ];
    let mut faults: Vec<Fault> = plain.into_iter().map(Fault::new).collect();
    faults.push(Fault::error("STS5.0500", "busy"));
    faults.push(Fault::new(FaultKind::Delay).after(Duration::from_millis(100)));
    faults.push(Fault::new(FaultKind::Skew).skewed(3_600));
    faults
}

/// The first attempt meets the fault, a later one succeeds.
#[tokio::test]
async fn every_provider_gets_over_every_fault_and_adopts_nothing_wrong() {
    let mut cases = tokio::task::JoinSet::new();
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    for kind in Kind::ALL {
        for fault in every_fault() {
            let turns = Arc::clone(&turns);
            cases.spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                let world = World::start();
                let struck = fault.clone().on_action(kind.action());
                world.cloud.state.push_fault(struck).unwrap();
                let at_work = AtWork::start(world, kind);
                let holds = tokio::time::timeout(Duration::from_mins(1), at_work.holds()).await;
                assert!(holds.is_ok(), "{kind:?} never got over {fault:?}");
                let state = &at_work.world.cloud.state;
                assert_eq!(state.faults(), [], "{kind:?} {fault:?} struck");
                let calls = state.calls().by_action[kind.action()];
                let survives_at_once = fault.kind == FaultKind::Delay
                    || fault.kind == FaultKind::Skew && kind == Kind::InstanceMetadata;
                // A clock that is wrong for one call is wrong again after it was corrected.
                let expected = if survives_at_once { 1..=1 } else { 2..=3 };
                assert!(
                    expected.contains(&calls),
                    "{kind:?} {fault:?}: {calls} calls"
                );
            });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.expect("the case holds");
    }
}

/// A set is held already: it stays, and what is worse than it is not adopted.
#[tokio::test]
async fn what_is_held_survives_every_fault_of_a_refresh() {
    let mut cases = tokio::task::JoinSet::new();
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    for kind in Kind::ALL {
        for fault in every_fault()
            .into_iter()
            .chain([Fault::new(FaultKind::Backwards)])
        {
            let turns = Arc::clone(&turns);
            cases.spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                let at_work = AtWork::start(World::start(), kind);
                let held = at_work.holds().await;
                let struck = fault.clone().on_action(kind.action());
                at_work.world.cloud.state.push_fault(struck).unwrap();
                let reply = at_work.handle.refresh().await;
                let case = format!("{kind:?} {fault:?}: {reply:?}");
                let now = at_work.whole().expect("a set is held");
                let failed = matches!(reply, RefreshReply::Failed(_));
                if fault.kind == FaultKind::Delay {
                    assert!(!failed, "{case}");
                } else if fault.kind != FaultKind::Skew {
                    assert_eq!(now, held, "{case}");
                    assert!(!matches!(reply, RefreshReply::Refreshed { .. }), "{case}");
                }
            });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.expect("the case holds");
    }
}

#[tokio::test]
async fn a_refusal_for_good_waits_for_somebody_and_a_refresh_helps() {
    let world = World::start();
    let refused = Fault::error("STS5.1001", "no").on_action("AssumeAgency");
    world.cloud.state.push_fault(refused).unwrap();
    let at_work = AtWork::start(world, Kind::AssumeAgency);
    let mut changes = at_work.role.subscribe();
    while at_work.role.view().refresh != Refresh::Failing {
        changes.changed().await.unwrap();
    }
    assert!(at_work.whole().is_none());
    let reply = at_work.handle.refresh().await;
    assert!(matches!(reply, RefreshReply::Refreshed { .. }), "{reply:?}");
    assert!(at_work.whole().is_some());
}
