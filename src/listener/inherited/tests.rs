use std::net::{Ipv4Addr, TcpListener as StdTcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream};
use std::sync::{Mutex, MutexGuard};

use super::*;

/// Keeps nothing but remembers what it was told.
#[derive(Debug, Default)]
struct Notebook(Mutex<Vec<String>>);

impl Notebook {
    fn read(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap()
    }
}

impl KeepSockets for Notebook {
    fn keep(&self, name: &str, _socket: BorrowedFd<'_>) -> bool {
        self.read().push(format!("keep {name}"));
        true
    }

    fn release(&self, name: &str) {
        self.read().push(format!("release {name}"));
    }
}

fn bound() -> (StdTcpListener, SocketAddr) {
    let socket = StdTcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn access(mode: u32, mode_is_set: bool) -> SocketAccess {
    SocketAccess {
        mode,
        mode_is_set,
        owner: None,
        group: None,
    }
}

#[tokio::test]
async fn a_unit_s_socket_is_used_by_name_and_refused_if_it_differs() {
    let (one, one_at) = bound();
    let (two, two_at) = bound();
    let mut inherited = Inherited::new();
    inherited.add("a", Origin::Unit, Socket::Tcp(one));
    inherited.add("a", Origin::Unit, Socket::Tcp(two));
    // Two of one name: the one that fits is taken, and can be taken again.
    for _ in 0..2 {
        let listener = inherited.tcp("a", two_at).unwrap();
        assert_eq!(listener.local_addr().unwrap(), two_at);
    }
    let elsewhere = "127.0.0.1:1".parse().unwrap();
    let text = inherited.tcp("a", elsewhere).unwrap_err().to_string();
    assert!(text.contains(&format!("`{one_at}`")), "{text}");
    assert!(text.contains("ListenStream="), "{text}");
    assert!(inherited.tcp("a", one_at).is_ok(), "not lost by that");
}

#[tokio::test]
async fn strays_are_closed_and_named() {
    let (stray, at) = bound();
    let (kept, _) = bound();
    let notebook = Arc::new(Notebook::default());
    let mut inherited = Inherited::with_keeper(notebook.clone());
    inherited.add("stray", Origin::Unit, Socket::Tcp(stray));
    inherited.add("gone", Origin::Kept, Socket::Tcp(kept));
    let closed = inherited.close_strays(|name| name == "a");
    assert!(
        closed.len() == 1 && closed[0].contains("[listener.stray]"),
        "{closed:?}"
    );
    assert!(TcpStream::connect(at).is_err(), "nobody listens any more");
    assert_eq!(*notebook.read(), ["release gone"]);
}

#[tokio::test]
async fn what_is_bound_is_kept_and_what_was_kept_gives_way_to_a_change() {
    let notebook = Arc::new(Notebook::default());
    let (kept, old_at) = bound();
    let (free, new_at) = bound();
    drop(free);
    let mut inherited = Inherited::with_keeper(notebook.clone());
    inherited.add("a", Origin::Kept, Socket::Tcp(kept));
    assert_eq!(
        inherited.tcp("a", old_at).unwrap().local_addr().unwrap(),
        old_at
    );
    assert!(notebook.read().is_empty(), "it is kept already");
    assert_eq!(
        inherited.tcp("a", new_at).unwrap().local_addr().unwrap(),
        new_at
    );
    assert_eq!(*notebook.read(), ["release a", "keep a"]);
    assert!(TcpStream::connect(old_at).is_err());
}

#[tokio::test]
async fn a_kept_unix_socket_keeps_its_file_until_it_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let notebook = Arc::new(Notebook::default());
    let mut first = Inherited::with_keeper(notebook.clone());
    let (socket, file) = first.unix("a", &path, &access(0o600, false)).unwrap();
    let socket = socket.into_std().unwrap();
    file.leave();
    assert!(
        UnixStream::connect(&path).is_ok(),
        "over the end of a process"
    );

    let mut second = Inherited::with_keeper(notebook.clone());
    second.add("a", Origin::Kept, Socket::Unix(socket));
    let (again, file) = second.unix("a", &path, &access(0o600, false)).unwrap();
    drop((again, file));
    assert!(!path.exists(), "given up within the life of a process");
}

#[tokio::test]
async fn mode_and_file_of_a_unix_socket_have_to_agree() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let socket = StdUnixListener::bind(&path).unwrap();
    let mut inherited = Inherited::new();
    inherited.add("a", Origin::Unit, Socket::Unix(socket));
    let wrong = inherited.unix("a", &path, &access(0o7, true)).unwrap_err();
    assert!(wrong.to_string().contains("SocketMode="), "{wrong}");
    let (_socket, file) = inherited.unix("a", &path, &access(0o7, false)).unwrap();
    drop(file);
    assert!(path.exists(), "the unit's, not ours to remove");
}

#[tokio::test]
async fn a_kept_socket_does_not_keep_a_mode_that_was_taken_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let notebook = Arc::new(Notebook::default());
    let mut first = Inherited::with_keeper(notebook.clone());
    let (socket, file) = first.unix("a", &path, &access(0o666, true)).unwrap();
    let socket = socket.into_std().unwrap();
    file.leave();

    let mut second = Inherited::with_keeper(notebook.clone());
    second.add("a", Origin::Kept, Socket::Unix(socket));
    let (_again, _file) = second.unix("a", &path, &access(0o600, false)).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(*notebook.read(), ["keep a", "release a", "keep a"]);
}

#[test]
fn each_name_can_be_split_off() {
    let mut inherited = Inherited::new();
    for name in ["admin", "a", "admin"] {
        inherited.add(name, Origin::Unit, Socket::Tcp(bound().0));
    }
    assert_eq!(inherited.split_off("admin").sockets.len(), 2);
    assert_eq!(inherited.sockets.len(), 1);
}

#[test]
fn a_mode_that_is_written_out_must_hold_for_a_unit_s_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let socket = StdUnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).unwrap();
    let mut inherited = Inherited::new();
    inherited.add("a", Origin::Unit, Socket::Unix(socket));
    let listener = |name: &str, mode, mode_is_set| Listener {
        access: access(mode, mode_is_set),
        ..crate::listener::tests::support::listener(name, Address::Unix(path.clone()))
    };
    for (mode, mode_is_set, fits) in [
        (0o600, false, true),
        (0o600, true, false),
        (0o660, true, true),
    ] {
        assert_eq!(
            inherited.fits(&listener("a", mode, mode_is_set)),
            fits,
            "{mode:o}, {mode_is_set}"
        );
    }
    assert!(inherited.fits(&listener("bound-by-us", 0o600, true)));
}
