//! Every kind of role at once, served in every format, and every command about them.

use std::collections::BTreeSet;
use std::time::Duration;

use credvend::emulator::ACCOUNT;
use serde_json::Value;

use super::site::{Site, assumed, base, listener_of, role_of, socket};
use crate::support::CANARY;

const ROLES: [&str; 9] = [
    "app", "chained", "fourth", "machine", "printed", "staff", "third", "upload", "web",
];

/// All kinds of providers; `fourth` is signed by `third`, that by `chained`, that by `app`.
pub(crate) fn everything(site: &Site) -> String {
    let now = site.cloud.state.now();
    let hour = Duration::from_hours(1);
    let staff = format!("qcs::cam::uin/{ACCOUNT}:roleName/staff");
    let (token, assertions) = site.cloud.state.with_world(|world| {
        let oidc = world.oidc_provider(ACCOUNT, "example-oidc").unwrap();
        let saml = world.saml_provider(ACCOUNT, "example-saml").unwrap();
        let assertions: String = (0..30)
            .map(|_| saml.assertion(&staff, "it", now, hour).unwrap() + "\n")
            .collect();
        (oidc.token("pod", now, hour), assertions)
    });
    site.write("web-token", &token);
    // Each assertion is good for one use.
    site.write("assertions", &assertions);
    site.program(
        "assert",
        "#!/bin/sh\nread -r first < {dir}/assertions && sed -i 1d {dir}/assertions && echo $first\n",
    );
    site.program(
        "print",
        &format!(
            "#!/bin/sh\necho '{{\"Version\": 1, \"AccessKeyId\": \"AKIDprinted\", \
             \"SecretAccessKey\": \"s-{CANARY}\", \"SessionToken\": \"t-{CANARY}\", \
             \"Expiration\": \"2999-01-02T03:04:05Z\"}}'\n"
        ),
    );
    let chain = [
        assumed("app", "ops", "app", ""),
        assumed("chained", "app", "chained", ""),
        assumed("third", "chained", "report", ""),
        assumed("fourth", "third", "batch", ""),
    ]
    .concat();
    format!(
        r#"{base}
[role.app]
expected-account = "{ACCOUNT}"
{chain}
[role.web.provider.tencent-assume-role-with-web-identity]
provider-id = "example-oidc"
role-arn = "qcs::cam::uin/{ACCOUNT}:roleName/web"
web-identity-token = "file:{{dir}}/web-token"
endpoint = "{{cloud}}"
[role.staff.provider.tencent-assume-role-with-saml]
principal-arn = "qcs::cam::uin/{ACCOUNT}:saml-provider/example-saml"
role-arn = "{staff}"
saml-command = ["{{dir}}/assert"]
endpoint = "{{cloud}}"
[role.upload.provider.tencent-get-federation-token]
source = "ops"
policy = '{{"version": "2.0", "statement": [{{"effect": "allow", "action": "cos:GetObject", "resource": "*"}}]}}'
endpoint = "{{cloud}}"
[role.machine.provider.tencent-instance-metadata]
endpoint = "{{cloud}}"
sts-endpoint = "{{cloud}}"
[role.printed.provider.command]
command = ["{{dir}}/print"]
cloud = "tencent"
endpoint = "{{cloud}}"
[listener.metadata]
address = "{{ip}}:9470"
protocols = ["tencent", "native"]
roles = {ROLES:?}
allow = "any-local"
[listener.tasks]
address = "{{ip}}:9472"
protocols = ["aws-container"]
roles = ["app"]
token = "file:{{dir}}/tasks.token"
allow = "any-local"
{socket}"#,
        base = base(),
        socket = socket("app", &ROLES),
    )
}

#[tokio::test]
async fn every_kind_of_role_is_obtained_with_one_call_and_served_in_every_format() {
    let site = Site::new();
    site.configure(&everything(&site));
    let daemon = site.start().await;
    let mut kinds = BTreeSet::new();
    for name in ROLES {
        let role = site.role_becomes(name, "fresh", "idle").await;
        kinds.insert(role["provider"].as_str().unwrap().to_owned());
        let set = site.set("app", name).await;
        assert_eq!(
            (&set["role"], &set["cloud"]),
            (&name.into(), &"tencent".into())
        );

        let path = format!("/latest/meta-data/cam/security-credentials/{name}");
        let metadata = site.tcp(9470, &path, "").await.json();
        assert_eq!(metadata["TmpSecretId"], set["access_key_id"], "{name}");
        assert_eq!(metadata["TmpSecretKey"], set["secret_access_key"], "{name}");
        assert_eq!(metadata["Token"], set["session_token"], "{name}");
        assert_eq!(metadata["Code"], "Success", "{name}");
    }
    assert_eq!(kinds.len(), 6, "{kinds:?}");

    let calls = site.cloud.state.calls();
    for cam_role in ["app", "chained", "report", "batch", "web", "staff"] {
        let minted = calls
            .recent
            .iter()
            .filter(|call| call.role.as_deref() == Some(cam_role))
            .filter(|call| call.action.starts_with("AssumeRole"))
            .count();
        assert_eq!(minted, 1, "{cam_role}: {calls:#?}");
    }
    assert_eq!(calls.by_action["GetFederationToken"], 1, "{calls:#?}");
    assert_eq!(
        calls.by_action["GetCallerIdentity"], 1,
        "expected-account alone"
    );

    let token = std::fs::read_to_string(site.path("tasks.token")).unwrap();
    assert_eq!(token.len(), 43);
    let header = format!("Authorization: {token}\r\n");
    let reply = site.tcp(9472, "/aws/container/app", &header).await;
    assert_eq!(
        reply.json()["AccessKeyId"],
        site.set("app", "app").await["access_key_id"]
    );
    assert_eq!(site.tcp(9472, "/aws/container/app", "").await.status, 401);
    assert_eq!(
        site.tcp(9472, "/aws/container/web", &header).await.status,
        404
    );
    assert_eq!(
        site.tcp(9470, "/accesskey", "").await.body,
        "app",
        "the first is the instance's"
    );
    drop(daemon);
}

#[tokio::test]
async fn the_commands_tell_and_do_what_they_say() {
    let site = Site::new();
    site.configure(&everything(&site));
    let daemon = site.start().await;
    for name in ROLES {
        site.role_becomes(name, "fresh", "idle").await;
    }
    let set = site.set("app", "app").await;
    get_in_every_format(&site, &set).await;

    let status: Value = serde_json::from_str(&site.says(&["status", "--json"], 0).await).unwrap();
    assert_eq!(status["version"], 1);
    assert_eq!(status["pid"], daemon.pid());
    assert_eq!(status["last_reload_successful"], true);
    let app = role_of(&status, "app");
    assert_eq!(app["expires_at"], set["expires_at"]);
    assert_eq!(app["generation"], set["generation"]);
    assert_ne!(app["access_key_id"], set["access_key_id"], "shortened");
    assert_eq!(app["min_remaining_seconds"], 45 * 60);
    assert!(
        app["real_expires_at"].as_str() > app["expires_at"].as_str(),
        "{app}"
    );
    assert_eq!(listener_of(&status, "metadata")["state"], "listening");
    assert!(!status.to_string().contains(CANARY));
    let text = site.says(&["status"], 0).await;
    assert!(ROLES.iter().all(|role| text.contains(role)), "{text}");
    site.says(&["status", "--check"], 0).await;

    assert_eq!(
        site.says(&["wait", "app", "--min-remaining", "1h"], 0)
            .await,
        ""
    );
    let wait = ["wait", "app", "--min-remaining", "3h", "--timeout", "1s"];
    let text = site.says(&wait, 69).await;
    assert!(text.contains("not for 10800 s"), "{text}");

    for (role, kind) in [
        ("app", "CAMRole"),
        ("fourth", "CAMRole"),
        ("upload", "CAMUser"),
    ] {
        let text = site.says(&["whoami", role], 0).await;
        assert!(
            text.contains(&format!("account  {ACCOUNT}\n")),
            "{role}: {text}"
        );
        assert!(text.contains(kind), "{role}: {text}");
    }
    let text = site.says(&["whoami", "printed"], 69).await;
    assert!(
        text.contains("GetCallerIdentity"),
        "the cloud knows no such key: {text}"
    );

    refresh_and_forget(&site).await;
    assert_eq!(site.says(&["reload"], 0).await, "nothing changed\n");
    for command in ["get", "whoami", "refresh", "forget", "wait"] {
        let text = site.says(&[command, "nobody"], 64).await;
        assert!(text.contains("no role `nobody`"), "{command}: {text}");
    }
}

async fn get_in_every_format(site: &Site, set: &Value) {
    let fields = ["access_key_id", "secret_access_key", "session_token"];
    let expected = fields.map(|field| set[field].as_str().unwrap());
    for (format, place, names) in [
        ("json", "", fields),
        (
            "process",
            "",
            ["AccessKeyId", "SecretAccessKey", "SessionToken"],
        ),
        ("tencent", "", ["TmpSecretId", "TmpSecretKey", "Token"]),
        ("aws", "", ["AccessKeyId", "SecretAccessKey", "Token"]),
        (
            "huawei",
            "/credential",
            ["access", "secret", "securitytoken"],
        ),
    ] {
        let ended = site.run(&["get", "app", "--format", format]).await;
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{format}"
        );
        let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
        let at = printed.pointer(place).unwrap();
        assert_eq!(
            names.map(|name| at[name].as_str().unwrap()),
            expected,
            "{format}"
        );
    }
    let ended = site.run(&["get", "app", "--format", "env"]).await;
    for (name, value) in ["SECRET_ID", "SECRET_KEY", "TOKEN"].iter().zip(expected) {
        let line = format!("TENCENTCLOUD_{name}={value}");
        assert!(
            ended.stdout.lines().any(|found| found == line),
            "{name} is missing"
        );
    }
}

async fn refresh_and_forget(site: &Site) {
    let before = site.set("app", "app").await;
    let text = site.says(&["refresh", "app"], 0).await;
    assert!(text.starts_with("app: refreshed, expires at 2"), "{text}");
    let after = site.set("app", "app").await;
    assert_ne!(after["access_key_id"], before["access_key_id"]);
    assert!(after["generation"].as_u64() > before["generation"].as_u64());
    let text = site.says(&["refresh", "app", "web"], 0).await;
    assert!(text.starts_with("app: too-soon, expires at 2"), "{text}");
    assert!(text.contains("\nweb: refreshed, "), "{text}");

    assert_eq!(site.says(&["forget", "app"], 0).await, "app: forgotten\n");
    let next = site.set("app", "app").await;
    assert_ne!(next["access_key_id"], after["access_key_id"]);
    assert!(next["generation"].as_u64() > after["generation"].as_u64());

    let before = site.set("app", "third").await;
    let text = site.says(&["forget", "--all"], 0).await;
    assert_eq!(text.lines().count(), ROLES.len(), "{text}");
    for name in ROLES {
        site.role_becomes(name, "fresh", "idle").await;
    }
    let after = site.set("app", "third").await;
    assert_ne!(after["access_key_id"], before["access_key_id"]);
}
