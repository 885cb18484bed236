//! No secret where nobody asked for one: the whole program at its most talkative, searched for
//! every secret it was ever given.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use credvend::emulator::{Fault, FaultKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixStream;

use super::alone::unprivileged;
use super::everyday::everything;
use super::site::{Site, exchange, request, socket};
use crate::support::CANARY;

/// What must be found nowhere.
struct Known(BTreeSet<String>);

impl Known {
    fn new(site: &Site) -> Self {
        let web = fs::read_to_string(site.path("web-token")).unwrap();
        let assertions = fs::read_to_string(site.path("assertions")).unwrap();
        let mut known = BTreeSet::from([CANARY.to_owned(), web.trim().to_owned()]);
        known.extend(assertions.lines().map(Into::into));
        Self(known)
    }

    /// Adds the secrets that are served now.
    async fn learn(&mut self, site: &Site) {
        for role in ["app", "chained", "machine", "staff", "upload", "web"] {
            let reply = site.ask("app", role).await;
            if reply.status == 200 {
                for field in ["secret_access_key", "session_token"] {
                    self.0
                        .insert(reply.json()[field].as_str().unwrap().to_owned());
                }
            }
        }
    }

    fn search(&self, place: &str, text: &str) {
        for secret in &self.0 {
            let found = text.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(found, None, "{place} holds a secret");
        }
    }
}

/// Whatever can be asked without being given credentials, with all that is refused.
async fn everything_else(site: &Site) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (path, headers) in [
        ("/v1/roles", ""),
        ("/v1/roles/app/status", ""),
        ("/v1/roles/nobody/credentials", ""),
        (
            "/v1/roles/app/credentials",
            "Origin: http://evil.example\r\n",
        ),
        ("/v1/roles/app/credentials", "X-Forwarded-For: 1.2.3.4\r\n"),
        (
            "/v1/roles/app/credentials",
            "Transfer-Encoding: chunked\r\n",
        ),
        ("/v1/roles/app/credentials?wait=x", ""),
        ("/latest/meta-data/cam/security-credentials/", ""),
        ("/latest/meta-data/else", ""),
        ("http://evil.example/v1/roles", ""),
    ] {
        let reply = site.tcp(9470, path, headers).await;
        texts.push((format!("GET {path} {headers}"), format!("{reply:?}")));
    }
    for token in ["", "Authorization: wrong\r\n"] {
        let reply = site.tcp(9472, "/aws/container/app", token).await;
        assert_eq!(reply.status, 401);
        texts.push((format!("container {token}"), format!("{reply:?}")));
    }
    let stream = UnixStream::connect(site.path("app.sock")).await.unwrap();
    let asked = request("/v1/roles/app/credentials", "localhost", "").replace("GET", "POST");
    let reply = exchange(stream, &asked).await.unwrap();
    assert_eq!(reply.status, 405);
    texts.push(("POST".into(), format!("{reply:?}")));
    for command in [
        &["status"][..],
        &["status", "--json"],
        &["whoami", "app"],
        &["whoami", "printed"],
        &["refresh"],
        &["forget", "web"],
        &["check"],
        &["check", "--online"],
        &["get", "nobody"],
        &["reload"],
    ] {
        let ended = site.run(command).await;
        texts.push((
            format!("{command:?}"),
            format!("{}{}", ended.stdout, ended.stderr),
        ));
    }
    let metrics = site.tcp(9471, "/metrics", "").await;
    assert!(metrics.body.contains("credvend_role_up"));
    texts.push(("/metrics".into(), metrics.body));
    texts
}

async fn search_everywhere(format: &str) {
    let site = Site::new();
    let talkative = format!("[daemon]\nlog = \"trace\"\nlog-format = \"{format}\"\n");
    let text = everything(&site).replace("[daemon]\n", &talkative);
    site.configure(&text);
    let mut known = Known::new(&site);
    let daemon = site.start().await;
    known.learn(&site).await;
    let mut texts = everything_else(&site).await;
    known.learn(&site).await;

    // Failures of all kinds speak of what they failed with.
    for kind in [
        FaultKind::Garbage,
        FaultKind::Truncated,
        FaultKind::Incomplete,
        FaultKind::Status,
    ] {
        site.cloud
            .state
            .push_fault(Fault {
                times: Some(4),
                ..Fault::new(kind)
            })
            .unwrap();
    }
    site.run(&["forget", "--all"]).await;
    for role in ["app", "fourth", "staff", "web"] {
        let reply = site.ask("app", role).await;
        if reply.status != 200 {
            texts.push((format!("{role} while it fails"), format!("{reply:?}")));
        }
    }
    site.cloud.state.clear_faults();
    // A key pasted into the configuration is refused and not repeated.
    site.configure(&format!(
        "{text}[key.pasted]\ncloud = \"tencent\"\nid = \"{CANARY}\"\nsecret = \"{CANARY}\"\n{}",
        socket("x", &["nobody"])
    ));
    let ended = site.run(&["reload"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    texts.push(("reload".into(), ended.stderr));
    site.configure(&text);
    site.run(&["reload"]).await;
    known.learn(&site).await;

    assert!(known.0.len() > 40, "{} secrets were seen", known.0.len());
    for (place, text) in &texts {
        known.search(place, text);
    }
    let log = daemon.log();
    for part in [
        "TRACE",
        "credentials refreshed",
        "credentials handed out",
        "AKID",
    ] {
        assert!(log.contains(part), "{part} is not in the log");
    }
    if format == "json" {
        for line in log.lines() {
            let event: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(event.is_ok(), "{line}");
        }
    }
    known.search("the log", &log);
    for file in ["cmdline", "environ", "status", "comm"] {
        // What cannot be read at all holds no secret either.
        let bytes = fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap_or_default();
        known.search(file, &String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn no_secret_is_in_text_logs_errors_status_metrics_or_proc() {
    search_everywhere("text").await;
}

#[tokio::test]
async fn no_secret_is_in_json_logs_errors_status_metrics_or_proc() {
    search_everywhere("json").await;
}

/// Another process of the daemon's own user, which has every other right of it.
#[tokio::test]
async fn the_memory_cannot_be_read_by_the_same_user() {
    let site = Site::new();
    site.configure(&everything(&site));
    // Where cores are off for everybody, nothing would show that the daemon switches them off.
    let usual = getrlimit(Resource::Core);
    let raised = Rlimit {
        current: usual.maximum,
        ..usual
    };
    setrlimit(Resource::Core, raised).unwrap();
    let daemon = site.launch_as(unprivileged(&site));
    setrlimit(Resource::Core, usual).unwrap();
    super::site::eventually("it serves", super::site::SOON, async || {
        site.try_get("app", "/v1/roles/app/credentials").await
    })
    .await;
    let pid = daemon.pid();
    let owner = {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(site.dir()).unwrap().uid()
    };
    for file in ["mem", "maps", "environ"] {
        let mut reader = Command::new("/bin/cat");
        reader.arg(format!("/proc/{pid}/{file}"));
        if rustix::process::geteuid().is_root() {
            reader.uid(owner).gid(owner);
        }
        let output = reader.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Permission denied"), "{file}: {said}");
        assert_eq!(output.stdout, b"", "{file}");
    }
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let mut lines = limits.lines();
    let core = lines.find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.unwrap().split_whitespace().collect();
    assert_eq!(
        core[4..6],
        ["0", "0"],
        "neither now nor raised again: {limits}"
    );
}
