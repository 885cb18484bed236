//! What providers share, and what outlives them: HTTP clients, budgets, clocks, secrets.
//!
//! A reload makes new providers but keeps this, so that a throttled endpoint stays throttled,
//! a learned clock stays learned, and a key read once is not read again for every role.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Budget;
use super::budgets::Budgets;
use super::endpoint_clock::{EndpointClock, Learned};
use super::key_pair::KeyPair;
use super::meter::Meter;
use super::session::{AfterRefusal, HoldsSession, Session};
use super::signer::Signer;
use super::upstream::{Clients, HttpClient};
use crate::clock::Clock;
use crate::config::model::{Key, Limits, Source, Upstream};
use crate::credentials::{Cloud, HoldsCredentials};
use crate::future::BoxFuture;
use crate::name::Name;
use crate::observe::metrics::Metrics;
use crate::secret::{SecretRef, SecretSource};

/// Finds the role that another one signs with. Asked once per [`super::build`].
pub type SourceRoles = Arc<dyn Fn(&Name) -> Arc<dyn HoldsCredentials> + Send + Sync>;

/// Finds the login that a role's session comes from. Asked once per [`super::build`].
pub type Logins = Arc<dyn Fn(&Name) -> Option<Arc<dyn HoldsSession>> + Send + Sync>;

/// One per daemon.
pub struct BuildContext {
    clock: Arc<dyn Clock>,
    clients: Clients,
    configured: Mutex<Configured>,
    budgets: Arc<Budgets>,
    metrics: Arc<Metrics>,
    endpoint_clocks: Mutex<BTreeMap<String, Arc<EndpointClock>>>,
    /// Of an earlier process, for endpoints that nobody uses yet.
    learned_before: Mutex<BTreeMap<String, Learned>>,
    secrets: Mutex<BTreeMap<SecretRef, Arc<SecretSource>>>,
    logins: Mutex<Option<Logins>>,
}

/// What a reload replaces.
struct Configured {
    keys: BTreeMap<Name, Key>,
    source_roles: SourceRoles,
}

impl BuildContext {
    /// Knows the keys and limits of one configuration; does no I/O.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        keys: BTreeMap<Name, Key>,
        limits: Limits,
        source_roles: SourceRoles,
    ) -> Self {
        Self {
            budgets: Arc::new(Budgets::new(Arc::clone(&clock), limits)),
            metrics: Arc::default(),
            clock,
            clients: Clients::default(),
            configured: Mutex::new(Configured { keys, source_roles }),
            endpoint_clocks: Mutex::default(),
            learned_before: Mutex::default(),
            secrets: Mutex::default(),
            logins: Mutex::default(),
        }
    }

    /// Counts there what providers ask beside minting.
    #[must_use]
    pub fn counting_in(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// For others who call the same endpoints.
    #[must_use]
    pub fn budgets(&self) -> Arc<Budgets> {
        Arc::clone(&self.budgets)
    }

    /// What is built from here on finds its login there. Before, nobody is signed in anywhere.
    pub fn set_logins(&self, logins: Logins) {
        *lock(&self.logins) = Some(logins);
    }

    /// A reload: what is built from here on uses these keys and roles, and budgets that are in
    /// use change their rate at once. What nobody uses any more is dropped.
    pub fn reconfigure(
        &self,
        keys: BTreeMap<Name, Key>,
        limits: Limits,
        source_roles: SourceRoles,
    ) {
        self.budgets.reconfigure(limits);
        lock(&self.endpoint_clocks).retain(|_, clock| Arc::strong_count(clock) > 1);
        self.clients.prune();
        lock(&self.secrets).retain(|_, source| Arc::strong_count(source) > 1);
        *lock(&self.configured) = Configured { keys, source_roles };
    }

    /// How many seconds each endpoint's clock is ahead of this host's, by its host; those that
    /// never answered are left out.
    #[must_use]
    pub fn clock_skews(&self) -> Vec<(String, i64)> {
        lock(&self.endpoint_clocks)
            .iter()
            .filter_map(|(endpoint, clock)| Some((endpoint.clone(), clock.skew()?)))
            .collect()
    }

    /// What refusals taught about endpoints' clocks, by their hosts, to be kept for the next
    /// process of this boot.
    #[must_use]
    pub fn learned_clocks(&self) -> BTreeMap<String, Learned> {
        let clocks = lock(&self.endpoint_clocks);
        let learned = clocks
            .iter()
            .filter_map(|(endpoint, clock)| Some((endpoint.clone(), clock.learned()?)));
        learned.collect()
    }

    /// What an earlier process of this boot learned. It counts for endpoints that come into use
    /// until this is called again.
    pub fn restore_clocks(&self, learned: BTreeMap<String, Learned>) {
        *lock(&self.learned_before) = learned;
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn client(&self, settings: &Upstream) -> Arc<HttpClient> {
        self.clients.get(settings)
    }

    pub(super) fn budget(&self, cloud: Cloud, endpoint: &str, action: &'static str) -> Arc<Budget> {
        self.budgets.of(cloud, endpoint, action)
    }

    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.budgets(), Arc::clone(&self.metrics))
    }

    pub(super) fn endpoint_clock(&self, endpoint: &str) -> Arc<EndpointClock> {
        let mut clocks = lock(&self.endpoint_clocks);
        let clock = clocks.entry(endpoint.to_owned()).or_insert_with(|| {
            let before = lock(&self.learned_before).remove(endpoint);
            let learned = before.filter(|learned| learned.still_counts(&*self.clock));
            Arc::new(EndpointClock::new(learned))
        });
        Arc::clone(clock)
    }

    pub(super) fn secret(&self, reference: &SecretRef) -> Arc<SecretSource> {
        let mut secrets = lock(&self.secrets);
        let source = secrets
            .entry(reference.clone())
            .or_insert_with(|| Arc::new(SecretSource::new(reference.clone())));
        Arc::clone(source)
    }

    pub(super) fn login(&self, name: &Name) -> Arc<dyn HoldsSession> {
        let find = lock(&self.logins).clone();
        find.and_then(|find| find(name))
            .unwrap_or_else(|| Arc::new(NobodySignedIn(name.clone())))
    }

    pub(super) fn signer(&self, source: &Source) -> Signer {
        match source {
            Source::Key(name) => {
                let key = lock(&self.configured)
                    .keys
                    .get(name)
                    .cloned()
                    .expect("a valid configuration defines every key that a role names");
                let (id, secret) = (self.secret(&key.id), self.secret(&key.secret));
                Signer::Key {
                    name: name.clone(),
                    pair: Arc::new(KeyPair::new(id, secret, self.clock())),
                }
            }
            Source::Role(name) => {
                let find = Arc::clone(&lock(&self.configured).source_roles);
                Signer::Role {
                    name: name.clone(),
                    holder: find(name),
                }
            }
        }
    }
}

/// A login of a process that keeps no sessions, such as `check --online`.
#[derive(Debug)]
struct NobodySignedIn(Name);

impl HoldsSession for NobodySignedIn {
    fn name(&self) -> &Name {
        &self.0
    }

    fn session(&self) -> Option<Arc<Session>> {
        None
    }

    fn refused<'a>(&'a self, _session: &'a Arc<Session>) -> BoxFuture<'a, AfterRefusal> {
        Box::pin(std::future::ready(AfterRefusal::Ended))
    }
}

impl fmt::Debug for BuildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{BuildContext, SourceRoles};
    use crate::clock::Clock;
    use crate::clock::testing::TestClock;
    use crate::config::model::{CloudLimits, Limits};
    use crate::credentials::Cloud;
    use crate::secret::SecretRef;

    fn limits(tencent: f64) -> Limits {
        let limits = |default| CloudLimits {
            default,
            actions: BTreeMap::from([("get-caller-identity".to_owned(), 20.0)]),
        };
        Limits {
            tencent: limits(tencent),
            huawei: limits(10.0),
        }
    }

    fn no_roles() -> SourceRoles {
        Arc::new(|name| panic!("nobody signs with role `{name}` here"))
    }

    fn context() -> BuildContext {
        let clock = Arc::new(TestClock::start());
        BuildContext::new(clock, BTreeMap::new(), limits(50.0), no_roles())
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_is_shared_per_endpoint_and_action_and_follows_a_reload() {
        let context = context();
        let mint = context.budget(Cloud::Tencent, "a.example", "assume-role");
        let identity = context.budget(Cloud::Tencent, "a.example", "get-caller-identity");
        assert!(Arc::ptr_eq(
            &mint,
            &context.budget(Cloud::Tencent, "a.example", "assume-role")
        ));
        assert!(!Arc::ptr_eq(
            &mint,
            &context.budget(Cloud::Tencent, "b.example", "assume-role")
        ));
        assert!((mint.rate() - 50.0).abs() < f64::EPSILON);
        assert!((identity.rate() - 20.0).abs() < f64::EPSILON);

        mint.throttled(mint.acquire().await);
        assert!((mint.rate() - 25.0).abs() < f64::EPSILON);
        assert!((identity.rate() - 20.0).abs() < f64::EPSILON, "within 25");
        context.reconfigure(BTreeMap::new(), limits(8.0), no_roles());
        assert!((mint.rate() - 4.0).abs() < f64::EPSILON, "still halved");
        assert!(
            (identity.rate() - 4.0).abs() < f64::EPSILON,
            "no more than its endpoint"
        );
        assert!(Arc::ptr_eq(
            &mint,
            &context.budget(Cloud::Tencent, "a.example", "assume-role")
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_shared_while_somebody_uses_it() {
        let context = context();
        let reference = SecretRef::File(PathBuf::from("/nowhere"));
        let source = context.secret(&reference);
        assert!(Arc::ptr_eq(&source, &context.secret(&reference)));
        drop(source);
        context.reconfigure(BTreeMap::new(), limits(50.0), no_roles());
        assert!(context.secrets.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_measured_clocks_are_shown() {
        let context = context();
        let clock = context.endpoint_clock("a.example");
        assert_eq!(context.clock_skews(), []);
        let now = context.clock().wall();
        clock.measure(now + Duration::from_secs(9), now);
        assert_eq!(context.clock_skews(), [("a.example".to_owned(), 9)]);
        context.reconfigure(BTreeMap::new(), limits(50.0), no_roles());
        assert_eq!(context.clock_skews().len(), 1, "somebody uses it");
        drop(clock);
        context.reconfigure(BTreeMap::new(), limits(50.0), no_roles());
        assert_eq!(context.clock_skews(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_learned_clock_is_handed_on_until_the_hosts_is_set() {
        let clock = Arc::new(TestClock::start());
        let context = || {
            let clock = Arc::<TestClock>::clone(&clock);
            BuildContext::new(clock, BTreeMap::new(), limits(50.0), no_roles())
        };
        let hour = Duration::from_hours(1);
        let first = context();
        let of_a = first.endpoint_clock("a.example");
        let _of_b = first.endpoint_clock("b.example");
        of_a.learn(clock.wall() + hour, &*clock);
        let kept = first.learned_clocks();
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a.example"]);

        let stamped = |context: &BuildContext| {
            let its_clock = context.endpoint_clock("a.example");
            assert_eq!(its_clock.skew(), None, "it is not measured yet");
            let its_now = its_clock.now(clock.wall());
            its_now.duration_since(clock.wall()).unwrap()
        };
        let second = context();
        second.restore_clocks(kept.clone());
        assert_eq!(stamped(&second), hour);
        assert_eq!(second.learned_clocks(), kept, "for the one after it");

        let third = context();
        third.restore_clocks(kept);
        clock.step_wall(hour);
        assert_eq!(stamped(&third), Duration::ZERO, "somebody set it right");
    }
}
