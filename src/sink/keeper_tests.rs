use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::task::JoinHandle;

use super::*;
use crate::clock::SystemClock;
use crate::config::model::{SinkKind, SocketAccess};
use crate::listener::Context;
use crate::listener::tests::support::{context, publish, publish_nothing};
use crate::sink::Turns;
use crate::store::Refresh;

struct Bench {
    context: Arc<Context>,
    notes: Arc<Notes>,
    turns: Turns,
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self {
            context: context(&clock),
            notes: Arc::default(),
            turns: Turns::default(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn sink(path: &Path) -> Sink {
        Sink {
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
            notify: None,
        }
    }

    fn keeper(&self, sink: Sink) -> Keeper {
        Keeper {
            role: self.context.store.role(sink.role.as_str()).unwrap(),
            clock: Arc::clone(&self.context.clock),
            metrics: Arc::clone(&self.context.metrics),
            notes: Arc::clone(&self.notes),
            turn: self.turns.at(&sink.path),
            emptying: Arc::default(),
            stop: CancellationToken::new(),
            sink,
        }
    }

    fn start(
        &self,
        path: &Path,
        notify: Option<Vec<String>>,
    ) -> (mpsc::Sender<Forget>, JoinHandle<()>) {
        let sink = Sink {
            notify,
            ..Self::sink(path)
        };
        let (forget, forgets) = mpsc::channel(1);
        (forget, tokio::spawn(self.keeper(sink).run(forgets)))
    }

    /// A sink of its own section in a file that others have sections in.
    fn start_section(&self, path: &Path, role: &str) -> (mpsc::Sender<Forget>, JoinHandle<()>) {
        let sink = Sink {
            name: format!("of-{role}").parse().unwrap(),
            kind: SinkKind::AwsCredentials,
            role: role.parse().unwrap(),
            profile: Some(role.to_owned()),
            ..Self::sink(path)
        };
        let (forget, forgets) = mpsc::channel(1);
        (forget, tokio::spawn(self.keeper(sink).run(forgets)))
    }

    fn program(&self, script: &str) -> Vec<String> {
        let program = self.directory.path().join("notify");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        vec![program.display().to_string()]
    }

    fn publish(&self, generation: u64) {
        self.publish_for("app", generation);
    }

    fn publish_for(&self, role: &str, generation: u64) {
        let life = Duration::from_hours(1);
        publish(&self.context.store, &SystemClock, role, generation, life);
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

async fn ask(forget: &mpsc::Sender<Forget>) -> Result<(), String> {
    let (done, is_done) = oneshot::channel();
    forget.send(done).await.unwrap();
    is_done.await.unwrap()
}

fn holds(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found.contains(text))
}

#[tokio::test]
async fn a_file_follows_its_role_and_programs_are_told() {
    let bench = Bench::new();
    let path = bench.directory.path().join("file.json");
    let told = bench.directory.path().join("told");
    let program = bench.program(&format!("echo . >> {}", told.display()));
    let (forget, task) = bench.start(&path, Some(program));
    until("written", || holds(&path, "AKID-app-1")).await;
    bench.publish(2);
    until("replaced", || holds(&path, "AKID-app-2")).await;
    until("told twice", || holds(&told, ".\n.\n")).await;

    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    assert_eq!(ask(&forget).await, Ok(()));
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
    fs::create_dir(&directory).unwrap();
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
    fs::write(&path, "of an earlier run").unwrap();
    let (_forget, task) = bench.start(&path, None);
    sleep(Duration::from_millis(50)).await;
    assert!(holds(&path, "of an earlier run"));
    bench.publish(4);
    until("written", || holds(&path, "AKID-app-4")).await;
    task.abort();
}

#[tokio::test]
async fn sinks_that_share_a_file_keep_each_others_sections() {
    let bench = Bench::new();
    let path = bench.directory.path().join("credentials");
    let (forget, app) = bench.start_section(&path, "app");
    let (_forget, other) = bench.start_section(&path, "other");
    for generation in 2..40 {
        bench.publish_for("app", generation);
        bench.publish_for("other", generation);
        until("both are there", || {
            let is_there = |role| holds(&path, &format!("AKID-{role}-{generation}\n"));
            is_there("app") && is_there("other")
        })
        .await;
    }
    // What is forgotten is not put back by the other one, which writes at the same time.
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    bench.publish_for("other", 40);
    assert_eq!(ask(&forget).await, Ok(()));
    until("the other goes on", || holds(&path, "AKID-other-40\n")).await;
    assert!(!holds(&path, "AKID-app"), "put back");
    app.abort();
    other.abort();
}

#[tokio::test]
async fn a_stopped_sink_writes_nothing_more() {
    let bench = Bench::new();
    let path = bench.directory.path().join("file.json");
    let keeper = bench.keeper(Bench::sink(&path));
    let (turn, stop) = (Arc::clone(&keeper.turn), keeper.stop.clone());
    let (release, released) = std::sync::mpsc::channel::<()>();
    let successor = std::thread::spawn({
        let turn = Arc::clone(&turn);
        move || {
            let _turn = turn.lock().unwrap();
            released.recv().ok();
        }
    });
    until("its successor has the turn", || turn.try_lock().is_err()).await;
    let (_forget, forgets) = mpsc::channel(1);
    let task = tokio::spawn(keeper.run(forgets));
    // Long enough for it to wait for its turn.
    sleep(Duration::from_millis(50)).await;
    stop.cancel();
    release.send(()).unwrap();
    successor.join().unwrap();
    task.await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn whoever_wants_a_set_gone_learns_that_it_is_not() {
    let bench = Bench::new();
    let directory = bench.directory.path().join("open");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("file.json");
    let (forget, task) = bench.start(&path, None);
    until("written", || holds(&path, "AKID-app-1")).await;
    let allow = |mode| {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(0o777);
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    let why = ask(&forget).await.unwrap_err();
    assert!(why.contains("written by others"), "{why}");
    assert!(holds(&path, "AKID-app-1"));
    allow(0o755);
    until("emptied later", || !path.exists()).await;
    task.abort();
}

#[tokio::test]
async fn a_file_that_was_never_there_holds_nothing() {
    let bench = Bench::new();
    let path = bench.directory.path().join("nowhere").join("file.json");
    let (forget, task) = bench.start(&path, None);
    until("noted", || !bench.notes.all().is_empty()).await;
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    assert_eq!(ask(&forget).await, Ok(()));
    task.abort();
}

#[tokio::test]
async fn forgetting_does_not_wait_for_a_program_that_is_being_told() {
    let bench = Bench::new();
    let path = bench.directory.path().join("file.json");
    let (forget, task) = bench.start(&path, Some(bench.program("sleep 5")));
    until("written", || holds(&path, "AKID-app-1")).await;
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    let begun = tokio::time::Instant::now();
    assert_eq!(ask(&forget).await, Ok(()));
    assert!(!path.exists());
    assert!(begun.elapsed() < Duration::from_secs(3));
    task.abort();
}

#[tokio::test]
async fn a_sink_wakes_a_role_at_rest_and_demands_nothing_of_one_that_is_awake() {
    let bench = Bench::new();
    let path = bench.directory.path().join("file.json");
    let role = bench.context.store.role("app").unwrap();
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    let (_forget, task) = bench.start(&path, None);
    let demanded = || tokio::time::timeout(Duration::from_millis(100), role.demand.notified());
    assert!(demanded().await.is_err());
    publish_nothing(&bench.context.store, "app", Refresh::Retrying);
    assert!(demanded().await.is_err());
    publish_nothing(&bench.context.store, "app", Refresh::Resting);
    assert!(demanded().await.is_ok());
    task.abort();
}

#[test]
fn pauses_grow_to_a_minute() {
    let least = |failures| pause_after(failures, 0.0).as_secs_f64();
    assert!((least(1) - 0.5).abs() < 1e-9 && (least(3) - 2.0).abs() < 1e-9);
    assert_eq!(pause_after(1000, 0.999_999).as_secs(), 59);
}
