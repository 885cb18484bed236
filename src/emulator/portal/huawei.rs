//! Huawei's IAM Identity Center: `/v1/clients`, `/v1/device/authorize`, `/v1/tokens` of its OIDC
//! service, and the portal's listing, credentials and logout.
//!
//! Source: the API reference of IAM Identity Center. The words for "pending" and its likes are
//! not documented; those of RFC 8628 stand in.

use std::io;
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::{Decision, Portal, PortalAccount, PortalRole, Waiting, make_room};
use super::{Answered, JSON, query};
use crate::credentials::Cloud;
use crate::emulator::random::Random;
use crate::emulator::respond::{Manner, reply};
use crate::emulator::state::{Moment, State};
use crate::emulator::world::{Caller, Issue};

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CLIENT_LIFE: u64 = 90 * 86_400;
/// A clock on the other side may tick a little faster.
const TOLERANCE: Duration = Duration::from_millis(200);

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Call {
    Accounts,
    Agencies,
    Authorize,
    Credentials,
    Logout,
    Register,
    Token,
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let (wanted, call) = match path {
            "/v1/assigned-accounts" => (Method::GET, Self::Accounts),
            "/v1/assigned-agencies" => (Method::GET, Self::Agencies),
            "/v1/clients" => (Method::POST, Self::Register),
            "/v1/credentials" => (Method::GET, Self::Credentials),
            "/v1/device/authorize" => (Method::POST, Self::Authorize),
            "/v1/logout" => (Method::POST, Self::Logout),
            "/v1/tokens" => (Method::POST, Self::Token),
            _ => return None,
        };
        (*method == wanted).then_some(call)
    }

    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Accounts => "ListAccounts",
            Self::Agencies => "ListAgencies",
            Self::Authorize => "StartDeviceAuthorization",
            Self::Credentials => "GetAgencyCredentials",
            Self::Logout => "Logout",
            Self::Register => "RegisterClient",
            Self::Token => "CreateToken",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    client_name: String,
    client_type: String,
    token_endpoint_auth_method: String,
    grant_types: Vec<String>,
    response_types: Vec<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    client_id: String,
    client_secret: String,
    start_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    client_id: String,
    client_secret: String,
    grant_type: String,
    #[serde(default)]
    device_code: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
}

pub(super) fn answer(
    state: &State,
    call: Call,
    head: &Parts,
    body: &[u8],
    moment: Moment,
) -> io::Result<Answered> {
    match call {
        Call::Register => match serde_json::from_slice(body) {
            Ok(request) => state.with_portal(|portal| register(portal, &request, moment)),
            Err(_) => Ok(bad_request()),
        },
        Call::Authorize => match serde_json::from_slice(body) {
            Ok(request) => {
                let host = head.headers.get("host").and_then(|it| it.to_str().ok());
                let page = format!("http://{}/portal/device", host.unwrap_or_default());
                state.with_portal(|portal| authorize(portal, &request, &page, moment))
            }
            Err(_) => Ok(bad_request()),
        },
        Call::Token => match serde_json::from_slice(body) {
            Ok(request) => state.with_portal(|portal| token(portal, &request, moment)),
            Err(_) => Ok(bad_request()),
        },
        Call::Accounts | Call::Agencies | Call::Credentials | Call::Logout => {
            in_the_name_of_a_session(state, call, head, moment)
        }
    }
}

fn in_the_name_of_a_session(
    state: &State,
    call: Call,
    head: &Parts,
    moment: Moment,
) -> io::Result<Answered> {
    let token = head
        .headers
        .get("access-token")
        .and_then(|it| it.to_str().ok());
    let Some(token) = token else {
        let text = "the header access-token is not found";
        return Ok(error(StatusCode::NOT_FOUND, "IIC.1390", text));
    };
    if !state.with_portal(|portal| portal.is_signed_in(token, moment.boot)) {
        let text = "the access token is invalid or expired";
        return Ok(error(StatusCode::UNAUTHORIZED, "IIC.1001", text));
    }
    match call {
        Call::Accounts => Ok(state.with_portal(|portal| accounts(portal, head))),
        Call::Agencies => Ok(state.with_portal(|portal| agencies(portal, head))),
        Call::Credentials => credentials(state, head, moment),
        Call::Logout => {
            state.with_portal(|portal| portal.sessions.remove(token));
            Ok((StatusCode::OK, json!({})))
        }
        Call::Authorize | Call::Register | Call::Token => Ok(bad_request()),
    }
}

fn register(portal: &mut Portal, request: &Register, moment: Moment) -> io::Result<Answered> {
    let is_fine = (1..=1024).contains(&request.client_name.len())
        && request.client_type == "public"
        && request.token_endpoint_auth_method == "client_secret_post"
        && !request.grant_types.is_empty()
        && request
            .grant_types
            .iter()
            .all(|it| it == DEVICE_GRANT || it == "authorization_code")
        && request.response_types == ["code"];
    if !is_fine {
        return Ok(bad_request());
    }
    make_room(&mut portal.clients);
    let random = Random::draw()?;
    let (id, secret) = (random.long_lived_id(), random.token());
    portal.clients.insert(id.clone(), secret.clone());
    let info = json!({
        "client_id": id,
        "client_secret": secret,
        "client_id_issued_at": moment.shown(),
        "client_secret_expires_at": moment.shown() + CLIENT_LIFE,
        "authorization_endpoint": "/v1/authorize",
        "token_endpoint": "/v1/tokens",
        "scopes": request.scopes,
    });
    Ok((StatusCode::OK, json!({ "client_info": info })))
}

fn authorize(
    portal: &mut Portal,
    request: &Authorize,
    page: &str,
    moment: Moment,
) -> io::Result<Answered> {
    if portal.clients.get(&request.client_id) != Some(&request.client_secret) {
        return Ok(invalid_client());
    }
    if !request.start_url.contains("://") {
        return Ok(bad_request());
    }
    make_room(&mut portal.codes);
    let plain = |text: String, length| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.take(length).collect()
    };
    let device_code = plain(Random::draw()?.token(), 64).to_lowercase();
    let user_code = plain(Random::draw()?.token(), 16).to_uppercase();
    let rules = portal.rules;
    portal.codes.insert(
        device_code.clone(),
        Waiting {
            shown: user_code.clone(),
            client: request.client_id.clone(),
            decision: None,
            ends_at: moment.boot + Duration::from_secs(rules.code_seconds),
            asked_at: None,
        },
    );
    Ok((
        StatusCode::OK,
        json!({
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": lifetime(portal, rules.code_seconds, moment),
            "interval": rules.interval_seconds,
        }),
    ))
}

fn lifetime(portal: &Portal, seconds: u64, moment: Moment) -> u64 {
    if portal.rules.absolute_times {
        moment.shown() + seconds
    } else {
        seconds
    }
}

fn token(portal: &mut Portal, request: &Token, moment: Moment) -> io::Result<Answered> {
    if portal.clients.get(&request.client_id) != Some(&request.client_secret) {
        return Ok(invalid_client());
    }
    match (
        request.grant_type.as_str(),
        &request.device_code,
        &request.refresh_token,
    ) {
        (DEVICE_GRANT, Some(code), None) => {
            token_for_code(portal, &request.client_id, code, moment)
        }
        ("refresh_token", None, Some(token)) => {
            if portal.refresh_tokens.remove(token).is_none() {
                return Ok(error(StatusCode::BAD_REQUEST, "IIC.400", "invalid_grant"));
            }
            grant(portal, moment)
        }
        _ => Ok(bad_request()),
    }
}

fn token_for_code(
    portal: &mut Portal,
    client: &str,
    code: &str,
    moment: Moment,
) -> io::Result<Answered> {
    let interval = Duration::from_secs(portal.rules.interval_seconds);
    let refuse = |word| Ok(error(StatusCode::BAD_REQUEST, "IIC.400", word));
    let Some(waiting) = portal.codes.get_mut(code).filter(|it| it.client == client) else {
        return refuse("invalid_grant: the device code has expired or is unknown");
    };
    if moment.boot >= waiting.ends_at {
        return refuse("expired_token");
    }
    let last = waiting.asked_at.replace(moment.boot);
    if last.is_some_and(|last| moment.boot.since(last) + TOLERANCE < interval) {
        return refuse("slow_down");
    }
    match waiting.decision {
        None => refuse("authorization_pending"),
        Some(Decision::Deny) => refuse("access_denied"),
        Some(Decision::Approve) => {
            portal.codes.remove(code);
            grant(portal, moment)
        }
    }
}

fn grant(portal: &mut Portal, moment: Moment) -> io::Result<Answered> {
    let token = portal.sign_in(moment.boot)?;
    let refresh_token = if portal.rules.refresh_tokens {
        let text: String = Random::draw()?.long_lived_id().to_lowercase();
        let text: String = text.chars().take(16).collect();
        make_room(&mut portal.refresh_tokens);
        portal.refresh_tokens.insert(text.clone(), ());
        Some(text)
    } else {
        None
    };
    let info = json!({
        "access_token": token,
        "expires_in": lifetime(portal, portal.rules.session_seconds, moment),
        "id_token": Value::Null,
        "refresh_token": refresh_token,
        "token_type": "Bearer",
    });
    Ok((StatusCode::OK, json!({ "token_info": info })))
}

/// One page of a list, and the marker of the next.
fn page_of<T: Clone>(all: &[T], head: &Parts) -> Option<(Vec<T>, Option<String>)> {
    let number = |name| match query(head, name) {
        None => Some(None),
        Some(text) => text.parse::<usize>().ok().map(Some),
    };
    let limit = number("limit")?.unwrap_or(200);
    let from = number("marker")?.unwrap_or(0);
    if !(1..=2000).contains(&limit) {
        return None;
    }
    let page: Vec<T> = all.iter().skip(from).take(limit).cloned().collect();
    let next = from + page.len();
    Some((page, (next < all.len()).then(|| next.to_string())))
}

fn accounts(portal: &Portal, head: &Parts) -> Answered {
    let Some((page, next)) = page_of(&portal.person.huawei, head) else {
        return bad_request();
    };
    let list: Vec<Value> = page
        .iter()
        .map(|it| {
            json!({
                "account_id": it.id,
                "account_name": it.name,
                "email_address": format!("{}@example.com", it.name),
            })
        })
        .collect();
    let info = json!({ "next_marker": next, "current_count": list.len() });
    (
        StatusCode::OK,
        json!({ "account_list": list, "page_info": info }),
    )
}

fn agencies(portal: &Portal, head: &Parts) -> Answered {
    let id = query(head, "account_id").unwrap_or_default();
    let Some(account) = portal.person.huawei.iter().find(|it| it.id == id) else {
        return error(
            StatusCode::FORBIDDEN,
            "IIC.1000",
            "no permission for this account",
        );
    };
    let Some((page, next)) = page_of(&account.permission_sets, head) else {
        return bad_request();
    };
    let list: Vec<Value> = page
        .iter()
        .map(|it| {
            json!({
                "account_id": account.id,
                "agency_name": agency_name(it),
                "agency_urn": agency_urn(account, it),
                "permission_set_name": it.name,
                "description": it.description,
            })
        })
        .collect();
    let info = json!({ "next_marker": next, "current_count": list.len() });
    (
        StatusCode::OK,
        json!({ "agency_list": list, "page_info": info }),
    )
}

fn agency_name(role: &PortalRole) -> String {
    format!("SysReservedV3_{}_a1b2c3d4", role.name)
}

fn agency_urn(account: &PortalAccount, role: &PortalRole) -> String {
    format!("iam::{}:agency:{}", account.id, agency_name(role))
}

fn credentials(state: &State, head: &Parts, moment: Moment) -> io::Result<Answered> {
    let id = query(head, "target_account_id").unwrap_or_default();
    let urn = query(head, "agency_urn").unwrap_or_default();
    let found = state.with_portal(|portal| {
        let account = portal.person.huawei.iter().find(|it| it.id == id)?;
        let role = account
            .permission_sets
            .iter()
            .find(|it| agency_urn(account, it) == urn)?;
        Some(role.clone())
    });
    let Some(role) = found else {
        return Ok(error(
            StatusCode::FORBIDDEN,
            "IIC.1000",
            "no permission for this agency",
        ));
    };
    let issued = state.with_huawei(|world| {
        world.ledger.issue(Issue {
            caller: Caller::Role {
                account: id.clone(),
                role: role.name.clone(),
                role_id: agency_name(&role),
                session: "portal".to_owned(),
                requester: id.clone(),
            },
            cloud: Cloud::Huawei,
            lifetime: Duration::from_secs(role.session_seconds),
            now: moment,
            twist: None,
        })
    })?;
    state.with_calls(|calls| calls.issued(&role.name));
    let set = json!({
        "access_key_id": issued.id,
        "secret_access_key": issued.key.secret.expose(),
        "session_token": issued.key.token.expose(),
        "expiration": moment.seen_from_here(issued.host_expiry),
    });
    Ok((StatusCode::OK, json!({ "agency_credentials": set })))
}

fn bad_request() -> Answered {
    error(StatusCode::BAD_REQUEST, "IIC.400", "bad request")
}

fn invalid_client() -> Answered {
    error(StatusCode::UNAUTHORIZED, "IIC.400", "invalid_client")
}

fn error(status: StatusCode, code: &str, message: &str) -> Answered {
    (status, body(code, message))
}

fn body(code: &str, message: &str) -> Value {
    json!({ "error_code": code, "error_msg": message, "request_id": "emulated" })
}

/// How scripted errors look here.
pub(super) const MANNER: Manner = Manner {
    error: |code, message, status| {
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        Ok(reply(status, JSON, body(code, message).to_string()))
    },
    throttled: ("APIGW.0308", "The throttling threshold has been reached."),
    broken: ("IIC.1006", "As scripted."),
};
