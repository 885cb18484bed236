//! What an attempt puts right by itself: a session that is too long, a source that was revoked,
//! an endpoint that cannot be reached.

use std::time::Duration;

use credvend::emulator::{ACCOUNT, Fault, LongLivedKey, USER};
use tokio::time::Instant;

use super::site::{Site, assumed, base, eventually, socket};
use crate::support::CANARY;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_session_that_is_too_long_becomes_shorter_and_that_is_remembered() {
    let site = Site::new();
    let long = assumed("app", "ops", "short", "duration = \"4h\"\n");
    site.configure(&[base(), long, socket("app", &["app"])].concat());
    let daemon = site.start().await;
    let role = site.role_becomes("app", "fresh", "idle").await;
    let left = role["expires_in_seconds"].as_u64().unwrap();
    assert!(
        (3_200..=3_300).contains(&left),
        "an hour, less the margin: {left}"
    );
    assert_eq!(role["min_remaining_seconds"], 44 * 60);
    let refused = |site: &Site| {
        let outcomes = site.cloud.state.calls().by_outcome;
        outcomes
            .get("InvalidParameter.OverTimeError")
            .copied()
            .unwrap_or(0)
    };
    let steps = refused(&site);
    assert!(steps >= 1, "{steps}");
    let id = role["access_key_id"].clone();
    site.write("ops-secret", &format!("ops-{CANARY}\n\n"));
    eventually("refreshed, since a file changed", PATIENCE, async || {
        (site.role("app").await["access_key_id"] != id).then_some(())
    })
    .await;
    assert_eq!(refused(&site), steps, "asked for the shorter one at once");
    assert!(!daemon.lines("trying a shorter one").is_empty());

    // Somebody may have raised the cap, and asks for what it brings.
    site.says(&["refresh", "app"], 0).await;
    assert_eq!(refused(&site), 2 * steps);
    site.says(&["reload"], 0).await;
    site.write("ops-secret", &format!("ops-{CANARY}\n"));
    eventually("asked for anew", PATIENCE, async || {
        (refused(&site) == 3 * steps).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_attempt_between_the_two_files_of_a_new_key_is_signed_with_the_former_one() {
    let site = Site::new();
    let role = assumed("app", "ops", "app", "");
    site.configure(&[base(), role, socket("app", &["app"])].concat());
    let _daemon = site.start().await;
    let key = LongLivedKey {
        id: "AKIDnextOfTheTests".into(),
        secret: format!("next-{CANARY}").into(),
        account: ACCOUNT.into(),
        uin: USER.into(),
    };
    site.cloud
        .state
        .with_world(|world| world.add_key(key))
        .unwrap();
    let before = site.role_becomes("app", "fresh", "idle").await;

    let begun = Instant::now();
    site.write("ops-id", "AKIDnextOfTheTests\n");
    site.says(&["forget", "app"], 0).await;
    let between = site.role_becomes("app", "fresh", "idle").await;
    assert_ne!(between["access_key_id"], before["access_key_id"]);
    site.write("ops-secret", &format!("next-{CANARY}\n"));
    let was_in_time = begun.elapsed() < Duration::from_millis(1_500);
    eventually("refreshed, since files changed", PATIENCE, async || {
        let role = site.role("app").await;
        (role["access_key_id"] != between["access_key_id"]).then_some(())
    })
    .await;
    // After two quiet seconds one file is taken for all there is to come.
    if was_in_time {
        let outcomes = site.cloud.state.calls().by_outcome;
        assert_eq!(outcomes.get("AuthFailure.SignatureFailure"), None);
    }
}

#[tokio::test]
async fn a_revoked_source_is_refreshed_and_the_call_made_once_more() {
    let site = Site::new();
    let roles = [
        assumed("app", "ops", "app", ""),
        assumed("chained", "app", "chained", ""),
    ];
    site.configure(&[base(), roles.concat(), socket("app", &["app", "chained"])].concat());
    let daemon = site.start().await;
    site.role_becomes("chained", "fresh", "idle").await;
    let (app, chained) = (
        site.set("app", "app").await,
        site.set("app", "chained").await,
    );
    let revoked = Fault {
        role: Some("chained".into()),
        ..Fault::error("AuthFailure.TokenFailure", "the token is wrong")
    };
    site.cloud.state.push_fault(revoked).unwrap();
    site.cloud.state.reset_counts();
    let text = site.says(&["refresh", "chained"], 0).await;
    assert!(text.starts_with("chained: refreshed, "), "{text}");
    assert_ne!(
        site.set("app", "app").await["access_key_id"],
        app["access_key_id"]
    );
    assert_ne!(
        site.set("app", "chained").await["access_key_id"],
        chained["access_key_id"]
    );
    let calls = site.cloud.state.calls();
    assert_eq!(
        (calls.by_role["app"], calls.by_role["chained"]),
        (1, 2),
        "{calls:#?}"
    );
    drop(daemon);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_has_a_second_one() {
    let site = Site::new();
    let first = assumed("app", "ops", "app", "fallback-endpoint = \"{second}\"\n");
    let first = first
        .replace("{cloud}", "http://{ip}:1")
        .replace("{second}", "{cloud}");
    site.configure(&[base(), first, socket("app", &["app"])].concat());
    let daemon = site.start().await;
    let role = site.role_becomes("app", "fresh", "idle").await;
    assert_eq!(role["last_error"], serde_json::Value::Null);
    site.set("app", "app").await;
    let sample = "credvend_upstream_calls_total{endpoint=\"IP:1\",action=\"AssumeRole\",\
                  result=\"transient\"}";
    let failed = site
        .metric(&sample.replace("IP", &site.ip.to_string()))
        .await;
    assert!(failed >= Some(1.0), "{failed:?}");
    drop(daemon);
}
