//! A permission set of an account, for whoever is signed in to Huawei's Identity Center.

use std::path::PathBuf;
use std::sync::Arc;

use super::handle::Handle;
use super::{Huawei, with_session};
use crate::config::model;
use crate::credentials::{Cloud, Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::budget::Budget;
use crate::provider::clouds::identity_service;
use crate::provider::context::BuildContext;
use crate::provider::error::ProviderError;
use crate::provider::service::Identify;
use crate::provider::session::{HoldsSession, Session};
use crate::provider::{CallSite, Provider};

/// In `[limits.huawei]`.
const LIMIT: &str = "get-agency-credentials";

/// The portal's credentials for one permission set.
#[derive(Debug)]
pub(in crate::provider) struct HuaweiIdentityCenter {
    login: Arc<dyn HoldsSession>,
    portal: Huawei,
    budget: Arc<Budget>,
    identity: Box<dyn Identify>,
    account: String,
    permission_set: String,
    urn: Handle,
}

impl HuaweiIdentityCenter {
    pub(in crate::provider) fn new(
        settings: &model::HuaweiIdentityCenter,
        context: &BuildContext,
    ) -> Self {
        let client = context.client(&settings.portal.upstream);
        let portal = Huawei::new(
            &settings.portal,
            &client,
            &context.clock(),
            &context.meter(),
        );
        Self {
            login: context.login(&settings.login),
            budget: context.budget(Cloud::Huawei, portal.host(), LIMIT),
            portal,
            identity: identity_service(Cloud::Huawei, &settings.sts, context),
            account: settings.account_id.clone(),
            permission_set: settings.permission_set.clone(),
            urn: Handle::default(),
        }
    }

    async fn attempt(&self, session: Arc<Session>) -> Result<Obtained, ProviderError> {
        let listed = self.portal.permission_sets(&session.token, &self.account);
        let urn = self
            .urn
            .of(&self.permission_set, &self.account, listed)
            .await?;
        let asked = self
            .portal
            .credentials(&session.token, &self.account, &urn)
            .await;
        self.urn.judge(asked)
    }
}

impl Provider for HuaweiIdentityCenter {
    fn provide(&self) -> BoxFuture<'_, Result<Obtained, ProviderError>> {
        Box::pin(with_session(&*self.login, |session| self.attempt(session)))
    }

    fn identify<'a>(&'a self, keys: &'a Keys) -> BoxFuture<'a, Result<Identity, ProviderError>> {
        self.identity.identify(keys)
    }

    fn mint_call(&self) -> CallSite {
        CallSite {
            endpoint: self.portal.host().to_owned(),
            action: "GetAgencyCredentials",
            budget: Some(Arc::clone(&self.budget)),
        }
    }

    fn identity_call(&self) -> CallSite {
        self.identity.identity_call()
    }

    fn watched_files(&self) -> Vec<PathBuf> {
        self.identity.watched_files()
    }
}
