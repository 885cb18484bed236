//! Huawei Cloud: STS v5, IAM v3.0 `securitytokens` by agency, and an instance's metadata.
//!
//! Checks signatures (SDK-HMAC-SHA256, and V11-HMAC-SHA256, which the SDKs use for hosts that are
//! not the cloud's own), clock skew, parameters and their types, session lengths, policies and
//! trust, and answers with the cloud's statuses and shapes of an error. STS publishes no list of
//! its codes; those that were seen in the field are used where they fit, see [`refusal`].
//!
//! Where the documentation leaves an order of checks or a code open, the stricter reading was
//! taken, so that what passes here passes there.

mod actions;
mod agency_token;
mod authorize;
mod limits;
mod metadata;
mod refusal;
mod saml;
mod urn;

use std::io;

use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tracing::debug;

use super::faults::{Called, Fault, Twist};
use super::moment::Moment;
use super::parameters::Parameters;
use super::random::Random;
use super::reply::{Reply, dated, reply};
use super::state::State;
use super::strike::{Manner, begin, cut, early, leave_out, moment, outcome_of, strike};
use super::wire::ResetSwitch;
use super::world::World;
use crate::credentials::shortened;
use authorize::Signer;
use refusal::Refusal;

/// What STS and IAM call the token of a set.
const TOKENS: [&str; 2] = ["security_token", "securitytoken"];

/// A request as it came.
#[derive(Clone, Copy, Debug)]
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// What an action works with.
#[derive(Debug)]
struct Context<'a> {
    world: &'a mut World,
    moment: Moment,
    twist: Option<Twist>,
}

/// The emulated actions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Action {
    AssumeAgency,
    AssumeAgencyWithOidc,
    AssumeAgencyWithSaml,
    GetCallerIdentity,
    SecurityTokens,
}

impl Action {
    const ALL: [Self; 5] = [
        Self::AssumeAgency,
        Self::AssumeAgencyWithOidc,
        Self::AssumeAgencyWithSaml,
        Self::GetCallerIdentity,
        Self::SecurityTokens,
    ];

    /// In counts and faults.
    fn name(self) -> &'static str {
        match self {
            Self::AssumeAgency => "AssumeAgency",
            Self::AssumeAgencyWithOidc => "AssumeAgencyWithOIDC",
            Self::AssumeAgencyWithSaml => "AssumeAgencyWithSAML",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::SecurityTokens => "CreateTemporaryAccessKeyByAgency",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::AssumeAgency => "/v5/agencies/assume",
            Self::AssumeAgencyWithOidc => "/v5/agencies/assume-with-oidc",
            Self::AssumeAgencyWithSaml => "/v5/agencies/assume-with-saml",
            Self::GetCallerIdentity => "/v5/caller-identity",
            Self::SecurityTokens => "/v3.0/OS-CREDENTIAL/securitytokens",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::GetCallerIdentity => Method::GET,
            Self::AssumeAgency
            | Self::AssumeAgencyWithOidc
            | Self::AssumeAgencyWithSaml
            | Self::SecurityTokens => Method::POST,
        }
    }

    /// IAM's success is 201.
    fn success(self) -> StatusCode {
        match self {
            Self::SecurityTokens => StatusCode::CREATED,
            Self::AssumeAgency
            | Self::AssumeAgencyWithOidc
            | Self::AssumeAgencyWithSaml
            | Self::GetCallerIdentity => StatusCode::OK,
        }
    }
}

/// Whether a path belongs to this cloud.
pub(super) fn is_ours(path: &str) -> bool {
    path.starts_with("/v5/") || path.starts_with("/v3") || metadata::is_ours(path)
}

/// Answers one request; `None` is a body that was too long.
pub(super) async fn respond(
    state: &State,
    reset: &ResetSwitch,
    head: &Parts,
    body: Option<&[u8]>,
) -> io::Result<Reply> {
    if metadata::is_ours(head.uri.path()) {
        return metadata::respond(state, reset, head).await;
    }
    let request = Request {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: body.unwrap_or_default(),
    };
    let action = Action::ALL
        .into_iter()
        .find(|it| it.path() == request.path && it.method() == head.method);
    let signed_by = header(request.headers, "authorization").and_then(authorize::claimed_id);
    let role = state.with_huawei(|world| named_role(world, action, signed_by, request.body));
    let name = action.map_or("other", Action::name);
    let called = Called {
        action: name,
        role: role.as_deref(),
        hands_out_a_set: action.is_some_and(|it| it != Action::GetCallerIdentity),
    };
    let (call, fault) = begin(state, called);
    let signed_by = signed_by.map(shortened);
    let finish = |outcome: &str| {
        debug!(action = name, outcome, "answered an emulated call");
        state.with_calls(|calls| calls.finish(call, signed_by.clone(), outcome));
    };
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.delay()).await;
        if let Some(outcome) = early(fault) {
            finish(&outcome);
            return strike(state, reset, fault, &MANNER).await;
        }
    }
    let moment = moment(state, fault.as_ref());
    let answered = match (action, body) {
        (None, _) => Err(Refusal::no_such_api()),
        (Some(_), None) => Err(Refusal::gateway(
            StatusCode::PAYLOAD_TOO_LARGE,
            "APIGW.0201",
            "Request entity too large",
        )),
        (Some(action), Some(_)) => state.with_huawei(|world| {
            let context = Context {
                world,
                moment,
                twist: fault.as_ref().and_then(Fault::twist),
            };
            decide(context, action, request)
        }),
    };
    let answer = match answered {
        Ok(done) => {
            finish(&outcome_of(fault.as_ref()));
            if let Some(role) = &done.issued_role {
                state.with_calls(|calls| calls.issued(role));
            }
            let mut fields = done.fields;
            if let Some(fault) = &fault {
                leave_out(&mut fields, fault, &TOKENS);
            }
            let status = action.map_or(StatusCode::OK, Action::success);
            let text = Value::Object(fields).to_string();
            let answer = numbered(reply(status, "application/json", text))?;
            cut(answer, fault.as_ref())
        }
        Err(refusal) => {
            finish(&refusal.code);
            refused(&refusal)?
        }
    };
    Ok(dated(answer, moment))
}

fn decide(
    mut context: Context<'_>,
    action: Action,
    request: Request<'_>,
) -> Result<actions::Done, Refusal> {
    let signer = |context: &Context<'_>| -> Result<Signer, Refusal> {
        authorize::signed(context.world, context.moment, request)
    };
    let body = || Parameters::parse(request.body);
    match action {
        Action::AssumeAgency => {
            let signer = signer(&context)?;
            actions::assume_agency(&mut context, &signer, body()?)
        }
        Action::AssumeAgencyWithOidc => actions::with_oidc(&mut context, body()?),
        Action::AssumeAgencyWithSaml => actions::with_saml(&mut context, body()?),
        Action::GetCallerIdentity => Ok(actions::caller_identity(&signer(&context)?)),
        Action::SecurityTokens => {
            let signer = signer(&context)?;
            let parameters = Parameters::parse(request.body).map_err(Refusal::from);
            parameters
                .and_then(|body| agency_token::create(&mut context, &signer, body))
                .map_err(Refusal::in_the_manner_of_keystone)
        }
    }
}

/// The known agency that a request is about; for an identity call the one that signed.
fn named_role(
    world: &World,
    action: Option<Action>,
    signed_by: Option<&str>,
    body: &[u8],
) -> Option<String> {
    let body: Value = match action? {
        Action::GetCallerIdentity => {
            let key = world.ledger.find(signed_by?)?;
            return key.caller.role().map(str::to_owned);
        }
        Action::AssumeAgency
        | Action::AssumeAgencyWithOidc
        | Action::AssumeAgencyWithSaml
        | Action::SecurityTokens => serde_json::from_slice(body).ok()?,
    };
    if let Some(urn) = body.get("agency_urn").and_then(Value::as_str) {
        return urn::agency(world, urn).map(|role| role.name.clone());
    }
    let assume_role = body.pointer("/auth/identity/assume_role")?;
    let name = assume_role.get("agency_name")?.as_str()?;
    let known = world.roles().find(|role| role.name == name);
    known.map(|role| role.name.clone())
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How the gateway and the services behind it say no, as a script orders it.
const MANNER: Manner = Manner {
    error: |code, message, status| {
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or_else(|| Refusal::usual_status(code));
        refused(&Refusal::service(status, code.to_owned(), message))
    },
    throttled: (
        "APIGW.0308",
        "The throttling threshold has been reached: policy user over ratelimit, limit:10, \
         time:1 second",
    ),
    broken: ("STS5.0500", "As scripted."),
};

fn refused(refusal: &Refusal) -> io::Result<Reply> {
    let text = refusal.body(&Random::draw()?.huawei_request_id());
    numbered(reply(refusal.status, "application/json", text))
}

/// With a request id, as every answer of the gateway has.
fn numbered(mut reply: Reply) -> io::Result<Reply> {
    let id = Random::draw()?.huawei_request_id();
    let id = HeaderValue::from_str(&id).map_err(io::Error::other)?;
    reply.headers_mut().insert("x-request-id", id);
    Ok(reply)
}
