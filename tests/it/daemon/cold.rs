//! Clients that come before the first set is there.

use std::time::Duration;

use credvend::emulator::{Fault, FaultKind};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::site::{SOON, Site, assumed, base, eventually, exchange, request, socket};

/// Strikes every call about this role for ever.
fn always(role: &str, fault: Fault) -> Fault {
    Fault {
        role: Some(role.into()),
        forever: true,
        ..fault
    }
}

#[tokio::test]
async fn everybody_who_waits_is_released_by_one_call() {
    let site = Site::new();
    let delay = Fault {
        delay_ms: Some(900),
        ..Fault::new(FaultKind::Delay)
    };
    site.cloud.state.push_fault(always("app", delay)).unwrap();
    site.configure(
        &[
            base(),
            assumed("app", "ops", "app", ""),
            socket("app", &["app"]),
        ]
        .concat(),
    );
    let daemon = site.launch();
    let path = site.path("app.sock");
    let first = eventually("somebody listens", SOON, async || {
        UnixStream::connect(&path).await.ok()
    });
    drop(first.await);
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let path = path.clone();
        waiting.spawn(async move {
            let stream = UnixStream::connect(path).await.unwrap();
            let asked = request("/v1/roles/app/credentials", "localhost", "");
            exchange(stream, &asked).await.expect("an answer")
        });
    }
    let (answers, waited) = tokio::join!(
        waiting.join_all(),
        site.run(&["wait", "app", "--min-remaining", "1h"])
    );
    assert_eq!(waited.code, Some(0), "{waited:?}");
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| answer.json()["access_key_id"].clone())
        .collect();
    assert!(
        ids.iter().all(|id| id.is_string() && *id == ids[0]),
        "{ids:?}"
    );
    assert_eq!(site.cloud.state.calls().by_role["app"], 1);
    drop(daemon);
}

#[tokio::test]
async fn a_cold_role_answers_503_in_time_and_a_refused_one_at_once() {
    let site = Site::new();
    let unreachable = "[role.away.provider.tencent-assume-role]\nsource = \"ops\"\n\
                       role-arn = \"qcs::cam::uin/1:roleName/x\"\nendpoint = \"http://{ip}:1\"\n";
    let listener = "[listener.metadata]\naddress = \"{ip}:9470\"\n\
                    roles = [\"away\", \"missing\", \"below\"]\n";
    site.configure(
        &[
            base(),
            unreachable.into(),
            assumed("missing", "ops", "no-such-role", ""),
            assumed("below", "missing", "app", ""),
            socket("app", &["away", "missing", "below"]),
            listener.into(),
        ]
        .concat(),
    );
    let daemon = site.start().await;
    site.role_becomes("missing", "none", "failing").await;

    let asked = Instant::now();
    let reply = site.ask("app", "away").await;
    let took = asked.elapsed();
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1")),
        "{reply:?}"
    );
    let message = reply.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        message.contains("role `away` holds no valid credentials yet"),
        "{message}"
    );
    assert!(message.contains(&format!("{}:1", site.ip)), "{message}");
    assert!(
        took >= Duration::from_millis(1_400),
        "held for a while: {took:?}"
    );
    assert!(took < Duration::from_millis(2_500), "{took:?}");

    let asked = Instant::now();
    let reply = site.ask("app", "missing").await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("30")),
        "{reply:?}"
    );
    assert!(reply.body.contains("somebody has to act"), "{reply:?}");
    assert!(
        reply.body.contains("InternalError.GetRoleError"),
        "{reply:?}"
    );
    let path = "/latest/meta-data/cam/security-credentials/missing";
    let reply = site.tcp(9470, path, "").await;
    assert_eq!(reply.status, 503);
    assert_ne!(reply.json()["Code"], "Success", "{reply:?}");
    assert!(
        asked.elapsed() < Duration::from_millis(700),
        "at once: {:?}",
        asked.elapsed()
    );

    let text = site.says(&["get", "missing"], 69).await;
    assert!(text.contains("no credentials for `missing`: "), "{text}");
    assert!(text.contains("InternalError.GetRoleError"), "{text}");

    // What is signed by a role that was refused for good is no better off.
    site.role_becomes("below", "none", "failing").await;
    let asked = Instant::now();
    let reply = site.ask("app", "below").await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("30")),
        "{reply:?}"
    );
    assert!(
        asked.elapsed() < Duration::from_millis(700),
        "at once: {:?}",
        asked.elapsed()
    );

    // Mended in the cloud, and asked for by hand: the whole chain is there.
    site.cloud.state.with_world(|world| {
        let role = credvend::emulator::Role::new(credvend::emulator::ACCOUNT, "no-such-role");
        world.add_role(role).unwrap();
    });
    site.says(&["refresh", "missing"], 0).await;
    site.role_becomes("below", "fresh", "idle").await;
    drop(daemon);
}

#[tokio::test]
async fn a_lazy_role_waits_for_its_first_request() {
    let site = Site::new();
    site.configure(
        &[
            base(),
            "[role.app]\nlazy = true\n".into(),
            assumed("app", "ops", "app", ""),
            socket("app", &["app"]),
        ]
        .concat(),
    );
    let daemon = site.start().await;
    let role = site.role("app").await;
    assert_eq!(
        (&role["held"], &role["refresh"]),
        (&"none".into(), &"resting".into())
    );
    site.says(&["status", "--check"], 0).await;
    assert_eq!(site.cloud.state.calls().total, 0);
    site.set("app", "app").await;
    assert_eq!(site.cloud.state.calls().total, 1);
    drop(daemon);
}
