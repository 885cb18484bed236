//! What is right is accepted: the official vectors, unusual but legal requests, chains, many at
//! once; and the answers have the documented shapes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use credvend::clock::{BootTime, Clock, SystemClock};
use credvend::emulator::{Caller, Emulator, EmulatorConfig, IssuedKey, LongLivedKey, Role, World};
use credvend::provider::tencent::signing;
use credvend::secret::Secret;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::{Ask, Keys, Proof, now, role_arn, send, start};

/// A wall clock that stands still, as a vector's timestamp does.
#[derive(Debug)]
struct At(u64);

impl Clock for At {
    fn boot(&self) -> BootTime {
        SystemClock.boot()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0)
    }
}

/// The world the vectors were made for.
fn world_of_the_vectors() -> World {
    let account = "100000000001";
    let mut world = World::empty();
    world
        .add_key(LongLivedKey {
            id: "AKIDEXAMPLE-LONGLIVED".to_owned(),
            secret: "ExampleSecretKey0001".into(),
            account: account.to_owned(),
            uin: "100000000002".to_owned(),
        })
        .unwrap();
    world.add_role(Role::new(account, "example-role")).unwrap();
    world
        .add_role(Role {
            id: "4611686018400000001".to_owned(),
            external_id: Some("ext:id/1".to_owned()),
            ..Role::new(account, "by-id")
        })
        .unwrap();
    world.add_issued_key(
        "AKIDEXAMPLE-TEMPORARY_02",
        IssuedKey {
            secret: "ExampleTmpSecretKey+/=02".into(),
            token: "ExampleSessionToken.02_-abc".into(),
            caller: Caller::Role {
                account: account.to_owned(),
                role: "example-role".to_owned(),
                role_id: "1".to_owned(),
                session: "session".to_owned(),
                requester: "100000000002".to_owned(),
            },
            expires_at: SystemClock.boot() + Duration::from_hours(1),
        },
    );
    world
}

#[tokio::test]
async fn requests_signed_by_the_official_sdks_are_accepted_byte_for_byte() {
    let vectors: Value =
        serde_json::from_str(include_str!("../fixtures/tencent/tc3-signing.json")).unwrap();
    let mut accepted = 0;
    for vector in vectors["signed"].as_array().unwrap() {
        let input = &vector["input"];
        if input["method"] != "POST" {
            continue; // GET is not emulated
        }
        let running = Emulator::start(EmulatorConfig {
            world: world_of_the_vectors(),
            clock: Arc::new(At(input["timestamp"].as_u64().unwrap())),
            ..EmulatorConfig::example().unwrap()
        })
        .unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in vector["expected"]["headers"].as_object().unwrap() {
            let name: HeaderName = name.parse().unwrap();
            headers.insert(
                name,
                HeaderValue::from_str(value.as_str().unwrap()).unwrap(),
            );
        }
        let body = input["payload"].as_str().unwrap().as_bytes();
        let reply = send(&running, "POST", "/", headers, body).await.unwrap();
        let answer = reply.json();
        assert!(
            answer["Response"]["Error"].is_null(),
            "{}: {answer:#}",
            vector["name"]
        );
        accepted += 1;
    }
    assert_eq!(accepted, 4);
}

#[tokio::test]
async fn clients_may_sign_more_and_put_odd_things_into_host() {
    let running = start();
    let right = Ask::app(&running);
    for host in ["sts.tencentcloudapi.com", "http://127.0.0.1:8080", "x"] {
        let mut ask = right.clone();
        ask.host = host.to_owned();
        assert_eq!(ask.code(&running).await, "ok", "Host: {host}");
    }

    // The Node SDK signs the name without its port.
    let mut bare = right.clone();
    bare.host = "127.0.0.1".to_owned();
    bare.proof = Proof::Text(bare.signature());
    bare.host = running.addr.to_string();
    assert_eq!(bare.code(&running).await, "ok");

    // The Java SDK sends a charset.
    let mut charset = right.clone();
    charset.content_type = Some("application/json; charset=utf-8");
    assert_eq!(charset.code(&running).await, "ok");

    // The example of the documentation signs the action too, in lower case.
    for action in ["assumerole", "AssumeRole"] {
        let mut more = right.clone();
        more.proof = Proof::Text(signed_with_the_action(&more, action));
        assert_eq!(more.code(&running).await, "ok", "{action}");
    }
    let mut wrong = right;
    wrong.proof = Proof::Text(signed_with_the_action(&wrong, "GetCallerIdentity"));
    assert_eq!(wrong.code(&running).await, "AuthFailure.SignatureFailure");
}

fn signed_with_the_action(ask: &Ask, action: &str) -> String {
    let request = signing::Request {
        method: "POST",
        path: "/",
        query: "",
        content_type: "application/json",
        host: &ask.host,
        service: "sts",
        timestamp: ask.timestamp.as_deref().unwrap().parse().unwrap(),
        payload: &ask.body,
    };
    let digest = Sha256::digest(&ask.body);
    let digest: String = digest
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/json\nhost:{}\nx-tc-action:{action}\n\n\
         content-type;host;x-tc-action\n{digest}",
        ask.host
    );
    let secret = Secret::from(ask.keys.secret.as_str());
    format!(
        "TC3-HMAC-SHA256 Credential={}/{}, SignedHeaders=content-type;host;x-tc-action, Signature={}",
        ask.keys.id,
        request.scope(),
        request.signature_for(&canonical, &secret)
    )
}

#[tokio::test]
async fn a_set_has_the_documented_shape_and_life() {
    let running = start();
    let before = now();
    let answer = Ask::app(&running).granted(&running).await;
    let names: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["Credentials", "Expiration", "ExpiredTime", "RequestId"]
    );
    let expiry = answer["ExpiredTime"].as_u64().expect("an integer");
    assert!(expiry.abs_diff(before + 7_200) <= 2, "{expiry}");
    let expiration: jiff::Timestamp = answer["Expiration"].as_str().unwrap().parse().unwrap();
    assert_eq!(expiration.as_second().unsigned_abs(), expiry);
    assert!(answer["Expiration"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn identities_have_the_documented_shapes() {
    let running = start();
    let user = Keys::of(&running);
    let identity = async |keys: &Keys| {
        let ask = Ask::new(&running, keys, "GetCallerIdentity", &json!({}));
        let mut answer = ask.granted(&running).await;
        answer.as_object_mut().unwrap().remove("RequestId");
        answer
    };
    assert_eq!(
        identity(&user).await,
        json!({
            "AccountId": "100000000001", "UserId": "100000000002", "PrincipalId": "100000000002",
            "Type": "CAMUser", "Arn": "qcs::cam:100000000001:uin/100000000002",
        })
    );
    let role_id = running.state.with_world(|world| {
        let role = world.role("100000000001", "app").unwrap();
        role.id.clone()
    });
    let role = Keys::from(&Ask::app(&running).granted(&running).await);
    assert_eq!(
        identity(&role).await,
        json!({
            "AccountId": "100000000001", "UserId": format!("{role_id}:session"),
            "PrincipalId": "100000000002", "Type": "CAMRole",
            "Arn": format!("qcs::sts:100000000001:assumed-role/{role_id}"),
        })
    );
    let policy = "%7B%22version%22%3A%222.0%22%2C%22statement%22%3A%7B%22effect%22%3A%22allow%22%2C%22action%22%3A%22%2A%22%2C%22resource%22%3A%22%2A%22%7D%7D";
    let body = json!({"Name": "alice", "Policy": policy});
    let federated = Ask::new(&running, &user, "GetFederationToken", &body);
    let federated = Keys::from(&federated.granted(&running).await);
    let shown = identity(&federated).await;
    assert_eq!(shown["UserId"], "100000000002:alice");
    assert_eq!(
        shown["Arn"],
        "qcs::sts:100000000001:federated-user/100000000002"
    );
}

#[tokio::test]
async fn only_the_trusted_role_reaches_the_end_of_a_chain() {
    let running = start();
    let assume = async |keys: &Keys, role: &str| {
        let body = json!({"RoleArn": role_arn(role), "RoleSessionName": "session"});
        Ask::new(&running, keys, "AssumeRole", &body)
    };
    let user = Keys::of(&running);
    let app = assume(&user, "app").await.granted(&running).await;
    let batch = assume(&user, "batch").await.granted(&running).await;
    let chained = assume(&Keys::from(&app), "chained").await;
    let deeper = Keys::from(&chained.granted(&running).await);
    let report = assume(&deeper, "report").await;
    assert_eq!(report.code(&running).await, "ok");
    for keys in [user, Keys::from(&batch), deeper] {
        let code = assume(&keys, "chained").await.code(&running).await;
        assert_eq!(code, "UnauthorizedOperation");
    }
}

#[tokio::test]
async fn many_at_once_get_a_set_each_and_every_one_is_good() {
    const CLIENTS: usize = 64;
    let running = Arc::new(start());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let running = Arc::clone(&running);
        tasks.spawn(async move {
            let keys = Keys::from(&Ask::app(&running).granted(&running).await);
            let ask = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));
            let identity = ask.granted(&running).await;
            assert_eq!(identity["Type"], "CAMRole");
            (keys.id, keys.token)
        });
    }
    let sets: BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(sets.len(), CLIENTS);
    let calls = running.state.calls();
    assert_eq!(calls.issued_by_role["app"], 64);
    assert_eq!(calls.by_action["GetCallerIdentity"], 64);
    assert_eq!(calls.by_role["app"], 128);
    assert_eq!(calls.by_outcome["ok"], 128);
}

#[test]
fn it_listens_on_loopback_only() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let _guard = runtime.enter();
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let error = Emulator::start(EmulatorConfig {
            listen: address.parse().unwrap(),
            ..EmulatorConfig::example().unwrap()
        })
        .unwrap_err();
        let sentence = error.to_string();
        assert!(sentence.contains("loopback addresses only"), "{sentence}");
        assert!(sentence.contains(address), "{sentence}");
    }
}
