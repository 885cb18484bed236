//! The emulated cloud from outside: what it refuses, with which status and code.

use credvend::clock::{Clock, SystemClock, unix_seconds};
use credvend::emulator::{Emulator, EmulatorConfig, HUAWEI_ACCOUNT, HUAWEI_USER, Running};
use credvend::provider::huawei::signing::{Request, Scheme, date_text};
use credvend::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use SignedBy::{Long, Temporary};

/// One request in parts. Signing happens when it is sent, over the parts as they are then.
#[derive(Clone, Debug)]
struct Ask {
    method: Method,
    path: &'static str,
    query: &'static str,
    body: String,
    id: String,
    secret: String,
    token: Option<String>,
    timestamp: u64,
    scheme: Scheme<'static>,
    signed: Vec<&'static str>,
    is_signed: bool,
    /// Changes the signed request behind the signer's back.
    tampered: Option<(&'static str, &'static str)>,
}

impl Ask {
    fn new(cloud: &Running, path: &'static str, body: &Value) -> Self {
        let (id, secret) = cloud.state.with_huawei(|world| {
            let key = world.first_key().unwrap();
            (key.id.clone(), key.secret.expose().to_owned())
        });
        Self {
            method: Method::POST,
            path,
            query: "",
            body: body.to_string(),
            id,
            secret,
            token: None,
            timestamp: unix_seconds(SystemClock.wall()),
            scheme: Scheme::Plain,
            signed: vec!["content-type", "host", "x-sdk-date", "x-security-token"],
            is_signed: true,
            tampered: None,
        }
    }

    fn app(cloud: &Running) -> Self {
        Self::new(cloud, "/v5/agencies/assume", &app())
    }

    fn identity(cloud: &Running) -> Self {
        Self {
            method: Method::GET,
            body: String::new(),
            ..Self::new(cloud, "/v5/caller-identity", &Value::Null)
        }
    }

    fn leave_out(&mut self, name: &str) {
        self.signed.retain(|it| *it != name);
    }

    async fn send(&self, cloud: &Running) -> (u16, Value) {
        let host = cloud.addr.to_string();
        let date = date_text(self.timestamp);
        let mut headers = vec![
            ("content-type", "application/json"),
            ("host", &*host),
            ("x-sdk-date", &*date),
        ];
        headers.extend(
            self.token
                .as_deref()
                .map(|token| ("x-security-token", token)),
        );
        let signed: Vec<(&str, &str)> = headers
            .iter()
            .copied()
            .filter(|(name, _)| self.signed.contains(name))
            .collect();
        let query = credvend::provider::huawei::signing::parse_query(self.query);
        let authorization = Request {
            scheme: self.scheme,
            method: self.method.as_str(),
            path: self.path,
            query: &query,
            headers: &signed,
            payload: self.body.as_bytes(),
        }
        .authorization(&self.id, &Secret::from(self.secret.as_str()));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let url = format!(
            "{}{}{}",
            cloud.endpoint(),
            self.path,
            match self.query {
                "" => String::new(),
                query => format!("?{query}"),
            }
        );
        let client = client.build().unwrap();
        let mut request = client.request(self.method.clone(), url);
        for (name, value) in headers {
            let value = match self.tampered {
                Some((header, other)) if header == name => other,
                Some(_) | None => value,
            };
            request = request.header(name, value);
        }
        if self.is_signed {
            request = request.header("authorization", authorization);
        }
        let answer = request.body(self.body.clone()).send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"].len(), 32);
        assert!(answer.headers().contains_key("date"));
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn granted(&self, cloud: &Running) -> Value {
        let (status, body) = self.send(cloud).await;
        assert!((200..300).contains(&status), "{status} {body:#}");
        body
    }

    async fn refused(&self, cloud: &Running) -> (u16, String, String) {
        let (status, body) = self.send(cloud).await;
        let text = |name: &str| body[name].as_str().unwrap_or("none").to_owned();
        (status, text("error_code"), text("error_msg"))
    }
}

fn app() -> Value {
    json!({
        "agency_urn": format!("iam::{HUAWEI_ACCOUNT}:agency:app"),
        "agency_session_name": "session",
    })
}

/// [`app`] with one member set, or taken out.
fn with(name: &str, value: Value) -> Value {
    let mut body = app();
    body[name] = value;
    if body[name].is_null() {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

fn start() -> Running {
    // A client of this library needs one, even without TLS.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Emulator::start(EmulatorConfig::example().unwrap()).unwrap()
}

#[tokio::test]
async fn both_schemes_of_signature_are_accepted() {
    let cloud = start();
    for scheme in [
        Scheme::Plain,
        Scheme::Derived {
            region: "cn-north-4",
            service: "sts",
        },
    ] {
        let ask = Ask {
            scheme,
            query: "b=%E4%B8%AD&a=1%20%2B",
            ..Ask::identity(&cloud)
        };
        let identity = ask.granted(&cloud).await;
        assert_eq!(identity["principal_id"], HUAWEI_USER);
    }
}

#[derive(Clone, Copy)]
enum SignedBy {
    Long,
    Temporary,
}

/// A request, what is changed about it, and the sentence it is refused with.
type Case = (&'static str, SignedBy, fn(&mut Ask), &'static str);

const GATEWAY: [Case; 12] = [
    ("none", Long, |it| it.is_signed = false, "Unauthorized"),
    (
        "wrong secret",
        Long,
        |it| it.secret.push('x'),
        "verify aksk",
    ),
    ("unknown key", Long, |it| it.id.push('x'), "ak not exist"),
    (
        "16 min ago",
        Long,
        |it| it.timestamp -= 960,
        "signature expired",
    ),
    (
        "in 16 min",
        Long,
        |it| it.timestamp += 960,
        "signature expired",
    ),
    (
        "no host",
        Long,
        |it| it.leave_out("host"),
        "host must be signed",
    ),
    (
        "no date",
        Long,
        |it| it.leave_out("x-sdk-date"),
        "x-sdk-date must be signed",
    ),
    (
        "token not signed",
        Temporary,
        |it| it.leave_out("x-security-token"),
        "x-security-token must be signed",
    ),
    ("no token", Temporary, |it| it.token = None, "decrypt token"),
    (
        "wrong token",
        Temporary,
        |it| it.token = Some("x".to_owned()),
        "decrypt token",
    ),
    (
        "a token too many",
        Long,
        |it| it.token = Some("x".to_owned()),
        "decrypt token",
    ),
    (
        "another type than was signed",
        Long,
        |it| it.tampered = Some(("content-type", "text/plain")),
        "verify aksk",
    ),
];

#[tokio::test]
async fn what_the_gateway_refuses() {
    let cloud = start();
    let good = Ask::app(&cloud);
    let temporary = good.granted(&cloud).await["credentials"].clone();
    let text = |name: &str| temporary[name].as_str().unwrap().to_owned();
    let temporary = Ask {
        id: text("access_key_id"),
        secret: text("secret_access_key"),
        token: Some(text("security_token")),
        ..Ask::identity(&cloud)
    };
    temporary.granted(&cloud).await;
    for (case, signed_by, change, why) in GATEWAY {
        let mut ask = match signed_by {
            Long => good.clone(),
            Temporary => temporary.clone(),
        };
        change(&mut ask);
        let (status, code, message) = ask.refused(&cloud).await;
        assert_eq!((status, &*code), (401, "APIGW.0301"), "{case}: {message}");
        assert!(message.contains(why), "{case}: {message}");
    }
    let elsewhere = Ask {
        path: "/v5/nowhere",
        ..good.clone()
    };
    assert_eq!(elsewhere.refused(&cloud).await.1, "APIGW.0101");
    let method = Ask {
        method: Method::PUT,
        ..good
    };
    assert_eq!(method.refused(&cloud).await.0, 404);
}

#[tokio::test]
async fn what_assume_agency_refuses() {
    let cloud = start();
    let policy = |version: &str| {
        json!({"Version": version, "Statement": [{"Effect": "Allow", "Action": ["a:b:c"]}]})
            .to_string()
    };
    for (name, value) in [
        ("duration_seconds", json!(900)),
        ("duration_seconds", json!(43_200)),
        ("policy", json!(policy("5.0"))),
        ("tags", json!([{"key": "a", "value": ""}])),
        ("source_identity", json!("me")),
    ] {
        let ask = Ask::new(&cloud, "/v5/agencies/assume", &with(name, value.clone()));
        ask.granted(&cloud).await;
    }
    let agency = |name: &str| json!(format!("iam::{HUAWEI_ACCOUNT}:agency:{name}"));
    for (name, value, status, code) in [
        ("agency_urn", Value::Null, 400, "STS5.0400"),
        ("agency_urn", json!("app"), 400, "STS5.0400"),
        ("agency_urn", agency("nobody"), 404, "STS5.1106"),
        ("agency_urn", agency("chained"), 403, "STS5.1001"),
        ("agency_urn", agency("partner"), 403, "STS5.1001"),
        ("agency_session_name", json!("x"), 400, "STS5.0400"),
        ("agency_session_name", json!("a b"), 400, "STS5.0400"),
        ("duration_seconds", json!("900"), 400, "STS5.0400"),
        ("duration_seconds", json!(899), 400, "STS5.0400"),
        ("duration_seconds", json!(43_201), 400, "STS5.0400"),
        ("external_id", json!("x"), 400, "STS5.0400"),
        ("policy", json!("{}"), 400, "STS5.0400"),
        ("policy", json!(policy("1.1")), 400, "STS5.0400"),
        ("policy", json!("not JSON"), 400, "STS5.0400"),
        ("policy_ids", json!(["a b"]), 400, "STS5.0400"),
        ("policy_ids", json!([1]), 400, "STS5.0400"),
        (
            "tags",
            json!([{"key": "_sys_a", "value": ""}]),
            400,
            "STS5.0400",
        ),
        ("tags", json!([{"key": "a"}]), 400, "STS5.0400"),
        ("token_code", json!("123456"), 403, "STS5.1001"),
        ("AgencyUrn", json!("x"), 400, "STS5.0400"),
    ] {
        let ask = Ask::new(&cloud, "/v5/agencies/assume", &with(name, value.clone()));
        let (its_status, its_code, message) = ask.refused(&cloud).await;
        let case = format!("{name} = {value}: {message}");
        assert_eq!((its_status, &*its_code), (status, code), "{case}");
    }
    let (_, body) = Ask::new(
        &cloud,
        "/v5/agencies/assume",
        &with("agency_urn", agency("chained")),
    )
    .send(&cloud)
    .await;
    assert!(body["encoded_authorization_message"].is_string());
}

type Change = fn(&mut Value);

#[tokio::test]
async fn what_security_tokens_refuse() {
    let cloud = start();
    let body = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({"auth": {"identity": {
            "methods": ["assume_role"],
            "assume_role": {"agency_name": "app", "domain_name": "example-corp"},
        }}});
        change(&mut body);
        Ask::new(&cloud, "/v3.0/OS-CREDENTIAL/securitytokens", &body)
    };
    let (status, answer) = body(&|_| {}).send(&cloud).await;
    assert_eq!(status, 201);
    assert!(
        answer["credential"]["expires_at"]
            .as_str()
            .unwrap()
            .ends_with(".574000Z")
    );

    let changes: [(Change, u16); 6] = [
        (
            |it| it["auth"]["identity"]["methods"] = json!(["token"]),
            400,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["duration_seconds"] = json!(86_401),
            400,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["agency_name"] = json!("nobody"),
            403,
        ),
        (
            |it| it["auth"]["identity"]["assume_role"]["session_user"] = json!({"name": "1x"}),
            400,
        ),
        (
            |it| it["auth"]["identity"]["policy"] = json!({"Version": "5.0"}),
            400,
        ),
        (|it| it["auth"]["scope"] = json!({}), 400),
    ];
    for (change, expected) in changes {
        let ask = body(&change);
        let (status, answer) = ask.send(&cloud).await;
        assert_eq!(status, expected, "{}", ask.body);
        assert_eq!(answer["error"]["code"], expected, "{answer:#}");
        assert!(answer["error"]["title"].is_string());
    }
    let unsigned = Ask {
        is_signed: false,
        ..body(&|_| {})
    };
    assert_eq!(unsigned.refused(&cloud).await.1, "APIGW.0301");
}
