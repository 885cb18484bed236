//! Both clouds' portals behind one face: begin, ask, renew, list, end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::pace::Pace;
use crate::clock::{BootTime, Clock};
use crate::config::model;
use crate::provider::error::ProviderError;
use crate::provider::identity_center::{
    Account, Approval, Huawei, PermissionSet, Registration, Tencent, new_state,
};
use crate::provider::meter::Meter;
use crate::provider::session::Session;
use crate::provider::upstream::Clients;
use crate::secret::Secret;

/// How long a person has; the gateway itself sets no limit.
const TENCENT_PATIENCE: Duration = Duration::from_mins(10);
/// As often as the official tool asks.
const TENCENT_INTERVAL: Duration = Duration::from_secs(1);
/// A registration that ends within this time is not worth beginning with.
const REGISTRATION_MARGIN: Duration = Duration::from_hours(1);

/// A portal of either cloud.
#[derive(Debug)]
pub(super) enum Portal {
    Huawei(Huawei),
    Tencent(Tencent),
}

/// What asks for the approval; as secret as the session it will bring.
#[derive(Debug)]
pub(super) enum Ticket {
    Huawei {
        client: Arc<Registration>,
        device_code: Secret,
    },
    Tencent {
        state: Secret,
    },
}

/// What the person is shown.
pub struct Challenge {
    /// Where to sign in. Of one cloud it redeems the session, so it is never logged.
    pub url: Secret,
    /// It is as good as the session.
    pub url_is_secret: bool,
    /// What the page shows, to be compared.
    pub code: Option<String>,
    pub expires_at: BootTime,
}

/// Code and address are for the person alone.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A sign-in that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) challenge: Challenge,
    pub(super) ticket: Ticket,
    pub(super) interval: Duration,
}

impl Begun {
    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.interval, self.challenge.expires_at)
    }
}

impl Portal {
    pub(super) fn new(
        settings: &model::Portal,
        clients: &Clients,
        clock: &Arc<dyn Clock>,
        meter: &Meter,
    ) -> Self {
        let client = clients.get(settings.upstream());
        match settings {
            model::Portal::Huawei(it) => Self::Huawei(Huawei::new(it, &client, clock, meter)),
            model::Portal::Tencent(it) => Self::Tencent(Tencent::new(it, &client, clock, meter)),
        }
    }

    /// Begins a sign-in. Uses `client` if it is still good.
    pub(super) async fn begin(
        &self,
        client: Option<Arc<Registration>>,
        now: (BootTime, SystemTime),
    ) -> Result<Begun, ProviderError> {
        match self {
            Self::Huawei(portal) => begin_at_huawei(portal, client, now.1).await,
            Self::Tencent(portal) => {
                let state = new_state()?;
                Ok(Begun {
                    challenge: Challenge {
                        url: portal.sign_in_url(&state),
                        url_is_secret: true,
                        code: None,
                        expires_at: now.0 + TENCENT_PATIENCE,
                    },
                    ticket: Ticket::Tencent { state },
                    interval: TENCENT_INTERVAL,
                })
            }
        }
    }

    /// Asks once whether the person has approved.
    pub(super) async fn approval(&self, ticket: &Ticket) -> Result<Approval, ProviderError> {
        match (self, ticket) {
            (
                Self::Huawei(portal),
                Ticket::Huawei {
                    client,
                    device_code,
                },
            ) => portal.approval(client, device_code).await,
            (Self::Tencent(portal), Ticket::Tencent { state }) => portal.approval(state).await,
            (Self::Huawei(_), Ticket::Tencent { .. })
            | (Self::Tencent(_), Ticket::Huawei { .. }) => {
                Ok(Approval::Expired) // a ticket is only ever asked for where it was made
            }
        }
    }

    /// Another session without a person, where the cloud offers that.
    pub(super) async fn renew(
        &self,
        client: Option<&Registration>,
        session: &Session,
    ) -> Option<Result<Session, ProviderError>> {
        match (self, client, &session.refresh_token) {
            (Self::Huawei(portal), Some(client), Some(token)) => {
                Some(portal.renew(client, token).await)
            }
            (Self::Huawei(_) | Self::Tencent(_), _, _) => None,
        }
    }

    pub(super) async fn accounts(&self, session: &Session) -> Result<Vec<Account>, ProviderError> {
        match self {
            Self::Huawei(portal) => portal.accounts(&session.token).await,
            Self::Tencent(portal) => portal.accounts(&session.token).await,
        }
    }

    pub(super) async fn permission_sets(
        &self,
        session: &Session,
        account: &Account,
    ) -> Result<Vec<PermissionSet>, ProviderError> {
        match self {
            Self::Huawei(portal) => portal.permission_sets(&session.token, &account.id).await,
            Self::Tencent(portal) => {
                // The number came from there, and no other is listed.
                let number = account.id.parse().unwrap_or_default();
                portal.permission_sets(&session.token, number).await
            }
        }
    }

    /// Ends a session at the cloud; false where the cloud has no way to.
    pub(super) async fn log_out(&self, session: &Session) -> Result<bool, ProviderError> {
        match self {
            Self::Huawei(portal) => portal.log_out(&session.token).await.map(|()| true),
            Self::Tencent(_) => Ok(false),
        }
    }
}

async fn begin_at_huawei(
    portal: &Huawei,
    known: Option<Arc<Registration>>,
    wall: SystemTime,
) -> Result<Begun, ProviderError> {
    let known = known.filter(|client| client.expires_at > wall + REGISTRATION_MARGIN);
    let begun = match known {
        Some(client) => match portal.authorize(&client).await {
            Ok(authorization) => Some((client, authorization)),
            Err(error) if error.code.is_none() => return Err(error),
            // The registration may be what is refused; a new one is cheap.
            Err(_) => None,
        },
        None => None,
    };
    let (client, authorization) = if let Some(begun) = begun {
        begun
    } else {
        let client = Arc::new(portal.register().await?);
        let authorization = portal.authorize(&client).await?;
        (client, authorization)
    };
    Ok(Begun {
        challenge: Challenge {
            url: Secret::from(authorization.url),
            url_is_secret: false,
            code: Some(authorization.user_code),
            expires_at: authorization.expires_at,
        },
        interval: authorization.interval,
        ticket: Ticket::Huawei {
            client,
            device_code: authorization.device_code,
        },
    })
}
