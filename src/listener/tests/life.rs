//! Coming up, failing alone, reloading, draining.

use std::collections::BTreeSet;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::outside::is_in_own_network;
use super::support::{Plane, any_port, listener, only, tcp, unix};
use crate::config::model::{Address, Listener, Protocol};
use crate::listener::{DataPlane, Inherited, KeepSockets, Origin, Socket, State};

/// Waits for something that the data plane does by itself.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(8), "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn at(address: SocketAddr) -> Address {
    Address::Tcp(address)
}

#[test]
fn a_listener_fails_alone_and_is_tried_again() {
    let plane = Plane::start();
    let squatter = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = squatter.local_addr().unwrap();
    let blocked = plane.path("blocked");
    std::fs::create_dir(&blocked).unwrap();
    plane.apply(vec![
        listener("taken", at(taken)),
        listener("blocked", Address::Unix(blocked.clone())),
        listener("fine", any_port()),
    ]);
    assert_eq!(plane.state("taken").state, State::Failed);
    assert!(
        plane
            .state("taken")
            .error
            .unwrap()
            .contains("in use by another program")
    );
    assert!(
        plane
            .state("blocked")
            .error
            .unwrap()
            .contains("is a directory")
    );
    assert!(plane.data.any_listening());
    assert_eq!(tcp(plane.port("fine")).get("/v1/roles", "").status, 200);

    drop(squatter);
    std::fs::remove_dir(&blocked).unwrap();
    for name in ["taken", "blocked"] {
        eventually(name, || plane.state(name).state == State::Listening);
    }
    assert_eq!(tcp(taken).get("/v1/roles", "").status, 200);
    assert_eq!(unix(&blocked).get("/v1/roles", "").status, 200);
}

#[test]
fn nothing_that_works_is_said_to_be_nothing() {
    let plane = Plane::start();
    assert!(!plane.data.any_listening());
    let mut config = listener("bad", any_port());
    std::fs::write(plane.path("token"), "short").unwrap();
    config.token = Some(plane.path("token"));
    plane.apply(vec![config]);
    assert!(!plane.data.any_listening());
    assert!(
        plane
            .state("bad")
            .error
            .unwrap()
            .contains("fewer than 16 bytes")
    );
}

#[test]
fn a_reload_keeps_connections_unless_it_is_about_them() {
    let plane = Plane::start();
    let mut config = listener("one", any_port());
    plane.apply(vec![config.clone()]);
    let address = plane.port("one");
    let mut client = tcp(address);
    assert_eq!(client.get("/v1/roles/app/credentials", "").status, 200);

    plane.apply(vec![config.clone(), listener("two", any_port())]);
    assert_eq!(
        client.get("/v1/roles/app/credentials", "").status,
        200,
        "another was added"
    );

    config.roles = vec!["other".parse().unwrap()];
    config.protocols = BTreeSet::from([Protocol::Native]);
    plane.apply(vec![config.clone()]);
    assert_eq!(
        client.get("/v1/roles/app/credentials", "").status,
        404,
        "not served any more"
    );
    assert_eq!(
        client.get("/v1/roles/other/credentials", "").status,
        200,
        "the same connection"
    );
    assert_eq!(client.get("/accesskey", "").status, 404);
    assert_eq!(plane.state("one").connections, 1);

    config.allow = Some(only(&[]));
    plane.apply(vec![config.clone()]);
    assert!(client.is_closed(), "a changed `allow` ends connections");
    assert_eq!(plane.port("one"), address, "and keeps the socket");
    assert_eq!(tcp(address).get("/v1/roles", "").status, 403);

    plane.apply(vec![]);
    assert!(TcpStream::connect(address).is_err());
    assert!(plane.data.state().is_empty());
}

#[test]
fn addresses_can_be_swapped_in_one_reload() {
    let plane = Plane::start();
    plane.apply(vec![listener("a", any_port()), listener("b", any_port())]);
    let (a, b) = (plane.port("a"), plane.port("b"));
    let mut kept = tcp(a);
    assert_eq!(kept.get("/v1/roles", "").status, 200);
    plane.apply(vec![listener("a", at(b)), listener("b", at(a))]);
    assert_eq!((plane.port("a"), plane.port("b")), (b, a));
    assert!(kept.is_closed());
    assert_eq!(tcp(a).get("/v1/roles", "").status, 200);
}

#[test]
fn a_socket_file_goes_with_its_listener() {
    let plane = Plane::start();
    let path = plane.path("deep/er/s");
    let mut config = listener("s", Address::Unix(path.clone()));
    config.access.mode = 0o600;
    plane.apply(vec![config.clone()]);
    let mode = |path| {
        let found = std::fs::metadata(path).unwrap();
        std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o777
    };
    assert_eq!(mode(&path), 0o600);
    config.access.mode = 0o660;
    plane.apply(vec![config]);
    assert_eq!(mode(&path), 0o660);
    assert_eq!(unix(&path).get("/v1/roles", "").status, 200);
    plane.apply(vec![]);
    assert!(!path.exists());
}

#[test]
fn draining_ends_idle_connections_at_once_and_finishes_answers() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![
        listener("t", any_port()),
        listener("s", Address::Unix(path.clone())),
    ]);
    let address = plane.port("t");
    let (mut fresh, mut idle, mut busy) = (tcp(address), tcp(address), unix(&path));
    assert_eq!(idle.get("/v1/roles", "").status, 200);
    busy.send("GET /v1/roles/cold/credentials HTTP/1.1\r\n\r\n");
    eventually("all accepted", || {
        plane.state("t").connections == 2 && plane.state("s").connections == 1
    });
    std::thread::scope(|scope| {
        let started = Instant::now();
        let draining = scope.spawn(|| plane.drain(Duration::from_secs(10)));
        assert!(idle.is_closed() && fresh.is_closed());
        assert!(
            started.elapsed() < Duration::from_millis(500),
            "{:?}",
            started.elapsed()
        );
        std::thread::park_timeout(Duration::from_millis(100));
        plane.publish("cold", 1, Duration::from_hours(1));
        assert!(busy.receive(true).body.contains("AKID-cold-1"));
        assert!(busy.is_closed());
        draining.join().unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
    });
    assert!(TcpStream::connect(address).is_err());
    assert!(!path.exists());
}

#[test]
fn the_grace_period_ends() {
    let (plane, address) = Plane::on_tcp();
    let mut client = tcp(address);
    client.send("GET /v1/roles/cold/credentials?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n");
    eventually("accepted", || plane.state("tcp").connections == 1);
    std::thread::park_timeout(Duration::from_millis(100));
    let started = Instant::now();
    plane.drain(Duration::from_millis(200));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(client.is_closed());
}

#[test]
fn one_user_cannot_take_every_connection() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![listener("s", Address::Unix(path.clone()))]);
    let held: Vec<_> = (0..256)
        .map(|_| {
            let mut client = unix(&path);
            assert_eq!(client.get("/v1/roles", "").status, 200);
            client
        })
        .collect();
    assert!(unix(&path).is_closed(), "one too many");
    drop(held);
    eventually("room again", || plane.state("s").connections == 0);
    assert_eq!(unix(&path).get("/v1/roles", "").status, 200);
}

#[test]
fn an_inherited_socket_is_used_if_it_is_the_right_one() {
    let plane = Plane::start();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let wrong = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut inherited = Inherited::new();
    inherited.add("right", Origin::Unit, Socket::Tcp(socket));
    inherited.add("wrong", Origin::Unit, Socket::Tcp(wrong));
    let second = DataPlane::start(plane.context.clone(), inherited).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let desired = vec![
        listener("right", at(address)),
        listener("wrong", at("127.0.0.1:1".parse().unwrap())),
    ];
    runtime.block_on(second.apply(desired)).unwrap();
    let states = second.state();
    assert_eq!(states[0].state, State::Listening);
    assert_eq!(tcp(address).get("/v1/roles", "").status, 200);
    assert!(
        states[1]
            .error
            .as_ref()
            .unwrap()
            .contains("the configuration says `127.0.0.1:1`")
    );
}

/// Holds on to what it is given, as a service manager does.
#[derive(Debug, Default)]
struct Manager(Mutex<Vec<(String, OwnedFd)>>);

impl KeepSockets for Manager {
    fn keep(&self, name: &str, socket: BorrowedFd<'_>) -> bool {
        let copy = socket.try_clone_to_owned().unwrap();
        self.0.lock().unwrap().push((name.to_owned(), copy));
        true
    }

    fn release(&self, name: &str) {
        self.0.lock().unwrap().retain(|(kept, _)| kept != name);
    }
}

#[test]
fn a_listener_whose_token_is_mended_comes_back_though_its_socket_was_kept() {
    let plane = Plane::start();
    let (good, bad) = (plane.path("good"), plane.path("bad"));
    std::fs::write(&bad, "short").unwrap();
    let inherited = Inherited::with_keeper(Arc::new(Manager::default()));
    let second = DataPlane::start(plane.context.clone(), inherited).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    for (token, state) in [
        (&good, State::Listening),
        (&bad, State::Failed),
        (&good, State::Listening),
    ] {
        let desired = [
            ("tcp", at(address)),
            ("unix", Address::Unix(plane.path("socket"))),
        ]
        .map(|(name, address)| Listener {
            token: Some(token.clone()),
            ..listener(name, address)
        });
        runtime.block_on(second.apply(desired.to_vec())).unwrap();
        for found in second.state() {
            assert_eq!(found.state, state, "{found:?}");
        }
        let answers = TcpStream::connect(address).is_ok();
        assert_eq!(answers, state == State::Listening, "nobody is left hanging");
    }
}

#[test]
fn a_link_local_address_is_tied_to_the_loopback_device() {
    if !is_in_own_network() {
        return;
    }
    let plane = Plane::start();
    let mut config = listener("metadata", at("169.254.0.23:80".parse().unwrap()));
    config.allow = None;
    plane.apply(vec![config]);
    let error = plane.state("metadata").error.unwrap();
    assert!(
        error.contains("ip address add 169.254.0.23/32 dev lo"),
        "{error}"
    );
    let added = std::process::Command::new("ip")
        .args(["address", "add", "169.254.0.23/32", "dev", "lo"])
        .status();
    assert!(added.unwrap().success());
    eventually("it is tried again", || plane.data.any_listening());
    let mut client = tcp("169.254.0.23:80".parse().unwrap());
    client.send("GET /latest/meta-data/cam/security-credentials/app HTTP/1.1\r\nHost: metadata.tencentyun.com\r\n\r\n");
    let answer = client.receive(true);
    assert_eq!(
        answer.status, 200,
        "the kernel tells who asks here as well: {answer:?}"
    );
    let bound = std::process::Command::new("ss").args(["-ltnH"]).output();
    if let Ok(bound) = bound {
        let text = String::from_utf8_lossy(&bound.stdout).into_owned();
        assert!(text.contains("169.254.0.23%lo:80"), "{text}");
    }
}

/// As `printf … | nc -N` and `socat` do: nothing more to say, but listening.
#[test]
fn a_client_that_has_nothing_more_to_say_gets_its_answer() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![
        listener("t", any_port()),
        listener("s", Address::Unix(path.clone())),
    ]);
    let etag = "If-None-Match: \"app-1\"\r\n";
    for (target, more, status) in [
        ("/v1/roles", "", 200),
        ("/v1/roles/cold/credentials", "", 503),
        ("/v1/roles/app/credentials?wait=1s", etag, 304),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
        let mut client = tcp(plane.port("t"));
        client.send(&request);
        client.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.receive(true).status, status, "{target}");
        assert!(client.is_closed(), "{target}");

        let mut client = unix(&path);
        client.send(&request);
        client.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.receive(true).status, status, "{target}");
        assert!(client.is_closed(), "{target}");
    }
    for name in ["t", "s"] {
        eventually("no place is taken", || plane.state(name).connections == 0);
    }
}

#[test]
fn an_idle_connection_whose_client_goes_frees_its_place_at_once() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![
        listener("t", any_port()),
        listener("s", Address::Unix(path.clone())),
    ]);
    let (mut over_tcp, mut over_unix) = (tcp(plane.port("t")), unix(&path));
    assert_eq!(over_tcp.get("/v1/roles", "").status, 200);
    assert_eq!(over_unix.get("/v1/roles", "").status, 200);
    let unused = (tcp(plane.port("t")), unix(&path));
    for name in ["t", "s"] {
        eventually("both are open", || plane.state(name).connections == 2);
    }
    drop((over_tcp, over_unix, unused));
    let started = Instant::now();
    for name in ["t", "s"] {
        eventually("no place is taken", || plane.state(name).connections == 0);
    }
    assert!(started.elapsed() < Duration::from_secs(1));
}

const WAIT: &str = "GET /v1/roles/app/credentials?wait=60s HTTP/1.1\r\nHost: localhost\r\n\
                    If-None-Match: \"app-1\"\r\n\r\n";

/// Nobody will read the answer, so nobody need wait for it; what only closed its sending side is
/// waited for.
#[test]
fn a_client_that_is_gone_for_good_does_not_keep_its_place_on_a_unix_socket() {
    let plane = Plane::start();
    let path = plane.path("s");
    plane.apply(vec![listener("s", Address::Unix(path.clone()))]);
    let (mut gone, mut gone_in_two_steps, mut quiet) = (unix(&path), unix(&path), unix(&path));
    for client in [&mut gone, &mut gone_in_two_steps, &mut quiet] {
        client.send(WAIT);
    }
    for client in [&gone_in_two_steps, &quiet] {
        client.0.shutdown(Shutdown::Write).unwrap();
    }
    eventually("all three wait", || plane.state("s").connections == 3);
    drop((gone, gone_in_two_steps));
    eventually("their places are free", || {
        plane.state("s").connections == 1
    });
    plane.publish("app", 2, Duration::from_hours(1));
    assert_eq!(quiet.receive(true).status, 200);
}

#[test]
fn nor_on_tcp_where_the_kernel_knows_its_end() {
    let (plane, address) = Plane::on_tcp();
    let mut clients = [(); 5].map(|()| tcp(address));
    for client in &mut clients {
        client.send(WAIT);
    }
    let [
        gone,
        gone_in_two_steps,
        mut gone_with_more_to_say,
        mut quiet,
        mut talkative,
    ] = clients;
    for client in [&gone_in_two_steps, &quiet] {
        client.0.shutdown(Shutdown::Write).unwrap();
    }
    for client in [&mut gone_with_more_to_say, &mut talkative] {
        client.send("G");
    }
    eventually("all wait", || plane.state("tcp").connections == 5);
    drop((gone, gone_in_two_steps, gone_with_more_to_say));
    eventually("their places are free", || {
        plane.state("tcp").connections == 2
    });
    plane.publish("app", 2, Duration::from_hours(1));
    for client in [&mut quiet, &mut talkative] {
        assert_eq!(client.receive(true).status, 200);
    }
}

/// To the kernel they are nobody's by the time they are accepted.
#[test]
fn clients_that_close_at_once_do_not_keep_others_out() {
    let (plane, address) = Plane::on_tcp();
    for _ in 0..300 {
        tcp(address).send(&format!("{WAIT}G"));
    }
    let started = Instant::now();
    assert_eq!(tcp(address).get("/v1/roles", "").status, 200);
    eventually("their places are free", || {
        plane.state("tcp").connections == 0
    });
    assert!(started.elapsed() < Duration::from_secs(5));
}
