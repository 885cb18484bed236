//! A permission set of an account, for whoever is signed in to Tencent's Identity Center: an
//! assertion from the gateway, exchanged for keys there or by the public STS.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::tencent::Exchange as AtGateway;
use super::{HoldsSession, Session, Tencent, no_such, with_session};
use crate::config::model::{self, Mint};
use crate::credentials::{Cloud, Identity, Keys, Obtained};
use crate::provider::budget::Budget;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError, foreign};
use crate::provider::service::Identify as _;
use crate::provider::service::ladder::Ladder;
use crate::provider::tencent::{Exchange, Wanted};
use crate::provider::{BoxFuture, CallSite, Provider};

/// In `[limits.tencent]`.
const LIMIT: &str = "assume-role-with-saml";

/// The credentials of one permission set.
#[derive(Debug)]
pub(in crate::provider) struct TencentIdentityCenter {
    login: Arc<dyn HoldsSession>,
    gateway: Tencent,
    budget: Arc<Budget>,
    sts: Exchange,
    ladder: Ladder,
    settings: model::TencentIdentityCenter,
    role_arn: String,
    /// The permission set's id, once it was looked up.
    configuration: Mutex<Option<String>>,
}

impl TencentIdentityCenter {
    pub(in crate::provider) fn new(
        settings: &model::TencentIdentityCenter,
        context: &BuildContext,
    ) -> Self {
        let client = context.client(&settings.portal.upstream);
        let gateway = Tencent::new(&settings.portal, &client, &context.clock());
        Self {
            login: context.login(&settings.login),
            budget: context.budget(Cloud::Tencent, gateway.host(), LIMIT),
            gateway,
            sts: Exchange::new(&settings.sts, context),
            ladder: Ladder::new(settings.duration),
            role_arn: format!(
                "qcs::cam::uin/{}:roleName/TencentCloudSSO-{}",
                settings.account_id, settings.permission_set
            ),
            settings: settings.clone(),
            configuration: Mutex::default(),
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
        let refusal = match self.mint(first, &session, &principal_arn).await {
            Err(error) if is_worth_the_other_way(error.class) => error,
            other => return other,
        };
        tracing::debug!(
            error = refusal.report(),
            "trying the other way to exchange an assertion"
        );
        // An assertion may be good for one use only, so the other way gets its own.
        match self.mint(second, &session, &principal_arn).await {
            Ok(obtained) => Ok(obtained),
            Err(other) if other.class == Class::NeedsLogin => Err(other),
            Err(other) => Err(ProviderError {
                message: format!("{}; and the other way: {}", refusal.message, other.message),
                ..refusal
            }),
        }
    }

    async fn mint(
        &self,
        way: Mint,
        session: &Session,
        principal_arn: &str,
    ) -> Result<Obtained, ProviderError> {
        let assertion = self.assertion(session).await?;
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
                    .mint(&assertion, wanted)
                    .await
                    .map_err(|error| self.ladder.judge(error, seconds, &self.role_arn))
            }
            Mint::Sts => {
                let wanted = Wanted {
                    principal_arn,
                    role_arn: &self.role_arn,
                    session_name: &self.settings.session_name,
                };
                self.sts.mint(&assertion, wanted, &self.ladder).await
            }
        }
    }

    async fn assertion(&self, session: &Session) -> Result<crate::secret::Secret, ProviderError> {
        let configuration = self.configuration(session).await?;
        let result = self
            .gateway
            .assertion(&session.token, self.settings.account_id, &configuration)
            .await;
        if result
            .as_ref()
            .is_err_and(|error| error.class == Class::Final)
        {
            // It may have been made anew, with another id.
            *self.known() = None;
        }
        result
    }

    async fn configuration(&self, session: &Session) -> Result<String, ProviderError> {
        let known = self.known().clone();
        if let Some(configuration) = known {
            return Ok(configuration);
        }
        let sets = self
            .gateway
            .permission_sets(&session.token, self.settings.account_id)
            .await?;
        let wanted = &self.settings.permission_set;
        let Some(found) = sets.iter().find(|set| set.name == *wanted) else {
            let what = format!(
                "permission set in account {} named",
                self.settings.account_id
            );
            let known = sets.iter().map(|set| format!("`{}`", foreign(&set.name)));
            return Err(no_such(&what, wanted, &known.collect::<Vec<_>>()));
        };
        *self.known() = Some(found.handle.clone());
        Ok(found.handle.clone())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.configuration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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

impl Provider for TencentIdentityCenter {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(with_session(&*self.login, |session| self.attempt(session)))
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.sts.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        match self.settings.portal.mint {
            Mint::Gateway => CallSite {
                endpoint: self.gateway.host().to_owned(),
                action: "AssumeRoleWithSAML",
                budget: Some(Arc::clone(&self.budget)),
            },
            Mint::Sts => self.sts.mint_call(),
        }
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
