//! A permission set of an account, for whoever is signed in to Huawei's Identity Center.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Huawei, no_such, with_session};
use crate::config::model;
use crate::credentials::{Cloud, Identity, Keys, Obtained};
use crate::future::BoxFuture;
use crate::provider::budget::Budget;
use crate::provider::clouds::identity_service;
use crate::provider::context::BuildContext;
use crate::provider::error::{Class, ProviderError};
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
    /// What the permission set is called in the account, once it was looked up.
    urn: Mutex<Option<String>>,
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
            urn: Mutex::default(),
        }
    }

    async fn attempt(&self, session: Arc<Session>) -> Result<Obtained, ProviderError> {
        let urn = self.urn(&session).await?;
        let result = self
            .portal
            .credentials(&session.token, &self.account, &urn)
            .await;
        if result
            .as_ref()
            .is_err_and(|error| error.class == Class::Final)
        {
            // It may have been assigned anew, under another name.
            *self.urn.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    async fn urn(&self, session: &Session) -> Result<String, ProviderError> {
        let known = self
            .urn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(urn) = known {
            return Ok(urn);
        }
        let sets = self
            .portal
            .permission_sets(&session.token, &self.account)
            .await?;
        let found = sets.iter().find(|set| set.name == self.permission_set);
        let Some(found) = found else {
            let what = format!("permission set in account {} named", self.account);
            let known: Vec<String> = sets
                .iter()
                .map(|set| format!("`{}`", crate::provider::error::foreign(&set.name)))
                .collect();
            return Err(no_such(&what, &self.permission_set, &known));
        };
        let urn = found.handle.clone();
        *self.urn.lock().unwrap_or_else(PoisonError::into_inner) = Some(urn.clone());
        Ok(urn)
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
