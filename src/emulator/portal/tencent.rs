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

use super::{Answered, JSON, Request};
use crate::emulator::moment::Moment;
use crate::emulator::portal_book::{self, Decision, Portal, PortalAccount, PortalRole, is_state};
use crate::emulator::reply::reply;
use crate::emulator::state::State;
use crate::emulator::strike::Manner;
use crate::emulator::tencent::{self, BROKEN, THROTTLED};
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

/// A refusal: what it is noted as, and its body.
#[derive(Debug)]
struct Refused {
    code: String,
    body: Value,
}

/// The role that an assertion or its exchange is about.
pub(super) fn named_role(portal: &Portal, call: Call, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body.get(name)?.as_str();
    let people = &portal.person.tencent;
    let found = match call {
        Call::Saml => {
            let id = text("RoleConfigurationId")?;
            portal_book::find(people, |account, role| {
                configuration_id(account, role) == id
            })
        }
        Call::Assume => {
            let arn = text("RoleArn")?;
            portal_book::find(people, |account, role| cam_role(account, role).arn() == arn)
        }
        Call::Accounts | Call::Roles | Call::State | Call::Verify => None,
    };
    found.map(|(account, role)| portal_book::called(account, role))
}

pub(super) fn answer(state: &State, call: Call, request: Request<'_>) -> io::Result<Answered> {
    let decided = match serde_json::from_slice::<Common>(request.body) {
        Ok(common) if is_uuid(&common.trace_id) => {
            let site = common.site.as_deref();
            if call != Call::State && !matches!(site, Some("cn" | "intl")) {
                Err(text_error("Site must be cn or intl"))
            } else {
                decide(state, call, request)?
            }
        }
        Ok(_) | Err(_) => Err(text_error("TraceId must be a UUID")),
    };
    Ok(match decided {
        Ok(fields) if call == Call::Assume => Answered::with_a_set(fields),
        Ok(fields) => Answered::good(fields),
        Err(refused) => Answered::refused(StatusCode::OK, &refused.code, refused.body),
    })
}

fn decide(state: &State, call: Call, request: Request<'_>) -> io::Result<Result<Value, Refused>> {
    let Request { body, moment, .. } = request;
    Ok(match call {
        Call::State => match read::<CheckState>(body) {
            Ok(asked) => check_state(state, &asked, moment)?,
            Err(error) => Err(error),
        },
        Call::Accounts => read::<ListAccounts>(body)
            .and_then(|asked| state.with_portal(|portal| accounts(portal, &asked, moment))),
        Call::Roles => read::<ListRoles>(body)
            .and_then(|asked| state.with_portal(|portal| roles(portal, &asked, moment))),
        Call::Verify => read::<Verify>(body).and_then(|asked| {
            state.with_portal(|portal| signed_in(portal, &asked.login_skey, moment))?;
            Ok(json!({ "ZoneId": ZONE }))
        }),
        Call::Saml => match read::<GenerateSaml>(body) {
            Ok(asked) => saml(state, &asked, moment)?,
            Err(error) => Err(error),
        },
        Call::Assume => assume(state, request),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    // As the real one: "cannot unmarshal string … int64".
    serde_json::from_slice(body).map_err(|error| text_error(&error.to_string()))
}

/// Without a code; it is noted as `refused`.
fn text_error(text: &str) -> Refused {
    Refused {
        code: "refused".to_owned(),
        body: json!({ "Error": text }),
    }
}

fn object_error(code: &str, message: &str) -> Refused {
    Refused {
        code: code.to_owned(),
        body: json!({ "Error": { "Code": code, "Message": message }, "RequestId": "emulated" }),
    }
}

fn signed_in(portal: &Portal, token: &str, moment: Moment) -> Result<(), Refused> {
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
) -> io::Result<Result<Value, Refused>> {
    if !is_state(&request.state) {
        return Ok(Err(text_error("State must be 32 letters and digits")));
    }
    state.with_portal(|portal| {
        let waiting = portal.state(&request.state, moment.boot);
        let is_approved =
            waiting.decision == Some(Decision::Approve) && moment.boot < waiting.ends_at;
        if !is_approved || waiting.is_redeemed {
            return Ok(Ok(json!({ "Status": "NotFound" })));
        }
        waiting.is_redeemed = true;
        let token = portal.sign_in(moment.boot)?;
        let token = json!({ "State": request.state, "Token": token, "Site": "cn" });
        Ok(Ok(json!({ "Status": "Finished", "Token": token })))
    })
}

fn accounts(portal: &Portal, request: &ListAccounts, moment: Moment) -> Result<Value, Refused> {
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

fn account(portal: &Portal, uin: i64) -> Result<&PortalAccount, Refused> {
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

/// What a permission set becomes in its account.
fn cam_role(account: &PortalAccount, role: &PortalRole) -> Role {
    Role::new(&account.id, &format!("TencentCloudSSO-{}", role.name))
}

fn roles(portal: &Portal, request: &ListRoles, moment: Moment) -> Result<Value, Refused> {
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

fn saml(
    state: &State,
    request: &GenerateSaml,
    moment: Moment,
) -> io::Result<Result<Value, Refused>> {
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
        let provider = SamlProvider::new(&account.id, &format!("TencentReservedSSO-{ZONE}"));
        let role = Role {
            max_session: portal.rules.longest(role),
            trust: vec![Trusted::Saml(provider.name.clone())],
            ..cam_role(account, role)
        };
        Ok((provider, role))
    });
    let (provider, role) = match found {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
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
fn assume(state: &State, request: Request<'_>) -> Result<Value, Refused> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(request.body) else {
        return Err(text_error("not a JSON object"));
    };
    for own in ["TraceId", "Site"] {
        fields.remove(own);
    }
    let parameters = Value::Object(fields).to_string();
    let answered = state.with_world(|world| {
        let context = tencent::Context {
            world,
            moment: request.moment,
            twist: request.twist,
        };
        tencent::assume_role_with_saml(context, parameters.as_bytes())
    });
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
        let body = object_error(code, message).body.to_string();
        Ok(reply(StatusCode::OK, JSON, body))
    },
    throttled: THROTTLED,
    broken: BROKEN,
};
