//! A new configuration under a running daemon: what differs changes, everything else stays.

use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::site::{SOON, Site, assumed, base, eventually, listener_of, request, role_of, socket};

/// Roles `app` and `web` on one socket.
fn two() -> String {
    [
        base(),
        assumed("app", "ops", "app", ""),
        assumed("web", "ops", "batch", ""),
        socket("app", &["app", "web"]),
    ]
    .concat()
}

/// A connection that asked once and stays open.
async fn kept_open(site: &Site, name: &str) -> UnixStream {
    let mut stream = UnixStream::connect(site.path(&format!("{name}.sock")))
        .await
        .unwrap();
    ask_again(&mut stream).await.expect("an answer");
    stream
}

/// One more request on an open connection; `None` if it was closed.
async fn ask_again(stream: &mut UnixStream) -> Option<String> {
    let request = "GET /v1/roles HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = [0; 4096];
    let read = timeout(SOON, stream.read(&mut bytes))
        .await
        .expect("in time")
        .ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&bytes[..read]).into_owned())
}

#[tokio::test]
async fn roles_are_added_removed_tuned_and_changed_each_for_itself() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    let (app, web) = (site.set("app", "app").await, site.set("app", "web").await);
    site.cloud.state.reset_counts();

    // Tuning keeps the set and shows at once.
    site.configure(&format!("{}[role.app]\nmin-remaining = \"20m\"\n", two()));
    let text = site.says(&["reload"], 0).await;
    assert_eq!(text, "role `app` tuned; its set is kept\n");
    assert_eq!(site.set("app", "app").await, app);
    assert_eq!(site.role("app").await["min_remaining_seconds"], 20 * 60);

    // A longer session is tuning too: it counts from the next set on.
    site.configure(&two().replace("roleName/app\"", "roleName/app\"\nduration = \"4h\""));
    let text = site.says(&["reload"], 0).await;
    assert_eq!(text, "role `app` tuned; its set is kept\n");
    assert_eq!(site.set("app", "app").await, app);
    assert_eq!(
        site.cloud.state.calls().total,
        0,
        "nothing of this called the cloud"
    );

    // Another identity drops the set, and the other role keeps its own.
    let changed = two().replace("roleName/app", "roleName/report");
    let added = assumed("late", "ops", "short", "");
    let listener = socket("late", &["late"]);
    site.configure(&format!("{changed}{added}{listener}"));
    let text = site.says(&["reload"], 0).await;
    assert_eq!(
        text,
        "role `app` changed: its identity, so its set is dropped\nrole `late` added\n\
         listener `late` added\n"
    );
    let other = site.set("app", "app").await;
    assert_ne!(other["access_key_id"], app["access_key_id"]);
    assert_eq!(site.set("app", "web").await, web);
    site.set("late", "late").await;
    let calls = site.cloud.state.calls();
    assert_eq!(
        (calls.by_role["report"], calls.by_role["short"]),
        (1, 2),
        "{calls:#?}"
    );
    assert_eq!(calls.by_role.get("batch"), None, "{calls:#?}");

    // Removed: gone from everywhere, its metrics included.
    assert_eq!(
        site.metric("credvend_role_up{role=\"late\"}").await,
        Some(1.0)
    );
    site.configure(&changed.replace("\"app\", \"web\"", "\"app\""));
    let text = site.says(&["reload"], 0).await;
    assert!(text.contains("role `late` removed\n"), "{text}");
    assert!(text.contains("listener `late` removed\n"), "{text}");
    assert!(site.try_get("late", "/v1/roles").await.is_none());
    assert_eq!(site.metric("credvend_role_up{role=\"late\"}").await, None);
    assert_eq!(
        site.ask("app", "web").await.status,
        404,
        "no longer served here"
    );
    assert_eq!(site.set("app", "app").await, other);
    drop(daemon);
}

#[tokio::test]
async fn a_wrong_file_changes_nothing_and_says_why() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    let app = site.set("app", "app").await;
    let reloaded = "credvend_config_last_reload_successful";
    assert_eq!(site.metric(reloaded).await, Some(1.0));

    let wrong = two().replace("source = \"ops\"", "source = \"nobody\"") + "[rolls]\n";
    site.configure(&wrong.replace("[listener.app]", "[listener.other]"));
    let ended = site.run(&["reload"]).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    for part in [
        "`nobody`",
        "`rolls`",
        "3 mistakes in the configuration",
        "config.toml:",
    ] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(site.metric(reloaded).await, Some(0.0));
    let status = site.status().await;
    assert_eq!(status["last_reload_successful"], false);
    assert_eq!(site.set("app", "app").await, app);
    assert_eq!(listener_of(&status, "app")["state"], "listening");

    daemon.signal(Signal::HUP);
    let line = daemon.logs("nothing was changed").await;
    assert!(line.contains("ERROR"), "{line}");
    let mistakes = daemon.lines("nothing was changed");
    assert_eq!(mistakes.len(), 3, "an event for each: {mistakes:#?}");
    assert!(mistakes[0].contains("config.toml:"), "{mistakes:#?}");
    let is_event =
        |line: &str| line.contains(" INFO ") || line.contains(" ERROR ") || line.contains(" WARN ");
    assert!(daemon.log().lines().all(is_event), "{}", daemon.log());
    assert_eq!(site.set("app", "app").await, app);

    site.configure(&two());
    daemon.signal(Signal::HUP);
    daemon.logs("configuration reloaded").await;
    assert_eq!(site.metric(reloaded).await, Some(1.0));
    assert_eq!(site.set("app", "app").await, app);
}

#[tokio::test]
async fn listeners_keep_their_sockets_unless_who_may_connect_changes() {
    let site = Site::new();
    let listener = "[listener.tcp]\naddress = \"{ip}:9470\"\nroles = [\"app\"]\n";
    let allow = socket("app", &["app", "web"]) + "allow = \"any-local\"\n";
    let roles = two().replace(&socket("app", &["app", "web"]), "");
    site.configure(&format!("{roles}{listener}{allow}"));
    let daemon = site.start().await;
    let mut open = kept_open(&site, "app").await;

    // Other content: socket and connections stay.
    let fewer = allow.replace("\"app\", \"web\"", "\"app\"");
    site.configure(&format!("{roles}{fewer}{}", socket("extra", &["web"])));
    let text = site.says(&["reload"], 0).await;
    for part in [
        "listener `tcp` removed",
        "listener `extra` added",
        "listener `app` changed\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let listed = ask_again(&mut open).await.expect("still open");
    assert!(
        listed.contains("\"app\"") && !listed.contains("\"web\""),
        "{listed}"
    );
    assert_eq!(site.get("extra", "/v1/roles").await.status, 200);
    assert!(
        tokio::net::TcpStream::connect((site.ip, 9470))
            .await
            .is_err(),
        "closed"
    );

    // Another `allow`: the socket stays, its connections end, and the new rule holds.
    let nobody = fewer.replace("\"any-local\"", "{}");
    site.configure(&format!("{roles}{nobody}{}", socket("extra", &["web"])));
    let text = site.says(&["reload"], 0).await;
    assert!(
        text.contains("who may connect, so its connections are closed"),
        "{text}"
    );
    // A request that crosses the end of its connection is answered by the new rule.
    let last = ask_again(&mut open).await;
    assert!(
        last.as_deref()
            .is_none_or(|reply| reply.starts_with("HTTP/1.1 403 ")),
        "{last:?}"
    );
    assert_eq!(ask_again(&mut open).await, None, "closed");
    let reply = site.ask("app", "app").await;
    assert_eq!(reply.status, 403, "{reply:?}");
    assert!(reply.body.contains("add it to allow"), "{reply:?}");
    drop(daemon);
}

#[tokio::test]
async fn the_log_level_and_the_operators_change_without_a_restart() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    assert_eq!(daemon.lines("DEBUG").len(), 0);
    let debug = two().replace("[daemon]\n", "[daemon]\nlog = \"debug\"\n");
    site.configure(&debug);
    let text = site.says(&["reload"], 0).await;
    assert_eq!(text, "[daemon] changed\n");
    site.says(&["refresh", "app"], 0).await;
    daemon.logs("DEBUG").await;
    site.configure(&debug.replace("log = \"debug\"", "log-format = \"json\""));
    let text = site.says(&["reload"], 0).await;
    assert!(text.contains("`log-format` and `state-directory` change with the next restart"));
}

#[tokio::test]
async fn a_rotated_key_refreshes_its_roles_and_a_repaired_one_recovers_at_once() {
    let site = Site::new();
    std::fs::remove_file(site.path("ops-secret")).unwrap();
    site.configure(&two());
    let daemon = site.start().await;
    let role = site.role_becomes("app", "none", "failing").await;
    let message = role["last_error"]["message"].as_str().unwrap();
    assert!(
        message.contains("the secret of key `ops` cannot be read"),
        "{message}"
    );
    assert!(message.contains("ops-secret"), "{message}");
    assert_eq!(site.cloud.state.calls().total, 0, "nothing to sign with");

    site.write("ops-secret", &format!("ops-{}\n", crate::support::CANARY));
    let limit = Duration::from_secs(6);
    eventually("the repaired role recovers", limit, async || {
        let reply = site.ask("app", "app").await;
        (reply.status == 200).then_some(())
    })
    .await;
    site.role_becomes("web", "fresh", "idle").await;

    // The same key in a new file: whoever rotates a key wants it used now.
    let before = site.set("app", "app").await;
    site.write("ops-secret", &format!("ops-{}", crate::support::CANARY));
    eventually("a rotated key refreshes", limit, async || {
        let after = site.set("app", "app").await;
        (after["access_key_id"] != before["access_key_id"]).then_some(())
    })
    .await;

    // A wrong key: the held set is served on.
    let before = site.set("app", "app").await;
    site.write("ops-secret", "not-the-secret\n");
    let role = site.role_becomes("app", "fresh", "failing").await;
    assert_eq!(
        role["last_error"]["code"], "AuthFailure.SignatureFailure",
        "{role}"
    );
    assert_eq!(site.set("app", "app").await, before);
    drop(daemon);
}

/// A file that a reload is the first to name, and that comes a moment later.
#[tokio::test]
async fn a_secret_that_comes_after_the_reload_that_names_it_is_noticed() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    let late = "[key.late-key]\ncloud = \"tencent\"\nid = \"file:{dir}/ops-id\"\n\
                secret = \"file:{dir}/late-secret\"\n";
    site.configure(&format!(
        "{}{late}{}{}",
        two(),
        assumed("late", "late-key", "short", ""),
        socket("late", &["late"])
    ));
    site.says(&["reload"], 0).await;
    site.role_becomes("late", "none", "failing").await;
    site.write("late-secret", &format!("ops-{}\n", crate::support::CANARY));
    eventually("the role recovers", Duration::from_secs(6), async || {
        (site.ask("late", "late").await.status == 200).then_some(())
    })
    .await;
    drop(daemon);
}

/// Whoever waits for another set must not wait for a role that is no more.
#[tokio::test]
async fn a_client_that_waits_for_news_gets_those_of_a_reload() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    let reply = site.ask("app", "app").await;
    let etag = reply.header("etag").unwrap().to_owned();
    let wait = async |role: &str| {
        let stream = UnixStream::connect(site.path("app.sock")).await.unwrap();
        let path = format!("/v1/roles/{role}/credentials?wait=50s");
        let condition = format!("If-None-Match: {etag}, \"web\"\r\n");
        let asked = request(&path, "localhost", &condition);
        super::site::exchange(stream, &asked)
            .await
            .expect("an answer")
    };
    let reload = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        site.configure(&two().replace("roleName/app", "roleName/report"));
        site.says(&["reload"], 0).await
    };
    let (told, _) = timeout(SOON, async { tokio::join!(wait("app"), reload) })
        .await
        .unwrap();
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(
        told.json()["access_key_id"],
        site.set("app", "app").await["access_key_id"]
    );
    drop(daemon);
}

#[tokio::test]
async fn admin_and_metrics_move_with_a_reload() {
    let site = Site::new();
    site.configure(&two());
    let daemon = site.start().await;
    site.configure(&two().replace("{ip}:9471", "{ip}:9479"));
    assert_eq!(site.says(&["reload"], 0).await, "[metrics] changed\n");
    assert_eq!(site.tcp(9479, "/livez", "").await.status, 200);
    assert!(
        tokio::net::TcpStream::connect((site.ip, 9471))
            .await
            .is_err()
    );

    // The answer to the reload itself comes over the socket that is given up.
    let moved = two().replace("admin.sock", "moved.sock");
    let text = {
        site.configure(&moved);
        let socket = site.filled("[admin]\nsocket = \"{dir}/admin.sock\"\n");
        std::fs::write(site.path("old.toml"), socket).unwrap();
        let old = site.path("old.toml");
        site.says(&["--config", old.to_str().unwrap(), "reload"], 0)
            .await
    };
    assert!(text.contains("[admin] changed"), "{text}");
    let text = site.says(&["status", "--json"], 0).await;
    let status = serde_json::from_str(&text).unwrap();
    assert_eq!(role_of(&status, "app")["held"], "fresh");
    drop(daemon);
}

#[tokio::test]
async fn a_default_that_is_written_out_changes_nothing() {
    let site = Site::new();
    site.configure(&two());
    let _daemon = site.start().await;
    let mut open = kept_open(&site, "app").await;
    let admin = "/admin.sock\"\n";
    let written = two().replace(admin, &format!("{admin}mode = \"0600\"\n"));
    site.configure(&format!("{written}mode = \"0600\"\n"));
    let text = site.says(&["reload"], 0).await;
    assert_eq!(text, "nothing changed\n");
    ask_again(&mut open).await.expect("still open");
}
