//! What clients of the world send, replayed against the real program; and the ways in which
//! programs are pointed at it.

mod recordings;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::support::{CANARY, Ended, Started, credvend, run};

/// The real program with one role, every protocol on one port, and a sink.
struct World {
    directory: tempfile::TempDir,
    port: u16,
    token: String,
    _daemon: Started,
}

impl World {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        let program = at("credentials");
        let script = format!(
            "#!/bin/sh\nend=$(date -u -d \"@$(($(date +%s) + 7200))\" +%Y-%m-%dT%H:%M:%SZ)\n\
             printf '{{\"Version\": 1, \"AccessKeyId\": \"AKIDexample\", \"SecretAccessKey\": \
             \"{CANARY}\", \"SessionToken\": \"{CANARY}-token\", \"Expiration\": \"%s\"}}' \
             \"$end\"\n"
        );
        fs::write(&program, script).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).expect("executable");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let config = format!(
            r#"
[daemon]
state-directory = "{state}"
log = "warn"
[admin]
socket = "{admin}"
[role.app.provider.command]
command = ["{program}"]
cloud = "tencent"
[listener.all]
address = "127.0.0.1:{port}"
protocols = ["tencent", "huawei", "huawei-container", "aws-imds", "aws-container", "alibaba", "native"]
roles = ["app"]
token = "file:{token}"
allow = "any-local"
[sink.file.tccli-profile]
role = "app"
path = "{file}"
"#,
            state = at("state"),
            admin = at("admin.sock"),
            token = at("token"),
            file = at("default.credential"),
        );
        fs::write(directory.path().join("config.toml"), config).expect("written");
        let daemon = Started::new(&["--config", &at("config.toml"), "run"]);
        let mut world = Self {
            port,
            token: String::new(),
            _daemon: daemon,
            directory,
        };
        let path = world.directory.path().join("token");
        let is_there = (0..300).any(|_| {
            std::thread::park_timeout(Duration::from_millis(50));
            path.exists()
        });
        assert!(is_there, "the daemon makes the token");
        world.token = fs::read_to_string(path).expect("a token");
        let waited = world.says(&["wait", "app", "--min-remaining", "1m", "--timeout", "20s"]);
        assert_eq!(waited.code, Some(0), "{waited:?}");
        world
    }

    fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let config = self.directory.path().join("config.toml");
        let mut all = vec!["--config", config.to_str().expect("text")];
        all.extend(arguments);
        credvend(&all)
    }

    fn says(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments))
    }
}

#[test]
fn programs_are_pointed_here_and_files_are_written() {
    let world = World::start();
    let env = world.says(&["env", "app"]);
    assert_eq!(env.code, Some(0), "{env:?}");
    let uri = format!("http://127.0.0.1:{}/aws/container/app", world.port);
    assert!(
        env.stdout.contains(&format!(
            "export AWS_CONTAINER_CREDENTIALS_FULL_URI={uri}\n"
        )),
        "{env:?}"
    );
    assert!(
        env.stdout
            .contains("\nunset AWS_CONTAINER_AUTHORIZATION_TOKEN\n")
    );
    assert!(
        env.stdout.contains("\nexport TENCENTCLOUD_TOKEN="),
        "no live path for tccli here"
    );
    assert!(env.stdout.contains("is not renewed"), "{env:?}");
    let unknown = world.says(&["env", "nobody"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(64), ""));

    let mut exec = world.command(&[
        "exec",
        "app",
        "--",
        "/bin/sh",
        "-c",
        "echo \"$AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_ACCESS_KEY_ID $NO_PROXY\"; exit 7",
    ]);
    exec.env("AWS_ACCESS_KEY_ID", "static")
        .env("NO_PROXY", "example.com");
    let ended = run(&mut exec);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert_eq!(ended.stdout, format!("{uri}  example.com,127.0.0.1\n"));
    let missing = world.says(&["exec", "app", "--", "/no/such/program"]);
    assert_eq!(missing.code, Some(64));
    assert!(
        missing.stderr.contains("cannot run `/no/such/program`"),
        "{missing:?}"
    );
    // The program takes our place, so it is the one that a signal reaches.
    let killed = world.says(&["exec", "app", "--", "/bin/sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.code, None, "ended by the signal: {killed:?}");

    let file = world.directory.path().join("default.credential");
    let written: Value = serde_json::from_slice(&fs::read(&file).expect("written")).expect("JSON");
    assert_eq!(written["secretId"], "AKIDexample");
    assert_eq!(written["token"], format!("{CANARY}-token"));
    let mode = fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
