//! One sink's task: writes its file whenever its role has something new to be told.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::content::content;
use super::notes::Notes;
use super::replace::{current, replace};
use super::turns::Turn;
use crate::clock::Clock;
use crate::config::model::Sink;
use crate::credentials::Cloud;
use crate::formats::Rendering;
use crate::observe::metrics::{Metrics, SinkLabels};
use crate::provider::program::Program;
use crate::store::{Role, Snapshot};

/// Between two looks at a file that is as it should be: somebody may have changed it. Also how
/// often a lazy role is told that it is in use.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// One sink at work.
#[derive(Debug)]
pub struct Keeper {
    pub sink: Sink,
    pub role: Arc<Role>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub notes: Arc<Notes>,
    /// Whose file it is at a time: others may have sections in it.
    pub turn: Turn,
    /// What is in the file holds no longer: it must go even before there is something new.
    /// Shared, so that a successor of this keeper knows what it still owes.
    pub emptying: Arc<AtomicBool>,
    /// Once cancelled, nothing more is written.
    pub stop: CancellationToken,
}

/// Asks for the credentials to be taken out of the file; answered once they are, or with what
/// is in the way. It is tried on either way.
pub type Forget = oneshot::Sender<Result<(), String>>;

/// What is still to be done.
#[derive(Debug, Default)]
struct Due {
    /// The file was replaced, and nobody was told.
    notice: bool,
    /// What was written last: `ETag` and shown expiry.
    written: Option<(String, SystemTime)>,
}

impl Keeper {
    /// Runs until dropped or stopped, or until nobody is left to ask it to forget.
    pub async fn run(self, mut forgets: mpsc::Receiver<Forget>) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.follow(&mut forgets)).await;
    }

    async fn follow(&self, forgets: &mut mpsc::Receiver<Forget>) {
        let mut publications = self.role.subscribe();
        let mut due = Due::default();
        let mut failures = 0_u32;
        let errors = self.metrics.sink_errors.get_or_create_owned(&SinkLabels {
            sink: self.sink.name.to_string(),
        });
        loop {
            let pause = match self.step(&mut due, forgets).await {
                Ok(()) => {
                    failures = 0;
                    self.notes.clear(&self.sink.name);
                    LOOK_AGAIN
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    errors.inc();
                    if self.notes.set(&self.sink.name, &error) {
                        warn!(sink = %self.sink.name, error, "sink failed; trying on");
                    }
                    pause_after(failures, fastrand::f64())
                }
            };
            tokio::select! {
                seen = publications.changed() => if seen.is_err() { return },
                forget = forgets.recv() => match forget {
                    Some(forget) => self.forget(&mut due, forget).await,
                    None => return,
                },
                () = sleep(pause) => due.written = None,
            }
        }
    }

    /// Brings the file in line with the role, and tells the program.
    async fn step(
        &self,
        due: &mut Due,
        forgets: &mut mpsc::Receiver<Forget>,
    ) -> Result<(), String> {
        self.write(due).await?;
        while due.notice
            && let Some(argv) = &self.sink.notify
        {
            due.notice = false;
            let program = Program::new(argv.clone());
            // Large and rare, so not a part of this future.
            let mut running = Box::pin(program.run());
            let told = loop {
                tokio::select! {
                    told = &mut running => break told,
                    // Whoever wants a set gone does not wait for a program to end.
                    Some(forget) = forgets.recv() => self.forget(due, forget).await,
                }
            };
            if let Err(error) = told {
                due.notice = true;
                return Err(format!("the file is written, but {}", error.report()));
            }
        }
        Ok(())
    }

    /// What cannot be taken out now is taken out later; whoever asked learns which it is.
    async fn forget(&self, due: &mut Due, answer: Forget) {
        self.emptying.store(true, Ordering::Relaxed);
        let emptied = self.write(due).await;
        // Whoever asked may have stopped waiting.
        answer.send(emptied).ok();
    }

    /// Brings the file in line with the role.
    async fn write(&self, due: &mut Due) -> Result<(), String> {
        let held = {
            let now = self.clock.boot();
            self.role.keep_awake(now);
            self.role.view().valid(now).map(Arc::clone)
        };
        let goal = held
            .as_ref()
            .map(|held| (held.set.etag.clone(), held.shown_expiry));
        if goal.is_some() && goal == due.written {
            self.emptying.store(false, Ordering::Relaxed); // what was to go is gone already
            return Ok(());
        }
        if goal.is_none() && !self.emptying.load(Ordering::Relaxed) {
            return Ok(());
        }
        let sink = self.sink.clone();
        let cloud = self.role.cloud();
        let is_emptied = held.is_none();
        let (turn, stop) = (Arc::clone(&self.turn), self.stop.clone());
        // Files are written to a disk, which may take its time.
        let replaced = tokio::task::spawn_blocking(move || {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            // Asked only now: a successor that waits for its turn must not be written over.
            if stop.is_cancelled() {
                return Ok(false);
            }
            bring_in_line(&sink, cloud, held.as_deref())
        })
        .await
        .map_err(|_| "writing it ended by a bug".to_owned())??;
        self.emptying.store(false, Ordering::Relaxed);
        due.written = goal;
        if replaced {
            due.notice = self.sink.notify.is_some();
            info!(
                sink = %self.sink.name,
                role = %self.sink.role,
                is_emptied,
                "sink written"
            );
        }
        Ok(())
    }
}

/// Whether the file had to be replaced.
fn bring_in_line(sink: &Sink, cloud: Cloud, held: Option<&Snapshot>) -> Result<bool, String> {
    // What is not there holds nothing, whatever may be wrong with the way to it.
    let found = fs::symlink_metadata(&sink.path);
    if held.is_none() && found.is_err_and(|error| is_absence(&error)) {
        return Ok(false);
    }
    let found = current(&sink.path).map_err(|error| error.to_string())?;
    let rendering = held.map(|held| Rendering {
        role: &sink.role,
        cloud,
        set: &held.set,
        issued_at: held.issued_at,
        shown_expiry: held.shown_expiry,
    });
    let found = found.as_ref().map(|bytes| bytes.as_slice());
    let wanted = content(sink, found, rendering)
        .map_err(|error| format!("`{}`: {error}", sink.path.display()))?;
    let wanted = wanted.as_ref().map(|bytes| bytes.as_slice());
    if wanted == found {
        return Ok(false);
    }
    replace(&sink.path, &sink.access, wanted).map_err(|error| error.to_string())?;
    Ok(true)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// From 1 s, doubled up to a minute, and somewhere in the second half of it. `draw` is in 0..1.
fn pause_after(failures: u32, draw: f64) -> Duration {
    let doubled = Duration::from_secs(1) * 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + draw / 2.0)
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
