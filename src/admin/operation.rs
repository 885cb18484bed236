//! Carries out what an operator asked for.

use std::fmt::Debug;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Operations;
use super::api::{Answer, LoginQuestion, Refusal, RefusalCode, RoleQuestion, RoleSelection};
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

fn finish<T: Serialize + Debug>(
    operation: Operation,
    peer: &Peer,
    subject: &str,
    answer: Answer<T>,
) -> Response<Full<Bytes>> {
    match answer {
        Ok(done) => {
            audit::operator(operation.as_str(), peer, subject, &"done");
            json(StatusCode::OK, &done)
        }
        Err(refusal) => {
            audit::operator(operation.as_str(), peer, subject, &refusal.message);
            refuse(&refusal)
        }
    }
}
