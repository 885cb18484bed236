//! The loop of one role, and the only writer of what its readers see.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, info_span, warn};

use super::adopt::{self, Circumstances, Verdict};
use super::attempt::{Attempt, Outcome};
use super::command::{Command, Handle, RefreshReply, Settings};
use super::gauges;
use super::source::{self, Standing};
use super::state::{Moment, Resumed, State};
use crate::clock::{BootTime, Clock, RECHECK, jumps};
use crate::credentials::{Obtained, shortened};
use crate::observe::metrics::Metrics;
use crate::provider::error::{Class, ProviderError};
use crate::schedule;
use crate::store::{Held, Refresh, Role};

/// `refresh` acts on a role at most this often.
const FORCED_PAUSE: Duration = Duration::from_secs(10);
/// How long a role waits for the first set of its source before it looks again.
const SOURCE_PATIENCE: Duration = Duration::from_secs(1);
/// A lazy role rests after this long without a request.
const LAZY_REST: Duration = Duration::from_hours(1);

/// What all refreshers share.
#[derive(Clone, Debug)]
pub struct Shared {
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// Key of the `ETag` hash.
    pub etag_key: Arc<[u8]>,
    /// Pulled whenever what a role holds may have changed, for whoever keeps a copy.
    pub changed: Arc<Notify>,
    /// Changes when the clock jumped.
    pub jumps: watch::Receiver<u64>,
    /// Uniform in `0.0..1.0`.
    pub draw: fn() -> f64,
}

/// The task of one role.
#[derive(Debug)]
pub struct Refresher {
    role: Arc<Role>,
    settings: Settings,
    shared: Shared,
    commands: mpsc::Receiver<Command>,
    state: State,
    last_forced: Option<BootTime>,
    /// How the source stood when there was nothing to sign with; any change is worth an attempt.
    waits_for_source: Option<Standing>,
    /// What was published last, so that each change is told once.
    announced: Held,
}

impl Refresher {
    /// A refresher and the way to it; [`Self::run`] does the work.
    #[must_use]
    pub fn new(role: Arc<Role>, settings: Settings, shared: Shared) -> (Self, Handle) {
        let (handle, commands) = Handle::new(Arc::clone(&role));
        let at = Moment {
            now: shared.clock.boot(),
            wall: shared.clock.wall(),
        };
        let refresher = Self {
            state: State::new(at, settings.lazy),
            role,
            settings,
            shared,
            commands,
            last_forced: None,
            waits_for_source: None,
            announced: Held::None,
        };
        (refresher, handle)
    }

    /// Begins with a set that an earlier process of ours obtained, and shows it at once.
    pub fn resume(&mut self, resumed: Resumed) {
        let (timing, draw) = (self.settings.timing(), (self.shared.draw)());
        let at = self.moment();
        self.state.resume(&self.role, resumed, (timing, draw), at);
        self.publish();
    }

    /// Works until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let span = info_span!("refresh", role = %self.role.name());
        stop.run_until_cancelled(self.refresh_forever().instrument(span))
            .await;
    }

    async fn refresh_forever(&mut self) {
        self.publish();
        loop {
            self.show();
            let now = self.now();
            if self.state.refresh == Refresh::Resting || now < self.state.due {
                self.wait().await;
            } else if self.may_rest(now) {
                self.state.refresh = Refresh::Resting;
                self.publish();
            } else if let Some(later) = self.spread_after_resume(now) {
                self.state.due = later;
            } else if self.source_is_on_its_way() {
                self.state.due = now + SOURCE_PATIENCE;
                self.publish();
            } else {
                self.attempt(Vec::new()).await;
            }
        }
    }

    // === waiting ===

    async fn wait(&mut self) {
        let pause = self.pause(Some(self.state.due));
        let source = self.settings.source.clone().zip(self.waits_for_source);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.role.demand.notified() => self.on_demand(),
            // Without a sender the clock is simply not watched.
            Ok(()) = self.shared.jumps.changed() => {}
            () = source::changes(source, &*self.shared.clock) => {
                self.waits_for_source = None;
                self.state.due = self.now();
            }
            Some(command) = self.commands.recv() => self.on_command(command).await,
        }
    }

    /// How long nothing needs to be done, unless somebody asks.
    fn pause(&self, due: Option<BootTime>) -> Duration {
        let now = self.now();
        let due = due.filter(|_| self.state.refresh != Refresh::Resting);
        [self.state.next_change(now), due]
            .into_iter()
            .flatten()
            .map(|wake| now.until(wake))
            .fold(RECHECK, Duration::min)
    }

    fn on_demand(&mut self) {
        let rested = self.state.refresh == Refresh::Resting;
        self.state.demanded(self.now());
        if rested {
            self.publish();
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Refresh(reply) => self.on_refresh(reply).await,
            Command::Forget(reply) => self.on_forget(reply),
            Command::Retune(settings) => self.on_retune(*settings),
            // Signed out, what is held is served on; signed in, what is fresh needs no other.
            Command::SessionChanged => {
                if self.state.last_failed() || self.state.set().is_none() {
                    self.state.due = self.now();
                }
            }
            Command::SecretChanged => {
                info!("a file behind the role changed; refreshing");
                self.settings.provider.reread_source();
                self.state.due = self.now();
            }
        }
    }

    async fn on_refresh(&mut self, reply: oneshot::Sender<RefreshReply>) {
        let now = self.now();
        if let Some(last) = self.last_forced {
            let since = now.since(last);
            if since < FORCED_PAUSE {
                let _gone = reply.send(RefreshReply::TooSoon(FORCED_PAUSE.saturating_sub(since)));
                return;
            }
        }
        self.last_forced = Some(now);
        self.attempt(vec![reply]).await;
    }

    fn on_forget(&mut self, reply: oneshot::Sender<()>) {
        self.state.forget(self.now());
        self.publish();
        info!("the held credentials were forgotten");
        let _gone = reply.send(());
    }

    fn on_retune(&mut self, settings: Settings) {
        self.settings = settings;
        let timing = self.settings.timing();
        self.state.retune(timing, self.settings.lazy, self.now());
        self.publish();
    }

    // === attempting ===

    fn may_rest(&self, now: BootTime) -> bool {
        self.settings.lazy
            && self.state.last_start.is_some()
            && now.since(self.role.last_read()) > LAZY_REST
    }

    /// Whether the first set of the source is still to come, which is no failure of ours. Asks
    /// for it, as the source may be lazy.
    fn source_is_on_its_way(&mut self) -> bool {
        let Some(source) = &self.settings.source else {
            return false;
        };
        let standing = Standing::of(source, &*self.shared.clock);
        let waits = standing == Standing::OnItsWay && self.state.remaining(self.now()).is_none();
        if waits {
            drop(source.role().read(self.now()));
            self.waits_for_source = Some(standing);
        }
        waits
    }

    /// An attempt long overdue means that the machine slept; wait a little, drawn once.
    fn spread_after_resume(&self, now: BootTime) -> Option<BootTime> {
        let overdue = now.since(self.state.due);
        (overdue > RECHECK + jumps::TOLERANCE).then(|| {
            let remaining = self.state.remaining(now).unwrap_or_default();
            now + schedule::resume_delay(remaining, (self.shared.draw)())
        })
    }

    /// One attempt. Commands are heard meanwhile: a second `refresh` joins this attempt, and
    /// `forget` or another configuration ends it.
    async fn attempt(&mut self, mut replies: Vec<oneshot::Sender<RefreshReply>>) {
        self.state.attempt_started(self.moment());
        let attempt = Attempt {
            role: self.role.name().clone(),
            provider: Arc::clone(&self.settings.provider),
            expected_account: self.settings.expected_account.clone(),
            source: self.settings.source.clone(),
            metrics: Arc::clone(&self.shared.metrics),
        };
        // A task of its own, so that a bug in one cloud's parser costs an attempt, not the role.
        let mut running = AbortOnDropHandle::new(tokio::spawn(
            attempt.run().instrument(tracing::Span::current()),
        ));
        let mut secret_changed = false;
        let outcome = loop {
            tokio::select! {
                ended = &mut running => break ended.unwrap_or_else(Outcome::from_panic),
                () = tokio::time::sleep(self.pause(None)) => self.show(),
                Some(command) = self.commands.recv() => match command {
                    Command::Refresh(reply) => replies.push(reply),
                    Command::SecretChanged | Command::SessionChanged => secret_changed = true,
                    Command::Forget(reply) => {
                        self.on_forget(reply);
                        return answer(replies, &interrupted("the role was forgotten"));
                    }
                    Command::Retune(settings) => {
                        self.on_retune(*settings);
                        self.state.due = self.now();
                        return answer(replies, &interrupted("the configuration changed"));
                    }
                },
            }
        };
        let reply = self.finish(outcome);
        if secret_changed && self.state.last_failed() {
            self.settings.provider.reread_source();
            self.state.due = self.now();
        }
        answer(replies, &reply);
    }

    fn finish(&mut self, outcome: Outcome) -> RefreshReply {
        let at = self.moment();
        let judged = outcome.result.and_then(|obtained| self.judge(obtained, at));
        gauges::count(
            &self.shared.metrics,
            self.role.name().as_str(),
            judged.as_ref().err(),
            outcome.took,
        );
        let reply = match judged {
            Ok(verdict) => self.succeeded(verdict, at, outcome.took),
            Err(error) => self.failed(&error, at),
        };
        self.publish();
        reply
    }

    fn judge(&self, obtained: Obtained, at: Moment) -> Result<Verdict, ProviderError> {
        adopt::judge(
            obtained,
            Circumstances {
                held: self.state.set(),
                now: at.now,
                wall: at.wall,
                generation: self.state.generation(),
                etag_key: &self.shared.etag_key,
            },
        )
    }

    fn succeeded(&mut self, verdict: Verdict, at: Moment, took: Duration) -> RefreshReply {
        let repeated = matches!(verdict, Verdict::Repeat);
        let draw = (self.shared.draw)();
        let timing = self.settings.timing();
        self.state.succeeded(&self.role, verdict, timing, draw, at);
        self.waits_for_source = None;
        let shown_expiry = self.state.shown_expiry().unwrap_or(at.wall);
        if repeated {
            return RefreshReply::Unchanged { shown_expiry };
        }
        info!(
            access_key_id = self
                .state
                .set()
                .map(|set| shortened(&set.keys.access_key_id)),
            expires_in_secs = self.state.remaining(at.now).map(|life| life.as_secs()),
            refresh_in_secs = at.now.until(self.state.due).as_secs(),
            took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "credentials refreshed"
        );
        RefreshReply::Refreshed { shown_expiry }
    }

    fn failed(&mut self, error: &ProviderError, at: Moment) -> RefreshReply {
        let draw = (self.shared.draw)();
        let standing = match &self.settings.source {
            Some(source) if error.class == Class::SourceUnavailable => {
                Some(Standing::of(source, &*self.shared.clock))
            }
            Some(_) | None => None,
        };
        self.waits_for_source = standing;
        let with_source = standing.map(Standing::of_dependent);
        let pause = self.state.failed(error, with_source, draw, at);
        let message = error.report();
        warn!(
            error = message,
            class = error.class.as_str(),
            code = error.code,
            request_id = error.request_id,
            failures = self.state.failures(),
            retry_in_secs = pause.as_secs_f64(),
            held_for_secs = self.state.remaining(at.now).map(|life| life.as_secs()),
            "refresh failed"
        );
        RefreshReply::Failed(message)
    }

    // === showing ===

    /// Publishes again if the set reads differently now.
    fn show(&mut self) {
        let at = self.moment();
        let rendered = self.state.show(&self.role, at);
        let held = self.state.view(self.settings.tuning).held(at.now);
        if rendered || held != self.announced {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let now = self.now();
        let view = self.state.view(self.settings.tuning);
        let held = view.held(now);
        if held == Held::Expired && self.announced != Held::Expired {
            warn!("the held credentials have expired; nothing is served");
        } else if held == Held::Degraded && self.announced == Held::Fresh {
            warn!(
                min_remaining_secs = view.min_remaining.as_secs(),
                "the held credentials show less life than promised"
            );
        }
        self.announced = held;
        let next_attempt = view.next_attempt.map(|due| self.state.wall_time(due));
        let name = self.role.name().as_str();
        gauges::set(&self.shared.metrics, name, &view, next_attempt, now);
        self.role.publish(view);
        self.shared.changed.notify_one();
    }

    // === the clocks ===

    fn now(&self) -> BootTime {
        self.shared.clock.boot()
    }

    fn moment(&self) -> Moment {
        Moment {
            now: self.shared.clock.boot(),
            wall: self.shared.clock.wall(),
        }
    }
}

fn interrupted(why: &str) -> RefreshReply {
    RefreshReply::Failed(format!("{why} meanwhile"))
}

/// Tells everybody who waited. A receiver that went away is no trouble.
fn answer(replies: Vec<oneshot::Sender<RefreshReply>>, reply: &RefreshReply) {
    for sender in replies {
        let _gone = sender.send(reply.clone());
    }
}
