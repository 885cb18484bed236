//! A provider that follows a script, and a role running on it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::testing::TestClock;
use crate::clock::{Clock, jumps};
use crate::credentials::{Cloud, HoldsCredentials as _, Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::observe::metrics::{Metrics, RefreshLabels, UpstreamLabels};
use crate::provider::budget::Budget;
use crate::provider::error::{Class, ProviderError};
use crate::provider::{CallSite, Provider};
use crate::refresh::state::Resumed;
use crate::refresh::{Handle, Refresher, Settings, Shared};
use crate::schedule::Tuning;
use crate::secret::Secret;
use crate::store::{Held, Role};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
/// In every secret of every scripted set.
pub(super) const CANARY: &str = "canary-7d1f";

/// One step of a script. After the last one, it repeats for ever.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A set with this key id that lives so long from now.
    Give(&'static str, Duration),
    /// The same without a session token.
    GiveIncomplete(&'static str),
    /// The same, answered after so long.
    GiveLate(&'static str, Duration, Duration),
    /// The same, if the source holds something to sign with.
    Sign(&'static str, Duration),
    Fail(Class),
    /// Fails before anything is sent.
    FailUnsent(Class),
    Hang,
    Panic,
}

pub(super) struct Script {
    clock: Arc<TestClock>,
    steps: Mutex<VecDeque<Step>>,
    calls: Mutex<Vec<Instant>>,
    pub(super) account: Mutex<&'static str>,
    /// Failures of the next identity calls.
    pub(super) unidentified: Mutex<VecDeque<Class>>,
    pub(super) rereads: Mutex<u32>,
    /// Whether reading its source again brings another secret.
    pub(super) rereads_differ: Mutex<bool>,
    source: Option<Handle>,
    mints: bool,
    pub(super) budget: Arc<Budget>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    fn next(&self) -> Step {
        let mut steps = self.steps.lock().unwrap();
        if steps.len() > 1 {
            steps.pop_front().unwrap()
        } else {
            steps.front().unwrap().clone()
        }
    }
}

impl Provider for Script {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        self.calls.lock().unwrap().push(Instant::now());
        let keys = |id: &str, token: &str| Keys {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::from(format!("{CANARY}-secret-of-{id}")),
            session_token: Secret::from(token),
        };
        let obtained = |keys, lives| Obtained {
            keys,
            expires_at: self.clock.wall() + lives,
            issuer_now: None, // both clocks are the test's, and exact
            sent_at: self.clock.boot(),
            asked: None,
        };
        Box::pin(async move {
            match self.next() {
                Step::Give(id, lives) => Ok(obtained(
                    keys(id, &format!("{CANARY}-token-of-{id}")),
                    lives,
                )),
                Step::GiveIncomplete(id) => Ok(obtained(keys(id, ""), HOUR)),
                Step::GiveLate(id, lives, after) => {
                    let answer = obtained(keys(id, CANARY), lives);
                    tokio::time::sleep(after).await;
                    Ok(answer)
                }
                Step::Sign(id, lives) => {
                    let source = self.source.as_ref().expect("it has a source");
                    source.role().valid_set().ok_or_else(|| {
                        ProviderError::new(Class::SourceUnavailable, "scripted").not_sent()
                    })?;
                    Ok(obtained(keys(id, CANARY), lives))
                }
                Step::FailUnsent(class) => Err(ProviderError::new(class, "scripted").not_sent()),
                Step::Fail(class) => Err(ProviderError::new(class, format!("scripted {class:?}"))),
                Step::Hang => std::future::pending().await,
                Step::Panic => panic!("scripted"),
            }
        })
    }

    fn identify<'a>(&'a self, _: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        let account = (*self.account.lock().unwrap()).to_owned();
        let failure = self.unidentified.lock().unwrap().pop_front();
        Box::pin(async move {
            if let Some(class) = failure {
                return Err(ProviderError::new(class, format!("scripted {class:?}")));
            }
            Ok(Identity {
                account,
                user: "user".into(),
                arn: "arn".into(),
                kind: "CAMRole".into(),
            })
        })
    }

    fn mint_call(&self) -> CallSite {
        CallSite {
            endpoint: "scripted".into(),
            action: "AssumeRole",
            budget: Some(Arc::clone(&self.budget)),
        }
    }

    fn identity_call(&self) -> CallSite {
        CallSite {
            action: "GetCallerIdentity",
            ..self.mint_call()
        }
    }

    fn mints(&self) -> bool {
        self.mints
    }

    fn reread_source(&self) -> bool {
        *self.rereads.lock().unwrap() += 1;
        *self.rereads_differ.lock().unwrap()
    }
}

/// A role whose refresher runs in the test's own runtime.
pub(super) struct Running {
    pub(super) clock: Arc<TestClock>,
    pub(super) role: Arc<Role>,
    pub(super) script: Arc<Script>,
    pub(super) handle: Handle,
    pub(super) metrics: Arc<Metrics>,
    settings: Settings,
    begun: Instant,
    _stop: tokio_util::sync::DropGuard,
}

/// How a test wants its role.
pub(super) struct Setup {
    pub(super) name: &'static str,
    pub(super) tuning: Tuning,
    pub(super) lazy: bool,
    pub(super) mints: bool,
    pub(super) expected_account: Option<&'static str>,
    pub(super) source: Option<Handle>,
    pub(super) clock: Option<Arc<TestClock>>,
    pub(super) draw: fn() -> f64,
    /// What an earlier process held.
    pub(super) resumed: Option<Resumed>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            name: "app",
            tuning: Tuning::default(),
            lazy: false,
            mints: true,
            expected_account: None,
            source: None,
            clock: None,
            draw: || 0.0,
            resumed: None,
        }
    }
}

/// Starts a role with default settings.
pub(super) fn start<const N: usize>(steps: [Step; N]) -> Running {
    Setup::default().start(steps)
}

impl Setup {
    pub(super) fn start<const N: usize>(self, steps: [Step; N]) -> Running {
        let clock = self.clock.unwrap_or_else(|| Arc::new(TestClock::start()));
        let metrics = Arc::new(Metrics::new());
        let role = Arc::new(Role::new(
            self.name.parse().unwrap(),
            Cloud::Tencent,
            clock.clone(),
        ));
        let script = Arc::new(Script {
            clock: clock.clone(),
            steps: Mutex::new(steps.into()),
            calls: Mutex::default(),
            account: Mutex::new("100000000001"),
            unidentified: Mutex::default(),
            rereads: Mutex::default(),
            rereads_differ: Mutex::new(self.source.is_none()),
            source: self.source.clone(),
            mints: self.mints,
            budget: Arc::new(Budget::new(clock.clone(), 50.0)),
        });
        let (jumped, jump_seen) = watch::channel(0);
        tokio::spawn(jumps::watch(clock.clone(), jumped));
        let settings = Settings {
            provider: script.clone(),
            tuning: self.tuning,
            expected_account: self.expected_account.map(str::to_owned),
            lazy: self.lazy,
            source: self.source,
        };
        let (mut refresher, handle) = Refresher::new(
            Arc::clone(&role),
            settings.clone(),
            Shared {
                changed: Arc::default(),
                clock: clock.clone(),
                metrics: Arc::clone(&metrics),
                etag_key: Arc::from(*b"key"),
                jumps: jump_seen,
                draw: self.draw,
            },
        );
        if let Some(resumed) = self.resumed {
            refresher.resume(resumed);
        }
        let stop = CancellationToken::new();
        tokio::spawn(refresher.run(stop.clone()));
        Running {
            clock,
            role,
            script,
            handle,
            metrics,
            settings,
            begun: Instant::now(),
            _stop: stop.drop_guard(),
        }
    }
}

impl Running {
    /// The key id a client would be given now.
    pub(super) fn served(&self) -> Option<String> {
        let now = self.clock.boot();
        let view = self.role.view();
        view.valid(now)
            .map(|held| held.set.keys.access_key_id.clone())
    }

    /// What a client does: reads, and thereby demands.
    pub(super) fn client_reads(&self) -> Option<String> {
        let now = self.clock.boot();
        let view = self.role.read(now);
        view.valid(now)
            .map(|held| held.set.keys.access_key_id.clone())
    }

    pub(super) fn held(&self) -> Held {
        self.role.view().held(self.clock.boot())
    }

    /// Life left as a client would compute it from the answer.
    pub(super) fn shown_life(&self) -> Duration {
        let now = self.clock.boot();
        let view = self.role.view();
        let shown = view.valid(now).expect("something is held").shown_expiry;
        shown
            .duration_since(self.clock.wall())
            .expect("never shown as expired")
    }

    pub(super) fn calls(&self) -> usize {
        self.script.calls.lock().unwrap().len()
    }

    /// When the provider was called, counted from the start.
    pub(super) fn call_times(&self) -> Vec<Duration> {
        let calls = self.script.calls.lock().unwrap();
        calls.iter().map(|at| *at - self.begun).collect()
    }

    /// How many attempts ended so.
    pub(super) fn ended(&self, result: &str) -> u64 {
        let labels = RefreshLabels {
            role: self.role.name().to_string(),
            result: result.into(),
        };
        self.metrics.refresh.get_or_create(&labels).get()
    }

    /// How many calls of an action ended so.
    pub(super) fn called(&self, action: &str, result: &str) -> u64 {
        let labels = UpstreamLabels {
            endpoint: "scripted".into(),
            action: action.into(),
            result: result.into(),
        };
        self.metrics.upstream_calls.get_or_create(&labels).get()
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings.clone()
    }
}

/// Lets `time` pass and everything that falls due in it happen.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    // whatever falls due in the same instant comes first
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
