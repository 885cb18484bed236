//! Everything the emulated cloud can do wrong: nothing bad is adopted, cold or warm, and what
//! was held stays.

use std::collections::BTreeMap;

use credvend::emulator::{ACCOUNT, Fault, FaultKind, OTHER_ACCOUNT, Role};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::site::{SOON, Site, assumed, base, exchange, request, socket};

/// A name, what happens to the calls of the role with that name, and what is said about it.
fn trouble() -> Vec<(&'static str, Fault, &'static str)> {
    let delayed = Fault {
        delay_ms: Some(200),
        ..Fault::new(FaultKind::Delay)
    };
    vec![
        ("f-status", Fault::status(503), "503"),
        (
            "f-code",
            Fault::error("InternalError.SystemError", "no"),
            "InternalError.SystemError",
        ),
        (
            "f-final",
            Fault::error("AuthFailure.UnauthorizedOperation", "no"),
            "Unauthorized",
        ),
        ("f-hang", Fault::new(FaultKind::Hang), "within"),
        ("f-reset", Fault::new(FaultKind::Reset), "{cloud}"),
        ("f-truncated", Fault::new(FaultKind::Truncated), "{cloud}"),
        ("f-garbage", Fault::new(FaultKind::Garbage), "{cloud}"),
        ("f-expired", Fault::new(FaultKind::Expired), "expired"),
        ("f-incomplete", Fault::new(FaultKind::Incomplete), ""),
        (
            "f-throttle",
            Fault::new(FaultKind::Throttle),
            "RequestLimitExceeded",
        ),
        (
            "f-account",
            Fault::new(FaultKind::WrongAccount),
            OTHER_ACCOUNT,
        ),
        ("f-delay", delayed, ""),
        ("f-backwards", Fault::new(FaultKind::Backwards), "would end"),
    ]
}

/// Faults of these two kinds bring something that may be used where nothing is held.
const HARMLESS_WHEN_COLD: [&str; 2] = ["f-delay", "f-backwards"];
/// Retried only every five minutes by themselves.
const FOR_GOOD: [&str; 2] = ["f-final", "f-account"];

fn strike(site: &Site) {
    let faults = trouble().into_iter().map(|(role, fault, _)| Fault {
        role: Some(role.into()),
        action: Some("AssumeRole".into()),
        forever: true,
        ..fault
    });
    site.cloud.state.push_faults(faults.collect()).unwrap();
}

async fn ids(site: &Site) -> BTreeMap<&'static str, Value> {
    let mut ids = BTreeMap::new();
    for (role, _, _) in trouble() {
        ids.insert(role, site.set("app", role).await["access_key_id"].clone());
    }
    ids
}

#[tokio::test]
async fn nothing_bad_is_adopted_cold_or_warm() {
    let site = Site::new();
    let mut tables = String::new();
    let roles: Vec<&str> = trouble().iter().map(|(role, _, _)| *role).collect();
    for role in &roles {
        let cam_role = Role::new(ACCOUNT, role);
        site.cloud
            .state
            .with_world(|world| world.add_role(cam_role).unwrap());
        let account = format!("expected-account = \"{ACCOUNT}\"\n");
        let provider = assumed(role, "ops", role, "timeout = \"600ms\"\n");
        tables.extend([format!("[role.{role}]\n"), account, provider]);
    }
    site.configure(&[base(), tables, socket("app", &roles)].concat());

    // Cold: nothing but the harmless is there.
    strike(&site);
    let daemon = site.start().await;
    let mut troubled = Vec::new();
    for (role, _, said) in trouble() {
        if HARMLESS_WHEN_COLD.contains(&role) {
            site.role_becomes(role, "fresh", "idle").await;
            continue;
        }
        let refresh = if FOR_GOOD.contains(&role) {
            "failing"
        } else {
            "retrying"
        };
        let status = site.role_becomes(role, "none", refresh).await;
        explained(&site, &status, role, said);
        troubled.push(role);
    }

    answer(&site, &troubled, 503).await;

    // The cloud is well again: who is asked for recovers by itself.
    site.cloud.state.clear_faults();
    for role in FOR_GOOD {
        site.says(&["refresh", role], 0).await;
    }
    answer(&site, &roles, 200).await;

    // Warm: what is held stays, and each failure is told.
    let held = ids(&site).await;
    strike(&site);
    // `refresh` acts on a role once in ten seconds; those asked for above have had theirs.
    let others: Vec<&str> = roles
        .iter()
        .copied()
        .filter(|role| !FOR_GOOD.contains(role))
        .collect();
    let ended = site.run(&[&["refresh"][..], &others].concat()).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    for (role, _, said) in trouble() {
        if FOR_GOOD.contains(&role) {
            continue;
        }
        let mut lines = ended.stdout.lines();
        let line = lines
            .find(|line| line.starts_with(&format!("{role}: ")))
            .unwrap();
        if role == "f-delay" {
            assert!(line.starts_with("f-delay: refreshed, "), "{line}");
            continue;
        }
        if role == "f-backwards" {
            // Sessions may have been made shorter: nothing failed, and the longer one is kept.
            assert!(line.starts_with("f-backwards: refreshed, "), "{line}");
            assert!(line.contains(said), "{line}");
            continue;
        }
        assert!(
            line.starts_with(&format!("{role}: failed, expires at 2")),
            "{line}"
        );
        let status = site.role(role).await;
        assert_eq!(status["held"], "fresh", "{status}");
        explained(&site, &status, role, said);
    }
    let after = ids(&site).await;
    for (role, id) in &after {
        assert_eq!(id == &held[role], *role != "f-delay", "{role}");
    }

    let throttled = format!(
        "credvend_upstream_throttled_total{{endpoint=\"{}:9480\"}}",
        site.ip
    );
    assert!(site.metric(&throttled).await >= Some(2.0));
    drop(daemon);
}

/// Asks for all of them at once, as clients would, until each answers so.
async fn answer(site: &Site, roles: &[&str], status: u16) {
    let mut asking = JoinSet::new();
    for role in roles {
        let path = site.path("app.sock");
        let asked = request(&format!("/v1/roles/{role}/credentials"), "localhost", "");
        asking.spawn(async move {
            let deadline = Instant::now() + SOON;
            loop {
                let stream = UnixStream::connect(&path).await.unwrap();
                let reply = exchange(stream, &asked).await.unwrap();
                if reply.status == status {
                    return;
                }
                assert!(Instant::now() < deadline, "{reply:?}");
            }
        });
    }
    asking.join_all().await;
}

fn explained(site: &Site, status: &Value, role: &str, said: &str) {
    let message = status["last_error"]["message"].as_str().unwrap_or_default();
    let host = format!("{}:9480", site.ip);
    let said = said.replace("{cloud}", &host);
    assert!(
        !message.is_empty() && message.contains(&said),
        "{role}: {message}"
    );
    assert!(!message.contains('\n'), "{role}: {message}");
}
