//! Sign-ins that are never written to a disk: what is carried over a restart, and what is not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use credvend::config;
use credvend::emulator::{Decision, Rules};
use credvend::login::{Shelf, Stage};
use credvend::observe::audit::Peer;
use credvend::provider::error::Class;
use tokio::sync::Notify;

use super::setup::{Parts, World, ended};
use crate::support::{capture_logs, logged};

const MEMORY: &str = "state = \"memory\"";

/// What the next process is given of this one's memory.
fn carried_over(shelf: &Shelf) -> Arc<Shelf> {
    Arc::new(Shelf::new(shelf.documents(), Arc::default()))
}

/// Somebody signed in to `[login.corp]`, at Huawei.
async fn signed_in(world: &World, shelf: &Arc<Shelf>) -> Parts {
    let parts = world.parts_with(&world.huawei(MEMORY), Arc::clone(shelf));
    world.sign_in(&parts).await;
    parts
}

/// What stands on the shelf; empty if nothing does.
fn text(shelf: &Shelf) -> String {
    let documents = shelf.documents();
    documents.get("corp").map_or_else(String::new, |it| {
        String::from_utf8((**it).as_ref().to_vec()).unwrap()
    })
}

fn token(text: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(text).unwrap();
    document["session"]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_carried_over_and_on_no_disk() {
    capture_logs();
    let world = World::start();
    let changed = Arc::new(Notify::new());
    let shelf = Arc::new(Shelf::new(BTreeMap::default(), Arc::clone(&changed)));
    let parts = signed_in(&world, &shelf).await;
    let told = tokio::time::timeout(Duration::from_secs(5), changed.notified()).await;
    told.expect("whoever carries it over hears of it");
    drop(parts);

    let parts = world.parts_with(&world.huawei(MEMORY), carried_over(&shelf));
    assert_eq!(parts.corp().overview().state, "signed-in");
    assert_eq!(parts.corp().overview().trouble, None);
    parts.obtain("a-read").await.unwrap();
    parts.obtain("c-read").await.unwrap();
    let token = token(&text(&shelf));
    assert!(!world.state_directory().exists(), "nothing is written");
    assert!(!logged().contains(&token));
    assert!(!format!("{shelf:?} {parts:?}", parts = parts.corp()).contains(&token));
}

#[tokio::test]
async fn signing_out_leaves_nothing_to_carry_over() {
    let world = World::start();
    let shelf = Arc::default();
    let parts = signed_in(&world, &shelf).await;
    let token = token(&text(&shelf));
    parts.corp().log_out().await.unwrap();
    assert!(!text(&shelf).contains(&token));
    let parts = world.parts_with(&world.huawei(MEMORY), carried_over(&shelf));
    assert_eq!(parts.corp().overview().state, "needs-login");
}

#[tokio::test]
async fn another_definition_finds_nothing_and_nothing_stays() {
    let world = World::start();
    let shelf = Arc::default();
    drop(signed_in(&world, &shelf).await);
    let same = world.huawei(MEMORY);
    for (case, config) in [
        ("another portal", same.replace("/portal/start", "/portal/x")),
        ("kept in a file", world.huawei("")),
        ("of the other cloud", world.tencent(MEMORY)),
        ("another name", same.replace("corp", "other")),
    ] {
        let shelf = carried_over(&shelf);
        let parts = world.parts_with(&config, Arc::clone(&shelf));
        for (name, login) in parts.logins.all() {
            let overview = login.overview();
            assert_eq!(overview.state, "needs-login", "{case}: {name}");
            assert_eq!(overview.trouble, None, "{case}: {name}");
        }
        assert!(shelf.documents().is_empty(), "{case}");
        assert!(!world.state_directory().exists(), "{case}");
    }
}

#[tokio::test]
async fn a_torn_document_is_told_and_dropped() {
    capture_logs();
    let world = World::start();
    let shelf = Arc::default();
    drop(signed_in(&world, &shelf).await);
    let whole = text(&shelf);
    let newer = whole.replacen("\"version\":1", "\"version\":9", 1);
    for (damaged, said) in [
        (&whole[..whole.len() / 2], "it is torn"),
        (&*newer, "another version of credvend"),
    ] {
        let mut document = credvend::secret::WipedBuffer::default();
        document.extend(damaged.as_bytes());
        let name = "corp".parse().unwrap();
        let documents = [(name, Arc::new(document))].into();
        let shelf = Arc::new(Shelf::new(documents, Arc::default()));
        let parts = world.parts_with(&world.huawei(MEMORY), Arc::clone(&shelf));
        assert_eq!(parts.corp().overview().state, "needs-login");
        assert!(shelf.documents().is_empty());
        assert!(logged().contains(said), "{}", logged());
    }
    assert!(!logged().contains(&token(&whole)));
}

#[tokio::test]
async fn a_session_past_its_end_by_our_clock_is_carried_on_until_the_cloud_refuses_it() {
    let world = World::start();
    world.cloud.state.with_portal(|portal| {
        portal.rules = Rules {
            session_seconds: 1,
            ..Rules::default()
        };
    });
    let shelf = Arc::default();
    drop(signed_in(&world, &shelf).await);
    let token = token(&text(&shelf));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let next = carried_over(&shelf);
    let parts = world.parts_with(&world.huawei(MEMORY), Arc::clone(&next));
    assert_eq!(parts.corp().overview().state, "overdue");
    let refused = parts.obtain("a-read").await.unwrap_err();
    assert_eq!(refused.class, Class::NeedsLogin);
    assert_eq!(parts.corp().overview().state, "needs-login");
    assert!(!text(&next).contains(&token));
    assert!(text(&next).contains("\"client\":{"), "registered still");
}

#[tokio::test]
async fn a_login_that_is_removed_while_somebody_signs_in_keeps_nothing() {
    let world = World::start();
    let shelf: Arc<Shelf> = Arc::default();
    let parts = world.parts_with(&world.huawei(MEMORY), Arc::clone(&shelf));
    let corp = parts.corp();
    let (sign_in, _) = corp.sign_in(Peer::default()).await.unwrap();
    assert!(!shelf.documents().is_empty(), "the registration");

    let bare = world.huawei("");
    let (bare, _) = bare.split_once("[login").unwrap();
    let path = world.write("config.toml", bare);
    parts.logins.apply(&config::load(&path).unwrap().config);
    world.decide(&sign_in, Decision::Approve);
    assert_eq!(ended(&sign_in).await, Stage::Cancelled);
    assert!(shelf.documents().is_empty());
}
