//! One request to the emulated cloud, as parts that tests replace.

use credvend::clock::{Clock, SystemClock, unix_seconds};
use credvend::emulator::{Emulator, EmulatorConfig, HUAWEI_ACCOUNT, Running};
use credvend::provider::huawei::signing::{Request, Scheme, date_text};
use credvend::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

/// One request in parts. Signing happens when it is sent, over the parts as they are then.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) query: &'static str,
    pub(super) body: String,
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    pub(super) timestamp: u64,
    pub(super) scheme: Scheme<'static>,
    pub(super) signed: Vec<&'static str>,
    /// Claimed to be signed, instead of what is.
    pub(super) signed_names: Option<&'static str>,
    pub(super) is_signed: bool,
    /// Changes the signed request behind the signer's back.
    pub(super) tampered: Option<(&'static str, &'static str)>,
}

impl Ask {
    pub(super) fn new(cloud: &Running, path: &'static str, body: &Value) -> Self {
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
            signed_names: None,
            is_signed: true,
            tampered: None,
        }
    }

    pub(super) fn app(cloud: &Running) -> Self {
        Self::new(cloud, "/v5/agencies/assume", &app())
    }

    pub(super) fn identity(cloud: &Running) -> Self {
        Self {
            method: Method::GET,
            body: String::new(),
            ..Self::new(cloud, "/v5/caller-identity", &Value::Null)
        }
    }

    pub(super) fn leave_out(&mut self, name: &str) {
        self.signed.retain(|it| *it != name);
    }

    pub(super) async fn send(&self, cloud: &Running) -> (u16, Value) {
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
        let authorization = match self.signed_names {
            Some(names) => {
                let (before, rest) = authorization.split_once("SignedHeaders=").unwrap();
                let (_, after) = rest.split_once(',').unwrap();
                format!("{before}SignedHeaders={names},{after}")
            }
            None => authorization,
        };
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

    pub(super) async fn granted(&self, cloud: &Running) -> Value {
        let (status, body) = self.send(cloud).await;
        assert!((200..300).contains(&status), "{status} {body:#}");
        body
    }

    pub(super) async fn refused(&self, cloud: &Running) -> (u16, String, String) {
        let (status, body) = self.send(cloud).await;
        let text = |name: &str| body[name].as_str().unwrap_or("none").to_owned();
        (status, text("error_code"), text("error_msg"))
    }
}

pub(super) fn app() -> Value {
    json!({
        "agency_urn": format!("iam::{HUAWEI_ACCOUNT}:agency:app"),
        "agency_session_name": "session",
    })
}

/// [`app`] with one member set, or taken out.
pub(super) fn with(name: &str, value: Value) -> Value {
    let mut body = app();
    body[name] = value;
    if body[name].is_null() {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

pub(super) fn start() -> Running {
    // A client of this library needs one, even without TLS.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Emulator::start(EmulatorConfig::example().unwrap()).unwrap()
}
