//! What the cloud calls a permission set in an account: looked up once, and again when it may have
//! become another.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::PermissionSet;
use crate::provider::error::{Class, ProviderError, foreign};

#[derive(Debug, Default)]
pub(super) struct Handle(Mutex<Option<String>>);

impl Handle {
    /// The handle of the permission set `wanted`; `listed` are those of the account.
    pub(super) async fn of(
        &self,
        wanted: &str,
        account: impl Display,
        listed: impl Future<Output = Result<Vec<PermissionSet>, ProviderError>>,
    ) -> Result<String, ProviderError> {
        let known = self.known().clone();
        if let Some(handle) = known {
            return Ok(handle);
        }
        let sets = listed.await?;
        let Some(found) = sets.iter().find(|set| set.name == wanted) else {
            return Err(no_such(wanted, &account, &sets));
        };
        *self.known() = Some(found.handle.clone());
        Ok(found.handle.clone())
    }

    /// Passes on what became of asking with it. One that was refused for good may have been made
    /// or assigned anew, with another handle.
    pub(super) fn judge<T>(&self, asked: Result<T, ProviderError>) -> Result<T, ProviderError> {
        if asked
            .as_ref()
            .is_err_and(|error| error.class == Class::Final)
        {
            *self.known() = None;
        }
        asked
    }

    fn known(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody behind this login has it; those there are.
fn no_such(wanted: &str, account: &impl Display, sets: &[PermissionSet]) -> ProviderError {
    let names: Vec<String> = sets
        .iter()
        .map(|set| format!("`{}`", foreign(&set.name)))
        .collect();
    let known = if names.is_empty() {
        "there is none at all".to_owned()
    } else {
        format!("there is {}", names.join(", "))
    };
    ProviderError::new(
        Class::Final,
        format!(
            "the signed-in person has no permission set in account {account} named `{wanted}`; \
             {known}"
        ),
    )
}
