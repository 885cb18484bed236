//! Carries out what an operator asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Operations;
use super::api::{
    Answer, Forgotten, LoggedOut, LoginListing, LoginProgress, LoginQuestion, LoginStarted,
    Refreshed, Refusal, RefusalCode, Reloaded, RoleQuestion, RoleSelection, Whose,
};
use super::routes::{Operation, json, refuse};
use crate::observe::audit::{self, Peer};

/// Reads the body, lets the daemon act, and tells the audit log.
pub(super) async fn carry_out(
    operation: Operation,
    body: &[u8],
    peer: &Peer,
    operations: &dyn Operations,
) -> Response<Full<Bytes>> {
    match operation {
        Operation::Forget => match parse::<RoleSelection>(body) {
            Ok(request) if request.all == request.roles.is_empty() => {
                let subject = subject(&request);
                finish(operation, peer, &subject, operations.forget(request).await)
            }
            Ok(_) => {
                let message = "name roles, or say `\"all\": true`";
                let refusal = Refusal::new(RefusalCode::BadRequest, message);
                refused(operation, peer, &refusal)
            }
            Err(refusal) => refused(operation, peer, &refusal),
        },
        Operation::Refresh => match parse::<RoleSelection>(body) {
            Ok(request) => {
                let subject = subject(&request);
                finish(operation, peer, &subject, operations.refresh(request).await)
            }
            Err(refusal) => refused(operation, peer, &refusal),
        },
        Operation::Reload => finish(operation, peer, "", operations.reload().await),
        Operation::Login
        | Operation::LoginCancel
        | Operation::LoginList
        | Operation::LoginWait
        | Operation::Logout => match parse::<LoginQuestion>(body) {
            Ok(request) => sign_in(operation, request, peer, operations).await,
            Err(refusal) => refused(operation, peer, &refusal),
        },
        Operation::Whoami => match parse::<RoleQuestion>(body) {
            Ok(request) => {
                let subject = request.role.clone();
                finish(operation, peer, &subject, operations.whoami(request).await)
            }
            Err(refusal) => refused(operation, peer, &refusal),
        },
    }
}

async fn sign_in(
    operation: Operation,
    request: LoginQuestion,
    peer: &Peer,
    operations: &dyn Operations,
) -> Response<Full<Bytes>> {
    let subject = request.login.clone();
    if operation == Operation::LoginWait {
        // Asked again and again; how it ended is told by the sign-in itself.
        return match operations.login_wait(request).await {
            Ok(progress) => json(StatusCode::OK, &progress),
            Err(refusal) => refuse(&refusal),
        };
    }
    if operation == Operation::Login {
        let answer = operations.login(request, peer.clone()).await;
        return finish(operation, peer, &subject, answer);
    }
    if operation == Operation::LoginCancel {
        return finish(
            operation,
            peer,
            &subject,
            operations.login_cancel(request).await,
        );
    }
    if operation == Operation::LoginList {
        return finish(
            operation,
            peer,
            &subject,
            operations.login_list(request).await,
        );
    }
    finish(operation, peer, &subject, operations.logout(request).await)
}

/// What could not be read never gets as far as a subject.
fn refused(operation: Operation, peer: &Peer, refusal: &Refusal) -> Response<Full<Bytes>> {
    audit::operator(operation.as_str(), peer, "", &refusal.message);
    refuse(refusal)
}

fn subject(selection: &RoleSelection) -> String {
    if selection.roles.is_empty() {
        "all roles".to_owned()
    } else {
        selection.roles.join(",")
    }
}

/// The body as JSON; no body at all stands for `{}`.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    // The parser's own sentence may quote what it found.
    serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            RefusalCode::BadRequest,
            format!(
                "the body is not the JSON this operation takes (line {}, column {})",
                error.line(),
                error.column()
            ),
        )
    })
}

fn finish<T: Serialize + Outcome>(
    operation: Operation,
    peer: &Peer,
    subject: &str,
    answer: Answer<T>,
) -> Response<Full<Bytes>> {
    match answer {
        Ok(done) => {
            for (result, about) in done.outcomes() {
                let subject = about.as_deref().unwrap_or(subject);
                audit::operator(operation.as_str(), peer, subject, &result);
            }
            json(StatusCode::OK, &done)
        }
        Err(refusal) => {
            audit::operator(operation.as_str(), peer, subject, &refusal.message);
            refuse(&refusal)
        }
    }
}

/// How an operation went that was carried out, as the audit log tells it.
trait Outcome {
    /// A word or a sentence per outcome, with what it is about unless that is all that was asked
    /// for.
    fn outcomes(&self) -> Vec<(&str, Option<String>)> {
        vec![(DONE, None)]
    }
}

const DONE: &str = "done";

impl Outcome for Forgotten {}
impl Outcome for LoginListing {}
impl Outcome for Reloaded {}
impl Outcome for Whose {}

impl Outcome for Refreshed {
    fn outcomes(&self) -> Vec<(&str, Option<String>)> {
        let mut roles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for outcome in &self.roles {
            let result = match outcome.result.as_str() {
                "refreshed" => DONE,
                other => other,
            };
            roles.entry(result).or_default().push(&outcome.role);
        }
        if roles.keys().all(|result| *result == DONE) {
            return vec![(DONE, None)];
        }
        let told = roles.into_iter();
        told.map(|(result, roles)| (result, Some(roles.join(","))))
            .collect()
    }
}

/// How the sign-in ends is an event of its own.
impl Outcome for LoginStarted {
    fn outcomes(&self) -> Vec<(&str, Option<String>)> {
        vec![(if self.joined { "joined" } else { "begun" }, None)]
    }
}

/// Others may still wait for it, or the approval have come first.
impl Outcome for LoginProgress {
    fn outcomes(&self) -> Vec<(&str, Option<String>)> {
        vec![(self.state.as_str(), None)]
    }
}

/// The cloud may not have been told.
impl Outcome for LoggedOut {
    fn outcomes(&self) -> Vec<(&str, Option<String>)> {
        vec![(self.message.as_str(), None)]
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Refreshed};
    use crate::admin::api::RefreshOutcome;

    #[test]
    fn a_refresh_is_told_per_outcome_with_its_roles() {
        let refreshed = |roles: &[(&str, &str)]| Refreshed {
            version: 1,
            roles: roles
                .iter()
                .map(|(role, result)| RefreshOutcome {
                    role: (*role).to_owned(),
                    result: (*result).to_owned(),
                    ..RefreshOutcome::default()
                })
                .collect(),
        };
        let told = |roles: &[(&str, &str)]| -> Vec<String> {
            let refreshed = refreshed(roles);
            let outcomes = refreshed.outcomes().into_iter();
            outcomes
                .map(|(result, about)| format!("{result}:{}", about.unwrap_or_default()))
                .collect()
        };
        assert_eq!(told(&[]), ["done:"]);
        assert_eq!(told(&[("a", "refreshed"), ("b", "refreshed")]), ["done:"]);
        assert_eq!(
            told(&[
                ("a", "failed"),
                ("b", "refreshed"),
                ("c", "failed"),
                ("d", "too-soon")
            ]),
            ["done:b", "failed:a,c", "too-soon:d"]
        );
    }
}
