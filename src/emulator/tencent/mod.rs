//! Tencent Cloud STS 2018-08-13: one request in, the fields of an answer or a refusal out. Pure
//! but for the world it is given: no network, no clock. `sts` carries it out for a call over HTTP;
//! `metadata` is the service of an instance.
//!
//! Where the documentation leaves an order of checks or a code open, the stricter reading was
//! taken, so that what passes here passes there.

mod actions;
mod arn;
mod authorize;
mod limits;
pub(super) mod metadata;
mod policy;
mod refusal;
mod request;
mod saml;
pub(super) mod sts;

use serde_json::{Map, Value};

use super::faults::{Called, Twist};
use super::moment::Moment;
use super::parameters::Parameters;
use super::world::World;
use crate::credentials::shortened;
use actions::Done;
pub(super) use refusal::{BROKEN, Refusal, THROTTLED};
use request::{Action, Common, Request};

/// What an action works with.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) world: &'a mut World,
    pub(super) moment: Moment,
    pub(super) twist: Option<Twist>,
}

/// An answer, and what is noted about it.
#[derive(Debug)]
pub(super) struct Answered {
    /// The fields beside `RequestId`.
    pub(super) result: Result<Map<String, Value>, Refusal>,
    pub(super) issued_role: Option<String>,
}

/// What can be told about a request before it is believed, to match faults and to count.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Subject {
    /// One of ours, or `other`.
    action: &'static str,
    /// The known role it names; for an identity call the one that signed.
    role: Option<String>,
    /// Shortened.
    signed_by: Option<String>,
    hands_out_a_set: bool,
}

impl Subject {
    fn of(world: &World, request: Request<'_>) -> Self {
        let header = |name| request.headers.get(name).and_then(|v| v.to_str().ok());
        let action = header("x-tc-action").and_then(Action::named);
        let signed_by = header("authorization").and_then(authorize::claimed_id);
        let role = if action == Some(Action::GetCallerIdentity) {
            let signer = signed_by.and_then(|id| world.ledger.find(id));
            signer.and_then(|key| key.caller.role().map(str::to_owned))
        } else {
            named_role(world, request.body)
        };
        Self {
            action: action.map_or("other", Action::as_str),
            role,
            signed_by: signed_by.map(shortened),
            hands_out_a_set: action.is_some_and(|it| it != Action::GetCallerIdentity),
        }
    }

    fn called(&self) -> Called<'_> {
        Called {
            action: self.action,
            role: self.role.as_deref(),
            hands_out_a_set: self.hands_out_a_set,
        }
    }
}

fn named_role(world: &World, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let arn = arn::RoleArn::parse(body.get("RoleArn")?.as_str()?)?;
    arn.find(world).map(|role| role.name.clone())
}

/// Answers one request.
fn answer(mut context: Context<'_>, request: Request<'_>) -> Answered {
    decide(&mut context, request).into()
}

/// The one unsigned action that a portal's gateway passes on.
pub(super) fn assume_role_with_saml(mut context: Context<'_>, body: &[u8]) -> Answered {
    let parameters = Parameters::parse(body).map_err(Refusal::from);
    parameters
        .and_then(|parameters| actions::assume_role_with_saml(&mut context, parameters))
        .into()
}

impl From<Result<Done, Refusal>> for Answered {
    fn from(decided: Result<Done, Refusal>) -> Self {
        match decided {
            Ok(done) => Self {
                result: Ok(done.fields),
                issued_role: done.issued_role,
            },
            Err(refusal) => Self {
                result: Err(refusal),
                issued_role: None,
            },
        }
    }
}

fn decide(context: &mut Context<'_>, request: Request<'_>) -> Result<Done, Refusal> {
    let common = Common::read(request)?;
    let signer = if common.action.is_signed() {
        let signer = authorize::signed(context.world, context.moment, request, common)?;
        Some(signer)
    } else {
        authorize::unsigned(context.moment, common)?;
        None
    };
    let parameters = Parameters::parse(request.body)?;
    match (common.action, signer) {
        (Action::AssumeRole, Some(signer)) => actions::assume_role(context, &signer, parameters),
        (Action::GetCallerIdentity, Some(signer)) => {
            actions::get_caller_identity(&signer, parameters)
        }
        (Action::GetFederationToken, Some(signer)) => {
            actions::get_federation_token(context, signer, parameters)
        }
        (Action::AssumeRoleWithSaml, _) => actions::assume_role_with_saml(context, parameters),
        (Action::AssumeRoleWithWebIdentity, _) => {
            actions::assume_role_with_web_identity(context, parameters)
        }
        (Action::AssumeRole | Action::GetCallerIdentity | Action::GetFederationToken, None) => {
            Err(Refusal::unauthorized("This action must be signed."))
        }
    }
}
