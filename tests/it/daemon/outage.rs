//! The cloud goes away for longer than sets live, and comes back.

use std::time::{Duration, UNIX_EPOCH};

use credvend::clock::{Clock, SystemClock, unix_seconds};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::site::{Site, assumed, base, eventually, role_of, socket};

const ROLES: [&str; 4] = ["app", "chained", "third", "web"];
/// Of sessions, in seconds.
const LIFE: u64 = 6;

fn short_lived() -> String {
    let life = format!("duration = \"{LIFE}s\"\n");
    [
        base(),
        assumed("app", "ops", "app", &life),
        assumed("chained", "app", "chained", &life),
        assumed("third", "chained", "report", &life),
        assumed("web", "ops", "batch", &life),
        socket("app", &ROLES),
    ]
    .concat()
}

/// A text's time in seconds since 1970.
fn seconds(time: &Value) -> u64 {
    let time: jiff::Timestamp = time.as_str().expect("a text").parse().expect("RFC 3339");
    u64::try_from(time.as_second()).unwrap()
}

/// Reads a role once. A set that is answered must show an end that has not come yet.
async fn look(site: &Site, role: &str) -> Option<Value> {
    // Of the answer's own moment only this is sure: it comes after the question.
    let asked = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap();
    let reply = site.ask("app", role).await;
    match reply.status {
        200 => {
            let set = reply.json();
            let end = Duration::from_secs(seconds(&set["expires_at"]));
            assert!(
                end > asked,
                "{role} was over at {asked:?}: {}",
                set["expires_at"]
            );
            Some(set)
        }
        503 => {
            assert_eq!(reply.header("retry-after"), Some("1"), "{reply:?}");
            None
        }
        _ => panic!("{role}: {reply:?}"),
    }
}

#[tokio::test]
async fn what_is_held_is_served_to_its_end_and_every_role_recovers_within_two_seconds() {
    let site = Site::new();
    site.configure(&short_lived());
    let daemon = site.start().await;
    for role in ROLES {
        site.role_becomes(role, "fresh", "idle").await;
    }
    // Sets are replaced while the cloud is there.
    let first = site.set("app", "app").await;
    eventually("a rotation", Duration::from_secs(LIFE), async || {
        let next = look(&site, "app").await?;
        (next["access_key_id"] != first["access_key_id"]).then_some(())
    })
    .await;

    site.cloud.pause().await;
    let real: Vec<(&str, u64)> = {
        let status = site.status().await;
        let end = |role| seconds(&role_of(&status, role)["real_expires_at"]);
        ROLES.iter().map(|role| (*role, end(role))).collect()
    };
    let paused = Instant::now();
    let mut up_during_outage = false;
    loop {
        let before = unix_seconds(SystemClock.wall());
        let mut held = 0;
        for (role, end) in &real {
            // Only what is sure to be over is left to the 503 with its hold of 1.5 s.
            if before < *end {
                let set = look(&site, role).await;
                let after = unix_seconds(SystemClock.wall());
                assert!(
                    set.is_some() || after >= *end,
                    "{role} was withdrawn before {end}"
                );
                held += usize::from(set.is_some());
            }
        }
        if held == 0 {
            break;
        }
        up_during_outage |= site.metric("credvend_role_up{role=\"web\"}").await == Some(1.0);
        sleep(Duration::from_millis(50)).await;
    }
    assert!(up_during_outage);
    assert!(
        paused.elapsed() < Duration::from_secs(LIFE + 2),
        "nothing outlives its end"
    );
    eventually("the gauges tell", Duration::from_secs(3), async || {
        let up = site.metric("credvend_role_up{role=\"web\"}").await?;
        let failures = site
            .metric("credvend_role_consecutive_failures{role=\"web\"}")
            .await?;
        (up == 0.0 && failures > 0.0).then_some(())
    })
    .await;
    for role in ROLES {
        assert_eq!(look(&site, role).await, None);
        let status = site.role(role).await;
        assert_eq!(
            (&status["held"], &status["refresh"]),
            (&"expired".into(), &"retrying".into())
        );
        assert_eq!(status["access_key_id"], Value::Null);
    }
    assert!(site.run(&["status", "--check"]).await.code == Some(69));

    site.cloud.resume().await.unwrap();
    let back = Instant::now();
    // All at once, as clients would.
    let recover = async |role: &str| {
        eventually("it recovers", Duration::from_secs(8), async || {
            look(&site, role).await
        })
        .await;
        back.elapsed()
    };
    let (one, two, three, four) = tokio::join!(
        recover(ROLES[0]),
        recover(ROLES[1]),
        recover(ROLES[2]),
        recover(ROLES[3])
    );
    for (role, took) in ROLES.iter().zip([one, two, three, four]) {
        // Two seconds, and what a busy machine adds.
        assert!(took < Duration::from_millis(2_600), "{role} took {took:?}");
    }
    assert_eq!(
        site.metric("credvend_role_up{role=\"web\"}").await,
        Some(1.0)
    );
    assert!(
        daemon
            .log()
            .contains("the held credentials have expired; nothing is served")
    );
}
