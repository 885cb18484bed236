//! The portals of both Identity Centers as a client sees them: what counts once, who may do what,
//! and what is noted.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::client::{Movable, control, send, start, start_movable};
use credvend::emulator::{Fault, FaultKind, Running};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const TEAM_A: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f0";
const STATE: &str = "0123456789abcdef0123456789ABCDEF";

/// One request: its status and its body.
async fn ask(
    running: &Running,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> (u16, Value) {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    if !token.is_empty() {
        let name = HeaderName::from_static("access-token");
        headers.insert(name, token.parse().unwrap());
    }
    let body = body.to_string();
    let reply = send(running, method, path, headers, body.as_bytes()).await;
    let reply = reply.unwrap();
    (reply.status, reply.json())
}

async fn post(running: &Running, path: &str, body: &Value) -> (u16, Value) {
    ask(running, "POST", path, "", body).await
}

/// A client of Huawei's.
#[derive(Clone)]
struct Client {
    id: Value,
    secret: Value,
}

impl Client {
    async fn register(running: &Running, grant: &str) -> Self {
        let asked = json!({
            "client_name": "it", "client_type": "public", "grant_types": [grant],
            "token_endpoint_auth_method": "client_secret_post", "response_types": ["code"],
        });
        let (status, answer) = post(running, "/v1/clients", &asked).await;
        assert_eq!(status, 200, "{answer:#}");
        let info = &answer["client_info"];
        Self {
            id: info["client_id"].clone(),
            secret: info["client_secret"].clone(),
        }
    }

    async fn authorize(&self, running: &Running) -> (u16, Value) {
        let asked = json!({
            "client_id": self.id, "client_secret": self.secret,
            "start_url": "http://localhost/portal",
        });
        post(running, "/v1/device/authorize", &asked).await
    }

    async fn token(
        &self,
        running: &Running,
        grant: &str,
        name: &str,
        value: &Value,
    ) -> (u16, Value) {
        let mut asked = json!({
            "client_id": self.id, "client_secret": self.secret, "grant_type": grant,
        });
        asked[name] = value.clone();
        post(running, "/v1/tokens", &asked).await
    }

    /// Signs in from beginning to end; `token_info`.
    async fn sign_in(&self, running: &Running) -> Value {
        let (_, begun) = self.authorize(running).await;
        approve(running, begun["user_code"].as_str().unwrap()).await;
        let code = &begun["device_code"];
        let (status, answer) = self.token(running, DEVICE, "device_code", code).await;
        assert_eq!(status, 200, "{answer:#}");
        let (status, again) = self.token(running, DEVICE, "device_code", code).await;
        assert_eq!(status, 400, "a device code counts once: {again:#}");
        answer["token_info"].clone()
    }
}

async fn approve(running: &Running, shown: &str) {
    let decision = json!({"shown": shown, "decision": "approve"});
    control(running, "POST", "sign-ins", &decision, 200).await;
}

/// Status and sentence of a refusal.
fn refusal((status, answer): (u16, Value)) -> (u16, String, String) {
    let text = |name: &str| answer[name].as_str().unwrap_or("none").to_owned();
    (status, text("error_code"), text("error_msg"))
}

fn outcome(running: &Running) -> String {
    running.state.calls().recent.back().unwrap().outcome.clone()
}

#[tokio::test]
async fn a_client_does_what_it_registered_for_until_its_end() {
    let (running, clock): (Running, Arc<Movable>) = start_movable();
    let other = Client::register(&running, "authorization_code").await;
    let expected = (400, "IIC.400".to_owned(), "unauthorized_client".to_owned());
    assert_eq!(refusal(other.authorize(&running).await), expected);
    let code = json!("x");
    let polled = other.token(&running, DEVICE, "device_code", &code).await;
    assert_eq!(refusal(polled), expected);

    let rules = json!({"client_seconds": 3_600});
    control(&running, "POST", "portal", &rules, 200).await;
    let client = Client::register(&running, DEVICE).await;
    let wrong = Client {
        secret: json!("wrong"),
        ..client.clone()
    };
    let invalid = (400, "IIC.400".to_owned(), "invalid_client".to_owned());
    assert_eq!(refusal(wrong.authorize(&running).await), invalid);
    clock.advance(Duration::from_secs(3_599));
    assert_eq!(client.authorize(&running).await.0, 200);
    clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(client.authorize(&running).await), invalid);
    assert_eq!(outcome(&running), "IIC.400");
}

#[tokio::test]
async fn a_refresh_token_is_its_clients_and_good_once() {
    let running = start();
    let rules = json!({"refresh_tokens": true});
    control(&running, "POST", "portal", &rules, 200).await;
    let (client, other) = (
        Client::register(&running, DEVICE).await,
        Client::register(&running, DEVICE).await,
    );
    let token = client.sign_in(&running).await["refresh_token"].clone();
    let renewed = |client: Client| {
        let (running, token) = (&running, &token);
        async move {
            client
                .token(running, "refresh_token", "refresh_token", token)
                .await
        }
    };
    assert_eq!(refusal(renewed(other).await).2, "invalid_grant");
    assert_eq!(renewed(client.clone()).await.0, 200);
    assert_eq!(refusal(renewed(client).await).2, "invalid_grant");
}

#[tokio::test]
async fn a_session_that_ended_is_refused_as_documented() {
    let running = start();
    let path = "/v1/assigned-accounts";
    let refused = ask(&running, "GET", path, "nobody", &Value::Null).await;
    let (status, code, message) = refusal(refused);
    assert_eq!((status, &*code), (403, "IIC.1001"));
    assert!(message.contains("access token"), "{message}");
    assert_eq!(outcome(&running), "IIC.1001");
}

#[tokio::test]
async fn keys_of_a_permission_set_are_counted_with_their_account() {
    let running = start();
    let client = Client::register(&running, DEVICE).await;
    let session = client.sign_in(&running).await;
    let token = session["access_token"].as_str().unwrap();
    let keys = async |account: &str, set: &str| {
        let path = format!(
            "/v1/credentials?target_account_id={account}\
             &agency_urn=iam%3A%3A{account}%3Aagency%3ASysReservedV3_{set}_a1b2c3d4"
        );
        ask(&running, "GET", &path, token, &Value::Null).await
    };
    let (named, team_b) = (
        format!("{TEAM_A}/read-only"),
        "1a1b2c3d4e5f60718293a4b5c6d7e8f1",
    );
    let fault = Fault::new(FaultKind::Incomplete).on_role(&named);
    running.state.push_fault(fault).unwrap();
    assert_eq!(keys(team_b, "read-only").await.0, 200);
    let (_, answer) = keys(TEAM_A, "read-only").await;
    let set = &answer["agency_credentials"];
    assert!(set["session_token"].is_null() && set["access_key_id"].is_string());
    let (_, answer) = keys(TEAM_A, "read-only").await;
    assert!(answer["agency_credentials"]["session_token"].is_string());
    assert_eq!(keys(TEAM_A, "owner").await.0, 403);
    let calls = running.state.calls();
    assert_eq!(calls.by_role[&named], 2);
    assert_eq!(calls.issued_by_role[&named], 2);
    assert_eq!(calls.issued_by_role[&format!("{team_b}/read-only")], 1);
}

/// A request to Tencent's gateway.
async fn gateway(running: &Running, path: &str, mut body: Value) -> Value {
    body["TraceId"] = json!("01234567-89ab-cdef-0123-456789abcdef");
    body["Site"] = json!("cn");
    let (status, answer) = post(running, path, &body).await;
    assert_eq!(status, 200, "{answer:#}");
    answer
}

#[tokio::test]
async fn a_state_counts_once_and_is_decided_once() {
    let running = start();
    let check = || {
        gateway(
            &running,
            "/api/sso/check_login_state",
            json!({"State": STATE}),
        )
    };
    assert_eq!(check().await["Status"], "NotFound");
    approve(&running, STATE).await;
    let deny = json!({"shown": STATE, "decision": "deny"});
    control(&running, "POST", "sign-ins", &deny, 400).await;
    assert_eq!(check().await["Status"], "Finished");
    assert_eq!(check().await["Status"], "NotFound");
    let again = json!({"shown": STATE, "decision": "approve"});
    control(&running, "POST", "sign-ins", &again, 400).await;
    assert_eq!(check().await["Status"], "NotFound");
    let now = control(&running, "GET", "sign-ins", &Value::Null, 200).await;
    assert_eq!(now, json!({"waiting": [], "signed_in": 1}));
}

#[tokio::test]
async fn a_refusal_with_status_200_is_not_counted_as_good() {
    let running = start();
    let path = "/api/org/verify_login_skey";
    let answer = gateway(&running, path, json!({"LoginSkey": "nobody"})).await;
    assert_eq!(answer["Error"]["Code"], "AuthFailure.LoginToken");
    let answer = gateway(&running, path, json!({})).await;
    assert!(answer["Error"].is_string());
    let outcomes = &running.state.calls().by_outcome;
    assert_eq!(outcomes["AuthFailure.LoginToken"], 1);
    assert_eq!(outcomes["refused"], 1);
    assert_eq!(outcomes.get("ok"), None);
}
