//! IAM v3.0 `securitytokens` by agency. By token and by password are left out.
//!
//! Source: the definition of `CreateTemporaryAccessKeyByAgency`.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;

use super::actions::{Done, expiry, fields, issue, not_trusted};
use super::authorize::Signer;
use super::refusal::Refusal;
use super::{Context, limits};
use crate::emulator::parameters::Parameters;
use crate::emulator::world::{self, HUAWEI_ACCOUNT};

/// Seconds, where none are asked for; the real service gives as little.
const DEFAULT_SESSION: u64 = 900;
/// Of an agency without a limit of its own.
const LONGEST_SESSION: u64 = 86_400;
const LONGEST_POLICY: usize = 2_048;
/// The name of [`HUAWEI_ACCOUNT`]; other accounts have none here.
const DOMAIN_NAME: &str = "example-corp";

pub(super) fn create(
    context: &mut Context<'_>,
    signer: &Signer,
    mut body: Parameters,
) -> Result<Done, Refusal> {
    let mut auth = body.required_object("auth")?;
    body.finish()?;
    let mut identity = auth.required_object("identity")?;
    auth.finish()?;
    if identity.texts("methods")? != ["assume_role"] {
        return Err(Refusal::parameter("methods must be [\"assume_role\"]"));
    }
    let mut assume_role = identity.required_object("assume_role")?;
    let policy = identity.value("policy");
    identity.finish()?;
    let agency_name = assume_role.required_text("agency_name")?;
    let domain_id = assume_role.text("domain_id")?;
    let domain_name = assume_role.text("domain_name")?;
    let duration = assume_role.integer("duration_seconds")?;
    let user = assume_role.object("session_user")?;
    assume_role.finish()?;

    let session = match user {
        Some(mut user) => {
            let name = user.required_text("name")?;
            user.finish()?;
            limits::worded(&name, "session_user.name", b"_-", 5..=64)?;
            if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Err(Refusal::parameter("session_user.name begins with a letter"));
            }
            name
        }
        None => "agency".to_owned(),
    };
    if let Some(policy) = &policy {
        if policy.to_string().chars().count() > LONGEST_POLICY {
            return Err(Refusal::parameter("policy has up to 2048 characters"));
        }
        limits::policy(policy, "1.1")?;
    }
    let duration = duration.unwrap_or(DEFAULT_SESSION);
    if !(DEFAULT_SESSION..=LONGEST_SESSION).contains(&duration) {
        return Err(Refusal::parameter(
            "duration_seconds lies between 900 and 86400",
        ));
    }
    let account = match (domain_id, domain_name) {
        (Some(id), _) => id,
        (None, Some(name)) if name == DOMAIN_NAME => HUAWEI_ACCOUNT.to_owned(),
        (None, Some(_)) => return Err(not_found()),
        (None, None) => {
            return Err(Refusal::parameter("domain_id or domain_name is missing"));
        }
    };
    let agency = context.world.role(&account, &agency_name).cloned();
    let agency = agency.ok_or_else(not_found)?;
    if !agency.trusts(&signer.caller) {
        return Err(not_trusted());
    }
    if agency.external_id.is_some() {
        return Err(Refusal::not_allowed(
            "the agency asks for an external id, which this API has no parameter for",
        ));
    }
    let is_limited = agency.max_session < world::LONGEST_SESSION;
    if is_limited && duration > agency.max_session.as_secs() {
        return Err(Refusal::parameter(
            "duration_seconds exceeds the maximum session duration of the agency",
        ));
    }
    let requester = signer.caller.uin().to_owned();
    let issued_role = Some(agency.name.clone());
    let lifetime = Duration::from_secs(duration);
    let issued = issue(context, agency, &session, requester, lifetime)?;
    let credential = json!({
        "access": issued.id,
        "secret": issued.key.secret.expose(),
        "securitytoken": issued.key.token.expose(),
        "expires_at": expiry(&issued, context.moment, ".574000Z"),
    });
    Ok(Done {
        fields: fields([("credential", credential)]),
        issued_role,
    })
}

fn not_found() -> Refusal {
    let message = "Could not find the agency.";
    Refusal::service(StatusCode::FORBIDDEN, "IAM.0004", message)
}
