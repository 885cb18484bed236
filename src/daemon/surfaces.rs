//! The admin socket and the metrics address: the two ways in that vend nothing. Each works or
//! fails alone; one that cannot be opened is tried again, and told about in `status`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::admin::health::Health;
use crate::admin::metrics_server::Shown;
use crate::admin::whereabouts::{self, Left};
use crate::admin::{Denials, MetricsAccess, Operations, metrics_server, server};
use crate::config::model::{Admin, Config, Metrics as MetricsAddress, Principals};
use crate::listener::token::Tokens;
use crate::listener::{Inherited, SocketFile};
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;

/// Their names at the service manager: no listener can be called so.
const ADMIN: &str = "admin";
const METRICS: &str = "metrics";
/// Pause between attempts to open a way in.
const RETRY: Duration = Duration::from_secs(2);
/// How long a way in may take to let its answers finish when it is closed.
const CLOSING: Duration = Duration::from_secs(1);

/// Both ways in.
#[derive(Debug, Default)]
pub(super) struct Surfaces {
    admin: Mutex<Option<Open<Admin>>>,
    metrics: Mutex<Option<Open<MetricsAddress>>>,
    sockets: Arc<Sockets>,
    troubles: Arc<Troubles>,
    /// Set once. It holds the daemon that holds us: both live as long as the process.
    behind: OnceLock<Behind>,
}

/// What is behind the ways in.
#[derive(Clone, Debug)]
pub(super) struct Behind {
    pub(super) operations: Arc<dyn Operations>,
    pub(super) operators: Arc<ArcSwap<Principals>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) audit: Arc<Audit>,
    /// By which commands know the daemon.
    pub(super) config_file: PathBuf,
}

/// One way in that is kept open as configured.
#[derive(Debug)]
struct Open<S> {
    settings: S,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What is wrong now, by way in.
#[derive(Debug, Default)]
struct Troubles(Mutex<BTreeMap<&'static str, String>>);

/// Where the sockets come from.
#[derive(Debug, Default)]
struct Sockets {
    admin: Mutex<Inherited>,
    metrics: Mutex<Inherited>,
    /// Of the admin socket that is open.
    admin_file: Mutex<Option<SocketFile>>,
    /// For commands that cannot tell from the configuration where it is.
    admin_left: Mutex<Option<Left>>,
}

impl Sockets {
    /// There is to be no metrics address: in a socket that nobody serves, clients would wait.
    fn close_stray_metrics(&self) {
        for _closed in lock(&self.metrics).close_strays(|_| false) {
            tracing::warn!(
                "the service manager opened a socket `{METRICS}`, and there is no [metrics]; \
                 closed: add that table, or disable its socket unit"
            );
        }
    }

    /// The admin socket is to be elsewhere, or otherwise.
    fn release_admin(&self) {
        *lock(&self.admin_left) = None;
        *lock(&self.admin_file) = None;
        lock(&self.admin).release(ADMIN);
    }
}

/// What the task behind one way in needs to know.
#[derive(Debug)]
struct Keeping<S> {
    settings: S,
    /// Told once that the way in is open, or that it cannot be opened.
    tried: Option<oneshot::Sender<()>>,
    stop: CancellationToken,
}

impl<S> Keeping<S> {
    fn has_tried(&mut self) {
        if let Some(tried) = self.tried.take() {
            let _gone = tried.send(());
        }
    }

    /// Waits before the next try; `None` if there is to be none.
    async fn pause(&mut self) -> Option<()> {
        self.has_tried();
        self.stop.run_until_cancelled(sleep(RETRY)).await
    }
}

impl Surfaces {
    /// Takes its sockets out of what was inherited; opens nothing yet.
    pub(super) fn new(inherited: &mut Inherited) -> Self {
        let sockets = Sockets {
            admin: Mutex::new(inherited.split_off(ADMIN)),
            metrics: Mutex::new(inherited.split_off(METRICS)),
            ..Sockets::default()
        };
        Self {
            sockets: Arc::new(sockets),
            ..Self::default()
        }
    }

    /// Opens both for the first time.
    pub(super) async fn open(&self, behind: Behind, config: &Config) {
        self.behind.get_or_init(|| behind);
        self.apply(config).await;
    }

    /// Opens, keeps or closes each as `config` says. What did not change stays open.
    pub(super) async fn apply(&self, config: &Config) {
        let Some(behind) = self.behind.get() else {
            return;
        };
        // Who may operate is changed without opening anything anew.
        let same_socket = |open: &Admin, wanted: &Admin| {
            (&open.socket, &open.access) == (&wanted.socket, &wanted.access)
        };
        let admin = config.admin.clone();
        let release = || self.sockets.release_admin();
        self.change(&self.admin, Some(admin), same_socket, release, |keeping| {
            let (sockets, troubles) = (Arc::clone(&self.sockets), Arc::clone(&self.troubles));
            keep_admin(behind.clone(), sockets, troubles, keeping)
        })
        .await;
        if config.metrics.is_none() {
            self.sockets.close_stray_metrics();
        }
        let same = |open: &MetricsAddress, wanted: &MetricsAddress| open == wanted;
        let metrics = config.metrics.clone();
        let release = || lock(&self.sockets.metrics).release(METRICS);
        self.change(&self.metrics, metrics, same, release, |keeping| {
            let (sockets, troubles) = (Arc::clone(&self.sockets), Arc::clone(&self.troubles));
            keep_metrics(behind.clone(), sockets, troubles, keeping)
        })
        .await;
    }

    /// Stops accepting; answers under way are finished by their own tasks.
    pub(super) fn stop(&self) {
        *lock(&self.sockets.admin_left) = None;
        let file = lock(&self.sockets.admin_file).take();
        if let Some(file) = file {
            file.leave();
        }
        for stop in [
            lock(&self.admin).as_ref().map(|open| open.stop.clone()),
            lock(&self.metrics).as_ref().map(|open| open.stop.clone()),
        ]
        .into_iter()
        .flatten()
        {
            stop.cancel();
        }
    }

    /// One sentence per way in that is not open.
    pub(super) fn troubles(&self) -> Vec<String> {
        lock(&self.troubles.0).values().cloned().collect()
    }

    async fn change<S, F>(
        &self,
        place: &Mutex<Option<Open<S>>>,
        wanted: Option<S>,
        same: impl Fn(&S, &S) -> bool,
        release: impl FnOnce(),
        keep: impl FnOnce(Keeping<S>) -> F,
    ) where
        S: Clone,
        F: Future<Output = ()> + Send + 'static,
    {
        let stays = match (&*lock(place), &wanted) {
            (Some(open), Some(wanted)) => same(&open.settings, wanted),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if stays {
            return;
        }
        let old = lock(place).take();
        if let Some(old) = old {
            old.stop.cancel();
            // The address must be free before it is bound again; a reload is served over the
            // admin socket itself, whose own answer may outlast this.
            let _closed_or_late = tokio::time::timeout(CLOSING, old.task).await;
            // Here and not at the end of that task, which may come after the next has opened.
            release();
        }
        let Some(settings) = wanted else { return };
        let stop = CancellationToken::new();
        let (tried, first) = oneshot::channel();
        let task = tokio::spawn(keep(Keeping {
            settings: settings.clone(),
            tried: Some(tried),
            stop: stop.clone(),
        }));
        *lock(place) = Some(Open {
            settings,
            stop,
            task,
        });
        // Who asked for this may go on to use it.
        let _open_or_in_trouble = first.await;
    }
}

impl Troubles {
    /// Logs a trouble once, however often it is met.
    fn tell(&self, what: &'static str, error: &dyn fmt::Display) {
        let sentence = format!("{what}: {error}");
        let known = lock(&self.0).insert(what, sentence.clone());
        if known.as_ref() != Some(&sentence) {
            tracing::error!("{sentence}; trying again");
        }
    }

    fn over(&self, what: &'static str) {
        lock(&self.0).remove(what);
    }
}

async fn keep_admin(
    behind: Behind,
    sockets: Arc<Sockets>,
    troubles: Arc<Troubles>,
    mut keeping: Keeping<Admin>,
) {
    const WHAT: &str = "the admin socket cannot be opened";
    loop {
        let settings = &keeping.settings;
        let opened = lock(&sockets.admin).unix(ADMIN, &settings.socket, &settings.access);
        match opened {
            Ok((listener, file)) => {
                troubles.over(WHAT);
                *lock(&sockets.admin_file) = Some(file);
                *lock(&sockets.admin_left) =
                    whereabouts::leave(&behind.config_file, &settings.socket);
                keeping.has_tried();
                let denials = Denials::of_admin(behind.metrics, behind.audit);
                let (operations, operators) = (behind.operations, behind.operators);
                return server::serve(listener, operations, operators, denials, keeping.stop).await;
            }
            Err(error) => troubles.tell(WHAT, &error),
        }
        if keeping.pause().await.is_none() {
            return;
        }
    }
}

async fn keep_metrics(
    behind: Behind,
    sockets: Arc<Sockets>,
    troubles: Arc<Troubles>,
    mut keeping: Keeping<MetricsAddress>,
) {
    const WHAT: &str = "the metrics address cannot be opened";
    loop {
        let settings = &keeping.settings;
        let denials = Denials::of_metrics(Arc::clone(&behind.metrics), Arc::clone(&behind.audit));
        let access = MetricsAccess::new(settings, &behind.tokens, denials);
        let opened = access.and_then(|access| {
            let listener = lock(&sockets.metrics).tcp(METRICS, settings.address);
            let listener = listener.map_err(|error| error.to_string())?;
            Ok((listener, access))
        });
        match opened {
            Ok((listener, access)) => {
                troubles.over(WHAT);
                keeping.has_tried();
                let shown = Shown {
                    metrics: behind.metrics,
                    health: behind.health,
                    operations: behind.operations,
                };
                return metrics_server::serve(listener, shown, Arc::new(access), keeping.stop)
                    .await;
            }
            Err(error) => troubles.tell(WHAT, &error),
        }
        if keeping.pause().await.is_none() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::listener::{Origin, Socket};

    #[test]
    fn a_metrics_socket_that_nobody_serves_is_closed() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut inherited = Inherited::new();
        inherited.add(METRICS, Origin::Unit, Socket::Tcp(socket));
        let surfaces = Surfaces::new(&mut inherited);
        assert!(TcpStream::connect(address).is_ok(), "clients would wait");
        surfaces.sockets.close_stray_metrics();
        assert!(TcpStream::connect(address).is_err());
    }
}
