//! The tasks of all configured sinks, and how a new configuration is applied to them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::roles::Roles;
use crate::clock::Clock;
use crate::config::model::{Config, Sink};
use crate::name::Name;
use crate::observe::metrics::{Metrics, SinkLabels};
use crate::sink::keeper::Forget;
use crate::sink::{Keeper, Notes};
use crate::store::Role;

/// How long `forget` waits for a disk. A file that takes longer is emptied later.
const FORGETTING: Duration = Duration::from_secs(5);

/// Every sink's task, by name.
#[derive(Debug)]
pub(super) struct Sinks {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    notes: Arc<Notes>,
    running: Mutex<BTreeMap<Name, Running>>,
}

#[derive(Debug)]
struct Running {
    config: Sink,
    role: Arc<Role>,
    forget: mpsc::Sender<Forget>,
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
                    let other_identity = !Arc::ptr_eq(&before.role, &role);
                    self.start(sink, role, same_file && other_identity)
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

    /// Takes the credentials of a role out of its files. The role itself must have forgotten them.
    pub(super) async fn forget(&self, role: &Name) {
        let concerned: Vec<_> = lock(&self.running)
            .values()
            .filter(|running| running.config.role == *role)
            .map(|running| running.forget.clone())
            .collect();
        for forget in concerned {
            let (done, is_done) = oneshot::channel();
            let asked = async {
                if forget.send(done).await.is_ok() {
                    // An error means that the sink is gone.
                    is_done.await.ok();
                }
            };
            // What takes longer than that is seen to by the sink's own task.
            drop(tokio::time::timeout(FORGETTING, asked).await);
        }
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
        let keeper = Keeper {
            sink: sink.clone(),
            role: Arc::clone(&role),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            notes: Arc::clone(&self.notes),
        };
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            stopped
                .run_until_cancelled(keeper.run(forgets, emptying))
                .await;
        });
        Running {
            config: sink.clone(),
            role,
            forget,
            stop,
            task,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
