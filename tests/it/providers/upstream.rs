//! The HTTP client against TLS servers, good and bad ones, and proxies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use credvend::config::model::Upstream;
use credvend::provider::error::{Class, ProviderError};
use credvend::provider::upstream::{Answer, Call, HttpClient, TransportError};
use credvend::secret::WipedBuffer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::cloud::{Cloud, Reply, closed_port};
use super::fixtures::{CANARY, PATIENCE, impatient, upstream};

/// A private authority with its certificate in a file.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // One authority must not pass for another by its name.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("authority {number} of {}", std::process::id());
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A server with a certificate of this authority.
    fn server(&self, params: &CertificateParams) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn trusting(file: &Path) -> HttpClient {
    HttpClient::new(Upstream {
        ca_file: Some(file.to_owned()),
        ..upstream()
    })
}

async fn get(client: &HttpClient, url: &str) -> Result<Answer, TransportError> {
    client
        .send(Call {
            method: Method::GET,
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: WipedBuffer::default(),
        })
        .await
}

async fn failure(client: &HttpClient, url: &str) -> String {
    get(client, url).await.unwrap_err().to_string()
}

fn hello() -> Vec<Reply> {
    vec![Reply::Answer(200, "Retry-After: 5", "hello".into())]
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_configured_and_alone() {
    let authority = Authority::new();
    let cloud = Cloud::start_tls(hello(), authority.server(&named("127.0.0.1"))).await;
    let url = format!("https://{}/", cloud.host());

    let answer = get(&trusting(&authority.file()), &url).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.as_ref(), b"hello");
    assert_eq!(answer.retry_after, Some(Duration::from_secs(5)));
    assert_eq!(answer.date, None);

    let stranger = Authority::new();
    let error = failure(&trusting(&stranger.file()), &url).await;
    let expected = format!(
        "{}'s certificate is not trusted: ca-file `{}` does not hold its issuer",
        cloud.host(),
        stranger.file().display()
    );
    assert_eq!(error, expected);
    assert_eq!(cloud.received().len(), 1, "nothing was sent to a stranger");
}

#[tokio::test]
async fn a_replaced_ca_file_is_read_again() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let cloud = Cloud::start_tls(hello(), authority.server(&named("127.0.0.1"))).await;
    let url = format!("https://{}/", cloud.host());
    let client = trusting(&stranger.file());
    assert!(failure(&client, &url).await.contains("is not trusted"));
    std::fs::copy(authority.file(), stranger.file()).unwrap();
    assert_eq!(get(&client, &url).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_certificate_for_another_name_or_another_time_is_refused() {
    let authority = Authority::new();
    let mut expired = named("127.0.0.1");
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let mut early = named("127.0.0.1");
    early.not_before = rcgen::date_time_ymd(2990, 1, 1);
    early.not_after = rcgen::date_time_ymd(2999, 1, 1);
    for (certificate, sentence) in [
        (named("other.example"), "it is for another name"),
        (expired, "it has expired, unless this host's clock is ahead"),
        (
            early,
            "it is not valid yet, unless this host's clock is behind",
        ),
    ] {
        let cloud = Cloud::start_tls(hello(), authority.server(&certificate)).await;
        let client = trusting(&authority.file());
        let error = failure(&client, &format!("https://{}/", cloud.host())).await;
        assert!(error.ends_with(sentence), "{error}");
        assert_eq!(cloud.received().len(), 0);
    }
}

#[tokio::test]
async fn an_unusable_ca_file_is_named_and_somebody_has_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for (content, sentence) in [
        (None, "No such file or directory"),
        (Some("CANARY-5b1d"), "it holds no certificate"),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = get(&trusting(&file), "https://127.0.0.1:1/").await;
        let error = ProviderError::from(error.unwrap_err());
        let expected = format!("cannot read ca-file `{}`: {sentence}", file.display());
        assert!(error.message.starts_with(&expected), "{error}");
        assert_eq!(error.class, Class::Final);
    }
}

#[tokio::test]
async fn a_listener_without_a_word_and_one_without_tls_are_told_apart() {
    let authority = Authority::new();
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = HttpClient::new(Upstream {
        ca_file: Some(authority.file()),
        connect_timeout: PATIENCE,
        ..upstream()
    });
    let address = mute.local_addr().unwrap();
    let error = failure(&client, &format!("https://{address}/")).await;
    let expected = format!(
        "cannot reach {address}: no connection within {} ms",
        PATIENCE.as_millis()
    );
    assert_eq!(error, expected);

    let plain = Cloud::start(vec![Reply::Bytes(b"HTTP/1.1 400 No\r\n\r\n".to_vec())]).await;
    // The handshake is no request, so the server would wait for one: hence the reset.
    let error = failure(&client, &format!("https://{}/", plain.host())).await;
    assert!(error.starts_with("cannot reach 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn trouble_after_the_handshake_is_told_apart() {
    let authority = Authority::new();
    for (reply, sentence) in [
        (
            Reply::Reset,
            "broke off before its answer was complete: connection reset",
        ),
        (
            Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel".to_vec()),
            "broke off before its answer was complete: ",
        ),
        (Reply::Hang, "no answer from 127.0.0.1:"),
    ] {
        let server = authority.server(&named("127.0.0.1"));
        let cloud = Cloud::start_tls(vec![reply.clone()], server).await;
        let client = HttpClient::new(Upstream {
            ca_file: Some(authority.file()),
            ..impatient()
        });
        let error = failure(&client, &format!("https://{}/", cloud.host())).await;
        assert!(error.contains(sentence), "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_is_bounded_too() {
    let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    endless.resize(300 * 1024, b'x');
    let cloud = Cloud::start(vec![Reply::Bytes(endless)]).await;
    let client = HttpClient::new(upstream());
    let error = failure(&client, &cloud.url()).await;
    assert!(
        error.ends_with("answered with more than 256 KiB"),
        "{error}"
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Cloud::start(hello()).await;
    let location = format!("Location: {}", target.url());
    let cloud = Cloud::start(vec![Reply::Bytes(
        format!("HTTP/1.1 302 Found\r\n{location}\r\nContent-Length: 0\r\n\r\n").into_bytes(),
    )])
    .await;
    let answer = get(&HttpClient::new(upstream()), &cloud.url()).await;
    assert_eq!(answer.unwrap().status, 302);
    assert_eq!(target.received().len(), 0);
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_its_trouble_is_named() {
    let authority = Authority::new();
    let through = |proxy: String| {
        HttpClient::new(Upstream {
            proxy: Some(proxy),
            ca_file: Some(authority.file()),
            ..upstream()
        })
    };
    let url = "https://sts.example/";
    let refusing = Cloud::start(vec![Reply::Answer(403, "", CANARY.into())]).await;
    let error = failure(&through(refusing.url()), url).await;
    assert_eq!(
        error,
        "cannot reach sts.example through the proxy: unsuccessful"
    );
    let request = refusing.received().remove(0);
    assert_eq!(request.line, "CONNECT sts.example:443 HTTP/1.1");

    let closed = closed_port().await;
    let error = failure(&through(format!("http://127.0.0.1:{closed}")), url).await;
    assert_eq!(
        error,
        "cannot reach sts.example through the proxy: connection refused"
    );

    let error = failure(&through("::".into()), url).await;
    assert!(error.starts_with("`proxy` is not the address"), "{error}");
}

#[tokio::test]
async fn loopback_is_never_called_through_a_proxy() {
    let authority = Authority::new();
    let cloud = Cloud::start_tls(hello(), authority.server(&named("127.0.0.1"))).await;
    let client = HttpClient::new(Upstream {
        proxy: Some("http://127.0.0.1:1".into()),
        ca_file: Some(authority.file()),
        ..upstream()
    });
    let url = format!("https://{}/", cloud.host());
    assert_eq!(get(&client, &url).await.unwrap().status, 200);
    let plain = Cloud::start(hello()).await;
    assert_eq!(get(&client, &plain.url()).await.unwrap().status, 200);
}

/// Set in a process that a test started to run itself once more.
const URL: &str = "CREDVEND_TEST_URL";

/// Where to ask, in such a process.
fn url_of_the_parent() -> Option<String> {
    std::env::var(URL).ok()
}

/// The trust store of a process is chosen by its environment, so these tests run twice: here, and
/// in a process of its own, where `url_of_the_parent` tells them what to ask.
async fn in_own_process<T: Fn()>(_test: T, store: &Path, url: &str) {
    let (_, test) = std::any::type_name::<T>().split_once("::").unwrap();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("SSL_CERT_FILE", store)
        .env_remove("SSL_CERT_DIR")
        .env(URL, url)
        .output()
        .await
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "{printed} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_systems_authorities_are_trusted_by_default() {
    if let Some(url) = url_of_the_parent() {
        let answer = get(&HttpClient::new(upstream()), &url).await;
        assert_eq!(answer.unwrap().status, 200);
        return;
    }
    let authority = Authority::new();
    let cloud = Cloud::start_tls(hello(), authority.server(&named("127.0.0.1"))).await;
    let url = format!("https://{}/", cloud.host());
    let this = the_systems_authorities_are_trusted_by_default;
    in_own_process(this, &authority.file(), &url).await;
    assert_eq!(cloud.received().len(), 1, "it was asked");
}

#[tokio::test]
async fn an_authority_the_system_does_not_know_is_not_trusted() {
    if let Some(url) = url_of_the_parent() {
        let error = failure(&HttpClient::new(upstream()), &url).await;
        let expected = "its issuer is not among this system's authorities; if it is your own, \
                        set `ca-file`";
        assert!(error.ends_with(expected), "{error}");
        return;
    }
    let authority = Authority::new();
    let cloud = Cloud::start_tls(hello(), authority.server(&named("127.0.0.1"))).await;
    let url = format!("https://{}/", cloud.host());
    let this = an_authority_the_system_does_not_know_is_not_trusted;
    in_own_process(this, &Authority::new().file(), &url).await;
    assert_eq!(cloud.received().len(), 0, "nothing was sent to a stranger");
}

#[tokio::test]
async fn a_system_without_authorities_is_told_what_to_install() {
    if let Some(url) = url_of_the_parent() {
        let error = get(&HttpClient::new(upstream()), &url).await;
        assert_eq!(error.unwrap_err(), TransportError::NoTrustStore);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let this = a_system_without_authorities_is_told_what_to_install;
    in_own_process(this, &empty, "https://127.0.0.1:1/").await;
}
