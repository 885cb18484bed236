//! One daemon of its own for each test: a directory, a loopback address, an emulated cloud, and
//! the ways to ask.
//!
//! Every site has another address of 127.0.0.0/8, so that fixed ports collide neither among
//! tests nor with anything else on this host.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use credvend::emulator::{ACCOUNT, Emulator, EmulatorConfig, LongLivedKey, Running, USER, World};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{CANARY, Ended, credvend, run};

/// How long anything may take on a busy machine that is to happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(15);

pub(crate) const DAEMON: &str = "[daemon]\nstate-directory = \"{dir}\"\n";
pub(crate) const ADMIN: &str = "[admin]\nsocket = \"{dir}/admin.sock\"\n";
pub(crate) const METRICS: &str = "[metrics]\naddress = \"{ip}:9471\"\n";
pub(crate) const KEY: &str = "[key.ops]\ncloud = \"tencent\"\nid = \"file:{dir}/ops-id\"\n\
                              secret = \"file:{dir}/ops-secret\"\n";

/// What nearly every configuration begins with.
pub(crate) fn base() -> String {
    [DAEMON, ADMIN, METRICS, KEY].concat()
}

/// A role that is assumed at the emulator; `more` are further lines of its provider.
pub(crate) fn assumed(name: &str, source: &str, cam_role: &str, more: &str) -> String {
    format!(
        "[role.{name}.provider.tencent-assume-role]\nsource = \"{source}\"\n\
         role-arn = \"qcs::cam::uin/{ACCOUNT}:roleName/{cam_role}\"\nsession-name = \"it\"\n\
         endpoint = \"{{cloud}}\"\n{more}"
    )
}

/// A Unix socket at `{dir}/NAME.sock` for these roles.
pub(crate) fn socket(name: &str, roles: &[&str]) -> String {
    format!("[listener.{name}]\naddress = \"unix:{{dir}}/{name}.sock\"\nroles = {roles:?}\n")
}

/// A directory, an address and a cloud.
pub(crate) struct Site {
    pub(crate) cloud: Running,
    pub(crate) ip: Ipv4Addr,
    dir: TempDir,
}

impl Site {
    /// Must be called on a runtime; the cloud lives on it.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [high, low] = u16::try_from(std::process::id() % 65_000)
            .unwrap()
            .to_be_bytes();
        let ip = Ipv4Addr::new(
            127,
            high.wrapping_add(1),
            low,
            COUNT.fetch_add(1, Ordering::SeqCst),
        );
        let mut world = World::example().unwrap();
        world
            .add_key(LongLivedKey {
                id: "AKIDopsOfTheTests".into(),
                secret: format!("ops-{CANARY}").into(),
                account: ACCOUNT.into(),
                uin: USER.into(),
            })
            .unwrap();
        let cloud = Emulator::start(EmulatorConfig {
            listen: SocketAddr::from((ip, 9480)),
            world,
            ..EmulatorConfig::example().unwrap()
        })
        .unwrap();
        let site = Self {
            cloud,
            ip,
            dir: tempfile::tempdir().unwrap(),
        };
        site.write("ops-id", "AKIDopsOfTheTests\n");
        site.write("ops-secret", &format!("ops-{CANARY}\n"));
        site
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// Replaces a file whole; nobody else may read it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let beside = self.path(&format!("{name}.new"));
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&beside, self.path(name)).unwrap();
    }

    /// A program that the daemon may run.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.write(name, &self.filled(script));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// `text` with this site's directory, address and cloud in it.
    pub(crate) fn filled(&self, text: &str) -> String {
        text.replace("{dir}", &self.dir().display().to_string())
            .replace("{ip}", &self.ip.to_string())
            .replace("{cloud}", &self.cloud.endpoint())
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, text: &str) {
        self.write("config.toml", &self.filled(text));
    }

    /// The program with these arguments and this site's configuration, to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = credvend(arguments);
        command
            .env("CREDVEND_CONFIG", self.config())
            .env("RUNTIME_DIRECTORY", self.dir());
        tokio::task::spawn_blocking(move || run(&mut command))
            .await
            .unwrap()
    }

    /// The program, which must end with `code`; what it printed, both ways.
    pub(crate) async fn says(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.run(arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        format!("{}{}", ended.stdout, ended.stderr)
    }

    /// The daemon, started and not waited for. Its log goes to a file.
    pub(crate) fn launch(&self) -> Daemon {
        self.launch_as(|_| {})
    }

    /// The same after a change to how it is started.
    pub(crate) fn launch_as(&self, change: impl FnOnce(&mut Command)) -> Daemon {
        let log = self.path("log");
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("credvend"));
        command
            .arg("run")
            .env("CREDVEND_CONFIG", self.config())
            .env("RUNTIME_DIRECTORY", self.dir())
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        command.current_dir(self.dir());
        change(&mut command);
        Daemon {
            child: command.spawn().expect("it can be started"),
            log,
        }
    }

    /// The daemon, once each role has credentials or a first error.
    pub(crate) async fn start(&self) -> Daemon {
        let mut daemon = self.launch();
        eventually("the daemon is ready", SOON, async || {
            assert_eq!(daemon.ended(), None, "{}", daemon.log());
            let status = self.try_status().await?;
            settled(&status).then_some(())
        })
        .await;
        daemon
    }

    /// The admin socket's document.
    pub(crate) async fn status(&self) -> Value {
        self.try_status().await.expect("the admin socket answers")
    }

    async fn try_status(&self) -> Option<Value> {
        let reply = self.try_get("admin", "/admin/v1/status").await?;
        Some(reply.json())
    }

    /// One role of that document.
    pub(crate) async fn role(&self, name: &str) -> Value {
        role_of(&self.status().await, name)
    }

    /// Waits until the status of a role is so.
    pub(crate) async fn role_becomes(&self, name: &str, held: &str, refresh: &str) -> Value {
        let what = format!("role {name} is {held} and {refresh}");
        eventually(&what, SOON, async || {
            let role = self.role(name).await;
            (role["held"] == held && role["refresh"] == refresh).then_some(role)
        })
        .await
    }

    /// A `GET` over the socket `{dir}/NAME.sock`.
    pub(crate) async fn get(&self, socket: &str, path: &str) -> Reply {
        let reply = self.try_get(socket, path).await;
        reply.unwrap_or_else(|| panic!("{socket}.sock does not answer"))
    }

    /// The same where there may be nobody.
    pub(crate) async fn try_get(&self, socket: &str, path: &str) -> Option<Reply> {
        let path_of_socket = self.path(&format!("{socket}.sock"));
        let stream = UnixStream::connect(path_of_socket).await.ok()?;
        exchange(stream, &request(path, "localhost", "")).await
    }

    /// A role's credentials over a socket, as they are.
    pub(crate) async fn ask(&self, socket: &str, role: &str) -> Reply {
        self.get(socket, &format!("/v1/roles/{role}/credentials"))
            .await
    }

    /// A role's credentials over a socket, which must be there.
    pub(crate) async fn set(&self, socket: &str, role: &str) -> Value {
        let reply = self.ask(socket, role).await;
        assert_eq!(reply.status, 200, "{role}: {reply:?}");
        reply.json()
    }

    /// A `GET` over TCP at this site's address; `headers` are whole lines.
    pub(crate) async fn tcp(&self, port: u16, path: &str, headers: &str) -> Reply {
        let stream = TcpStream::connect((self.ip, port))
            .await
            .expect("somebody listens");
        let host = format!("{}:{port}", self.ip);
        let reply = exchange(stream, &request(path, &host, headers)).await;
        reply.expect("an answer")
    }

    /// The metrics, and one sample of them by its whole name with labels.
    pub(crate) async fn metric(&self, sample: &str) -> Option<f64> {
        let text = self.tcp(9471, "/metrics", "").await.body;
        let line = text.lines().find_map(|line| line.strip_prefix(sample))?;
        line.trim().parse().ok()
    }
}

/// Whether every role has credentials or a first error.
fn settled(status: &Value) -> bool {
    status["roles"].as_array().unwrap().iter().all(|role| {
        role["held"] != "none" || role["refresh"] == "resting" || !role["last_error"].is_null()
    })
}

/// One role of a status document.
pub(crate) fn role_of(status: &Value, name: &str) -> Value {
    let roles = status["roles"].as_array().unwrap();
    let role = roles.iter().find(|role| role["name"] == name);
    role.unwrap_or_else(|| panic!("no role {name} in {status}"))
        .clone()
}

/// One listener of a status document.
pub(crate) fn listener_of(status: &Value, name: &str) -> Value {
    let listeners = status["listeners"].as_array().unwrap();
    let listener = listeners.iter().find(|listener| listener["name"] == name);
    listener
        .unwrap_or_else(|| panic!("no listener {name} in {status}"))
        .clone()
}

/// A request whose answer ends with the connection.
pub(crate) fn request(path: &str, host: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
}

/// Sends a request and reads to the end of the connection; `None` if there was no answer.
pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Option<Reply> {
    let mut text = String::new();
    let answered = timeout(Duration::from_mins(1), async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut text).await
    })
    .await
    .expect("an answer within a minute");
    answered.ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A running daemon, ended when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Its lines with this in them.
    pub(crate) fn lines(&self, part: &str) -> Vec<String> {
        let log = self.log();
        log.lines()
            .filter(|line| line.contains(part))
            .map(Into::into)
            .collect()
    }

    /// Waits for a line in its log.
    pub(crate) async fn logs(&self, part: &str) -> String {
        eventually(&format!("{part:?} is logged"), SOON, async || {
            self.lines(part).into_iter().next()
        })
        .await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The exit code, if it has ended; -1 for an end by a signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.code().unwrap_or(-1))
    }

    /// Waits for its end.
    pub(crate) async fn end(&mut self) -> i32 {
        eventually("the daemon ends", SOON, async || self.ended()).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Looks again and again until there is something, at most for so long.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
