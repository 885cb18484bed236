//! The actions of STS v5: read the parameters, judge them, issue a set or say who is asking.
//!
//! Source: the definitions that the official SDKs of STS are made from.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::authorize::Signer;
use super::refusal::Refusal;
use super::{Context, limits, saml, urn};
use crate::credentials::Cloud;
use crate::emulator::jwt::{self, Flaw};
use crate::emulator::moment::Moment;
use crate::emulator::parameters::Parameters;
use crate::emulator::world::{Caller, Issue, Issued, Role, Trusted};

/// The fields of a good answer, and the agency a set was issued for.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) fields: Map<String, Value>,
    pub(super) issued_role: Option<String>,
}

pub(super) fn assume_agency(
    context: &mut Context<'_>,
    signer: &Signer,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let agency_urn = parameters.required_text("agency_urn")?;
    let session = parameters.required_text("agency_session_name")?;
    let duration = parameters.integer("duration_seconds")?;
    let external_id = parameters.text("external_id")?;
    let source_identity = parameters.text("source_identity")?;
    let tags = parameters.pairs("tags", "key", "value")?;
    let transitive = parameters.texts("transitive_tag_keys")?;
    let contexts = parameters.pairs(
        "provided_contexts",
        "context_provider_urn",
        "context_assertion",
    )?;
    let mfa = (
        parameters.text("serial_number")?,
        parameters.text("token_code")?,
    );
    restrictions(&mut parameters)?;
    parameters.finish()?;
    limits::session_name(&session)?;
    limits::tags(&tags, &transitive)?;
    if let Some(id) = &external_id {
        limits::worded(id, "external_id", b"_+=,.@:/-", 2..=1224)?;
    }
    if let Some(identity) = &source_identity {
        limits::worded(identity, "source_identity", b"_+=,.@-", 2..=64)?;
    }
    if mfa != (None, None) {
        return Err(Refusal::not_allowed("nobody here has a second factor"));
    }
    if !contexts.is_empty() {
        return Err(Refusal::not_allowed("nobody here makes context assertions"));
    }
    let agency = agency(context, &agency_urn)?;
    if !agency.trusts(&signer.caller) {
        return Err(not_trusted());
    }
    if agency.external_id.is_some() && agency.external_id != external_id {
        return Err(Refusal::not_allowed(
            "the agency asks for another external id",
        ));
    }
    let duration = limits::duration(duration, agency.max_session, signer.is_temporary)?;
    let requester = signer.caller.uin().to_owned();
    let mut done = session_of(context, agency, &session, requester, duration)?;
    if let Some(identity) = source_identity {
        let name = "source_identity".to_owned();
        done.fields.insert(name, identity.into());
    }
    Ok(done)
}

pub(super) fn with_oidc(
    context: &mut Context<'_>,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let provider_urn = parameters.required_text("provider_urn")?;
    let agency_urn = parameters.required_text("agency_urn")?;
    let session = parameters.required_text("agency_session_name")?;
    let token = parameters.required_text("id_token")?;
    let duration = parameters.integer("duration_seconds")?;
    restrictions(&mut parameters)?;
    parameters.finish()?;
    limits::session_name(&session)?;
    if !(4..=20_000).contains(&token.len()) {
        return Err(Refusal::parameter("id_token has 4 to 20000 characters"));
    }
    let agency = agency(context, &agency_urn)?;
    let provider = urn::oidc_provider(context.world, &provider_urn)
        .ok_or_else(|| Refusal::parameter("the identity provider cannot be found"))?;
    let identified = jwt::check(provider, &token, context.moment.shown());
    let identified = identified.map_err(|flaw| match flaw {
        Flaw::Audience => Refusal::service(
            StatusCode::BAD_REQUEST,
            "STS5.2001",
            "the audience of the id token is no client id of the identity provider",
        ),
        Flaw::Expired => Refusal::parameter("the id token has expired"),
        Flaw::Other(why) => Refusal::parameter(format!("the id token is refused: {why}")),
    })?;
    let (name, issuer) = (provider.name.clone(), provider.issuer.clone());
    if provider.account != agency.account || !agency.trust.contains(&Trusted::Oidc(name)) {
        return Err(not_trusted());
    }
    let duration = limits::duration(duration, agency.max_session, false)?;
    let requester = agency.account.clone();
    let mut done = session_of(context, agency, &session, requester, duration)?;
    done.fields.extend(fields([
        ("audience", identified.audience.into()),
        ("provider", issuer.into()),
        ("subject_from_id_token", identified.subject.into()),
    ]));
    Ok(done)
}

pub(super) fn with_saml(
    context: &mut Context<'_>,
    mut parameters: Parameters,
) -> Result<Done, Refusal> {
    let provider_urn = parameters.required_text("provider_urn")?;
    let agency_urn = parameters.required_text("agency_urn")?;
    let encoded = parameters.required_text("saml_assertion")?;
    let duration = parameters.integer("duration_seconds")?;
    restrictions(&mut parameters)?;
    parameters.finish()?;
    if !(4..=100_000).contains(&encoded.len()) {
        return Err(Refusal::parameter(
            "saml_assertion has 4 to 100000 characters",
        ));
    }
    let agency = agency(context, &agency_urn)?;
    let provider = urn::saml_provider(context.world, &provider_urn)
        .ok_or_else(|| Refusal::parameter("the identity provider cannot be found"))?;
    let refused = |why: &str| {
        let why = why.replace("is expired", "has expired");
        Refusal::parameter(format!("the SAML assertion is refused: {why}"))
    };
    let now = context.moment.shown();
    let asserted = saml::check(provider, &agency, &encoded, now).map_err(|flaw| match flaw {
        saml::Flaw::Elsewhere => {
            Refusal::not_allowed("the SAML assertion does not name this agency and this provider")
        }
        saml::Flaw::Other(why) => refused(why),
    })?;
    let (name, issuer) = (provider.name.clone(), provider.issuer.clone());
    if provider.account != agency.account || !agency.trust.contains(&Trusted::Saml(name)) {
        return Err(not_trusted());
    }
    let duration = limits::duration(duration, agency.max_session, false)?;
    let duration = asserted
        .longest
        .map_or(duration, |longest| duration.min(longest));
    // Last, so that an assertion is not used up by a request that fails for another reason.
    if !context.world.ledger.use_assertion(&asserted.id) {
        return Err(refused("it was used before"));
    }
    let requester = agency.account.clone();
    let mut done = session_of(context, agency, "saml", requester, duration)?;
    done.fields.extend(fields([
        ("audience", asserted.audience.into()),
        ("issuer", issuer.into()),
        ("name_qualifier", asserted.name_qualifier.into()),
        ("subject", asserted.subject.into()),
        ("subject_type", asserted.subject_type.into()),
    ]));
    Ok(done)
}

pub(super) fn caller_identity(signer: &Signer) -> Done {
    let account = signer.caller.account();
    let (urn, id) = match &signer.caller {
        Caller::User { uin, .. } => (format!("iam::{account}:user:example"), uin.clone()),
        Caller::Federated { uin, name, .. } => (format!("iam::{account}:user:{name}"), uin.clone()),
        Caller::Role {
            role,
            role_id,
            session,
            ..
        } => (
            format!("sts::{account}:assumed-agency:{role}/{session}"),
            format!("{role_id}:{session}"),
        ),
    };
    Done {
        fields: fields([
            ("account_id", account.into()),
            ("principal_urn", urn.into()),
            ("principal_id", id.into()),
        ]),
        issued_role: None,
    }
}

/// `policy` and `policy_ids`; checked for their form, without effect.
fn restrictions(parameters: &mut Parameters) -> Result<(), Refusal> {
    let policy = parameters.text("policy")?;
    policy.as_deref().map_or(Ok(()), limits::policy_text)?;
    limits::policy_ids(&parameters.texts("policy_ids")?)
}

fn agency(context: &Context<'_>, agency_urn: &str) -> Result<Role, Refusal> {
    if !urn::is_agency(agency_urn) {
        return Err(Refusal::parameter("agency_urn is not the URN of an agency"));
    }
    let agency = urn::agency(context.world, agency_urn).cloned();
    agency.ok_or_else(Refusal::no_such_agency)
}

pub(super) fn not_trusted() -> Refusal {
    Refusal::not_allowed("the agency does not trust the caller")
}

fn session_of(
    context: &mut Context<'_>,
    agency: Role,
    session: &str,
    requester: String,
    duration: Duration,
) -> Result<Done, Refusal> {
    let urn = format!(
        "sts::{}:assumed-agency:{}/{session}",
        agency.account, agency.name
    );
    let id = format!("{}:{session}", agency.id);
    let issued_role = Some(agency.name.clone());
    let issued = issue(context, agency, session, requester, duration)?;
    let credentials = json!({
        "access_key_id": issued.id,
        "secret_access_key": issued.key.secret.expose(),
        "security_token": issued.key.token.expose(),
        "expiration": expiry(&issued, context.moment, ".158Z"),
    });
    Ok(Done {
        fields: fields([
            ("assumed_agency", json!({ "urn": urn, "id": id })),
            ("credentials", credentials),
        ]),
        issued_role,
    })
}

pub(super) fn issue(
    context: &mut Context<'_>,
    agency: Role,
    session: &str,
    requester: String,
    lifetime: Duration,
) -> Result<Issued, Refusal> {
    let issue = Issue {
        caller: Caller::Role {
            account: agency.account,
            role: agency.name,
            role_id: agency.id,
            session: session.to_owned(),
            requester,
        },
        cloud: Cloud::Huawei,
        lifetime,
        now: context.moment,
        twist: context.twist,
    };
    let issued = context.world.ledger.issue(issue);
    issued.map_err(|error| Refusal::system(&error))
}

/// With the fraction of a second that the service's own examples have.
pub(super) fn expiry(issued: &Issued, moment: Moment, fraction: &str) -> String {
    let seconds = moment.seen_from_here(issued.host_expiry);
    let wall = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    crate::clock::rfc3339_seconds(wall).replace('Z', fraction)
}

pub(super) fn fields<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let owned = members.map(|(name, value)| (name.to_owned(), value));
    owned.into_iter().collect()
}
