//! Roles, listeners and the ways of operators fail alone, each with one clear sentence.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use super::site::{
    ADMIN, DAEMON, KEY, METRICS, SOON, Site, assumed, base, eventually, listener_of, socket,
};

/// The user that the daemon runs as where tests run as root, who may read and write everything.
const SOMEBODY: u32 = 54_321;

/// Makes a daemon run without rights of its own: everything in its directory belongs to its
/// user, and so does the program.
pub(crate) fn unprivileged(site: &Site) -> impl FnOnce(&mut Command) {
    let is_root = rustix::process::geteuid().is_root();
    let program = site.path("credvend");
    let built = assert_cmd::cargo::cargo_bin!("credvend");
    fs::hard_link(built, &program)
        .or_else(|_| fs::copy(built, &program).map(drop))
        .unwrap();
    if is_root {
        for entry in fs::read_dir(site.dir()).unwrap() {
            let path = entry.unwrap().path();
            if path != program {
                chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
            }
        }
        chown(site.dir(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    let config = site.config();
    move |command| {
        let mut other = Command::new(program);
        other
            .arg("run")
            .env("CREDVEND_CONFIG", config)
            .env("RUNTIME_DIRECTORY", command.get_current_dir().unwrap())
            .env_remove("JOURNAL_STREAM");
        let log = command.get_current_dir().unwrap().join("log");
        other.stderr(fs::File::options().append(true).open(log).unwrap());
        if is_root {
            other.uid(SOMEBODY).gid(SOMEBODY);
        }
        *command = other;
    }
}

fn key(name: &str) -> String {
    KEY.replace("key.ops", &format!("key.{name}-key"))
        .replace("ops-secret", &format!("{name}-secret"))
}

#[tokio::test]
async fn each_trouble_is_one_sentence_and_disturbs_nobody_else() {
    let site = Site::new();
    site.write("empty-secret", " \n");
    site.write("unreadable-secret", "x\n");
    fs::set_permissions(
        site.path("unreadable-secret"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    fs::create_dir(site.path("state")).unwrap();
    fs::set_permissions(site.path("state"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::create_dir(site.path("directory.sock")).unwrap();
    let occupied = TcpListener::bind((site.ip, 9470)).unwrap();
    let roles = ["app", "missing", "empty", "unreadable", "away"];
    site.configure(
        &[
            DAEMON.replace("{dir}", "{dir}/state"),
            ADMIN.into(),
            METRICS.into(),
            KEY.into(),
            key("missing"),
            key("empty"),
            key("unreadable"),
            assumed("app", "ops", "app", ""),
            assumed("missing", "missing-key", "app", ""),
            assumed("empty", "empty-key", "app", ""),
            assumed("unreadable", "unreadable-key", "app", ""),
            assumed("away", "ops", "app", "").replace("{cloud}", "http://{ip}:1"),
            socket("app", &roles),
            socket("directory", &["app"]),
            "[listener.tcp]\naddress = \"{ip}:9470\"\nroles = [\"app\"]\n".into(),
        ]
        .concat(),
    );
    let daemon = site.launch_as(unprivileged(&site));
    eventually("the other role is served", SOON, async || {
        let reply = site.try_get("app", "/v1/roles/app/credentials").await?;
        (reply.status == 200).then_some(())
    })
    .await;
    for (role, refresh, said) in [
        (
            "missing",
            "failing",
            "the secret of key `missing-key` cannot be read: cannot read `file:{dir}/missing-secret`: No such file or directory",
        ),
        (
            "empty",
            "failing",
            "the secret of key `empty-key` cannot be read: `file:{dir}/empty-secret` is empty",
        ),
        (
            "unreadable",
            "failing",
            "the secret of key `unreadable-key` cannot be read: cannot read `file:{dir}/unreadable-secret`: Permission denied",
        ),
        ("away", "retrying", "{ip}:1"),
    ] {
        let status = site.role_becomes(role, "none", refresh).await;
        let message = status["last_error"]["message"].as_str().unwrap();
        assert!(message.contains(&site.filled(said)), "{role}: {message}");
        assert_eq!(message.lines().count(), 1, "{role}: {message}");
        assert_eq!(site.ask("app", role).await.status, 503, "{role}");
    }
    let status = site.status().await;
    for (listener, said) in [("tcp", "{ip}:9470"), ("directory", "{dir}/directory.sock")] {
        let state = listener_of(&status, listener);
        let error = state["error"].as_str().unwrap_or_default();
        assert_eq!(state["state"], "failed", "{state}");
        assert!(error.contains(&site.filled(said)), "{listener}: {error}");
        assert_eq!(
            daemon.lines(&format!("listener={listener} ")).len(),
            1,
            "{}",
            daemon.log()
        );
    }
    assert_eq!(listener_of(&status, "app")["state"], "listening");
    let line = daemon.logs("the state directory cannot be written").await;
    assert!(line.contains(&site.filled("{dir}/state")), "{line}");
    let text = site.says(&["status", "--check"], 69).await;
    for part in ["role `missing` is", "role `away` is", "listener `tcp` at"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("role `app`"), "{text}");

    drop(occupied);
    repaired_troubles_end_by_themselves(&site).await;
}

async fn repaired_troubles_end_by_themselves(site: &Site) {
    fs::set_permissions(
        site.path("unreadable-secret"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    fs::write(
        site.path("unreadable-secret"),
        fs::read(site.path("ops-secret")).unwrap(),
    )
    .unwrap();
    eventually("the port is taken", Duration::from_secs(5), async || {
        let status = site.status().await;
        (listener_of(&status, "tcp")["state"] == "listening").then_some(())
    })
    .await;
    site.role_becomes("unreadable", "fresh", "idle").await;
}

/// Of a file that could not be read only the mode changes, which leaves its time as it was.
#[tokio::test]
async fn a_secret_that_becomes_readable_is_noticed() {
    let site = Site::new();
    fs::set_permissions(site.path("ops-secret"), fs::Permissions::from_mode(0o000)).unwrap();
    let text = [
        base(),
        assumed("app", "ops", "app", ""),
        socket("app", &["app"]),
    ]
    .concat();
    site.configure(&text);
    let daemon = site.launch_as(unprivileged(&site));
    eventually("there is a first error", SOON, async || {
        let reply = site.try_get("app", "/v1/roles/app/credentials").await?;
        reply.body.contains("Permission denied").then_some(())
    })
    .await;
    fs::set_permissions(site.path("ops-secret"), fs::Permissions::from_mode(0o600)).unwrap();
    eventually("the role recovers", Duration::from_secs(6), async || {
        (site.ask("app", "app").await.status == 200).then_some(())
    })
    .await;
    drop(daemon);
}

#[tokio::test]
async fn without_any_listener_there_is_no_point_in_running() {
    let site = Site::new();
    fs::create_dir(site.path("app.sock")).unwrap();
    let text = [
        base(),
        assumed("app", "ops", "app", ""),
        socket("app", &["app"]),
    ]
    .concat();
    site.configure(&text);
    let ended = site.run(&["run"]).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    let message = ended.stderr.lines().last().unwrap_or_default();
    assert!(
        message.contains("no listener could be opened; listener `app`: "),
        "{ended:?}"
    );
    assert!(message.contains("app.sock"), "{ended:?}");
}

#[tokio::test]
async fn an_unusable_admin_socket_or_metrics_port_takes_nothing_else_with_it() {
    let site = Site::new();
    fs::create_dir(site.path("admin.sock")).unwrap();
    let occupied = TcpListener::bind((site.ip, 9471)).unwrap();
    let text = [
        base(),
        assumed("app", "ops", "app", ""),
        socket("app", &["app"]),
    ]
    .concat();
    site.configure(&text);
    let daemon = site.launch();
    eventually("the role is served", SOON, async || {
        let reply = site.try_get("app", "/v1/roles/app/credentials").await?;
        (reply.status == 200).then_some(())
    })
    .await;
    let line = daemon.logs("the admin socket cannot be opened").await;
    assert!(line.contains("admin.sock"), "{line}");
    let line = daemon.logs("the metrics address cannot be opened").await;
    assert!(line.contains(&format!("{}:9471", site.ip)), "{line}");
    let text = site.says(&["status"], 69).await;
    assert!(text.contains("admin.sock"), "{text}");

    // Both are tried again.
    fs::remove_dir(site.path("admin.sock")).unwrap();
    drop(occupied);
    eventually("the admin socket is there", SOON, async || {
        site.try_get("admin", "/admin/v1/status").await
    })
    .await;
    eventually("the metrics are there", SOON, async || {
        let stream = tokio::net::TcpStream::connect((site.ip, 9471)).await.ok();
        stream.map(drop)
    })
    .await;
    assert_eq!(site.tcp(9471, "/readyz", "").await.status, 200);
    assert_eq!(site.status().await["notes"], serde_json::json!([]));
}

#[tokio::test]
async fn ten_mistakes_are_ten_messages_with_their_lines_from_check_and_from_run() {
    let site = Site::new();
    let text = r#"[daemon]
shutdown-grace = 5
[key.ops]
cloud = "tencent"
id = "file:{dir}/ops-id"
secret = "AKIDsecret-itself"
[role.app]
min-remaning = "5m"
[role.app.provider.tencent-assume-role]
source = "nobody"
role-arn = "app"
duration = "90"
[role.one.provider.tencent-assume-role]
source = "two"
role-arn = "qcs::cam::uin/1:roleName/x"
[role.two.provider.tencent-assume-role]
source = "one"
role-arn = "qcs::cam::uin/1:roleName/x"
[listener.tcp]
address = "192.0.2.1:80"
roles = ["app", "ap"]
allow = { users = ["no-such-user"] }
[listner.x]
"#;
    site.configure(text);
    let wrong = [2, 6, 8, 10, 11, 12, 20, 21, 22, 23];
    for command in ["check", "run"] {
        let ended = site.run(&[command]).await;
        assert_eq!(ended.code, Some(78), "{command}: {ended:?}");
        assert_eq!(ended.stdout, "", "{command}");
        for line in wrong {
            let place = format!("config.toml:{line}:");
            assert!(
                ended.stderr.contains(&place),
                "{command}, {place}: {}",
                ended.stderr
            );
        }
        // The cycle of `one` and `two` is told once, at either.
        let cycle = ["config.toml:14:", "config.toml:17:"];
        assert!(
            cycle.iter().any(|place| ended.stderr.contains(place)),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("11 mistakes in the configuration"),
            "{}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("AKIDsecret-itself"),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test]
async fn check_online_makes_one_attempt_per_role_and_names_the_one_that_fails() {
    let site = Site::new();
    let good = [
        base(),
        assumed("app", "ops", "app", ""),
        assumed("chained", "app", "chained", ""),
        socket("app", &["app"]),
    ]
    .concat();
    site.configure(&good);
    let text = site.says(&["check", "--online"], 0).await;
    for part in [
        "role `app`: would get AKID",
        "role `chained`: would get AKID",
        ", expires 2",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(site.cloud.state.calls().total, 2);
    assert!(!site.path("app.sock").exists(), "nothing is served");

    site.configure(&(good + &assumed("wrong", "ops", "nowhere", "")));
    let text = site.says(&["check", "--online"], 69).await;
    assert!(text.contains("role `app`: would get AKID"), "{text}");
    assert!(text.contains("role `wrong`: FAILED: "), "{text}");
    assert!(text.contains("InternalError.GetRoleError"), "{text}");
}
