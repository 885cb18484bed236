//! The five actions: read the parameters, judge them, issue a set or say who is asking.
//!
//! Sources: STS API 2018-08-13, the pages of the five actions and the model inside tccli.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::arn;
use super::authorize::Signer;
use super::refusal::Refusal;
use super::{Context, limits, policy, saml};
use crate::clock::rfc3339_seconds;
use crate::credentials::Cloud;
use crate::emulator::jwt;
use crate::emulator::moment::Moment;
use crate::emulator::parameters::Parameters;
use crate::emulator::world::{Caller, Issue, Issued, Role, Trusted};

/// The fields of a good answer, and the role a set was issued for.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) fields: Map<String, Value>,
    pub(super) issued_role: Option<String>,
}

pub(super) fn assume_role(
    context: &mut Context<'_>,
    signer: &Signer,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let role_arn = parameters.required_text("RoleArn")?;
    let session = parameters.required_text("RoleSessionName")?;
    let duration = parameters.integer("DurationSeconds")?;
    let session_policy = parameters.text("Policy")?;
    let external_id = parameters.text("ExternalId")?;
    let tags = parameters.pairs("Tags", "Key", "Value")?;
    let source_identity = parameters.text("SourceIdentity")?;
    let mfa = (
        parameters.text("SerialNumber")?,
        parameters.text("TokenCode")?,
    );
    parameters.finish()?;

    limits::session_name(&session)?;
    external_id.as_deref().map_or(Ok(()), limits::external_id)?;
    session_policy.as_deref().map_or(Ok(()), policy::check)?;
    limits::tags(&tags)?;
    limits::source_identity(source_identity.as_deref())?;
    if mfa != (None, None) {
        return Err(Refusal::new(
            "FailedOperation.CheckMFAError",
            "MFA check failed: nobody here has a device.",
        ));
    }
    let role = arn::role(context.world, &role_arn, false)?.clone();
    if !role.trusts(&signer.caller) {
        return Err(not_trusted());
    }
    if role.external_id.is_some() && role.external_id != external_id {
        return Err(Refusal::unauthorized(
            "You are not authorized to perform this operation: the role asks for another ExternalId.",
        ));
    }
    let duration = limits::role_duration(duration, role.max_session)?;
    let requester = signer.caller.uin().to_owned();
    session_of(context, role, session, requester, duration)
}

pub(super) fn assume_role_with_web_identity(
    context: &mut Context<'_>,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let provider_id = parameters.required_text("ProviderId")?;
    let token = parameters.required_text("WebIdentityToken")?;
    let role_arn = parameters.required_text("RoleArn")?;
    let session = parameters.required_text("RoleSessionName")?;
    let duration = parameters.integer("DurationSeconds")?;
    parameters.finish()?;

    limits::session_name(&session)?;
    let role = arn::role(context.world, &role_arn, true)?.clone();
    let provider = context
        .world
        .oidc_provider(&role.account, &provider_id)
        .ok_or_else(|| Refusal::parameter("There is no OIDC provider of that name."))?;
    jwt::check(provider, &token, context.moment.shown()).map_err(|flaw| {
        Refusal::new(
            "InvalidParameter.WebIdentityTokenError",
            format!("id token error: {}", flaw.why()),
        )
    })?;
    if !role.trust.contains(&Trusted::Oidc(provider_id)) {
        return Err(not_trusted());
    }
    let duration = limits::role_duration(duration, role.max_session)?;
    let requester = role.account.clone();
    session_of(context, role, session, requester, duration)
}

pub(super) fn assume_role_with_saml(
    context: &mut Context<'_>,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let assertion = parameters.required_text("SAMLAssertion")?;
    let principal_arn = parameters.required_text("PrincipalArn")?;
    let role_arn = parameters.required_text("RoleArn")?;
    let session = parameters.required_text("RoleSessionName")?;
    let duration = parameters.integer("DurationSeconds")?;
    parameters.finish()?;

    limits::session_name(&session)?;
    let (account, name) = arn::saml_provider(&principal_arn)?;
    let role = arn::role(context.world, &role_arn, false)?.clone();
    let provider = context
        .world
        .saml_provider(account, name)
        .ok_or_else(|| Refusal::parameter("There is no SAML provider of that name."))?;
    let id = saml::check(provider, &role_arn, &assertion, context.moment.shown())?;
    if account != role.account || !role.trust.contains(&Trusted::Saml(name.to_owned())) {
        return Err(not_trusted());
    }
    let duration = limits::role_duration(duration, role.max_session)?;
    // Last, so that an assertion is not used up by a request that fails for another reason.
    if !context.world.ledger.use_assertion(&id) {
        return Err(Refusal::parameter(
            "The SAML assertion is refused: it was used before.",
        ));
    }
    let requester = role.account.clone();
    session_of(context, role, session, requester, duration)
}

pub(super) fn get_federation_token(
    context: &mut Context<'_>,
    signer: Signer,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let name = parameters.required_text("Name")?;
    let session_policy = parameters.required_text("Policy")?;
    let duration = parameters.integer("DurationSeconds")?;
    parameters.finish()?;

    limits::federated_name(&name)?;
    policy::check(&session_policy)?;
    if signer.is_temporary {
        return Err(Refusal::unauthorized(
            "You are not authorized to perform this operation: it takes a long-lived key.",
        ));
    }
    let Caller::User { account, uin } = signer.caller else {
        return Err(Refusal::unauthorized("Only users have federated users."));
    };
    let duration = limits::federation_duration(duration, account == uin)?;
    issue(context, Caller::Federated { account, uin, name }, duration)
}

pub(super) fn get_caller_identity(
    signer: &Signer,
    parameters: Parameters,
) -> Result<Done, Refusal> {
    parameters.finish()?;
    Ok(Done {
        fields: identity(&signer.caller),
        issued_role: None,
    })
}

/// The documented shapes. `Type` is documented for users and roles; a federated user is shown as
/// the user it is a copy of.
fn identity(caller: &Caller) -> Map<String, Value> {
    let (kind, arn, user) = match caller {
        Caller::User { account, uin } => (
            "CAMUser",
            format!("qcs::cam:{account}:uin/{uin}"),
            uin.clone(),
        ),
        Caller::Role {
            account,
            role_id,
            session,
            ..
        } => (
            "CAMRole",
            format!("qcs::sts:{account}:assumed-role/{role_id}"),
            format!("{role_id}:{session}"),
        ),
        Caller::Federated { account, uin, name } => (
            "CAMUser",
            format!("qcs::sts:{account}:federated-user/{uin}"),
            format!("{uin}:{name}"),
        ),
    };
    fields([
        ("AccountId", caller.account().into()),
        ("Arn", arn.into()),
        ("PrincipalId", caller.uin().into()),
        ("Type", kind.into()),
        ("UserId", user.into()),
    ])
}

fn not_trusted() -> Refusal {
    Refusal::unauthorized(
        "You are not authorized to perform this operation: the role does not trust the caller.",
    )
}

fn session_of(
    context: &mut Context<'_>,
    role: Role,
    session: String,
    requester: String,
    duration: Duration,
) -> Result<Done, Refusal> {
    let name = role.name.clone();
    let caller = Caller::Role {
        account: role.account,
        role: role.name,
        role_id: role.id,
        session,
        requester,
    };
    let mut done = issue(context, caller, duration)?;
    done.issued_role = Some(name);
    Ok(done)
}

fn issue(context: &mut Context<'_>, caller: Caller, lifetime: Duration) -> Result<Done, Refusal> {
    let issued = context
        .world
        .ledger
        .issue(Issue {
            caller,
            lifetime,
            cloud: Cloud::Tencent,
            now: context.moment,
            twist: context.twist,
        })
        .map_err(|error| Refusal::system(&error))?;
    Ok(Done {
        fields: shown(&issued, context.moment),
        issued_role: None,
    })
}

fn shown(issued: &Issued, moment: Moment) -> Map<String, Value> {
    let expiry = moment.seen_from_here(issued.host_expiry);
    let wall = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(expiry);
    let credentials = json!({
        "Token": issued.key.token.expose(),
        "TmpSecretId": issued.id,
        "TmpSecretKey": issued.key.secret.expose(),
    });
    fields([
        ("Credentials", credentials),
        ("ExpiredTime", expiry.into()),
        ("Expiration", rfc3339_seconds(wall).into()),
    ])
}

fn fields<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let owned = members.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().collect()
}
