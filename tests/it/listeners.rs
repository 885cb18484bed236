//! The data plane through its public face: started, given listeners, asked over sockets, drained.
//! What it answers in detail is tested beside it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use credvend::clock::{Clock, SystemClock};
use credvend::config::model::{Address, Allow, Listener, Protocol, SocketAccess};
use credvend::credentials::Cloud;
use credvend::listener::{Context, DataPlane, Inherited, State};
use credvend::name::Name;
use credvend::observe::audit::Audit;
use credvend::observe::metrics::Metrics;
use credvend::store::{Role, Store};

fn listener(name: &str, address: Address) -> Listener {
    Listener {
        name: name.parse().expect("a name"),
        address,
        protocols: Protocol::ALL.into_iter().collect(),
        roles: vec!["app".parse().expect("a name")],
        allow: Some(Allow::AnyLocal),
        hosts: Vec::new(),
        token: None,
        access: SocketAccess {
            mode: 0o600,
            mode_is_set: true,
            owner: None,
            group: None,
        },
        allow_remote: false,
        imds_v1: false,
        instance: None,
    }
}

/// With one role that holds nothing.
fn data_plane() -> DataPlane {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let name: Name = "app".parse().expect("a name");
    let role = Role::new(name.clone(), Cloud::Tencent, Arc::clone(&clock));
    let store = Arc::new(Store::default());
    store.replace([(name, Arc::new(role))].into());
    let audit = Arc::new(Audit::new(Arc::clone(&clock)));
    let context = Context::new(store, clock, Arc::new(Metrics::new()), audit);
    DataPlane::start(Arc::new(context), Inherited::new()).expect("a thread")
}

fn exchange(mut stream: impl Read + Write, target: &str) -> String {
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[tokio::test]
async fn from_start_to_drain() {
    let plane = data_plane();
    assert!(!plane.any_listening());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("credvend.sock");
    let mut missing = listener("missing", Address::Tcp("192.0.2.1:1".parse().unwrap()));
    missing.allow_remote = true;
    plane
        .apply(vec![
            listener("tcp", Address::Tcp("127.0.0.1:0".parse().unwrap())),
            listener("unix", Address::Unix(path.clone())),
            missing,
        ])
        .await
        .unwrap();
    let states = plane.state();
    let found: Vec<_> = states
        .iter()
        .map(|listener| (listener.name.as_str(), listener.state))
        .collect();
    assert_eq!(
        found,
        [
            ("missing", State::Failed),
            ("tcp", State::Listening),
            ("unix", State::Listening)
        ]
    );
    assert!(
        states[0]
            .error
            .as_ref()
            .unwrap()
            .contains("not an address of this host")
    );
    assert!(plane.any_listening());

    let address = states[1].address.clone();
    let list = exchange(TcpStream::connect(&address).unwrap(), "/accesskey");
    assert!(list.ends_with("\r\n\r\napp"), "{list}");
    let cold = exchange(
        UnixStream::connect(&path).unwrap(),
        "/v1/roles/app/credentials",
    );
    assert!(
        cold.starts_with("HTTP/1.1 503 ") && cold.contains("\"unavailable\""),
        "{cold}"
    );

    plane.drain(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(&address).is_err());
    assert!(!path.exists());
    tokio::time::timeout(Duration::from_secs(5), plane.ended())
        .await
        .expect("the thread ends");
    assert!(plane.apply(Vec::new()).await.is_err());
}
