//! The real program with roles of both clouds and a chain of agencies three deep.

use std::path::Path;

use credvend::emulator::{ACCOUNT, Emulator, EmulatorConfig, HUAWEI_ACCOUNT, Running};
use serde_json::Value;

use crate::support::{Started, credvend, run};

fn configuration(folder: &Path, cloud: &Running) -> String {
    let secret = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
    };
    cloud.state.with_huawei(|world| {
        let key = world.first_key().unwrap();
        secret("hw-id", &key.id);
        secret("hw-secret", key.secret.expose());
    });
    cloud.state.with_world(|world| {
        let key = world.first_key().unwrap();
        secret("tx-id", &key.id);
        secret("tx-secret", key.secret.expose());
    });
    let (folder, endpoint) = (folder.display(), cloud.endpoint());
    let agency = |role: &str, source: &str, agency: &str| {
        format!(
            "[role.{role}]\nexpected-account = \"{HUAWEI_ACCOUNT}\"\n\
             [role.{role}.provider.huawei-assume-agency]\nsource = \"{source}\"\n\
             agency-urn = \"iam::{HUAWEI_ACCOUNT}:agency:{agency}\"\nendpoint = \"{endpoint}\"\n"
        )
    };
    format!(
        r#"
[daemon]
state-directory = "{folder}"
[admin]
socket = "{folder}/admin.sock"
[key.hw]
cloud = "huawei"
id = "file:{folder}/hw-id"
secret = "file:{folder}/hw-secret"
[key.tx]
cloud = "tencent"
id = "file:{folder}/tx-id"
secret = "file:{folder}/tx-secret"
{}{}{}
[role.tencent.provider.tencent-assume-role]
source = "tx"
role-arn = "qcs::cam::uin/{ACCOUNT}:roleName/app"
endpoint = "{endpoint}"
[listener.local]
address = "unix:{folder}/app.sock"
roles = ["deep", "first", "second", "tencent"]
"#,
        agency("first", "hw", "app"),
        agency("second", "first", "chained"),
        agency("deep", "second", "deep"),
    )
}

#[tokio::test]
async fn both_clouds_side_by_side_and_a_chain_three_deep() {
    let cloud = Emulator::start(EmulatorConfig::example().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, configuration(folder.path(), &cloud)).unwrap();
    let config = path.to_str().unwrap().to_owned();
    let checked = tokio::task::spawn_blocking(move || check(&config)).await;
    checked.unwrap();
    let calls = cloud.state.calls();
    for agency in ["app", "chained", "deep"] {
        assert_eq!(
            calls.issued_by_role[agency],
            2 - u64::from(agency != "app"),
            "{agency}"
        );
    }
}

fn check(config: &str) {
    let daemon = Started::new(&["--config", config, "run"]);
    let command = |arguments: &[&str]| {
        let all = [&["--config", config], arguments].concat();
        let ended = run(&mut credvend(&all));
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    };
    for role in ["deep", "tencent"] {
        command(&["wait", role, "--min-remaining", "1s", "--timeout", "20s"]);
    }
    let native = |role| -> Value { serde_json::from_str(&command(&["get", role])).unwrap() };
    assert_eq!(native("deep")["cloud"], "huawei");
    assert_eq!(native("tencent")["cloud"], "tencent");

    let life = |role| {
        let set = native(role);
        let at = |name: &str| -> jiff::Timestamp { set[name].as_str().unwrap().parse().unwrap() };
        at("expires_at").duration_since(at("issued_at")).as_mins()
    };
    // Shown a margin of five minutes before the end.
    assert!((114..=115).contains(&life("first")), "{}", life("first"));
    assert!(
        (54..=55).contains(&life("second")),
        "a chained session is an hour"
    );
    assert!((54..=55).contains(&life("deep")));

    let huawei: Value =
        serde_json::from_str(&command(&["get", "deep", "--format", "huawei"])).unwrap();
    assert_eq!(
        huawei["credential"]["access"],
        native("deep")["access_key_id"]
    );
    // The object storage's tools read names of their own.
    let set = native("deep");
    let obs = [
        ("OBS_ACCESS_KEY_ID", "access_key_id"),
        ("OBS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("OBS_SECURITY_TOKEN", "session_token"),
    ];
    let env = command(&["env", "deep"]);
    let as_lines = command(&["get", "deep", "--format", "env"]);
    for (variable, field) in obs {
        let value = set[field].as_str().unwrap();
        let assigned = format!("{variable}={value}");
        assert!(env.contains(&format!("export {assigned}\n")), "{variable}");
        assert!(as_lines.contains(&format!("\n{assigned}\n")), "{variable}");
        let print = ["exec", "deep", "--", "/usr/bin/printenv", variable];
        assert_eq!(command(&print).trim_end(), value, "{variable}");
    }
    let who = command(&["whoami", "deep"]);
    assert!(who.contains(HUAWEI_ACCOUNT), "{who}");
    assert!(who.contains(":assumed-agency:deep/"), "{who}");
    drop(daemon);
}
