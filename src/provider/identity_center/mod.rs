//! Identity Center of both clouds: what a signed-in person's session gives access to.
//!
//! Here is the wire, for signing in as well as for the roles behind a session. When to sign in,
//! and where a session is kept, is the business of `login`; a role sees only [`HoldsSession`].

mod handle;
mod huawei;
mod huawei_messages;
mod huawei_role;
mod huawei_session;
mod huawei_words;
mod tencent;
mod tencent_messages;
mod tencent_random;
mod tencent_role;
mod tencent_words;
mod wire;

use std::sync::Arc;

use super::error::{Class, ProviderError};
use super::session::{AfterRefusal, HoldsSession, Session};
use crate::name::Name;

pub use huawei::{Authorization, Huawei, Registration};
pub(super) use huawei_role::HuaweiIdentityCenter;
pub use tencent::Tencent;
pub use tencent_random::new_state;
pub(super) use tencent_role::TencentIdentityCenter;

/// An account behind a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    pub id: String,
    pub name: String,
}

/// What one may be in an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PermissionSet {
    pub name: String,
    pub description: String,
    /// What the cloud wants to be asked for: an agency's URN, a configuration's id.
    pub handle: String,
}

/// How a person's approval stands.
#[derive(Debug)]
pub enum Approval {
    /// Not yet, in the words of the service if it used any.
    Pending(String),
    /// Pending, and we ask too often.
    SlowDown,
    Denied,
    /// Too late.
    Expired,
    Granted(Session),
}

/// Nobody is signed in, or not any longer.
fn needs_login(login: &Name) -> ProviderError {
    ProviderError::new(
        Class::NeedsLogin,
        format!("nobody is signed in to `{login}`; run `credvend login {login}`"),
    )
    .not_sent()
}

/// Runs `attempt` with the session of a login; once more if the cloud refuses that session and
/// there is another one.
async fn with_session<T, F>(
    login: &dyn HoldsSession,
    attempt: impl Fn(Arc<Session>) -> F,
) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    let session = login.session().ok_or_else(|| needs_login(login.name()))?;
    let refusal = match attempt(Arc::clone(&session)).await {
        Err(error) if error.class == Class::NeedsLogin => error,
        other => return other,
    };
    match login.refused(&session).await {
        AfterRefusal::Another => {
            if let Some(session) = login.session() {
                return attempt(session).await;
            }
        }
        AfterRefusal::NotNow(error) => return Err(error),
        AfterRefusal::Ended => {}
    }
    Err(ProviderError {
        message: format!("{}; run `credvend login {}`", refusal.message, login.name()),
        ..refusal
    })
}
