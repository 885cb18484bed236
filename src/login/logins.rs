//! Every login of the configuration, and a new configuration applied to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::kept::{Login, Shared};
use super::news::News;
use super::shelf::Shelf;
use crate::clock::{Clock, unix_seconds};
use crate::config::model::{Config, Keep};
use crate::future::BoxFuture;
use crate::name::Name;
use crate::observe::metrics::{LoginLabels, Metrics};
use crate::provider::budgets::Budgets;
use crate::provider::meter::Meter;
use crate::provider::session::{AfterRefusal, HoldsSession, Session};
use crate::provider::upstream::Clients;

/// How often clocks and adopted profiles are looked at.
const EVERY: Duration = Duration::from_secs(2);

/// The logins of one daemon.
#[derive(Debug)]
pub struct Logins {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    clients: Arc<Clients>,
    directory: PathBuf,
    shelf: Arc<Shelf>,
    /// Shared with the roles, where there are roles.
    budgets: OnceLock<Arc<Budgets>>,
    /// The sessions are another process's: they are used, and left as they are.
    borrowing: bool,
    entries: Mutex<BTreeMap<Name, Arc<Login>>>,
    news: Arc<News>,
}

impl Logins {
    /// None yet; [`Self::apply`] brings them. Sessions are kept in `directory`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>, directory: PathBuf) -> Self {
        Self {
            clock,
            metrics,
            clients: Arc::default(),
            directory,
            shelf: Arc::default(),
            budgets: OnceLock::new(),
            borrowing: false,
            entries: Mutex::default(),
            news: Arc::default(),
        }
    }

    /// Keeps there what is not to be written to a disk.
    #[must_use]
    pub fn keeping_in(mut self, place: Arc<Shelf>) -> Self {
        self.shelf = place;
        self
    }

    /// Calls the portals within these budgets, instead of some of its own.
    #[must_use]
    pub fn within(self, budgets: Arc<Budgets>) -> Self {
        Self {
            budgets: OnceLock::from(budgets),
            ..self
        }
    }

    /// For a process beside the daemon: nothing is written, renewed, warned of or ended.
    #[must_use]
    pub fn borrowing(mut self) -> Self {
        self.borrowing = true;
        self
    }

    /// Makes the logins those of `config`. A session outlives a reload unless its portal changed.
    pub fn apply(&self, config: &Config) {
        let mut entries = self.entries();
        let old = std::mem::take(&mut *entries);
        let shared = self.shared(config);
        for (name, settings) in &config.logins {
            let login = match old.get(name) {
                Some(login) if login.settings() == settings => Arc::clone(login),
                before => Arc::new(Login::restore(settings.clone(), &shared, before)),
            };
            entries.insert(name.clone(), login);
        }
        for name in old.keys().filter(|name| !entries.contains_key(*name)) {
            self.metrics.forget_login(name.as_str());
        }
        for (name, login) in &old {
            let now = entries.get(name);
            if !now.is_some_and(|now| Arc::ptr_eq(now, login)) {
                login.retire(now);
            }
        }
        self.shelf.retain(|name| {
            let login = config.logins.get(name);
            login.is_some_and(|it| it.keep == Keep::Memory)
        });
        drop(entries);
        drop(old);
        self.clients.prune();
        self.tick();
    }

    /// Resolves when what was begun is done: a refresh token that was used up must bring its session.
    pub async fn settled(&self) {
        for (_, login) in self.all() {
            login.settled_down().await;
        }
    }

    fn shared(&self, config: &Config) -> Shared {
        let fresh = || Arc::new(Budgets::new(Arc::clone(&self.clock), config.limits.clone()));
        let budgets = self.budgets.get_or_init(fresh);
        budgets.reconfigure(config.limits.clone());
        Shared {
            directory: self.directory.clone(),
            shelf: Arc::clone(&self.shelf),
            clients: Arc::clone(&self.clients),
            meter: Meter::new(Arc::clone(budgets), Arc::clone(&self.metrics)),
            clock: Arc::clone(&self.clock),
            news: Arc::clone(&self.news),
            borrowing: self.borrowing,
        }
    }

    /// The login of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Login>> {
        self.entries().get(name).cloned()
    }

    /// Every login, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(Name, Arc<Login>)> {
        let entries = self.entries();
        let all = entries
            .iter()
            .map(|(name, login)| (name.clone(), Arc::clone(login)));
        all.collect()
    }

    /// One sentence per login that somebody should know about.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let all = self.all();
        all.iter().filter_map(|(_, login)| login.notice()).collect()
    }

    /// What roles find the session of a login by, over reloads too.
    #[must_use]
    pub fn holder(self: &Arc<Self>, name: &Name) -> Arc<dyn HoldsSession> {
        Arc::new(ByName {
            logins: Arc::clone(self),
            name: name.clone(),
        })
    }

    /// Looks after the logins and resolves when the roles of one should try again. Safe to drop
    /// and to call again.
    pub async fn changed(&self) -> Name {
        loop {
            self.tick();
            if let Some(name) = self.news.take() {
                return name;
            }
            tokio::select! {
                () = self.news.arrived() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn tick(&self) {
        for (name, login) in self.all() {
            login.tick();
            let labels = LoginLabels {
                login: name.to_string(),
            };
            let ends_at = login.overview().ends_at.map_or(0, unix_seconds);
            #[expect(clippy::cast_precision_loss, reason = "a time fits 52 bits")]
            self.metrics
                .login_expiry
                .get_or_create(&labels)
                .set(ends_at as f64);
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<Login>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The login that has this name at the moment.
#[derive(Debug)]
struct ByName {
    logins: Arc<Logins>,
    name: Name,
}

impl HoldsSession for ByName {
    fn name(&self) -> &Name {
        &self.name
    }

    fn session(&self) -> Option<Arc<Session>> {
        self.logins.get(self.name.as_str())?.session()
    }

    fn refused<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, AfterRefusal> {
        Box::pin(async {
            match self.logins.get(self.name.as_str()) {
                Some(login) => login.refused(session).await,
                None => AfterRefusal::Ended,
            }
        })
    }
}
