//! Huawei's IAM Identity Center: `/v1/clients`, `/v1/device/authorize`, `/v1/tokens` of its OIDC
//! service, and the portal's listing, credentials and logout.
//!
//! Source: the API reference of IAM Identity Center. The words for "pending" and its likes are
//! not documented; those of RFC 8628 stand in.

use std::io;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::huawei_refusal::{bad_request, error};
use super::{Answered, Request, device, query};
use crate::credentials::Cloud;
use crate::emulator::portal_book::{self, Portal, PortalAccount, PortalRole};
use crate::emulator::state::State;
use crate::emulator::world::{Caller, Issue};

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

/// The role whose keys are asked for.
pub(super) fn named_role(portal: &Portal, call: Call, head: &Parts) -> Option<String> {
    if call != Call::Credentials {
        return None;
    }
    asked_for(portal, head).map(|(account, role)| portal_book::called(account, role))
}

pub(super) fn answer(state: &State, call: Call, request: Request<'_>) -> io::Result<Answered> {
    let Request {
        head, body, moment, ..
    } = request;
    match call {
        Call::Register => match serde_json::from_slice(body) {
            Ok(asked) => state.with_portal(|portal| device::register(portal, &asked, moment)),
            Err(_) => Ok(bad_request()),
        },
        Call::Authorize => match serde_json::from_slice(body) {
            Ok(asked) => {
                let host = head.headers.get("host").and_then(|it| it.to_str().ok());
                let page = format!("http://{}/portal/device", host.unwrap_or_default());
                state.with_portal(|portal| device::authorize(portal, &asked, &page, moment))
            }
            Err(_) => Ok(bad_request()),
        },
        Call::Token => match serde_json::from_slice(body) {
            Ok(asked) => state.with_portal(|portal| device::token(portal, &asked, moment)),
            Err(_) => Ok(bad_request()),
        },
        Call::Accounts | Call::Agencies | Call::Credentials | Call::Logout => {
            in_the_name_of_a_session(state, call, request)
        }
    }
}

fn in_the_name_of_a_session(
    state: &State,
    call: Call,
    request: Request<'_>,
) -> io::Result<Answered> {
    let head = request.head;
    let token = head
        .headers
        .get("access-token")
        .and_then(|it| it.to_str().ok());
    let Some(token) = token else {
        let text = "the header access-token is not found";
        return Ok(error(StatusCode::NOT_FOUND, "IIC.1390", text));
    };
    if !state.with_portal(|portal| portal.is_signed_in(token, request.moment.boot)) {
        let text = "the access token is invalid or expired";
        return Ok(error(StatusCode::FORBIDDEN, "IIC.1001", text));
    }
    match call {
        Call::Accounts => Ok(state.with_portal(|portal| accounts(portal, head))),
        Call::Agencies => Ok(state.with_portal(|portal| agencies(portal, head))),
        Call::Credentials => credentials(state, request),
        Call::Logout => {
            state.with_portal(|portal| portal.sessions.remove(token));
            Ok(Answered::good(json!({})))
        }
        Call::Authorize | Call::Register | Call::Token => Ok(bad_request()),
    }
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
    Answered::good(json!({ "account_list": list, "page_info": info }))
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
    Answered::good(json!({ "agency_list": list, "page_info": info }))
}

fn agency_name(role: &PortalRole) -> String {
    format!("SysReservedV3_{}_a1b2c3d4", role.name)
}

fn agency_urn(account: &PortalAccount, role: &PortalRole) -> String {
    format!("iam::{}:agency:{}", account.id, agency_name(role))
}

fn asked_for<'p>(portal: &'p Portal, head: &Parts) -> Option<(&'p PortalAccount, &'p PortalRole)> {
    let id = query(head, "target_account_id")?;
    let urn = query(head, "agency_urn")?;
    portal_book::find(&portal.person.huawei, |account, role| {
        account.id == id && agency_urn(account, role) == urn
    })
}

fn credentials(state: &State, request: Request<'_>) -> io::Result<Answered> {
    let moment = request.moment;
    let found = state.with_portal(|portal| {
        let (account, role) = asked_for(portal, request.head)?;
        Some((account.id.clone(), role.clone(), portal.rules.longest(role)))
    });
    let Some((account, role, lifetime)) = found else {
        return Ok(error(
            StatusCode::FORBIDDEN,
            "IIC.1000",
            "no permission for this agency",
        ));
    };
    let issued = state.with_huawei(|world| {
        world.ledger.issue(Issue {
            caller: Caller::Role {
                account: account.clone(),
                role_id: agency_name(&role),
                role: role.name,
                session: "portal".to_owned(),
                requester: account,
            },
            cloud: Cloud::Huawei,
            lifetime,
            now: moment,
            twist: request.twist,
        })
    })?;
    let set = json!({
        "access_key_id": issued.id,
        "secret_access_key": issued.key.secret.expose(),
        "session_token": issued.key.token.expose(),
        "expiration": moment.seen_from_here(issued.host_expiry),
    });
    Ok(Answered::with_a_set(json!({ "agency_credentials": set })))
}
