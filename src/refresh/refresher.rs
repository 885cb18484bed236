//! The loop of one role, and the only writer of what its readers see.
//!
//! ```text
//! hearing     what the loop is told, and what it does about it
//! trying      an attempt from its start to what becomes of it
//! publishing  what readers and gauges are told, once per change
//! ```

mod hearing;
mod publishing;
mod trying;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error_span};

use super::attempt::Before;
use super::command::{Command, Handle, RefreshReply, Settings};
use super::source::{self, Standing};
use super::state::{Moment, Resumed, State};
use crate::clock::{BootTime, Clock, RECHECK, jumps};
use crate::observe::logging::CONTEXT;
use crate::observe::metrics::Metrics;
use crate::schedule;
use crate::store::{Held, Refresh, Role};

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
    /// Who asked for a refresh and has no answer yet; they get the next attempt's.
    asking: Vec<oneshot::Sender<RefreshReply>>,
    /// What the last attempt left to the next.
    before: Before,
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
            asking: Vec::new(),
            before: Before::default(),
            waits_for_source: None,
            announced: Held::None,
        };
        (refresher, handle)
    }

    /// Begins with a set that an earlier process of ours obtained, and shows it at once. Whether a
    /// lazy role was in use is not known any more: it is taken to have been, just now.
    pub fn resume(&mut self, resumed: Resumed) {
        let (timing, draw) = (self.settings.timing(), (self.shared.draw)());
        let at = self.moment();
        self.role.note_use(at.now);
        self.state.resume(&self.role, resumed, (timing, draw), at);
        self.publish();
    }

    /// Works until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let span = error_span!(target: CONTEXT, "refresh", role = %self.role.name());
        stop.run_until_cancelled(self.refresh_forever().instrument(span))
            .await;
    }

    async fn refresh_forever(&mut self) {
        self.publish();
        loop {
            self.show();
            let now = self.now();
            if !self.asking.is_empty() {
                self.attempt().await;
            } else if self.state.refresh == Refresh::Resting || now < self.state.due {
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
                self.attempt().await;
            }
        }
    }

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
            Some(command) = self.commands.recv() => self.on_command(command),
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

    fn may_rest(&self, now: BootTime) -> bool {
        self.settings.lazy && now.since(self.role.last_read()) > LAZY_REST
    }

    /// Whether the source holds nothing but will: its first set is still to come, or it is lazy
    /// and was at rest. That is no failure of ours, whatever we hold meanwhile. Asks for it.
    fn source_is_on_its_way(&mut self) -> bool {
        let Some(source) = &self.settings.source else {
            return false;
        };
        let standing = Standing::of(source, &*self.shared.clock);
        let waits = standing == Standing::OnItsWay;
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
