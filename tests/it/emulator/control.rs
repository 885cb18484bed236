//! The control API, and the metadata service it can change.

use std::time::Duration;

use hyper::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::client::{Ask, Keys, Reply, control, now, role_arn, send, start, start_movable};
use credvend::emulator::{ACCOUNT, HUAWEI_ACCOUNT, Running};

#[tokio::test]
async fn faults_can_be_listed_appended_and_cleared() {
    let running = start();
    let list = json!([
        {"kind": "throttle", "action": "AssumeRole", "times": 2},
        {"kind": "status", "status": 502, "forever": true},
    ]);
    let answer = control(&running, "POST", "faults", &list, 200).await;
    assert_eq!(answer["faults"], list);
    assert_eq!(
        Ask::app(&running).code(&running).await,
        "RequestLimitExceeded"
    );
    let answer = control(&running, "GET", "faults", &Value::Null, 200).await;
    assert_eq!(answer["faults"][0]["times"], 1);
    control(&running, "DELETE", "faults", &Value::Null, 200).await;
    assert_eq!(Ask::app(&running).code(&running).await, "ok");

    for (bad, sentence) in [
        (json!([{"kind": "explode"}]), "unknown variant"),
        (json!([{"kind": "hang", "seconds": 5}]), "unknown field"),
        (
            json!([{"kind": "hang"}, {"kind": "delay"}]),
            "fault 2: `delay` needs `delay_ms`",
        ),
        (json!({"kind": "hang"}), "expected a sequence"),
    ] {
        let answer = control(&running, "POST", "faults", &bad, 400).await;
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(sentence), "{error}");
    }
    assert!(
        running.state.faults().is_empty(),
        "all of a list or nothing"
    );
}

#[tokio::test]
async fn calls_are_counted_and_hold_no_secret() {
    let running = start();
    let keys = Keys::of(&running);
    let set = Keys::from(&Ask::app(&running).granted(&running).await);
    let mut wrong = Ask::app(&running);
    wrong.keys.secret = "wrong".to_owned();
    wrong.code(&running).await;
    let calls = control(&running, "GET", "calls", &Value::Null, 200).await;
    assert_eq!(calls["by_action"], json!({"AssumeRole": 2}));
    assert_eq!(calls["by_role"], json!({"app": 2}));
    assert_eq!(calls["issued_by_role"], json!({"app": 1}));
    let outcomes = json!({"ok": 1, "AuthFailure.SignatureFailure": 1});
    assert_eq!(calls["by_outcome"], outcomes);
    assert_eq!(
        calls["recent"][1]["outcome"],
        "AuthFailure.SignatureFailure"
    );

    let world = control(&running, "GET", "world", &Value::Null, 200).await;
    assert_eq!(world["keys"][0]["id"], keys.id);
    let shown = format!("{calls}{world}{:?}", running.state);
    for secret in [&keys.secret, &set.secret, set.token.as_ref().unwrap()] {
        assert!(!shown.contains(secret.as_str()));
    }
    control(&running, "POST", "reset-counts", &Value::Null, 200).await;
    assert_eq!(running.state.calls().total, 0);
}

#[tokio::test]
async fn each_cloud_names_what_is_its_own() {
    let running = start();
    let added = [
        ("roles", json!({"name": "mine"})),
        ("providers", json!({"kind": "saml", "name": "mine"})),
    ];
    let mut names = Vec::new();
    for (path, body) in added {
        for (cloud, called) in [("tencent", "arn"), ("huawei", "urn")] {
            let mut body = body.clone();
            body["cloud"] = cloud.into();
            let answer = control(&running, "POST", path, &body, 200).await;
            names.push(answer[called].clone());
        }
    }
    let huawei = |kind: &str| format!("iam::{HUAWEI_ACCOUNT}:{kind}:mine");
    let expected = [
        role_arn("mine"),
        huawei("agency"),
        format!("qcs::cam::uin/{ACCOUNT}:saml-provider/mine"),
        huawei("saml-provider"),
    ];
    assert_eq!(names, expected);

    let world = control(&running, "GET", "world", &Value::Null, 200).await;
    let shown = |world: &Value, list: &str, called: &str| {
        let entries = world[list].as_array().unwrap();
        let mine = entries
            .iter()
            .find(|entry| entry["name"] == "mine" && (list == "roles" || entry["kind"] == "saml"));
        mine.unwrap()[called].clone()
    };
    let shown = [
        shown(&world, "roles", "arn"),
        shown(&world["huawei"], "roles", "urn"),
        shown(&world, "providers", "arn"),
        shown(&world["huawei"], "providers", "urn"),
    ];
    assert_eq!(shown, expected);
    assert!(!world["huawei"].to_string().contains("qcs::"), "{world}");
}

#[tokio::test]
async fn keys_roles_and_providers_can_be_added_and_used() {
    let running = start();
    let key = control(
        &running,
        "POST",
        "keys",
        &json!({"uin": "100000000077"}),
        200,
    )
    .await;
    let keys = Keys {
        id: key["id"].as_str().unwrap().to_owned(),
        secret: key["secret"].as_str().unwrap().to_owned(),
        token: None,
    };
    let role = json!({
        "name": "mine", "max_session_seconds": 60, "trust": ["user:100000000077", "oidc:mine"],
    });
    let role = control(&running, "POST", "roles", &role, 200).await;
    assert_eq!(role["arn"], role_arn("mine"));
    let ask = |keys: &Keys, arn: &Value| {
        let body = json!({"RoleArn": arn, "RoleSessionName": "session", "DurationSeconds": 60});
        Ask::new(&running, keys, "AssumeRole", &body)
    };
    assert_eq!(ask(&keys, &role["arn"]).code(&running).await, "ok");
    let by_id = format!(
        "qcs::cam::uin/100000000001:role/{}",
        role["id"].as_str().unwrap()
    );
    assert_eq!(ask(&keys, &by_id.into()).code(&running).await, "ok");
    let others = ask(&Keys::of(&running), &role["arn"]);
    assert_eq!(others.code(&running).await, "UnauthorizedOperation");

    let provider = json!({"kind": "oidc", "name": "mine", "subjects": ["me"]});
    control(&running, "POST", "providers", &provider, 200).await;
    for (subject, code) in [
        ("me", "ok"),
        ("you", "InvalidParameter.WebIdentityTokenError"),
    ] {
        let wanted = json!({"provider": "mine", "subject": subject});
        let made = control(&running, "POST", "web-identity-tokens", &wanted, 200).await;
        let body = json!({
            "ProviderId": "mine", "WebIdentityToken": made["token"], "RoleArn": role_arn("mine"),
            "RoleSessionName": "session", "DurationSeconds": 60,
        });
        let ask = Ask::unsigned(&running, "AssumeRoleWithWebIdentity", &body);
        assert_eq!(ask.code(&running).await, code, "{subject}");
    }
    let chosen = json!({"id": "AKIDCHOSEN", "secret": "chosen"});
    let key = control(&running, "POST", "keys", &chosen, 200).await;
    assert_eq!(
        (&key["id"], &key["secret"]),
        (&chosen["id"], &chosen["secret"])
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let running = start();
    for (path, body, sentence) in [
        ("keys", json!({"id": "AKIDCHOSEN"}), "go together"),
        ("keys", json!({"account": "me"}), "digits"),
        ("roles", json!({}), "missing field `name`"),
        ("roles", json!({"name": "a/b"}), "letters"),
        (
            "roles",
            json!({"name": "a", "trust": ["everybody"]}),
            "trusts nobody",
        ),
        (
            "roles",
            json!({"name": "a", "max_session_seconds": 50_000}),
            "between 1 and 43200",
        ),
        (
            "providers",
            json!({"kind": "ldap", "name": "a"}),
            "unknown variant",
        ),
        ("instance", json!({"role": "nobody"}), "no such role"),
        (
            "web-identity-tokens",
            json!({"provider": "nobody"}),
            "no such OIDC provider",
        ),
        (
            "saml-assertions",
            json!({"provider": "nobody", "role": "app"}),
            "no such SAML provider",
        ),
        ("clock", json!({"offset_seconds": 1e12}), "invalid type"),
        (
            "clock",
            json!({"offset_seconds": 40_000_000}),
            "more than a year",
        ),
        (
            "outage",
            json!({"seconds": 4_000}),
            "longer than ten minutes",
        ),
    ] {
        let answer = control(&running, "POST", path, &body, 400).await;
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(sentence), "{path} {body}: {error}");
    }
    control(&running, "GET", "nothing", &Value::Null, 404).await;
    control(&running, "PUT", "faults", &Value::Null, 405).await;
}

#[tokio::test]
async fn web_pages_are_turned_away() {
    let running = start();
    let mut headers = HeaderMap::new();
    headers.insert("origin", HeaderValue::from_static("http://evil.example"));
    let reply = send(&running, "POST", "/_emulator/keys", headers, b"{}")
        .await
        .unwrap();
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn the_clock_can_be_moved_and_an_outage_ends_by_itself() {
    let running = start();
    control(
        &running,
        "POST",
        "clock",
        &json!({"offset_seconds": -900}),
        200,
    )
    .await;
    assert_eq!(
        Ask::app(&running).code(&running).await,
        "AuthFailure.SignatureExpire"
    );
    control(
        &running,
        "POST",
        "clock",
        &json!({"offset_seconds": 0}),
        200,
    )
    .await;

    control(&running, "POST", "outage", &json!({"seconds": 1}), 200).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(Ask::app(&running).send(&running).await.is_err());
    let mut up = false;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        up = up || Ask::app(&running).send(&running).await.is_ok();
    }
    assert!(up, "it never came back");
}

const TREE: &str = "/latest/meta-data/cam/security-credentials";

async fn get(running: &Running, path: &str) -> Reply {
    send(running, "GET", path, HeaderMap::new(), b"")
        .await
        .unwrap()
}

#[tokio::test]
async fn the_metadata_service_behaves_as_on_an_instance() {
    let running = start();
    for list in [TREE.to_owned(), format!("{TREE}/")] {
        let reply = get(&running, &list).await;
        assert_eq!((reply.status, reply.text()), (200, "app"));
    }
    let first = get(&running, &format!("{TREE}/app")).await;
    let set = first.json();
    assert_eq!(set["Code"], "Success");
    assert!(
        set["ExpiredTime"]
            .as_u64()
            .unwrap()
            .abs_diff(now() + 6 * 3_600)
            <= 2
    );
    let lines: Vec<&str> = first.text().lines().map(str::trim).collect();
    assert_eq!(lines.len(), 8, "one field a line: {lines:?}");
    assert!(lines[1].starts_with("\"TmpSecretId\": \"AKID"));
    let again = get(&running, &format!("{TREE}/app")).await;
    assert_eq!(again.body, first.body, "the set is repeated");

    let keys = Keys::from(&json!({"Credentials": set}));
    let identity = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));
    assert_eq!(identity.granted(&running).await["Type"], "CAMRole");

    assert_eq!(get(&running, &format!("{TREE}/batch")).await.status, 404);
    let post = send(&running, "POST", TREE, HeaderMap::new(), b"").await;
    assert_eq!(post.unwrap().status, 405);
    control(&running, "POST", "instance", &json!({"role": null}), 200).await;
    assert_eq!(get(&running, TREE).await.status, 404);
}

#[tokio::test]
async fn the_instances_set_is_replaced_at_half_of_its_life_and_has_faults_too() {
    let (running, clock) = start_movable();
    let instance = json!({"role": "batch", "session_seconds": 3_600});
    control(&running, "POST", "instance", &instance, 200).await;
    let path = format!("{TREE}/batch");
    let first = get(&running, &path).await;
    clock.advance(Duration::from_mins(29));
    let second = get(&running, &path).await;
    assert_eq!(first.body, second.body);
    clock.advance(Duration::from_mins(1));
    let third = get(&running, &path).await;
    assert_ne!(first.json()["TmpSecretId"], third.json()["TmpSecretId"]);

    let faults = json!([
        {"kind": "status", "action": "InstanceMetadata"},
        {"kind": "error-code", "code": "Failed", "role": "batch"},
        {"kind": "expired"},
        {"kind": "incomplete", "field": "TmpSecretKey"},
    ]);
    control(&running, "POST", "faults", &faults, 200).await;
    assert_eq!(get(&running, &path).await.status, 503);
    assert_eq!(get(&running, &path).await.json(), json!({"Code": "Failed"}));
    assert!(
        get(&running, &path).await.json()["ExpiredTime"]
            .as_u64()
            .unwrap()
            < running.state.now()
    );
    assert!(
        get(&running, &path)
            .await
            .json()
            .get("TmpSecretKey")
            .is_none()
    );
    assert_eq!(running.state.calls().by_action["InstanceMetadata"], 7);
}
