//! The refreshers of all configured roles, and how a new configuration is applied to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::model::{self, Config, Source};
use crate::credentials::{CredentialSet, HoldsCredentials};
use crate::login::Logins;
use crate::name::Name;
use crate::observe::metrics::EndpointLabels;
use crate::provider::budgets::Budgets;
use crate::provider::endpoint_clock::Learned;
use crate::provider::{self, BuildContext, Provider, SourceRoles};
use crate::refresh::state::Resumed;
use crate::refresh::{Handle, Refresher, Settings, Shared, SignedIn};
use crate::schedule::Tuning;
use crate::stamp::Stamp;
use crate::store::{Refresh, Role, Store};

/// Every role's refresher, by name.
#[derive(Debug)]
pub(super) struct Roles {
    store: Arc<Store>,
    shared: Shared,
    context: BuildContext,
    /// The newest role of each name, for those who sign with it. Filled before the store is, as
    /// a chain is built from its source upwards.
    sources: Sources,
    entries: Mutex<BTreeMap<Name, Entry>>,
    tasks: Mutex<JoinSet<()>>,
    /// What an earlier process held, until its role is started.
    restored: Mutex<BTreeMap<Name, Resumed>>,
}

type Sources = Arc<Mutex<BTreeMap<Name, Arc<Role>>>>;

#[derive(Clone, Debug)]
struct Entry {
    config: model::Role,
    handle: Handle,
    provider: Arc<dyn Provider>,
    /// The files behind the provider as they were before it first read them.
    files: Vec<(PathBuf, Option<Stamp>)>,
    stop: CancellationToken,
}

/// One role's files, each as it was before the role first read it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) handle: Handle,
    pub(super) files: Vec<(PathBuf, Option<Stamp>)>,
}

/// One role as others in the daemon deal with it.
#[derive(Clone, Debug)]
pub(super) struct Managed {
    pub(super) config: model::Role,
    pub(super) handle: Handle,
    pub(super) provider: Arc<dyn Provider>,
}

impl Roles {
    /// No role yet; [`Self::apply`] brings them.
    #[must_use]
    pub(super) fn new(store: Arc<Store>, shared: Shared, config: &Config) -> Self {
        let sources = Sources::default();
        let context = BuildContext::new(
            Arc::clone(&shared.clock),
            config.keys.clone(),
            config.limits.clone(),
            resolver(&sources),
        )
        .counting_in(Arc::clone(&shared.metrics));
        Self {
            store,
            shared,
            context,
            sources,
            entries: Mutex::default(),
            tasks: Mutex::default(),
            restored: Mutex::default(),
        }
    }

    /// Sets that roles of these names begin with, and what was learned about the clocks of
    /// endpoints they call, if they are started by the next [`Self::apply`].
    pub(super) fn restore(&self, sets: BTreeMap<Name, Resumed>, clocks: BTreeMap<String, Learned>) {
        *lock(&self.restored) = sets;
        self.context.restore_clocks(clocks);
    }

    /// Makes the running roles those of `config`: starts, retunes and stops what differs. A role
    /// whose identity changed starts empty; every other keeps what it holds. Must run inside the
    /// runtime that is to refresh.
    pub(super) async fn apply(&self, config: &Config) {
        self.context.reconfigure(
            config.keys.clone(),
            config.limits.clone(),
            resolver(&self.sources),
        );
        // Those of endpoints that are called no more must go; the others are shown again in a moment.
        self.shared.metrics.upstream_clock_skew.clear();
        self.show_clock_skews();
        let old = lock(&self.entries).clone();
        let mut new = BTreeMap::new();
        let mut retuned = Vec::new();
        for role in sources_first(&config.roles) {
            let entry = match old.get(&role.name) {
                Some(entry) if entry.config.fingerprint == role.fingerprint => {
                    let entry = self.keep(entry, role, &new);
                    retuned.push(entry.clone());
                    entry
                }
                Some(_) | None => self.start(role, &new),
            };
            new.insert(role.name.clone(), entry);
        }
        self.store.replace(
            new.iter()
                .map(|(name, entry)| (name.clone(), Arc::clone(entry.handle.role())))
                .collect(),
        );
        for (name, entry) in &old {
            let stays = new
                .get(name)
                .is_some_and(|now| Arc::ptr_eq(now.handle.role(), entry.handle.role()));
            if !stays {
                entry.stop.cancel();
                entry.handle.role().superseded();
            }
            if !new.contains_key(name) {
                self.shared.metrics.forget_role(name.as_str());
            }
        }
        lock(&self.sources).retain(|name, _| new.contains_key(name));
        let unchanged = |entry: &Entry| {
            let before = old.get(&entry.config.name).map(|old| &old.config);
            before == Some(&entry.config) && is_well(entry.handle.role())
        };
        let settings: Vec<_> = retuned
            .into_iter()
            .filter(|entry| !unchanged(entry))
            .map(|entry| (entry.handle.clone(), settings(&entry, &new)))
            .collect();
        *lock(&self.entries) = new;
        self.restore(BTreeMap::new(), BTreeMap::new());
        self.shared.changed.notify_one();
        for (handle, settings) in settings {
            handle.retune(settings).await;
        }
    }

    /// Roles that are built from here on find their logins there.
    pub(super) fn find_logins_in(&self, logins: &Arc<Logins>) {
        let logins = Arc::clone(logins);
        self.context
            .set_logins(Arc::new(move |name| Some(logins.holder(name))));
    }

    /// What calls count against, for those who call the same endpoints.
    pub(super) fn budgets(&self) -> Arc<Budgets> {
        self.context.budgets()
    }

    /// The session of a login changed: its roles try again, within their budgets.
    pub(super) async fn login_changed(&self, login: &Name, signed_in: SignedIn) {
        for managed in self.all() {
            if managed.config.provider.login() == Some(login) {
                managed.handle.session_changed(signed_in).await;
            }
        }
    }

    /// Every role, in the order of their names.
    #[must_use]
    pub(super) fn all(&self) -> Vec<Managed> {
        lock(&self.entries).values().map(Entry::managed).collect()
    }

    /// Every role after the one it signs with.
    #[must_use]
    pub(super) fn sources_first(&self) -> Vec<Managed> {
        let entries = lock(&self.entries);
        let roles = entries
            .iter()
            .map(|(name, entry)| (name.clone(), entry.config.clone()))
            .collect();
        sources_first(&roles)
            .into_iter()
            .filter_map(|role| entries.get(&role.name).map(Entry::managed))
            .collect()
    }

    /// The role of that name.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<Managed> {
        lock(&self.entries).get(name).map(Entry::managed)
    }

    /// What refusals taught about the clocks of endpoints.
    pub(super) fn learned_clocks(&self) -> BTreeMap<String, Learned> {
        self.context.learned_clocks()
    }

    /// Sets the gauges to what each endpoint's clock showed last.
    pub(super) fn show_clock_skews(&self) {
        for (endpoint, seconds) in self.context.clock_skews() {
            #[expect(clippy::cast_precision_loss, reason = "an offset fits 52 bits")]
            self.shared
                .metrics
                .upstream_clock_skew
                .get_or_create(&EndpointLabels { endpoint })
                .set(seconds as f64);
        }
    }

    /// Files whose change concerns a role.
    #[must_use]
    pub(super) fn watched_files(&self) -> Vec<Watched> {
        lock(&self.entries)
            .values()
            .map(|entry| Watched {
                handle: entry.handle.clone(),
                files: entry.files.clone(),
            })
            .collect()
    }

    /// Resolves if a refresher ends by a bug. None is meant to end while it is configured.
    pub(super) async fn failure(&self) -> tokio::task::JoinError {
        std::future::poll_fn(|context| {
            let mut tasks = lock(&self.tasks);
            loop {
                match tasks.poll_join_next(context) {
                    std::task::Poll::Ready(Some(Err(error))) if error.is_panic() => {
                        return std::task::Poll::Ready(error);
                    }
                    std::task::Poll::Ready(Some(_)) => {}
                    // A role that is added later wakes nobody here; the caller asks again often.
                    std::task::Poll::Ready(None) | std::task::Poll::Pending => {
                        return std::task::Poll::Pending;
                    }
                }
            }
        })
        .await
    }

    fn start(&self, role: &model::Role, started: &BTreeMap<Name, Entry>) -> Entry {
        let state = Arc::new(Role::new(
            role.name.clone(),
            role.cloud,
            Arc::clone(&self.shared.clock),
        ));
        lock(&self.sources).insert(role.name.clone(), Arc::clone(&state));
        let provider = provider::build(role, &self.context);
        let files = stamped(&*provider);
        let settings = Settings {
            provider: Arc::clone(&provider),
            tuning: tuning(role),
            expected_account: role.expected_account.clone(),
            lazy: role.lazy,
            source: source(role, started),
        };
        let (mut refresher, handle) = Refresher::new(state, settings, self.shared.clone());
        if let Some(kept) = lock(&self.restored).remove(&role.name) {
            refresher.resume(kept);
        }
        let stop = CancellationToken::new();
        lock(&self.tasks).spawn(refresher.run(stop.clone()));
        Entry {
            config: role.clone(),
            handle,
            provider,
            files,
            stop,
        }
    }

    fn keep(&self, entry: &Entry, role: &model::Role, started: &BTreeMap<Name, Entry>) -> Entry {
        let same = entry.config == *role;
        debug_assert!(source(role, started).is_some() == role_source(role).is_some());
        if same {
            // What a provider has learned, it keeps where nothing changed, but for the cap of the
            // session length: whoever raised it may have reloaded for that.
            entry.provider.reset_ladder();
            return entry.clone();
        }
        let provider = provider::build(role, &self.context);
        Entry {
            config: role.clone(),
            files: stamped(&*provider),
            provider,
            ..entry.clone()
        }
    }
}

impl Entry {
    fn managed(&self) -> Managed {
        Managed {
            config: self.config.clone(),
            handle: self.handle.clone(),
            provider: Arc::clone(&self.provider),
        }
    }
}

fn settings(entry: &Entry, entries: &BTreeMap<Name, Entry>) -> Settings {
    Settings {
        provider: Arc::clone(&entry.provider),
        tuning: tuning(&entry.config),
        expected_account: entry.config.expected_account.clone(),
        lazy: entry.config.lazy,
        source: source(&entry.config, entries),
    }
}

fn stamped(provider: &dyn Provider) -> Vec<(PathBuf, Option<Stamp>)> {
    let files = provider.watched_files().into_iter();
    files
        .map(|path| {
            let stamp = Stamp::of(&path);
            (path, stamp)
        })
        .collect()
}

fn tuning(role: &model::Role) -> Tuning {
    Tuning {
        refresh_ahead: role.refresh_ahead,
        min_remaining: role.min_remaining,
    }
}

fn source(role: &model::Role, entries: &BTreeMap<Name, Entry>) -> Option<Handle> {
    let name = role_source(role)?;
    entries.get(name).map(|entry| entry.handle.clone())
}

fn role_source(role: &model::Role) -> Option<&Name> {
    match role.provider.source()? {
        Source::Role(name) => Some(name),
        Source::Key(_) => None,
    }
}

/// A reload tries what failed at once, and leaves alone what is well.
fn is_well(role: &Role) -> bool {
    matches!(role.view().refresh, Refresh::Idle | Refresh::Resting)
}

/// Every role after the one it signs with. The configuration holds no cycle.
fn sources_first(roles: &BTreeMap<Name, model::Role>) -> Vec<&model::Role> {
    let mut ordered: Vec<&model::Role> = roles.values().collect();
    ordered.sort_by_key(|role| depth(role, roles));
    ordered
}

fn depth(role: &model::Role, roles: &BTreeMap<Name, model::Role>) -> usize {
    let mut depth = 0;
    let mut at = role;
    while let Some(source) = role_source(at).and_then(|name| roles.get(name)) {
        depth += 1;
        if depth > roles.len() {
            break;
        }
        at = source;
    }
    depth
}

fn resolver(sources: &Sources) -> SourceRoles {
    let sources = Arc::clone(sources);
    Arc::new(move |name| match lock(&sources).get(name) {
        Some(role) => Arc::clone(role) as Arc<dyn HoldsCredentials>,
        None => Arc::new(HoldsNothing),
    })
}

/// Stands in for a role that is not there. The configuration rules that out.
#[derive(Debug)]
struct HoldsNothing;

impl HoldsCredentials for HoldsNothing {
    fn valid_set(&self) -> Option<Arc<CredentialSet>> {
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
