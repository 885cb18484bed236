//! The tasks of all configured sinks, and how a new configuration is applied to them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::roles::Roles;
use crate::admin::api::SinkStatus;
use crate::clock::Clock;
use crate::config::model::{Config, Sink};
use crate::name::Name;
use crate::observe::metrics::{Metrics, SinkLabels};
use crate::sink::{Forget, Keeper, Notes, Turns};
use crate::store::Role;

/// How long `forget` waits for a disk. A file that takes longer is emptied later, and named.
const FORGETTING: Duration = Duration::from_secs(5);

/// Every sink's task, by name.
#[derive(Debug)]
pub(super) struct Sinks {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    notes: Arc<Notes>,
    turns: Turns,
    running: Mutex<BTreeMap<Name, Running>>,
}

#[derive(Debug)]
struct Running {
    config: Sink,
    role: Arc<Role>,
    forget: mpsc::Sender<Forget>,
    emptying: Arc<AtomicBool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Sinks {
    /// No sink yet; [`Self::apply`] brings them.
    #[must_use]
    pub(super) fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        Self {
            clock,
            metrics,
            notes: Arc::default(),
            turns: Turns::default(),
            running: Mutex::default(),
        }
    }

    /// Makes the running sinks those of `config`. One whose role became another empties its file
    /// before it has anything new; the file of a sink that is gone stays as it is.
    pub(super) fn apply(&self, config: &Config, roles: &Roles) {
        let mut running = lock(&self.running);
        let mut old = std::mem::take(&mut *running);
        for (name, sink) in &config.sinks {
            let Some(managed) = roles.get(sink.role.as_str()) else {
                continue; // the configuration rules that out
            };
            let role = Arc::clone(managed.handle.role());
            let before = old.remove(name);
            let started = match before {
                Some(before) if before.config == *sink && Arc::ptr_eq(&before.role, &role) => {
                    before
                }
                Some(before) => {
                    before.stop.cancel();
                    let same_file = before.config.path == sink.path;
                    let is_due = before.emptying.load(Ordering::Relaxed);
                    let other_identity = !Arc::ptr_eq(&before.role, &role);
                    self.start(sink, role, same_file && (is_due || other_identity))
                }
                None => self.start(sink, role, false),
            };
            running.insert(name.clone(), started);
        }
        for (name, gone) in old {
            gone.stop.cancel();
            self.notes.clear(&name);
            self.metrics.sink_errors.remove(&SinkLabels {
                sink: name.to_string(),
            });
        }
    }

    /// Takes the credentials of these roles out of their files, all at once. The roles themselves
    /// must have forgotten them. One clause per file that may still hold a set, and why.
    pub(super) async fn forget(&self, roles: &[Name]) -> Vec<String> {
        let mut asked = JoinSet::new();
        for running in lock(&self.running).values() {
            if roles.contains(&running.config.role) {
                let path = format!("`{}`", running.config.path.display());
                let forget = running.forget.clone();
                asked.spawn(async move {
                    let why = ask(forget).await?;
                    // Most reasons name the file themselves.
                    Some(if why.starts_with(&path) {
                        why
                    } else {
                        format!("{path}: {why}")
                    })
                });
            }
        }
        let mut left: Vec<String> = asked.join_all().await.into_iter().flatten().collect();
        left.sort_unstable();
        left
    }

    /// Each sink, in the order of their names.
    #[must_use]
    pub(super) fn states(&self) -> Vec<SinkStatus> {
        let state = |sink: &Sink| SinkStatus {
            name: sink.name.to_string(),
            kind: sink.kind.as_str().to_owned(),
            role: sink.role.to_string(),
            path: sink.path.display().to_string(),
            error: self.notes.of(&sink.name),
        };
        let running = lock(&self.running);
        running.values().map(|it| state(&it.config)).collect()
    }

    /// One sentence per sink that cannot be written.
    #[must_use]
    pub(super) fn troubles(&self) -> Vec<String> {
        self.notes.all()
    }

    /// Whether a task ended, which only a bug makes it do.
    #[must_use]
    pub(super) fn any_ended(&self) -> bool {
        lock(&self.running)
            .values()
            .any(|running| running.task.is_finished())
    }

    fn start(&self, sink: &Sink, role: Arc<Role>, emptying: bool) -> Running {
        let (forget, forgets) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let emptying = Arc::new(AtomicBool::new(emptying));
        let keeper = Keeper {
            sink: sink.clone(),
            role: Arc::clone(&role),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            notes: Arc::clone(&self.notes),
            turn: self.turns.at(&sink.path),
            emptying: Arc::clone(&emptying),
            stop: stop.clone(),
        };
        let task = tokio::spawn(keeper.run(forgets));
        Running {
            config: sink.clone(),
            role,
            forget,
            emptying,
            stop,
            task,
        }
    }
}

/// Asks one sink to forget; what is in the way, if it did not.
async fn ask(forget: mpsc::Sender<Forget>) -> Option<String> {
    let (done, is_done) = oneshot::channel();
    let asked = async {
        if forget.send(done).await.is_err() {
            return None;
        }
        is_done.await.ok()
    };
    match tokio::time::timeout(FORGETTING, asked).await {
        Ok(Some(emptied)) => emptied.err(),
        Ok(None) => Some("its sink was configured anew meanwhile".to_owned()),
        Err(_elapsed) => Some(format!(
            "the disk did not answer within {} s",
            FORGETTING.as_secs()
        )),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
