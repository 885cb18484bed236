//! A strict stand-in for the STS of Tencent Cloud and of Huawei Cloud, on loopback, over plain
//! HTTP: behind `credvend dev` and `credvend emulator`, and for tests, ours and other people's.
//!
//! **What it does.** For Tencent Cloud, `POST /` answers AssumeRole, `AssumeRoleWithSAML`,
//! `AssumeRoleWithWebIdentity`, `GetFederationToken` and GetCallerIdentity (version 2018-08-13) in
//! the cloud's own envelope, with its error codes and status 200; the metadata paths of a CVM
//! instance (`/latest/meta-data/cam/security-credentials/…`) are on the same port. For Huawei
//! Cloud there are the paths of STS v5 (`/v5/agencies/assume`, `…/assume-with-oidc`,
//! `…/assume-with-saml`, `/v5/caller-identity`), IAM v3.0 `securitytokens` by agency and an ECS
//! instance's metadata. It checks signatures, clock skew, parameters and their types, session
//! lengths, policies, trust. Keys it issues are random, remembered, and can sign further calls.
//!
//! The Identity Centers of both clouds are there too: Huawei's OIDC and portal API, the gateway of
//! Tencent's command line, and pages below `/portal/` on which a sign-in is approved.
//!
//! **What it leaves out.** GET requests and the older signatures; other actions; the rights of a
//! key (only trust policies decide); rate limits (script them). OIDC tokens are HS256 with a
//! shared key, SAML assertions are not signed, so nothing is proven that a loopback peer could
//! not forge: it refuses to listen anywhere else. Everything is gone when it ends.
//!
//! **Control API**, JSON, for scripts outside the process; [`State`] offers the same inside. What
//! is added or asked of goes by `"cloud": "tencent"` (unless set) or `"huawei"`:
//!
//! | request | does |
//! | --- | --- |
//! | `GET /_emulator/calls` | counts by action, role and outcome; sets issued by role; the newest 1000 calls |
//! | `POST /_emulator/reset-counts` | zeroes them |
//! | `GET /_emulator/faults` | what is left of the script |
//! | `POST /_emulator/faults` | appends a list of [`Fault`]s |
//! | `DELETE /_emulator/faults` | clears the script |
//! | `POST /_emulator/clock` | `{"offset_seconds"}`: the emulator's clock is that far ahead |
//! | `POST /_emulator/outage` | `{"seconds"}`: nothing listens for so long; nothing is forgotten |
//! | `GET /_emulator/world` | keys (without secrets), roles, providers, instance; `huawei`: the same of it |
//! | `POST /_emulator/keys` | `{"cloud"?, "account"?, "uin"?, "id"?, "secret"?}`; answers with the secret |
//! | `POST /_emulator/roles` | `{"cloud"?, "name", "account"?, "max_session_seconds"?, "trust"?, "external_id"?}` |
//! | `POST /_emulator/providers` | `{"kind": "oidc" or "saml", "cloud"?, "name", "account"?, "issuer"?, …}` |
//! | `POST /_emulator/instance` | `{"cloud"?, "role", "account"?, "session_seconds"?}`; role `null`: none bound |
//! | `POST /_emulator/web-identity-tokens` | `{"cloud"?, "provider", "account"?, "subject"?, "lifetime_seconds"?}` |
//! | `GET /_emulator/sign-ins` | codes and states that wait for a person, and how many are signed in |
//! | `POST /_emulator/sign-ins` | `{"shown", "decision"}`: `approve` or `deny` what the page would show |
//! | `DELETE /_emulator/sign-ins` | ends every session |
//! | `POST /_emulator/portal` | [`Rules`]; what is left out is set back |
//! | `POST /_emulator/saml-assertions` | `{"cloud"?, "provider", "role", "account"?, "session_name"?, "lifetime_seconds"?}` |

mod calls;
mod control;
mod faults;
mod huawei;
mod jwt;
mod moment;
mod orders;
mod parameters;
mod portal;
mod portal_book;
mod random;
mod reply;
mod respond;
mod saml;
mod script;
mod server;
mod state;
mod strike;
mod tencent;
mod wire;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
pub use calls::{CallsReport, MOST_RECENT, RecentCall};
pub use faults::{Fault, FaultKind, LONGEST_DELAY};
pub use moment::FARTHEST_OFFSET;
use orders::Orders;
pub use portal_book::{Decision, Person, Portal, PortalAccount, PortalRole, Rules};
pub use script::{InvalidFaults, MOST_FAULTS};
pub use state::State;
pub use world::{
    ACCOUNT, Caller, HUAWEI_ACCOUNT, HUAWEI_USER, Instance, InvalidTrusted, IssuedKey,
    LONGEST_SESSION, LongLivedKey, OTHER_ACCOUNT, OidcProvider, Role, SamlProvider, Trusted, USER,
    World,
};

/// How to start one.
#[derive(Debug)]
pub struct EmulatorConfig {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Tencent Cloud.
    pub world: World,
    pub huawei: World,
    pub clock: Arc<dyn Clock>,
}

impl EmulatorConfig {
    /// The example world on a free port of 127.0.0.1, with the host's clock.
    pub fn example() -> io::Result<Self> {
        Ok(Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            world: World::example()?,
            huawei: World::huawei_example()?,
            clock: Arc::new(SystemClock),
        })
    }
}

/// The way to start one.
#[derive(Debug)]
pub struct Emulator;

impl Emulator {
    /// Listens and serves in a task of the current runtime; connections that are made from now
    /// on succeed.
    ///
    /// # Errors
    /// The address is not a loopback address, or cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(config: EmulatorConfig) -> io::Result<Running> {
        let listener = server::listen(config.listen)?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(config.world, config.huawei, config.clock));
        let (orders, inbox) = Orders::channel();
        let server = server::serve(Arc::clone(&state), addr, listener, orders.clone(), inbox);
        Ok(Running {
            addr,
            state,
            orders,
            task: tokio::spawn(server),
        })
    }
}

/// A running emulator. Dropping it closes everything.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// World, faults, counts and clock.
    pub state: Arc<State>,
    orders: Orders,
    task: JoinHandle<()>,
}

impl Running {
    /// `http://ADDRESS:PORT`, as an `endpoint` in a configuration.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes the listener and every connection, and keeps everything else: an outage. Returns
    /// when connections are refused.
    pub async fn pause(&self) {
        self.orders.pause().await;
    }

    /// Ends an outage.
    ///
    /// # Errors
    /// Somebody else took the port meanwhile.
    pub async fn resume(&self) -> io::Result<()> {
        self.orders.resume().await
    }

    /// Closes everything and returns when it is closed.
    pub async fn shutdown(mut self) {
        self.task.abort();
        // An aborted task ends in an error that says just that.
        drop((&mut self.task).await);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts the example world on `listen`. Must run inside a runtime.
///
/// # Errors
/// The address is not a loopback address, or cannot be had.
pub fn start_example(listen: SocketAddr) -> io::Result<Running> {
    Emulator::start(EmulatorConfig {
        listen,
        ..EmulatorConfig::example()?
    })
}

/// Runs the example world on `listen` until the process ends. `announce` is called once
/// connections are accepted; it is the place to print address and key.
///
/// # Errors
/// The address is not a loopback address, or cannot be had.
pub fn run_blocking(listen: SocketAddr, announce: impl FnOnce(&Running)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let running = start_example(listen)?;
        announce(&running);
        std::future::pending().await
    })
}
