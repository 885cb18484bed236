//! The session of a signed-in person, as the roles behind it see it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use super::error::ProviderError;
use crate::future::BoxFuture;
use crate::name::Name;
use crate::secret::Secret;

/// What signing in brought. Good for every account and role of that person.
#[derive(Debug)]
pub struct Session {
    pub token: Secret,
    /// Renews the session without a person, where the cloud gave one.
    pub refresh_token: Option<Secret>,
    /// Tencent's number of the Identity Center.
    pub zone: Option<String>,
    pub signed_in_at: SystemTime,
    pub ends_at: SystemTime,
    /// The cloud did not say when it ends; [`Self::ends_at`] is what its own tools assume.
    pub end_is_estimate: bool,
}

/// Where roles find the session of their login.
pub trait HoldsSession: Debug + Send + Sync + 'static {
    /// The login's name.
    fn name(&self) -> &Name;

    /// The session in force, unless the cloud refused it. One that should have ended by our
    /// clock counts: our clock may be wrong, and the cloud knows.
    fn session(&self) -> Option<Arc<Session>>;

    /// The cloud refused `session`.
    fn refused<'a>(&'a self, session: &'a Arc<Session>) -> BoxFuture<'a, AfterRefusal>;
}

/// What becomes of a login whose session was refused.
#[derive(Debug)]
pub enum AfterRefusal {
    /// There is another session now.
    Another,
    /// It may be renewed without a person, but not at this moment; why.
    NotNow(ProviderError),
    /// Somebody has to sign in.
    Ended,
}
