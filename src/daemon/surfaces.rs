//! The admin socket and the metrics address: the two ways in that vend nothing. Each works or
//! fails alone; one that cannot be opened is tried again, and told about in `status`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::metrics_access::MetricsAccess;
use crate::admin::metrics_server::Health;
use crate::admin::{Operations, metrics_server, server};
use crate::clock::Clock;
use crate::config::model::{Admin, Config, Metrics as MetricsAddress, Principals};
use crate::listener::bind;
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;

/// Pause between attempts to open a way in.
const RETRY: Duration = Duration::from_secs(2);
/// How long a way in may take to let its answers finish when it is closed.
const CLOSING: Duration = Duration::from_secs(1);

/// Both ways in.
#[derive(Debug, Default)]
pub(super) struct Surfaces {
    admin: Mutex<Option<Open<Admin>>>,
    metrics: Mutex<Option<Open<MetricsAddress>>>,
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
    pub(super) clock: Arc<dyn Clock>,
    pub(super) audit: Arc<Audit>,
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

impl Surfaces {
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
        self.change(&self.admin, Some(admin), same_socket, |settings, stop| {
            keep_admin(behind.clone(), settings, Arc::clone(&self.troubles), stop)
        })
        .await;
        let same = |open: &MetricsAddress, wanted: &MetricsAddress| open == wanted;
        let metrics = config.metrics.clone();
        self.change(&self.metrics, metrics, same, |settings, stop| {
            keep_metrics(behind.clone(), settings, Arc::clone(&self.troubles), stop)
        })
        .await;
    }

    /// Stops accepting; answers under way are finished by their own tasks.
    pub(super) fn stop(&self) {
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
        keep: impl FnOnce(S, CancellationToken) -> F,
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
        }
        let Some(settings) = wanted else { return };
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(settings.clone(), stop.clone()));
        *lock(place) = Some(Open {
            settings,
            stop,
            task,
        });
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
    settings: Admin,
    troubles: Arc<Troubles>,
    stop: CancellationToken,
) {
    const WHAT: &str = "the admin socket cannot be opened";
    loop {
        let opened = bind::unix(&settings.socket, &settings.access)
            .map_err(|error| error.to_string())
            .and_then(|(listener, path)| match UnixListener::from_std(listener) {
                Ok(listener) => Ok((listener, path)),
                Err(error) => Err(error.to_string()),
            });
        match opened {
            Ok((listener, _path)) => {
                troubles.over(WHAT);
                let (operations, operators) = (behind.operations, behind.operators);
                return server::serve(listener, operations, operators, stop).await;
            }
            Err(error) => troubles.tell(WHAT, &error),
        }
        if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
            return;
        }
    }
}

async fn keep_metrics(
    behind: Behind,
    settings: MetricsAddress,
    troubles: Arc<Troubles>,
    stop: CancellationToken,
) {
    const WHAT: &str = "the metrics address cannot be opened";
    loop {
        let access = MetricsAccess::new(
            &settings,
            Arc::clone(&behind.clock),
            Arc::clone(&behind.metrics),
            Arc::clone(&behind.audit),
        );
        let opened = access.and_then(|access| {
            let listener = bind::tcp(settings.address).map_err(|error| error.to_string())?;
            Ok((listener, access))
        });
        match opened {
            Ok((listener, access)) => {
                troubles.over(WHAT);
                let guard = move |peer: SocketAddr, head: &_| access.check(peer, head);
                let (metrics, health) = (behind.metrics, behind.health);
                return metrics_server::serve(listener, metrics, health, guard, stop).await;
            }
            Err(error) => troubles.tell(WHAT, &error),
        }
        if stop.run_until_cancelled(sleep(RETRY)).await.is_none() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
