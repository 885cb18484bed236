//! `credvend dev`: a daemon on an embedded STS emulator, to try everything without an account.
//!
//! Everything lives in one private directory that is removed at the end. Sessions last a minute,
//! so credentials are seen to rotate.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use super::output;
use super::{Exit, Failure};
use crate::daemon;
use crate::emulator::{self, ACCOUNT, Running};
use crate::formats::env::shell_word;

/// The usual port of the first listener; the others follow. Taken ones are stepped over.
const FIRST_PORT: u16 = 9470;
/// At a name that nobody has taken, or has taken to be in the way.
const ATTEMPTS: u32 = 16;

/// Runs until interrupted.
pub(super) fn dev() -> Result<Exit, Failure> {
    let cannot = |what: &str, error: &io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot {what}: {error}"))
    };
    let place = Place::make().map_err(|error| cannot("make a private directory", &error))?;
    let cloud = start_emulator().map_err(|error| cannot("start the emulator", &error))?;
    let ports = free_ports::<3>().map_err(|error| cannot("find free ports", &error))?;
    let config = place
        .write(&cloud, ports)
        .map_err(|error| cannot("write the configuration", &error))?;
    let directory = place.directory.clone();
    let announce = move || {
        // A closed pipe is no reason to stop serving.
        let _closed = output::result(&things_to_try(&directory, ports));
    };
    daemon::run(&config, announce).map_err(Failure::from)?;
    Ok(Exit::Fine)
}

/// A private directory, removed on drop.
struct Place {
    directory: PathBuf,
}

impl Place {
    fn make() -> io::Result<Self> {
        let parent = std::env::var_os("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_dir())
            .unwrap_or_else(std::env::temp_dir);
        for _ in 0..ATTEMPTS {
            let directory = parent.join(format!("credvend-dev-{:016x}", fastrand::u64(..)));
            match fs::DirBuilder::new().mode(0o700).create(&directory) {
                Ok(()) => return Ok(Self { directory }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn write(&self, cloud: &Cloud, ports: [u16; 3]) -> io::Result<PathBuf> {
        let path = self.directory.join("config.toml");
        fs::write(self.directory.join("key-id"), &cloud.key_id)?;
        fs::write(self.directory.join("key-secret"), &cloud.key_secret)?;
        for secret in ["key-id", "key-secret"] {
            private(&self.directory.join(secret))?;
        }
        fs::write(&path, configuration(&self.directory, cloud.address, ports))?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is in a directory for temporary files.
        let _left = fs::remove_dir_all(&self.directory);
    }
}

fn private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The emulator, as the daemon needs to know it.
struct Cloud {
    address: SocketAddr,
    key_id: String,
    key_secret: String,
}

/// On a thread of its own, as a cloud would not share ours. It ends with the process.
fn start_emulator() -> io::Result<Cloud> {
    let (started, starting) = mpsc::channel();
    let failed = started.clone();
    thread::Builder::new()
        .name("emulator".into())
        .spawn(move || {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let ended = emulator::run_blocking(anywhere, |running| {
                let _gone = started.send(Ok(describe(running)));
            });
            if let Err(error) = ended {
                let _gone = failed.send(Err(error));
            }
        })?;
    starting
        .recv()
        .map_err(|_| io::Error::other("its thread ended"))?
}

fn describe(running: &Running) -> Cloud {
    running.state.with_world(|world| {
        let key = world.first_key();
        Cloud {
            address: running.addr,
            key_id: key.map(|key| key.id.clone()).unwrap_or_default(),
            key_secret: key
                .map(|key| key.secret.expose().to_owned())
                .unwrap_or_default(),
        }
    })
}

/// Ports that nobody listens on now, from [`FIRST_PORT`] on.
fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    let mut found = [0; N];
    let mut candidates = (FIRST_PORT..FIRST_PORT + 200)
        .filter(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    for place in &mut found {
        *place = candidates
            .next()
            .ok_or_else(|| io::Error::other("two hundred ports are taken"))?;
    }
    Ok(found)
}

fn configuration(directory: &Path, emulator: SocketAddr, ports: [u16; 3]) -> String {
    let [metadata, metrics, tasks] = ports;
    let directory = directory.display();
    format!(
        r#"# Made by `credvend dev`; gone when it ends.
[daemon]
state-directory = "{directory}"

[admin]
socket = "{directory}/admin.sock"

[metrics]
address = "127.0.0.1:{metrics}"

[key.dev]
cloud = "tencent"
id = "file:{directory}/key-id"
secret = "file:{directory}/key-secret"

[role.app]
expected-account = "{ACCOUNT}"
[role.app.provider.tencent-assume-role]
source = "dev"
role-arn = "qcs::cam::uin/{ACCOUNT}:roleName/app"
session-name = "dev"
duration = "60s"
endpoint = "http://{emulator}"

# Signs with what role `app` holds.
[role.chained.provider.tencent-assume-role]
source = "app"
role-arn = "qcs::cam::uin/{ACCOUNT}:roleName/chained"
session-name = "dev"
duration = "60s"
endpoint = "http://{emulator}"

# An Identity Center, with a page on which a sign-in is approved.
[login.corp.huawei-identity-center]
start-url = "http://{emulator}/portal/start"
region = "cn-north-4"
oidc-endpoint = "http://{emulator}"
portal-endpoint = "http://{emulator}"

[listener.metadata]
address = "127.0.0.1:{metadata}"
protocols = ["tencent", "native"]
roles = ["app", "chained"]
allow = "any-local"

[listener.tasks]
address = "127.0.0.1:{tasks}"
protocols = ["aws-container"]
roles = ["app"]
token = "file:{directory}/tasks.token"
allow = "any-local"

[listener.app]
address = "unix:{directory}/app/credvend.sock"
roles = ["app", "chained"]
"#
    )
}

/// Each line that does not begin with `#` can be pasted as it is.
fn things_to_try(directory: &Path, ports: [u16; 3]) -> String {
    let [metadata, metrics, tasks] = ports;
    let word = |path: &Path| String::clone(&shell_word(&path.to_string_lossy()));
    let at = |name: &str| word(&directory.join(name));
    let (socket, token) = (at("app/credvend.sock"), at("tasks.token"));
    let program = std::env::current_exe().map_or_else(|_| "credvend".to_owned(), |it| word(&it));
    let credvend = format!("{program} --config {}", at("config.toml"));
    let mut text = String::new();
    for (what, command) in [
        (
            "As an instance's metadata, the way Tencent Cloud's SDKs read it",
            format!(
                "curl http://127.0.0.1:{metadata}/latest/meta-data/cam/security-credentials/app"
            ),
        ),
        (
            "Over a Unix socket, as a container with the mounted directory would",
            format!(
                "curl --unix-socket {socket} \
                 http://localhost/v1/roles/app/credentials"
            ),
        ),
        (
            "As container credentials, the way AWS SDKs (and S3 clients) read them",
            format!(
                "curl -H \"Authorization: $(cat {token})\" \
                 http://127.0.0.1:{tasks}/aws/container/app"
            ),
        ),
        ("How every role stands", format!("{credvend} status")),
        (
            "Once, for a script",
            format!("{credvend} get app --format env"),
        ),
        (
            "Whose they are, as the cloud says",
            format!("{credvend} whoami app"),
        ),
        ("Another set, now", format!("{credvend} refresh app")),
        (
            "What a monitoring system reads",
            format!("curl http://127.0.0.1:{metrics}/metrics"),
        ),
    ] {
        writeln!(text, "# {what}:\n{command}").expect("writing to a string");
    }
    // It waits for a person, so it is nothing to paste without reading.
    writeln!(
        text,
        "# To see a sign-in: `{credvend} login corp`, approve on the page it names, and then\n# \
         `{credvend} login corp --list --toml` prints the roles behind it."
    )
    .expect("writing to a string");
    text.push_str(
        "# Sessions last a minute, so each role gets new credentials every 15 to 20 seconds, as \
         the log shows.\n# Ctrl-C ends it and leaves nothing behind.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::things_to_try;

    #[test]
    fn paths_are_words_of_the_shell() {
        let text = things_to_try(Path::new("/tmp/it's here"), [1, 2, 3]);
        for word in [
            r"--config '/tmp/it'\''s here/config.toml' status",
            r"--unix-socket '/tmp/it'\''s here/app/credvend.sock' ",
            r"$(cat '/tmp/it'\''s here/tasks.token')",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
    }
}
