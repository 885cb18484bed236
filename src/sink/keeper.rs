//! One sink's task: writes its file whenever its role has something new to be told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{info, warn};

use super::content::content;
use super::replace::{current, replace};
use crate::clock::Clock;
use crate::config::model::Sink;
use crate::credentials::Cloud;
use crate::formats::Rendering;
use crate::name::Name;
use crate::observe::metrics::{Metrics, SinkLabels};
use crate::provider::program::Program;
use crate::store::{Role, Snapshot};

/// Between two looks at a file that is as it should be: somebody may have changed it. Also how
/// often a lazy role is told that it is in use.
const LOOK_AGAIN: Duration = Duration::from_mins(10);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What is wrong now, by sink.
#[derive(Debug, Default)]
pub struct Notes(Mutex<BTreeMap<Name, String>>);

impl Notes {
    /// One sentence per sink that cannot be written.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sentence = |(name, error): (&Name, &String)| format!("sink `{name}`: {error}");
        notes.iter().map(sentence).collect()
    }

    /// Forgets what was wrong.
    pub fn clear(&self, sink: &Name) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.remove(sink);
    }

    /// Whether this is news.
    fn set(&self, sink: &Name, error: &str) -> bool {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(sink.clone(), error.to_owned()).as_deref() != Some(error)
    }
}

/// One sink at work.
#[derive(Debug)]
pub struct Keeper {
    pub sink: Sink,
    pub role: Arc<Role>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub notes: Arc<Notes>,
}

/// Asks for the credentials to be taken out of the file; answered once that was tried.
pub type Forget = oneshot::Sender<()>;

/// What is still to be done.
#[derive(Debug, Default)]
struct Due {
    /// What is in the file holds no longer.
    emptying: bool,
    /// The file was replaced, and nobody was told.
    notice: bool,
    /// What was written last: `ETag` and shown expiry.
    written: Option<(String, SystemTime)>,
}

impl Keeper {
    /// Runs until dropped, or until nobody is left to ask it to forget. `emptying`: what is in the
    /// file is of another identity, and must go even before there is something new.
    pub async fn run(self, mut forgets: mpsc::Receiver<Forget>, emptying: bool) {
        let mut publications = self.role.subscribe();
        let mut due = Due {
            emptying,
            ..Due::default()
        };
        let mut failures = 0_u32;
        let errors = self.metrics.sink_errors.get_or_create_owned(&SinkLabels {
            sink: self.sink.name.to_string(),
        });
        let mut answer: Option<Forget> = None;
        loop {
            let pause = match self.step(&mut due).await {
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
            if let Some(answer) = answer.take() {
                // Whoever asked may have stopped waiting.
                answer.send(()).ok();
            }
            tokio::select! {
                seen = publications.changed() => if seen.is_err() { return },
                forget = forgets.recv() => match forget {
                    Some(forget) => {
                        due.emptying = true;
                        answer = Some(forget);
                    }
                    None => return,
                },
                () = sleep(pause) => due.written = None,
            }
        }
    }

    /// Brings the file in line with the role.
    async fn step(&self, due: &mut Due) -> Result<(), String> {
        let held = {
            let now = self.clock.boot();
            self.role.read(now).valid(now).map(Arc::clone)
        };
        let goal = held
            .as_ref()
            .map(|held| (held.set.etag.clone(), held.shown_expiry));
        let is_current = goal.is_some() && goal == due.written;
        let has_no_goal = goal.is_none() && !due.emptying;
        if !is_current && !has_no_goal {
            let sink = self.sink.clone();
            let cloud = self.role.cloud();
            let is_emptied = held.is_none();
            // Files are written to a disk, which may take its time.
            let replaced =
                tokio::task::spawn_blocking(move || bring_in_line(&sink, cloud, held.as_deref()))
                    .await
                    .map_err(|_| "writing it ended by a bug".to_owned())??;
            due.emptying = false;
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
        }
        if due.notice
            && let Some(argv) = &self.sink.notify
        {
            // Large and rare, so not a part of this future.
            let told = Box::pin(Program::new(argv.clone()).run()).await;
            told.map_err(|error| format!("the file is written, but {}", error.report()))?;
            due.notice = false;
        }
        Ok(())
    }
}

/// Whether the file had to be replaced.
fn bring_in_line(sink: &Sink, cloud: Cloud, held: Option<&Snapshot>) -> Result<bool, String> {
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

/// From 1 s, doubled up to a minute, and somewhere in the second half of it. `draw` is in 0..1.
fn pause_after(failures: u32, draw: f64) -> Duration {
    let doubled = Duration::from_secs(1) * 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + draw / 2.0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use tokio::task::JoinHandle;

    use super::*;
    use crate::clock::SystemClock;
    use crate::config::model::{SinkKind, SocketAccess};
    use crate::listener::Context;
    use crate::listener::tests::support::{context, publish, publish_nothing};
    use crate::store::Refresh;

    struct Bench {
        context: Arc<Context>,
        notes: Arc<Notes>,
        directory: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            Self {
                context: context(&clock),
                notes: Arc::default(),
                directory: tempfile::tempdir().unwrap(),
            }
        }

        fn start(
            &self,
            path: &Path,
            notify: Option<Vec<String>>,
        ) -> (mpsc::Sender<Forget>, JoinHandle<()>) {
            let keeper = Keeper {
                sink: Sink {
                    name: "s".parse().unwrap(),
                    kind: SinkKind::Json,
                    role: "app".parse().unwrap(),
                    path: path.to_owned(),
                    profile: None,
                    access: SocketAccess {
                        mode: 0o600,
                        mode_is_set: true,
                        owner: None,
                        group: None,
                    },
                    notify,
                },
                role: self.context.store.role("app").unwrap(),
                clock: Arc::clone(&self.context.clock),
                metrics: Arc::clone(&self.context.metrics),
                notes: Arc::clone(&self.notes),
            };
            let (forget, forgets) = mpsc::channel(1);
            (forget, tokio::spawn(keeper.run(forgets, false)))
        }

        fn publish(&self, generation: u64) {
            let clock = SystemClock;
            let life = Duration::from_hours(1);
            publish(&self.context.store, &clock, "app", generation, life);
        }
    }

    async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        for _ in 0..500 {
            if is_so() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }

    fn holds(path: &Path, text: &str) -> bool {
        std::fs::read_to_string(path).is_ok_and(|found| found.contains(text))
    }

    #[tokio::test]
    async fn a_file_follows_its_role_and_programs_are_told() {
        let bench = Bench::new();
        let path = bench.directory.path().join("file.json");
        let told = bench.directory.path().join("told");
        let program = bench.directory.path().join("notify");
        std::fs::write(
            &program,
            format!("#!/bin/sh\necho . >> {}\n", told.display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (forget, task) = bench.start(&path, Some(vec![program.display().to_string()]));
        until("written", || holds(&path, "AKID-app-1")).await;
        bench.publish(2);
        until("replaced", || holds(&path, "AKID-app-2")).await;
        until("told twice", || holds(&told, ".\n.\n")).await;

        publish_nothing(&bench.context.store, "app", Refresh::Retrying);
        let (done, is_done) = oneshot::channel();
        forget.send(done).await.unwrap();
        is_done.await.unwrap();
        assert!(!path.exists(), "forgotten");
        bench.publish(3);
        until("written again", || holds(&path, "AKID-app-3")).await;
        task.abort();
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_said_and_tried_again() {
        let bench = Bench::new();
        let directory = bench.directory.path().join("later");
        let path = directory.join("file.json");
        let (_forget, task) = bench.start(&path, None);
        until("noted", || bench.notes.all().len() == 1).await;
        let note = bench.notes.all().remove(0);
        assert!(
            note.contains("sink `s`") && note.contains("does not exist"),
            "{note}"
        );
        std::fs::create_dir(&directory).unwrap();
        until("written", || holds(&path, "AKID-app-1")).await;
        until("no longer noted", || bench.notes.all().is_empty()).await;
        assert!(
            bench
                .context
                .metrics
                .encode()
                .unwrap()
                .contains("credvend_sink_errors_total{sink=\"s\"}")
        );
        task.abort();
    }

    #[tokio::test]
    async fn a_role_that_holds_nothing_leaves_the_file_of_an_earlier_run() {
        let bench = Bench::new();
        publish_nothing(&bench.context.store, "app", Refresh::Retrying);
        let path = bench.directory.path().join("file.json");
        std::fs::write(&path, "of an earlier run").unwrap();
        let (_forget, task) = bench.start(&path, None);
        sleep(Duration::from_millis(50)).await;
        assert!(holds(&path, "of an earlier run"));
        bench.publish(4);
        until("written", || holds(&path, "AKID-app-4")).await;
        task.abort();
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let least = |failures| pause_after(failures, 0.0).as_secs_f64();
        assert!((least(1) - 0.5).abs() < 1e-9 && (least(3) - 2.0).abs() < 1e-9);
        assert_eq!(pause_after(1000, 0.999_999).as_secs(), 59);
    }
}
