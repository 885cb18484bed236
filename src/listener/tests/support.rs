//! A data plane with known roles, and clients that speak bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::config::model::{Address, Allow, Listener, Protocol, SocketAccess};
use crate::credentials::{Cloud, CredentialSet, Keys};
use crate::listener::{Context, DataPlane, Inherited, ListenerState, State};
use crate::name::Name;
use crate::observe::audit::Audit;
use crate::observe::metrics::Metrics;
use crate::refresh::show::Shown;
use crate::store::{Refresh, Role, Store, View};

#[path = "../../../tests/it/left_out.rs"]
mod left_out;
pub(crate) use left_out::skipped;

/// Part of every secret; must never be seen by whoever is refused.
pub(super) const CANARY: &str = "canary-secret";

/// A data plane at work on a directory of its own.
pub(super) struct Plane {
    pub(super) data: DataPlane,
    pub(super) context: Arc<Context>,
    pub(super) directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// A store with `app` and `other`, both of which hold a set named after them, and `cold`,
/// which holds none.
pub(crate) fn context(clock: &Arc<dyn Clock>) -> Arc<Context> {
    let store = Arc::new(Store::default());
    let roles: BTreeMap<Name, Arc<Role>> = ["app", "other", "cold"]
        .map(|name| {
            let name: Name = name.parse().unwrap();
            let role = Role::new(name.clone(), Cloud::Tencent, Arc::clone(clock));
            (name, Arc::new(role))
        })
        .into();
    store.replace(roles);
    for name in ["app", "other"] {
        publish(&store, &**clock, name, 1, Duration::from_hours(1));
    }
    let audit = Audit::new(Arc::clone(clock));
    Arc::new(Context::new(
        store,
        Arc::clone(clock),
        Arc::new(Metrics::new()),
        Arc::new(audit),
    ))
}

/// Makes a role hold a set: access key id `AKID-NAME-GENERATION`, `ETag` `"NAME-GENERATION"`.
pub(crate) fn publish(
    store: &Store,
    clock: &dyn Clock,
    name: &str,
    generation: u64,
    life: Duration,
) {
    publish_with_margin(store, clock, name, generation, life, Duration::ZERO);
}

/// The same, shown to end so much earlier than it does.
pub(crate) fn publish_with_margin(
    store: &Store,
    clock: &dyn Clock,
    name: &str,
    generation: u64,
    life: Duration,
    margin: Duration,
) {
    let role = store.role(name).unwrap();
    let set = Arc::new(CredentialSet {
        keys: Keys {
            access_key_id: format!("AKID-{name}-{generation}"),
            secret_access_key: format!("{CANARY}-{name}-{generation}").into(),
            session_token: format!("{CANARY}-token-{name}-{generation}").into(),
        },
        issued_at: clock.wall(),
        obtained_at: clock.boot(),
        expires_at: clock.boot() + life,
        generation,
        etag: format!("\"{name}-{generation}\""),
    });
    let shown = Shown {
        margin,
        wall_at_boot: clock.wall() - clock.boot().since_boot(),
    };
    role.publish(View {
        held: Some(shown.snapshot(&role, &set)),
        ..View::default()
    });
}

/// Makes a role hold nothing, with refreshing as it stands.
pub(crate) fn publish_nothing(store: &Store, name: &str, refresh: Refresh) {
    store.role(name).unwrap().publish(View {
        refresh,
        ..View::default()
    });
}

/// A listener that serves `app` and `cold` in every protocol to anybody.
pub(crate) fn listener(name: &str, address: Address) -> Listener {
    Listener {
        name: name.parse().unwrap(),
        address,
        protocols: Protocol::ALL.into_iter().collect(),
        roles: vec!["app".parse().unwrap(), "cold".parse().unwrap()],
        allow: Some(Allow::AnyLocal),
        hosts: vec!["metadata.example".to_owned()],
        token: None,
        access: SocketAccess {
            mode: 0o666,
            mode_is_set: true,
            owner: None,
            group: None,
        },
        allow_remote: false,
        imds_v1: false,
        instance: None,
    }
}

/// A loopback port of the kernel's choice.
pub(super) fn any_port() -> Address {
    Address::Tcp("127.0.0.1:0".parse().unwrap())
}

/// Only these uids.
pub(super) fn only(users: &[u32]) -> Allow {
    Allow::Only(crate::config::model::Principals {
        users: users.iter().copied().collect(),
        groups: BTreeSet::new(),
    })
}

impl Plane {
    pub(super) fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let context = context(&clock);
        let data = DataPlane::start(Arc::clone(&context), Inherited::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            data,
            context,
            directory: tempfile::tempdir().unwrap(),
            runtime,
        }
    }

    /// One listener, as [`listener`] makes it, on TCP.
    pub(super) fn on_tcp() -> (Self, SocketAddr) {
        let plane = Self::start();
        plane.apply(vec![listener("tcp", any_port())]);
        let address = plane.port("tcp");
        (plane, address)
    }

    pub(super) fn apply(&self, listeners: Vec<Listener>) {
        self.runtime.block_on(self.data.apply(listeners)).unwrap();
    }

    pub(super) fn drain(&self, grace: Duration) {
        self.runtime.block_on(self.data.drain(grace));
    }

    pub(super) fn state(&self, name: &str) -> ListenerState {
        let states = self.data.state();
        let found = states.iter().find(|state| state.name.as_str() == name);
        found.cloned().unwrap()
    }

    /// Where a TCP listener is.
    pub(super) fn port(&self, name: &str) -> SocketAddr {
        let state = self.state(name);
        assert_eq!(state.state, State::Listening, "{:?}", state.error);
        state.address.parse().unwrap()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn publish(&self, name: &str, generation: u64, life: Duration) {
        publish(&self.context.store, &SystemClock, name, generation, life);
    }
}

/// A response taken apart.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// A client on either kind of socket.
pub(super) struct Client<S>(pub(super) S);

pub(super) fn tcp(address: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    Client(stream)
}

pub(super) fn unix(path: &Path) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    Client(stream)
}

impl<S: Read + Write> Client<S> {
    pub(super) fn send(&mut self, bytes: &str) {
        self.0.write_all(bytes.as_bytes()).unwrap();
    }

    /// Reads one response whose body is as long as it says (none for `HEAD`).
    pub(super) fn receive(&mut self, with_body: bool) -> Response {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut byte = [0];
            let count = self.0.read(&mut byte).unwrap();
            assert_eq!(
                count,
                1,
                "closed after {:?}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.extend(byte);
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut response = Response {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::new(),
        };
        if with_body && let Some(length) = response.header("content-length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            response.body = String::from_utf8(body).unwrap();
        }
        response
    }

    /// One request on this connection, head lines in `more` (each with its end).
    pub(super) fn get(&mut self, target: &str, more: &str) -> Response {
        self.send(&format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
        ));
        self.receive(true)
    }

    /// Whether the other end has closed: what is left to read.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest.is_empty(),
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
