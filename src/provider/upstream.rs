//! One HTTP call to a cloud, and nothing else: no retry, no redirect, no opinion on the answer.
//!
//! Promises: a call ends within its time-out; a body is at most [`LARGEST_ANSWER`] and is wiped
//! with the [`Answer`]; a call to a loopback or plain-HTTP address never goes through a proxy;
//! certificates are always checked. Clients are built at the first call that needs them, since
//! loading the trust store costs milliseconds and a megabyte, and shared by all who have the
//! same settings.

mod answer;
mod failure;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, Once, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Proxy, Url};

use super::error::foreign;
use crate::authorities;
use crate::config::model::Upstream;
use crate::secret::WipedBuffer;
use crate::stamp::Stamp;
pub use answer::{Answer, LARGEST_ANSWER};
use answer::{Trouble, read};
pub use failure::TransportError;
pub(crate) use failure::words;

/// What to send.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub url: String,
    /// Mark those that carry secrets as sensitive.
    pub headers: HeaderMap,
    pub body: WipedBuffer,
}

/// One [`HttpClient`] per distinct [`Upstream`].
#[derive(Debug, Default)]
pub struct Clients {
    by_settings: Mutex<BTreeMap<Upstream, Arc<HttpClient>>>,
}

impl Clients {
    /// The client with these settings; the same one for everybody who asks.
    #[must_use]
    pub fn get(&self, settings: &Upstream) -> Arc<HttpClient> {
        let mut clients = self
            .by_settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(settings) {
            return Arc::clone(client);
        }
        let client = Arc::new(HttpClient::new(settings.clone()));
        clients.insert(settings.clone(), Arc::clone(&client));
        client
    }

    /// Drops the clients that no provider uses any more.
    pub fn prune(&self) {
        self.by_settings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, client| Arc::strong_count(client) > 1);
    }
}

/// Calls HTTP servers in the way one [`Upstream`] describes.
pub struct HttpClient {
    settings: Upstream,
    built: Mutex<BTreeMap<Route, Built>>,
}

/// How a target is reached.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Route {
    /// TLS to this very host: a proxy would mean another one.
    Direct,
    /// Without TLS, which only loopback and metadata addresses are called with.
    Plain,
    /// TLS, through a proxy if there is one.
    Proxied,
}

struct Built {
    client: Client,
    /// The version of the CA file it trusts.
    ca_file: Option<Stamp>,
}

impl HttpClient {
    /// Ready to call; builds and reads nothing yet.
    #[must_use]
    pub fn new(settings: Upstream) -> Self {
        Self {
            settings,
            built: Mutex::new(BTreeMap::new()),
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &Upstream {
        &self.settings
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// Whatever kept a whole answer from coming. An answer with an error status is an answer.
    pub async fn send(&self, call: Call) -> Result<Answer, TransportError> {
        let url = Url::parse(&call.url).map_err(|_| TransportError::BadAddress {
            address: foreign(&call.url),
        })?;
        let host = shown_host(&url);
        let route = Route::of(&url);
        let client = self.client(route)?;
        let sent = client
            .request(call.method, url)
            .headers(call.headers)
            .body(Bytes::from_owner(call.body))
            .send()
            .await;
        let answer = match sent {
            Ok(response) => read(response, &host).await,
            Err(error) => Err(Trouble::Broken(error)),
        };
        answer.map_err(|trouble| match trouble {
            Trouble::TooLarge => TransportError::TooLarge { host },
            Trouble::Broken(error) => {
                let failure = TransportError::from_reqwest(&error, host, &self.settings);
                if matches!(failure, TransportError::Certificate { .. }) {
                    // Somebody may be about to mend the trust store: read it again next time.
                    self.forget(route);
                }
                failure
            }
        })
    }

    fn client(&self, route: Route) -> Result<Client, TransportError> {
        let ca_file = match (route, &self.settings.ca_file) {
            (Route::Direct | Route::Proxied, Some(path)) => Stamp::of(path),
            (Route::Plain, _) | (_, None) => None,
        };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = built.get(&route)
            && ready.ca_file == ca_file
        {
            return Ok(ready.client.clone());
        }
        let client = build(&self.settings, route)?;
        built.insert(
            route,
            Built {
                client: client.clone(),
                ca_file,
            },
        );
        Ok(client)
    }

    fn forget(&self, route: Route) {
        self.built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&route);
    }
}

/// The settings may hold a proxy's password, so none of them is shown.
impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

impl Route {
    fn of(url: &Url) -> Self {
        if url.scheme() == "http" {
            Self::Plain
        } else if url.host_str().is_some_and(is_loopback) {
            Self::Direct
        } else {
            Self::Proxied
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

/// As people write it: with the port only if it is not the scheme's own.
fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn build(settings: &Upstream, route: Route) -> Result<Client, TransportError> {
    install_crypto_provider();
    let mut builder = Client::builder()
        .timeout(settings.timeout)
        .connect_timeout(settings.connect_timeout)
        .tcp_user_timeout(settings.timeout)
        .http1_only()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(1);
    builder = match (route, &settings.proxy) {
        (Route::Plain, _) => builder.no_proxy().tls_certs_only([]),
        (Route::Direct, _) => builder.no_proxy().https_only(true),
        (Route::Proxied, None) => builder.https_only(true),
        (Route::Proxied, Some(proxy)) => builder
            .https_only(true)
            .proxy(Proxy::https(proxy).map_err(|_| TransportError::BadProxy)?),
    };
    if route != Route::Plain
        && let Some(path) = &settings.ca_file
    {
        let authorities = authorities::read(path).map_err(|reason| TransportError::CaFile {
            path: path.clone(),
            reason,
        })?;
        builder = builder.tls_certs_only(authorities);
    }
    builder
        .build()
        .map_err(|error| TransportError::from_build(&error, settings))
}

/// rustls refuses to guess which library of primitives to use; a program has to say it once.
fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(feature = "tls-aws-lc")]
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        #[cfg(not(feature = "tls-aws-lc"))]
        let provider = rustls::crypto::ring::default_provider();
        // An error means that one is installed already, which serves as well.
        drop(provider.install_default());
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use reqwest::Url;

    use super::{Clients, HttpClient, Route, shown_host};
    use crate::config::model::Upstream;

    fn settings() -> Upstream {
        Upstream {
            proxy: Some("http://user:canary-password@proxy.example:3128".to_owned()),
            ca_file: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(3),
        }
    }

    #[test]
    fn loopback_and_plain_targets_never_use_a_proxy() {
        for (url, route) in [
            ("https://sts.tencentcloudapi.com/", Route::Proxied),
            ("https://10.0.0.1/", Route::Proxied),
            ("https://localhost.example/", Route::Proxied),
            ("https://127.8.0.1:8443/", Route::Direct),
            ("https://[::1]:8443/", Route::Direct),
            ("https://localhost/", Route::Direct),
            ("https://sts.localhost/", Route::Direct),
            ("http://127.0.0.1:8080/", Route::Plain),
            ("http://metadata.tencentyun.com/", Route::Plain),
        ] {
            assert_eq!(Route::of(&Url::parse(url).unwrap()), route, "{url}");
        }
    }

    #[test]
    fn a_default_port_is_not_shown() {
        for (url, host) in [
            ("https://a.example:443/", "a.example"),
            ("https://a.example:8443/", "a.example:8443"),
            ("http://[::1]:81/", "[::1]:81"),
        ] {
            assert_eq!(shown_host(&Url::parse(url).unwrap()), host);
        }
    }

    #[test]
    fn equal_settings_share_a_client_until_nobody_uses_it() {
        let clients = Clients::default();
        let first = clients.get(&settings());
        assert!(Arc::ptr_eq(&first, &clients.get(&settings())));
        let direct = Upstream {
            proxy: None,
            ..settings()
        };
        assert!(!Arc::ptr_eq(&first, &clients.get(&direct)));
        drop(first);
        clients.prune();
        assert!(clients.by_settings.lock().unwrap().is_empty());
    }

    #[test]
    fn debug_does_not_show_the_password_of_a_proxy() {
        let shown = format!("{:?}", HttpClient::new(settings()));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
