//! A configuration with logins, the parts that act on it, and a person who approves.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credvend::clock::SystemClock;
use credvend::config;
use credvend::config::model::Config;
use credvend::credentials::Obtained;
use credvend::emulator::{Decision, Emulator, EmulatorConfig, Running};
use credvend::login::{Login, Logins, Shelf, SignIn, Stage};
use credvend::observe::audit::Peer;
use credvend::observe::metrics::Metrics;
use credvend::provider::error::ProviderError;
use credvend::provider::{BuildContext, Provider, build};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Accounts of the emulator's portals.
pub(crate) const TEAM_A: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f0";
pub(crate) const TEAM_B: &str = "1a1b2c3d4e5f60718293a4b5c6d7e8f1";
pub(crate) const TEAM_C: &str = "2a1b2c3d4e5f60718293a4b5c6d7e8f2";

/// An emulator and a directory.
pub(crate) struct World {
    pub(crate) cloud: Running,
    pub(crate) dir: TempDir,
}

/// What a daemon would have: it is gone when this is dropped, and its files stay.
pub(crate) struct Parts {
    pub(crate) logins: Arc<Logins>,
    pub(crate) metrics: Arc<Metrics>,
    context: BuildContext,
    config: Config,
}

impl World {
    /// Must be called on a runtime.
    pub(crate) fn start() -> Self {
        Self {
            cloud: Emulator::start(EmulatorConfig::example().unwrap()).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn state_directory(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// `[login.corp]` at Huawei with `more` in it, and five roles of three accounts.
    pub(crate) fn huawei(&self, more: &str) -> String {
        let endpoint = self.cloud.endpoint();
        let mut text = format!(
            "{}\n[login.corp.huawei-identity-center]\nstart-url = \"{endpoint}/portal/start\"\n\
             region = \"cn-north-4\"\noidc-endpoint = \"{endpoint}\"\n\
             portal-endpoint = \"{endpoint}\"\n{more}\n",
            self.head()
        );
        for (role, account, set) in [
            ("a-read", TEAM_A, "read-only"),
            ("a-admin", TEAM_A, "admin"),
            ("b-read", TEAM_B, "read-only"),
            ("b-admin", TEAM_B, "admin"),
            ("c-read", TEAM_C, "read-only"),
        ] {
            write!(
                text,
                "[role.{role}.provider.huawei-identity-center]\nlogin = \"corp\"\n\
                 account-id = \"{account}\"\npermission-set = \"{set}\"\n"
            )
            .unwrap();
        }
        text
    }

    /// `[login.corp]` at Tencent with `more` in it, and role `app`.
    pub(crate) fn tencent(&self, more: &str) -> String {
        let endpoint = self.cloud.endpoint();
        format!(
            "{}\n[login.corp.tencent-identity-center]\n\
             portal-url = \"{endpoint}/portal/example/login\"\n\
             gateway-endpoint = \"{endpoint}\"\n{more}\n\
             [role.app.provider.tencent-identity-center]\nlogin = \"corp\"\n\
             account-id = \"100000000001\"\npermission-set = \"read-only\"\n\
             endpoint = \"{endpoint}\"\n",
            self.head()
        )
    }

    fn head(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            "[daemon]\nstate-directory = \"{dir}/state\"\n\
             [admin]\nsocket = \"{dir}/admin.sock\"\n"
        )
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Everything anew from this configuration, as after a restart.
    pub(crate) fn parts(&self, config: &str) -> Parts {
        self.parts_with(config, Arc::default())
    }

    /// The same with what memory kept of an earlier one.
    pub(crate) fn parts_with(&self, config: &str, kept: Arc<Shelf>) -> Parts {
        let path = self.write("config.toml", config);
        let config = load(&path);
        let clock = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::new());
        let logins = Logins::new(
            clock.clone(),
            Arc::clone(&metrics),
            config.daemon.state_directory.clone(),
        );
        let logins = Arc::new(logins.keeping_in(kept));
        let context = BuildContext::new(
            clock,
            config.keys.clone(),
            config.limits.clone(),
            Arc::new(|name| panic!("nobody signs with role `{name}` here")),
        )
        .counting_in(Arc::clone(&metrics));
        let found_in = Arc::clone(&logins);
        context.set_logins(Arc::new(move |name| Some(found_in.holder(name))));
        logins.apply(&config);
        Parts {
            logins,
            metrics,
            context,
            config,
        }
    }

    /// The person decides about the only sign-in there is.
    pub(crate) fn decide(&self, sign_in: &SignIn, decision: Decision) {
        let url = sign_in.challenge.url.expose();
        let shown = url.rsplit_once('=').expect("it ends in a code or state").1;
        assert!(self.cloud.state.decide(shown, decision), "nobody waits");
    }

    /// Somebody signs in from beginning to end.
    pub(crate) async fn sign_in(&self, parts: &Parts) {
        let (sign_in, joined) = parts.corp().sign_in(Peer::default()).await.unwrap();
        assert!(!joined);
        self.decide(&sign_in, Decision::Approve);
        let stage = ended(&sign_in).await;
        assert!(matches!(stage, Stage::SignedIn { .. }), "{stage:?}");
    }
}

fn load(path: &Path) -> Config {
    match config::load(path) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{report}"),
    }
}

impl Parts {
    pub(crate) fn corp(&self) -> Arc<Login> {
        self.logins.get("corp").unwrap()
    }

    pub(crate) fn role(&self, name: &str) -> Arc<dyn Provider> {
        build(&self.config.roles[name], &self.context)
    }

    pub(crate) async fn obtain(&self, role: &str) -> Result<Obtained, ProviderError> {
        self.role(role).provide().await
    }
}

/// How a sign-in ended.
pub(crate) async fn ended(sign_in: &SignIn) -> Stage {
    let mut news = sign_in.watch();
    let ended = news.wait_for(|stage| *stage != Stage::Waiting);
    let stage = tokio::time::timeout(PATIENCE, ended).await;
    stage.expect("in time").expect("it tells").clone()
}
