//! Bytes nobody meant to send: every complete request gets an answer in the cloud's shape. A
//! panic would show as a connection that ends without one.

use std::cell::OnceCell;

use credvend::emulator::Running;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::client::{Ask, Reply, now, send, start};

thread_local! {
    static WORLD: OnceCell<(Runtime, Running)> = const { OnceCell::new() };
}

/// One emulator for all cases of a property.
fn with_emulator<T>(work: impl AsyncFnOnce(&Running) -> T) -> T {
    WORLD.with(|cell| {
        let (runtime, running) = cell.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            let running = runtime.block_on(async { start() });
            (runtime, running)
        });
        runtime.block_on(work(running))
    })
}

fn is_an_envelope(reply: &Result<Reply, String>) -> bool {
    reply.as_ref().is_ok_and(|reply| {
        let answer = reply.json();
        reply.status == 200 && answer["Response"]["RequestId"].is_string()
    })
}

/// Any header value HTTP allows, and ones that look nearly right.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let nearly = prop_oneof![
        Just("AssumeRole".to_owned()),
        Just("AssumeRoleWithSAML".to_owned()),
        Just("2018-08-13".to_owned()),
        Just("ap-guangzhou".to_owned()),
        Just("application/json".to_owned()),
        Just("SKIP".to_owned()),
        Just(now().to_string()),
        "TC3-HMAC-SHA256 Credential=[A-Z]{0,3}/[0-9-]{0,10}/sts/tc3_request, SignedHeaders=[a-z;-]{0,20}, Signature=[0-9a-f]{0,64}",
    ];
    prop_oneof![
        nearly.prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![32_u8..=126, 128_u8..=255], 0..40),
    ]
}

const NAMES: [&str; 9] = [
    "authorization",
    "content-type",
    "host",
    "x-tc-action",
    "x-tc-content-sha256",
    "x-tc-region",
    "x-tc-timestamp",
    "x-tc-token",
    "x-tc-version",
];

/// JSON with the right names and any values, or just bytes.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        Just("RoleArn"),
        Just("RoleSessionName"),
        Just("DurationSeconds"),
        Just("Policy"),
        Just("Tags"),
        Just("ProviderId"),
        Just("WebIdentityToken"),
        Just("SAMLAssertion"),
        Just("PrincipalArn"),
        Just("Name"),
    ];
    let values = prop_oneof![
        any::<String>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        Just(serde_json::json!("qcs::cam::uin/100000000001:roleName/app")),
        Just(serde_json::json!("session")),
        Just(serde_json::json!([{"Key": "k", "Value": null}])),
        Just(serde_json::json!(null)),
        "[A-Za-z0-9+/]{0,40}={0,2}".prop_map(serde_json::Value::from),
        "(%[0-9A-Fa-f]{2}|[a-z%]){0,20}".prop_map(serde_json::Value::from),
        "[A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,20}[.][A-Za-z0-9_-]{0,20}"
            .prop_map(serde_json::Value::from),
    ];
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec((names, values), 0..6).prop_map(|pairs| {
            let map: serde_json::Map<_, _> = pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            serde_json::Value::Object(map).to_string().into_bytes()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_headers_get_an_envelope(
        pairs in proptest::collection::vec((0..NAMES.len(), value()), 0..12),
        body in body(),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_static(NAMES[name]);
            headers.append(name, HeaderValue::from_bytes(&value).unwrap());
        }
        let reply = with_emulator(async |running| send(running, "POST", "/", headers, &body).await);
        prop_assert!(is_an_envelope(&reply), "{reply:?}");
    }

    #[test]
    fn any_signed_body_gets_an_envelope(action in 0..5_usize, body in body()) {
        let action = [
            "AssumeRole",
            "GetFederationToken",
            "GetCallerIdentity",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
        ][action];
        let reply = with_emulator(async |running| {
            let empty = serde_json::json!({});
            let mut ask = if action.starts_with("AssumeRoleWith") {
                Ask::unsigned(running, action, &empty)
            } else {
                Ask { action: Some(action.to_owned()), ..Ask::app(running) }
            };
            ask.body = body;
            ask.send(running).await
        });
        prop_assert!(is_an_envelope(&reply), "{reply:?}");
    }

    #[test]
    fn any_assertion_gets_an_envelope(xml in "(<[a-zA-Z:/!? ='\"]{0,12}>|&[a-z#x0-9]{0,6};|[a-zA-Z ]{0,6}){0,12}") {
        use base64::Engine as _;
        let assertion = base64::engine::general_purpose::STANDARD.encode(xml);
        let reply = with_emulator(async |running| {
            let body = serde_json::json!({
                "SAMLAssertion": assertion, "RoleSessionName": "session",
                "PrincipalArn": "qcs::cam::uin/100000000001:saml-provider/example-saml",
                "RoleArn": "qcs::cam::uin/100000000001:roleName/staff",
            });
            Ask::unsigned(running, "AssumeRoleWithSAML", &body).send(running).await
        });
        prop_assert!(is_an_envelope(&reply), "{reply:?}");
    }

    #[test]
    fn any_control_request_is_answered(
        path in prop_oneof![
            Just("faults"), Just("keys"), Just("roles"), Just("providers"), Just("instance"),
            Just("saml-assertions"), Just("web-identity-tokens"), Just("clock"), Just("x"),
        ],
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let path = format!("/_emulator/{path}");
        let reply = with_emulator(async |running| {
            send(running, "POST", &path, HeaderMap::new(), &body).await
        });
        let status = reply.map(|reply| reply.status);
        prop_assert!(matches!(status, Ok(400 | 404)), "{status:?}");
    }
}
