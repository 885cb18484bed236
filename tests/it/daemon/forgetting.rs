//! What is forgotten is gone everywhere, or it is said where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::site::{SOON, Site, assumed, base, eventually, socket};

#[tokio::test]
async fn what_a_file_still_holds_is_not_called_forgotten() {
    let site = Site::new();
    let sink = |name: &str| {
        format!("[sink.{name}.json]\nrole = \"app\"\npath = \"{{dir}}/{name}/app.json\"\n")
    };
    site.configure(
        &[
            base(),
            assumed("app", "ops", "app", ""),
            socket("app", &["app"]),
            sink("open"),
            sink("well"),
        ]
        .concat(),
    );
    for name in ["open", "well"] {
        fs::create_dir(site.path(name)).unwrap();
    }
    let _daemon = site.start().await;
    let held = site.set("app", "app").await["access_key_id"].clone();
    let holds = |path: &str| {
        let text = fs::read_to_string(site.path(path)).unwrap_or_default();
        text.contains(held.as_str().unwrap())
    };
    eventually("both files are written", SOON, async || {
        (holds("open/app.json") && holds("well/app.json")).then_some(())
    })
    .await;
    // Where others may write, nothing is written; not even root is refused by the system itself.
    fs::set_permissions(site.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = site.says(&["forget", "app"], 69).await;
    assert!(said.contains("open/app.json`"), "{said}");
    assert!(!said.contains("well/app.json"), "{said}");
    assert!(holds("open/app.json") && !holds("well/app.json"));
    fs::set_permissions(site.path("open"), fs::Permissions::from_mode(0o700)).unwrap();
    eventually("it is tried on", SOON, async || {
        (!holds("open/app.json")).then_some(())
    })
    .await;
}
