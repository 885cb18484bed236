//! A client that can be wrong in every single way: requests as parts that tests replace.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use credvend::clock::{BootTime, Clock, SystemClock, unix_seconds};
use credvend::emulator::{Emulator, EmulatorConfig, Running};
use credvend::provider::tencent::signing;
use credvend::secret::Secret;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// The example world.
pub(super) fn start() -> Running {
    Emulator::start(EmulatorConfig::example().unwrap()).unwrap()
}

/// The host's clocks, both moved ahead by tests.
#[derive(Debug, Default)]
pub(super) struct Movable(Mutex<Duration>);

impl Movable {
    pub(super) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for Movable {
    fn boot(&self) -> BootTime {
        SystemClock.boot() + *self.0.lock().unwrap()
    }

    fn wall(&self) -> SystemTime {
        SystemClock.wall() + *self.0.lock().unwrap()
    }
}

/// The example world, with a clock that can be moved.
pub(super) fn start_movable() -> (Running, Arc<Movable>) {
    let clock = Arc::new(Movable::default());
    let config = EmulatorConfig {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..EmulatorConfig::example().unwrap()
    };
    (Emulator::start(config).unwrap(), clock)
}

/// The host's clock.
pub(super) fn now() -> u64 {
    unix_seconds(SystemClock.wall())
}

/// What to sign with.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
}

impl Keys {
    /// The example world's long-lived key.
    pub(super) fn of(running: &Running) -> Self {
        running.state.with_world(|world| {
            let key = world.first_key().unwrap();
            Self {
                id: key.id.clone(),
                secret: key.secret.expose().to_owned(),
                token: None,
            }
        })
    }

    /// The set in an answer.
    pub(super) fn from(answer: &Value) -> Self {
        let credentials = &answer["Credentials"];
        let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
        Self {
            id: text("TmpSecretId"),
            secret: text("TmpSecretKey"),
            token: Some(text("Token")),
        }
    }
}

/// How `Authorization` comes about.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    Missing,
    Signed,
    Text(String),
}

/// One request in parts. Signing happens when it is sent, over the parts as they are then.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) action: Option<String>,
    pub(super) version: Option<&'static str>,
    pub(super) timestamp: Option<String>,
    pub(super) region: Option<&'static str>,
    pub(super) content_type: Option<&'static str>,
    pub(super) host: String,
    pub(super) body: Vec<u8>,
    pub(super) keys: Keys,
    pub(super) proof: Proof,
    /// Sent beside the rest, unsigned.
    pub(super) extra: Vec<(&'static str, String)>,
}

impl Ask {
    pub(super) fn new(running: &Running, keys: &Keys, action: &str, body: &Value) -> Self {
        Self {
            method: "POST",
            path: "/",
            action: Some(action.to_owned()),
            version: Some("2018-08-13"),
            timestamp: Some(now().to_string()),
            region: Some("ap-guangzhou"),
            content_type: Some("application/json"),
            host: running.addr.to_string(),
            body: body.to_string().into_bytes(),
            keys: keys.clone(),
            proof: Proof::Signed,
            extra: Vec::new(),
        }
    }

    /// For the actions that are not signed.
    pub(super) fn unsigned(running: &Running, action: &str, body: &Value) -> Self {
        Self {
            proof: Proof::Text("SKIP".to_owned()),
            ..Self::new(running, &Keys::of(running), action, body)
        }
    }

    /// AssumeRole of `app`, right in every way.
    pub(super) fn app(running: &Running) -> Self {
        Self::new(
            running,
            &Keys::of(running),
            "AssumeRole",
            &json!({"RoleArn": role_arn("app"), "RoleSessionName": "session"}),
        )
    }

    /// The `Authorization` header as the daemon's own signer makes it.
    pub(super) fn signature(&self) -> String {
        let timestamp = self.timestamp.as_deref().unwrap_or_default();
        signing::Request {
            method: self.method,
            path: "/",
            query: "",
            content_type: self.content_type.unwrap_or_default(),
            host: &self.host,
            service: "sts",
            timestamp: timestamp.parse().unwrap_or(0),
            payload: &self.body,
        }
        .authorization(&self.keys.id, &Secret::from(self.keys.secret.as_str()))
    }

    fn headers(&self) -> HeaderMap {
        let authorization = match &self.proof {
            Proof::Missing => None,
            Proof::Signed => Some(self.signature()),
            Proof::Text(text) => Some(text.clone()),
        };
        let token = self.keys.token.clone();
        let own = [
            ("host", Some(self.host.clone())),
            ("content-type", self.content_type.map(str::to_owned)),
            ("authorization", authorization),
            ("x-tc-action", self.action.clone()),
            ("x-tc-version", self.version.map(str::to_owned)),
            ("x-tc-timestamp", self.timestamp.clone()),
            ("x-tc-region", self.region.map(str::to_owned)),
            ("x-tc-token", token),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut headers = HeaderMap::new();
        for (name, value) in own.chain(self.extra.clone()) {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(&value).unwrap());
        }
        headers
    }

    /// Sends it; an error is a connection that ended without an answer.
    pub(super) async fn send(&self, running: &Running) -> Result<Reply, String> {
        send(running, self.method, self.path, self.headers(), &self.body).await
    }

    /// Sends it and returns the fields of a good answer.
    pub(super) async fn granted(&self, running: &Running) -> Value {
        let reply = self.send(running).await.unwrap();
        assert_eq!(reply.status, 200);
        let mut answer = reply.json();
        let fields = answer["Response"].take();
        assert!(fields.get("Error").is_none(), "{fields:#}");
        assert_eq!(fields["RequestId"].as_str().unwrap().len(), 36);
        fields
    }

    /// Sends it and returns code and message of a refusal.
    pub(super) async fn refused(&self, running: &Running) -> (String, String) {
        let reply = self.send(running).await.unwrap();
        assert_eq!(reply.status, 200, "a business error has status 200");
        assert_eq!(reply.headers["content-type"], "application/json");
        let answer = reply.json();
        let error = &answer["Response"]["Error"];
        let text = |name: &str| error[name].as_str().unwrap_or("none").to_owned();
        assert!(answer["Response"]["RequestId"].is_string(), "{answer:#}");
        (text("Code"), text("Message"))
    }

    /// The code of the answer, `ok` for a good one.
    pub(super) async fn code(&self, running: &Running) -> String {
        let reply = self.send(running).await.unwrap();
        let answer = reply.json();
        let code = answer["Response"]["Error"]["Code"].as_str();
        code.unwrap_or("ok").to_owned()
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub(super) async fn send(
    running: &Running,
    method: &str,
    path: &str,
    headers: HeaderMap,
    body: &[u8],
) -> Result<Reply, String> {
    let stream = TcpStream::connect(running.addr).await;
    let stream = TokioIo::new(stream.map_err(|error| error.to_string())?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let mut request = hyper::Request::builder().method(method).uri(path);
    *request.headers_mut().unwrap() = headers;
    let request = request
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap();
    let outcome = async {
        let answer = sender.send_request(request).await?;
        let (head, body) = answer.into_parts();
        Ok::<_, hyper::Error>(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    };
    let outcome = outcome.await.map_err(|error| format!("{error:?}"));
    driver.abort();
    outcome
}

/// A control request; its answer must have this status.
pub(super) async fn control(
    running: &Running,
    method: &str,
    path: &str,
    body: &Value,
    status: u16,
) -> Value {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("localhost"));
    let path = format!("/_emulator/{path}");
    let body = body.to_string();
    let reply = send(running, method, &path, headers, body.as_bytes())
        .await
        .unwrap();
    assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    reply.json()
}

pub(super) fn role_arn(name: &str) -> String {
    format!("qcs::cam::uin/100000000001:roleName/{name}")
}
