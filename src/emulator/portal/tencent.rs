//! The gateway that Tencent's command line signs in with: sign-in states, listings, assertions,
//! and their exchange for keys.
//!
//! Source: `tccli` 3.1.165, `sso.py` and `plugins/sso`. Errors come with status 200 and a
//! top-level `Error`.

use std::io;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::book::{Decision, Portal, PortalAccount, PortalRole, is_state};
use super::{Answered, JSON};
use crate::emulator::respond::{BROKEN, Manner, THROTTLED, reply};
use crate::emulator::state::{Moment, State};
use crate::emulator::tencent;
use crate::emulator::world::{Role, SamlProvider, Trusted};

/// Number of the one Identity Center there is.
const ZONE: &str = "z-emulated";
const ASSERTION_LIFE: Duration = Duration::from_mins(5);

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    Accounts,
    Assume,
    Roles,
    Saml,
    State,
    Verify,
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let call = match path {
            "/api/org/gen_saml_response" => Self::Saml,
            "/api/org/list_accounts_for_access_assignment" => Self::Accounts,
            "/api/org/list_role_configurations_for_account" => Self::Roles,
            "/api/org/verify_login_skey" => Self::Verify,
            "/api/sso/check_login_state" => Self::State,
            "/api/sts/assume_role_with_saml" => Self::Assume,
            _ => return None,
        };
        (*method == Method::POST).then_some(call)
    }

    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Accounts => "list_accounts_for_access_assignment",
            Self::Assume => "assume_role_with_saml",
            Self::Roles => "list_role_configurations_for_account",
            Self::Saml => "gen_saml_response",
            Self::State => "check_login_state",
            Self::Verify => "verify_login_skey",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckState {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAccounts {
    login_token: String,
    page_num: u64,
    page_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRoles {
    login_token: String,
    target_uin: i64,
    max_results: u64,
    #[serde(default)]
    next_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GenerateSaml {
    login_token: String,
    login_type: String,
    target_uin: i64,
    role_configuration_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verify {
    login_skey: String,
}

/// What every body carries.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Common {
    trace_id: String,
    #[serde(default)]
    site: Option<String>,
}

pub(super) fn answer(
    state: &State,
    call: Call,
    body: &[u8],
    moment: Moment,
) -> io::Result<Answered> {
    let fields = match serde_json::from_slice::<Common>(body) {
        Ok(common) if is_uuid(&common.trace_id) => {
            let site = common.site.as_deref();
            if call != Call::State && !matches!(site, Some("cn" | "intl")) {
                Err(text_error("Site must be cn or intl"))
            } else {
                decide(state, call, body, moment)?
            }
        }
        Ok(_) | Err(_) => Err(text_error("TraceId must be a UUID")),
    };
    Ok((StatusCode::OK, fields.unwrap_or_else(|error| error)))
}

fn decide(
    state: &State,
    call: Call,
    body: &[u8],
    moment: Moment,
) -> io::Result<Result<Value, Value>> {
    Ok(match call {
        Call::State => match read::<CheckState>(body) {
            Ok(request) => check_state(state, &request, moment)?,
            Err(error) => Err(error),
        },
        Call::Accounts => read::<ListAccounts>(body)
            .and_then(|request| state.with_portal(|portal| accounts(portal, &request, moment))),
        Call::Roles => read::<ListRoles>(body)
            .and_then(|request| state.with_portal(|portal| roles(portal, &request, moment))),
        Call::Verify => read::<Verify>(body).and_then(|request| {
            state.with_portal(|portal| signed_in(portal, &request.login_skey, moment))?;
            Ok(json!({ "ZoneId": ZONE }))
        }),
        Call::Saml => match read::<GenerateSaml>(body) {
            Ok(request) => saml(state, &request, moment)?,
            Err(error) => Err(error),
        },
        Call::Assume => assume(state, body, moment),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Value> {
    // As the real one: "cannot unmarshal string … int64".
    serde_json::from_slice(body).map_err(|error| text_error(&error.to_string()))
}

fn text_error(text: &str) -> Value {
    json!({ "Error": text })
}

fn object_error(code: &str, message: &str) -> Value {
    json!({ "Error": { "Code": code, "Message": message }, "RequestId": "emulated" })
}

fn signed_in(portal: &Portal, token: &str, moment: Moment) -> Result<(), Value> {
    if portal.is_signed_in(token, moment.boot) {
        Ok(())
    } else {
        Err(object_error(
            "AuthFailure.LoginToken",
            "the login token is invalid or expired",
        ))
    }
}

fn check_state(
    state: &State,
    request: &CheckState,
    moment: Moment,
) -> io::Result<Result<Value, Value>> {
    if !is_state(&request.state) {
        return Ok(Err(text_error("State must be 32 letters and digits")));
    }
    state.with_portal(|portal| {
        let waiting = portal.state(&request.state, moment.boot);
        let is_approved =
            waiting.decision == Some(Decision::Approve) && moment.boot < waiting.ends_at;
        if !is_approved {
            return Ok(Ok(json!({ "Status": "NotFound" })));
        }
        portal.states.remove(&request.state);
        let token = portal.sign_in(moment.boot)?;
        let token = json!({ "State": request.state, "Token": token, "Site": "cn" });
        Ok(Ok(json!({ "Status": "Finished", "Token": token })))
    })
}

fn accounts(portal: &Portal, request: &ListAccounts, moment: Moment) -> Result<Value, Value> {
    signed_in(portal, &request.login_token, moment)?;
    if request.page_num == 0 || !(1..=100).contains(&request.page_size) {
        return Err(text_error("PageNum begins at 1, PageSize is at most 100"));
    }
    let all = &portal.person.tencent;
    let from = usize::try_from((request.page_num - 1).saturating_mul(request.page_size));
    let size = usize::try_from(request.page_size).unwrap_or(0);
    let page: Vec<Value> = all
        .iter()
        .skip(from.unwrap_or(usize::MAX))
        .take(size)
        .map(|it| json!({ "Uin": it.id.parse::<i64>().unwrap_or(0), "Name": it.name }))
        .collect();
    Ok(json!({ "Accounts": page, "TotalCounts": all.len() }))
}

fn account(portal: &Portal, uin: i64) -> Result<&PortalAccount, Value> {
    let found = portal
        .person
        .tencent
        .iter()
        .find(|it| it.id == uin.to_string());
    found.ok_or_else(|| object_error("ResourceNotFound.Member", "no such account for you"))
}

fn configuration_id(account: &PortalAccount, role: &PortalRole) -> String {
    format!("rc-{}-{}", account.id, role.name)
}

fn roles(portal: &Portal, request: &ListRoles, moment: Moment) -> Result<Value, Value> {
    signed_in(portal, &request.login_token, moment)?;
    let account = account(portal, request.target_uin)?;
    let from: usize = match request.next_token.as_str() {
        "" => 0,
        text => text
            .parse()
            .map_err(|_| text_error("NextToken is none of ours"))?,
    };
    let size = usize::try_from(request.max_results.clamp(1, 100)).unwrap_or(1);
    let page: Vec<Value> = account
        .permission_sets
        .iter()
        .skip(from)
        .take(size)
        .map(|it| {
            json!({
                "RoleConfigurationId": configuration_id(account, it),
                "RoleConfigurationName": it.name,
                "Description": it.description,
                "SessionDuration": 0,
            })
        })
        .collect();
    let next = from + page.len();
    let more = next < account.permission_sets.len();
    Ok(json!({
        "RoleConfigurationsForAccount": page,
        "IsTruncated": more,
        "NextToken": if more { next.to_string() } else { String::new() },
    }))
}

fn saml(state: &State, request: &GenerateSaml, moment: Moment) -> io::Result<Result<Value, Value>> {
    let found = state.with_portal(|portal| {
        signed_in(portal, &request.login_token, moment)?;
        if request.login_type != "RoleSAML" {
            return Err(text_error("LoginType must be RoleSAML"));
        }
        let account = account(portal, request.target_uin)?;
        let id = &request.role_configuration_id;
        let found = account
            .permission_sets
            .iter()
            .find(|it| configuration_id(account, it) == *id);
        let role = found.ok_or_else(|| object_error("ResourceNotFound.Role", "no such role"))?;
        Ok((
            account.id.clone(),
            role.name.clone(),
            portal.rules.longest(role),
        ))
    });
    let (account, permission_set, max_session) = match found {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    let provider = SamlProvider::new(&account, &format!("TencentReservedSSO-{ZONE}"));
    let role = Role {
        max_session,
        trust: vec![Trusted::Saml(provider.name.clone())],
        ..Role::new(&account, &format!("TencentCloudSSO-{permission_set}"))
    };
    let now = moment.shown();
    let assertion = provider.assertion(&role.arn(), "portal-user", now, ASSERTION_LIFE)?;
    // The Identity Center keeps both in the account; here they appear when they are needed.
    state.with_world(|world| {
        world.add_role(role)?;
        world.add_saml_provider(provider)
    })?;
    Ok(Ok(json!({ "SAMLResponse": assertion })))
}

/// What STS itself would say, in the gateway's shape.
fn assume(state: &State, body: &[u8], moment: Moment) -> Result<Value, Value> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return Err(text_error("not a JSON object"));
    };
    for own in ["TraceId", "Site"] {
        fields.remove(own);
    }
    let parameters = Value::Object(fields).to_string();
    let answered = state.with_world(|world| {
        let context = tencent::Context {
            world,
            moment,
            twist: None,
        };
        tencent::assume_role_with_saml(context, parameters.as_bytes())
    });
    if let Some(role) = &answered.issued_role {
        state.with_calls(|calls| calls.issued(role));
    }
    answered
        .result
        .map(Value::Object)
        .map_err(|refusal| object_error(&refusal.code, &refusal.message))
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// How scripted errors look here.
pub(super) const MANNER: Manner = Manner {
    error: |code, message, _| {
        let body = object_error(code, message).to_string();
        Ok(reply(StatusCode::OK, JSON, body))
    },
    throttled: THROTTLED,
    broken: BROKEN,
};
