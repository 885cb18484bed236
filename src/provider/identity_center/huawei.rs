//! Huawei's IAM Identity Center: the device flow of its OIDC service, and the portal's API.
//!
//! Source: the API reference of IAM Identity Center, "OIDC" and "Portal"; field names and hosts
//! as in the official SDKs. What it leaves open and how it is met here:
//!
//! * A lifetime is described as seconds and shown as a time; both are read ([`moment_of`](super::huawei_words::moment_of)).
//! * The words for "still pending" are not documented; see [`judge`].
//! * Whether there are refresh tokens is not documented; one is used if it comes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Approval;
use super::huawei_messages::{
    AskForToken, Authorize, Authorized, Register, Registered, TokenInfo, Tokens,
};
use super::huawei_words::{class_of, judge, life_of, renewal_class, words};
use super::wire::{Endpoint, Received};
use crate::clock::{BootTime, Clock};
use crate::config::model::HuaweiPortal;
use crate::credentials::Cloud;
use crate::provider::error::ProviderError;
use crate::provider::meter::Meter;
use crate::provider::service::request::without;
use crate::provider::session::Session;
use crate::provider::upstream::HttpClient;
use crate::secret::Secret;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const REFRESH_GRANT: &str = "refresh_token";
/// A person who has not approved by then has gone.
const LONGEST_CODE: Duration = Duration::from_hours(1);
const CREATE_TOKEN: &str = "CreateToken";

/// The client we registered as. Kept until it expires, as the API asks for.
#[derive(Debug)]
pub struct Registration {
    pub id: String,
    pub secret: Secret,
    /// By this host's clock.
    pub expires_at: SystemTime,
}

/// A sign-in that waits for a person.
pub struct Authorization {
    pub device_code: Secret,
    /// What the person compares or types.
    pub user_code: String,
    /// Where, with the code in it if the cloud offers that.
    pub url: String,
    /// On the boot clock, counted from when it was asked for.
    pub expires_at: BootTime,
    pub interval: Duration,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// The Identity Center of one portal.
#[derive(Debug)]
pub struct Huawei {
    oidc: Endpoint,
    pub(super) portal: Endpoint,
    start_url: String,
}

impl Huawei {
    /// Does no I/O.
    #[must_use]
    pub fn new(
        settings: &HuaweiPortal,
        client: &Arc<HttpClient>,
        clock: &Arc<dyn Clock>,
        meter: &Meter,
    ) -> Self {
        let endpoint = |url| Endpoint::new(Cloud::Huawei, url, client, clock, meter);
        Self {
            oidc: endpoint(&settings.oidc_endpoint),
            portal: endpoint(&settings.portal_endpoint),
            start_url: settings.start_url.clone(),
        }
    }

    /// The host that hands out credentials.
    pub(super) fn host(&self) -> &str {
        self.portal.host()
    }

    // === signing in ===

    /// Makes us known to the OIDC service.
    ///
    /// # Errors
    /// The service could not be reached or said no.
    pub async fn register(&self) -> Result<Registration, ProviderError> {
        const CALL: &str = "RegisterClient";
        let parameters = Register {
            client_name: "credvend",
            client_type: "public",
            token_endpoint_auth_method: "client_secret_post",
            grant_types: [DEVICE_GRANT],
            response_types: ["code"],
            scopes: ["openid"],
        };
        let call = async {
            let received = self.oidc.post("/v1/clients", &parameters, &[]).await?;
            expect_success(&self.oidc, CALL, &received, &[])?;
            let Registered { client_info } = self.oidc.read(CALL, &received)?;
            let life = self.life(client_info.secret_ends_at, &received);
            let now = self.oidc.clock().wall();
            Ok(Registration {
                id: client_info.id,
                secret: client_info.secret,
                expires_at: now.checked_add(life).unwrap_or(now),
            })
        };
        self.oidc.counted(CALL, call).await
    }

    /// Begins a sign-in.
    ///
    /// # Errors
    /// The service could not be reached or said no.
    pub async fn authorize(&self, client: &Registration) -> Result<Authorization, ProviderError> {
        const CALL: &str = "StartDeviceAuthorization";
        let parameters = Authorize {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            start_url: &self.start_url,
        };
        let secrets = [&client.secret];
        let call = async {
            let path = "/v1/device/authorize";
            let received = self.oidc.post(path, &parameters, &secrets).await?;
            expect_success(&self.oidc, CALL, &received, &secrets)?;
            let authorized: Authorized = self.oidc.read(CALL, &received)?;
            let life = self.life(authorized.expires_in, &received);
            Ok(Authorization {
                device_code: authorized.device_code,
                user_code: authorized.user_code,
                url: authorized
                    .verification_uri_complete
                    .filter(|url| !url.is_empty())
                    .unwrap_or(authorized.verification_uri),
                expires_at: received.sent_at + life.min(LONGEST_CODE),
                interval: Duration::from_secs(authorized.interval.unwrap_or(5).clamp(1, 60)),
            })
        };
        self.oidc.counted(CALL, call).await
    }

    /// Asks once whether the person has approved.
    ///
    /// # Errors
    /// The network or the service failed, which says nothing about the approval; or the client
    /// is not known any more.
    pub async fn approval(
        &self,
        client: &Registration,
        device_code: &Secret,
    ) -> Result<Approval, ProviderError> {
        let parameters = AskForToken {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            grant_type: DEVICE_GRANT,
            device_code: Some(device_code.expose()),
            refresh_token: None,
        };
        let secrets = [&client.secret, device_code];
        let call = async {
            let received = self.ask_for_token(&parameters, &secrets).await?;
            if (200..300).contains(&received.answer.status) {
                return Ok(Approval::Granted(self.session(&received)?));
            }
            let words = words(&received);
            judge(received.answer.status, &words).map_or_else(
                || {
                    let class = class_of(&received, &words);
                    let refused = &self.oidc;
                    Err(refused.refused(CREATE_TOKEN, &received, &words, class, &secrets))
                },
                |approval| Ok(without_secrets(approval, &secrets)),
            )
        };
        self.oidc.counted(CREATE_TOKEN, call).await
    }

    /// A new session for a refresh token.
    ///
    /// # Errors
    /// `NeedsLogin` only if the service itself refuses the token; it is worth keeping otherwise.
    pub async fn renew(
        &self,
        client: &Registration,
        refresh_token: &Secret,
    ) -> Result<Session, ProviderError> {
        let parameters = AskForToken {
            client_id: &client.id,
            client_secret: client.secret.expose(),
            grant_type: REFRESH_GRANT,
            device_code: None,
            refresh_token: Some(refresh_token.expose()),
        };
        let secrets = [&client.secret, refresh_token];
        let call = async {
            let received = self.ask_for_token(&parameters, &secrets).await?;
            if (200..300).contains(&received.answer.status) {
                return self.session(&received);
            }
            let words = words(&received);
            let class = renewal_class(&received, &words);
            let oidc = &self.oidc;
            Err(oidc.refused(CREATE_TOKEN, &received, &words, class, &secrets))
        };
        self.oidc.counted(CREATE_TOKEN, call).await
    }

    async fn ask_for_token(
        &self,
        parameters: &AskForToken<'_>,
        secrets: &[&Secret],
    ) -> Result<Received, ProviderError> {
        self.oidc.post("/v1/tokens", parameters, secrets).await
    }

    fn session(&self, received: &Received) -> Result<Session, ProviderError> {
        let Tokens {
            token_info:
                TokenInfo {
                    access_token,
                    expires_in,
                    refresh_token,
                },
        } = self.oidc.read(CREATE_TOKEN, received)?;
        let now = self.oidc.clock().wall();
        let life = self.life(expires_in, received);
        Ok(Session {
            token: access_token,
            refresh_token: refresh_token
                .filter(|token| !token.is_empty())
                .map(Secret::from),
            zone: None,
            signed_in_at: now,
            ends_at: now.checked_add(life).unwrap_or(now),
            end_is_estimate: false,
        })
    }

    /// How long from now, by the service's own clock: the host's may be wrong, and must not be
    /// compared with a time that the service told.
    pub(super) fn life(&self, number: u64, received: &Received) -> Duration {
        life_of(number, self.now(received))
    }

    /// The service's time, or ours where it does not tell.
    pub(super) fn now(&self, received: &Received) -> SystemTime {
        received
            .answer
            .date
            .unwrap_or_else(|| self.oidc.clock().wall())
    }
}

/// Nothing but a success will do.
pub(super) fn expect_success(
    endpoint: &Endpoint,
    call: &str,
    received: &Received,
    secrets: &[&Secret],
) -> Result<(), ProviderError> {
    if (200..300).contains(&received.answer.status) {
        return Ok(());
    }
    let words = words(received);
    let class = class_of(received, &words);
    Err(endpoint.refused(call, received, &words, class, secrets))
}

/// What the service says while it waits is to be logged, and might repeat what it was asked.
fn without_secrets(approval: Approval, secrets: &[&Secret]) -> Approval {
    let secrets: Vec<&str> = secrets.iter().map(|it| it.expose()).collect();
    match approval {
        Approval::Pending(said) => Approval::Pending(without(&said, &secrets)),
        other @ (Approval::SlowDown
        | Approval::Denied
        | Approval::Expired
        | Approval::Granted(_)) => other,
    }
}
