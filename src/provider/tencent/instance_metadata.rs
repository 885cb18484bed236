//! The role of the CVM this host is, from the real metadata service, as a source for chaining.
//!
//! Plain HTTP, two requests: which role, then its credentials. The service hands out one set to
//! everybody until it replaces it, so asking again may bring the same set.
//!
//! Source: the instance metadata page. Without a bound role both paths are answered with 404.

use std::path::PathBuf;
use std::time::SystemTime;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::answer::expiry;
use super::request::GET_CALLER_IDENTITY;
use super::sts::Sts;
use crate::clock::BootTime;
use crate::config::model::TencentInstanceMetadata;
use crate::credentials::{Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::service::Identify as _;
use crate::provider::service::answer::{Holds, secret};
use crate::provider::service::instance::Metadata;
use crate::provider::service::request::url_encoded;
use crate::provider::upstream::Answer;
use crate::provider::{CallSite, Provider};
use crate::secret::Secret;

const PATH: &str = "/latest/meta-data/cam/security-credentials/";

/// The instance's own credentials.
#[derive(Debug)]
pub(in crate::provider) struct InstanceMetadata {
    service: Metadata,
    role_name: Option<String>,
    sts: Sts,
}

/// The body of the credentials path. Programs print it as well.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::provider) struct Body {
    tmp_secret_id: String,
    #[serde(deserialize_with = "secret")]
    tmp_secret_key: Secret,
    #[serde(deserialize_with = "secret")]
    token: Secret,
    #[serde(default)]
    expired_time: Option<u64>,
    #[serde(default)]
    expiration: Option<String>,
    #[serde(default)]
    code: Option<String>,
}

impl InstanceMetadata {
    pub(in crate::provider) fn new(
        settings: &TencentInstanceMetadata,
        context: &BuildContext,
    ) -> Self {
        Self {
            service: Metadata::new(&settings.endpoint, &settings.upstream, context),
            role_name: settings.role_name.clone(),
            sts: Sts::new(&settings.sts, &[GET_CALLER_IDENTITY], context),
        }
    }

    async fn listed_role(&self) -> Result<String, ProviderError> {
        let (answer, _) = self.get(PATH).await?;
        if answer.status == 404 {
            return Err(ProviderError::new(
                Class::Final,
                "no role is bound to this instance: bind one whose carrier is `cvm.qcloud.com`",
            ));
        }
        self.expect_success(&answer)?;
        let text = std::str::from_utf8(answer.body.as_ref()).unwrap_or_default();
        let name = text.lines().next().unwrap_or_default().trim();
        // An error page with status 200 must not become a path.
        if is_role_name(name) {
            Ok(name.to_owned())
        } else {
            Err(self.service.unusable("its list of roles is none"))
        }
    }

    async fn credentials_of(&self, role: &str) -> Result<Obtained, ProviderError> {
        let path = format!("{PATH}{}", url_encoded(role));
        let (answer, sent_at) = self.get(&path).await?;
        if answer.status == 404 {
            return Err(ProviderError::new(
                Class::Final,
                format!("role `{}` is not bound to this instance", foreign(role)),
            ));
        }
        self.expect_success(&answer)?;
        self.service.read::<Body>(&answer, sent_at)
    }

    async fn get(&self, path: &str) -> Result<(Answer, BootTime), ProviderError> {
        self.service.call(Method::GET, path, HeaderMap::new()).await
    }

    fn expect_success(&self, answer: &Answer) -> Result<(), ProviderError> {
        match answer.status {
            200 => Ok(()),
            429 => Err(ProviderError::new(
                Class::Throttled {
                    retry_after: answer.retry_after,
                },
                format!("{} asks for fewer requests", self.service.host()),
            )),
            status => Err(self
                .service
                .unusable(&format!("it has HTTP status {status}"))),
        }
    }
}

impl Holds for Body {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        if let Some(code) = self.code.filter(|code| code != "Success") {
            return Err(format!("its code is `{}`", foreign(&code)));
        }
        let keys = Keys {
            access_key_id: self.tmp_secret_id,
            secret_access_key: self.tmp_secret_key,
            session_token: self.token,
        };
        let expires_at = expiry(self.expired_time, self.expiration.as_deref());
        Ok((keys, expires_at))
    }
}

/// CAM allows letters, digits and `+=,.@_-`.
fn is_role_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

impl Provider for InstanceMetadata {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(async {
            match &self.role_name {
                Some(name) => self.credentials_of(name).await,
                None => self.credentials_of(&self.listed_role().await?).await,
            }
        })
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.service.call_site("security-credentials")
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn mints(&self) -> bool {
        false
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.sts.files()
    }
}

#[cfg(test)]
mod tests {
    use super::is_role_name;

    #[test]
    fn an_error_page_is_no_role_name() {
        for (text, expected) in [
            ("app-role_1", true),
            ("<html>", false),
            ("a/b", false),
            ("two words", false),
            ("", false),
        ] {
            assert_eq!(is_role_name(text), expected, "{text}");
        }
    }
}
