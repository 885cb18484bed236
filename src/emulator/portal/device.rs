//! Huawei's device flow: registering a client, beginning a sign-in, asking for the token.

use std::io;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answered;
use super::book::{Decision, Portal, Waiting, make_room};
use super::huawei::{bad_request, error, invalid_client};
use crate::emulator::random::Random;
use crate::emulator::state::Moment;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CLIENT_LIFE: u64 = 90 * 86_400;
/// A clock on the other side may tick a little faster.
const TOLERANCE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
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
pub(super) struct Authorize {
    client_id: String,
    client_secret: String,
    start_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    client_id: String,
    client_secret: String,
    grant_type: String,
    #[serde(default)]
    device_code: Option<String>,
    #[serde(default)]
    #[serde(rename = "refresh_token")]
    to_refresh: Option<String>,
}

pub(super) fn register(
    portal: &mut Portal,
    request: &Register,
    moment: Moment,
) -> io::Result<Answered> {
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

pub(super) fn authorize(
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

pub(super) fn token(portal: &mut Portal, request: &Token, moment: Moment) -> io::Result<Answered> {
    if portal.clients.get(&request.client_id) != Some(&request.client_secret) {
        return Ok(invalid_client());
    }
    match (
        request.grant_type.as_str(),
        &request.device_code,
        &request.to_refresh,
    ) {
        (DEVICE_GRANT, Some(code), None) => {
            token_for_code(portal, &request.client_id, code, moment)
        }
        ("refresh_token", None, Some(token)) => {
            if !portal.refresh_tokens.remove(token) {
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
        portal.refresh_tokens.insert(text.clone());
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
