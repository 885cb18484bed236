//! A permission set of an account, for whoever is signed in to Tencent's Identity Center: an
//! assertion from the gateway, exchanged for keys there or by the public STS.

use std::path::PathBuf;
use std::sync::Arc;

use super::handle::Handle;
use super::tencent::Exchange as AtGateway;
use super::{Tencent, with_session};
use crate::config::model::{self, Mint};
use crate::credentials::{Cloud, Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::budget::Budget;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
use crate::provider::meter::Meter;
use crate::provider::service::Identify as _;
use crate::provider::service::ladder::Ladder;
use crate::provider::session::{HoldsSession, Session};
use crate::provider::tencent::{Exchange, Wanted};
use crate::provider::{CallSite, Provider};
use crate::secret::Secret;

/// In `[limits.tencent]`.
const LIMIT: &str = "assume-role-with-saml";

/// The credentials of one permission set.
#[derive(Debug)]
pub(in crate::provider) struct TencentIdentityCenter {
    login: Arc<dyn HoldsSession>,
    gateway: Tencent,
    budget: Arc<Budget>,
    meter: Meter,
    sts: Exchange,
    ladder: Ladder,
    settings: model::TencentIdentityCenter,
    role_arn: String,
    /// The permission set's.
    configuration: Handle,
}

impl TencentIdentityCenter {
    pub(in crate::provider) fn new(
        settings: &model::TencentIdentityCenter,
        context: &BuildContext,
    ) -> Self {
        let client = context.client(&settings.portal.upstream);
        let gateway = Tencent::new(
            &settings.portal,
            &client,
            &context.clock(),
            &context.meter(),
        );
        Self {
            login: context.login(&settings.login),
            budget: context.budget(Cloud::Tencent, gateway.host(), LIMIT),
            gateway,
            meter: context.meter(),
            sts: Exchange::new(&settings.sts, context),
            ladder: Ladder::new(settings.duration),
            role_arn: format!(
                "qcs::cam::uin/{}:roleName/TencentCloudSSO-{}",
                settings.account_id, settings.permission_set
            ),
            settings: settings.clone(),
            configuration: Handle::default(),
        }
    }

    async fn attempt(&self, session: Arc<Session>) -> Result<Obtained, ProviderError> {
        let zone = match &session.zone {
            Some(zone) => zone.clone(),
            None => self.gateway.verify(&session.token).await?,
        };
        let principal_arn = format!(
            "qcs::cam::uin/{}:saml-provider/TencentReservedSSO-{zone}",
            self.settings.account_id
        );
        let (first, second) = match self.settings.portal.mint {
            Mint::Gateway => (Mint::Gateway, Mint::Sts),
            Mint::Sts => (Mint::Sts, Mint::Gateway),
        };
        let assertion = self.assertion(&session).await?;
        let refusal = match self.exchange(first, &assertion, &principal_arn).await {
            Err(error) if is_worth_the_other_way(error.class) => error,
            other => return other,
        };
        tracing::debug!(
            error = refusal.report(),
            "trying the other way to exchange an assertion"
        );
        self.the_other_way(second, &session, &principal_arn)
            .await
            .map_err(|other| both(refusal, other))
    }

    /// An assertion may be good for one use only, so the other way gets its own. The caller
    /// accounts for one mint, and this is another.
    async fn the_other_way(
        &self,
        way: Mint,
        session: &Session,
        principal_arn: &str,
    ) -> Result<Obtained, ProviderError> {
        let assertion = self.assertion(session).await?;
        let exchange = self.exchange(way, &assertion, principal_arn);
        self.meter.call(&self.site(way), exchange).await
    }

    async fn exchange(
        &self,
        way: Mint,
        assertion: &Secret,
        principal_arn: &str,
    ) -> Result<Obtained, ProviderError> {
        match way {
            Mint::Gateway => {
                let seconds = self.ladder.seconds();
                let wanted = AtGateway {
                    principal_arn,
                    role_arn: &self.role_arn,
                    session_name: &self.settings.session_name,
                    seconds,
                };
                self.gateway
                    .mint(assertion, wanted)
                    .await
                    .map_err(|error| self.ladder.judge(error, seconds, &self.role_arn))
            }
            Mint::Sts => {
                let wanted = Wanted {
                    principal_arn,
                    role_arn: &self.role_arn,
                    session_name: &self.settings.session_name,
                };
                self.sts.mint(assertion, wanted, &self.ladder).await
            }
        }
    }

    fn site(&self, way: Mint) -> CallSite {
        match way {
            Mint::Gateway => CallSite {
                endpoint: self.gateway.host().to_owned(),
                action: "AssumeRoleWithSAML",
                budget: Some(Arc::clone(&self.budget)),
            },
            Mint::Sts => self.sts.mint_call(),
        }
    }

    async fn assertion(&self, session: &Session) -> Result<Secret, ProviderError> {
        let account = self.settings.account_id;
        let listed = self.gateway.permission_sets(&session.token, account);
        let configuration = self
            .configuration
            .of(&self.settings.permission_set, account, listed)
            .await?;
        let asked = self
            .gateway
            .assertion(&session.token, account, &configuration)
            .await;
        self.configuration.judge(asked)
    }
}

/// The other way leads to the same cloud: it helps where one of the two does not work or does
/// not take the assertion, and not where the cloud asks for less.
fn is_worth_the_other_way(class: Class) -> bool {
    match class {
        Class::Transient | Class::Final | Class::StaleSource | Class::Clock { .. } => true,
        Class::Throttled { .. }
        | Class::DurationTooLong
        | Class::SourceUnavailable
        | Class::NeedsLogin => false,
    }
}

/// Both ways failed: the one that leaves something to do decides what happens next.
fn both(first: ProviderError, other: ProviderError) -> ProviderError {
    if other.class == Class::NeedsLogin {
        return other;
    }
    let message = format!("{}; and the other way: {}", first.message, other.message);
    let telling = if hope(other.class) > hope(first.class) {
        other
    } else {
        first
    };
    ProviderError { message, ..telling }
}

/// How much another try promises.
fn hope(class: Class) -> u8 {
    match class {
        Class::NeedsLogin | Class::Final => 0,
        Class::SourceUnavailable => 1,
        Class::Transient => 2,
        // Wherever it was said, it is not to be passed over.
        Class::Throttled { .. } => 3,
        Class::StaleSource => 4,
        // Learned already: the next try goes another way.
        Class::Clock { .. } | Class::DurationTooLong => 5,
    }
}

impl Provider for TencentIdentityCenter {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(with_session(&*self.login, |session| self.attempt(session)))
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        self.site(self.settings.portal.mint)
    }

    fn identity_call(&self) -> CallSite {
        self.sts.identity_call()
    }

    fn reset_ladder(&self) {
        self.ladder.reset();
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.sts.watched_files()
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, ProviderError, both};

    #[test]
    fn of_two_failures_the_one_worth_another_try_decides() {
        let throttled = Class::Throttled { retry_after: None };
        for (first, other, expected) in [
            (Class::Final, Class::DurationTooLong, Class::DurationTooLong),
            (Class::Final, throttled, throttled),
            (Class::Final, Class::Transient, Class::Transient),
            (Class::Transient, Class::Final, Class::Transient),
            (Class::StaleSource, Class::Final, Class::StaleSource),
            (Class::Transient, Class::NeedsLogin, Class::NeedsLogin),
            (Class::Final, Class::Final, Class::Final),
        ] {
            let error = |class, text: &str| ProviderError::new(class, text);
            let told = both(error(first, "one"), error(other, "two"));
            assert_eq!(told.class, expected, "{first:?} {other:?}");
            assert!(told.message.contains("two"), "{}", told.message);
        }
    }
}
