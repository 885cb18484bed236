//! Huawei's device flow: registering a client, beginning a sign-in, asking for the token.

use std::io;
use std::time::Duration;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answered;
use super::huawei_refusal::{bad_request, error, invalid_client};
use crate::emulator::moment::Moment;
use crate::emulator::portal_book::{Client, Decision, Portal, Waiting};
use crate::emulator::random::Random;

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
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
    let random = Random::draw()?;
    let (id, secret) = (random.long_lived_id(), random.token());
    let lifetime = portal.rules.client_seconds;
    portal.clients.insert(
        id.clone(),
        Client {
            secret: secret.clone(),
            has_device_grant: request.grant_types.iter().any(|it| it == DEVICE_GRANT),
            ends_at: moment.boot + Duration::from_secs(lifetime),
        },
    );
    let info = json!({
        "client_id": id,
        "client_secret": secret,
        "client_id_issued_at": moment.shown(),
        "client_secret_expires_at": moment.shown() + lifetime,
        "authorization_endpoint": "/v1/authorize",
        "token_endpoint": "/v1/tokens",
        "scopes": request.scopes,
    });
    Ok(Answered::good(json!({ "client_info": info })))
}

/// The client that shows its secret, as long as that is good.
fn client<'p>(
    portal: &'p Portal,
    id: &str,
    secret: &str,
    moment: Moment,
) -> Result<&'p Client, Answered> {
    let known = portal.clients.get(id);
    known
        .filter(|client| client.secret == secret && moment.boot < client.ends_at)
        .ok_or_else(invalid_client)
}

/// The same, for the device flow.
fn device_client(portal: &Portal, id: &str, secret: &str, moment: Moment) -> Result<(), Answered> {
    if client(portal, id, secret, moment)?.has_device_grant {
        Ok(())
    } else {
        Err(refuse("unauthorized_client"))
    }
}

/// What the documentation has no code of its own for.
fn refuse(word: &str) -> Answered {
    error(StatusCode::BAD_REQUEST, "IIC.400", word)
}

pub(super) fn authorize(
    portal: &mut Portal,
    request: &Authorize,
    page: &str,
    moment: Moment,
) -> io::Result<Answered> {
    let (id, secret) = (&request.client_id, &request.client_secret);
    if let Err(refused) = device_client(portal, id, secret, moment) {
        return Ok(refused);
    }
    if !request.start_url.contains("://") {
        return Ok(bad_request());
    }
    let plain = |text: String, length| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.take(length).collect()
    };
    let device_code = plain(Random::draw()?.token(), 64).to_lowercase();
    let user_code = plain(Random::draw()?.token(), 16).to_uppercase();
    let rules = portal.rules;
    let ends_at = moment.boot + Duration::from_secs(rules.code_seconds);
    let waiting = Waiting::new(&user_code, id, ends_at);
    portal.codes.insert(device_code.clone(), waiting);
    Ok(Answered::good(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": lifetime(portal, rules.code_seconds, moment),
        "interval": rules.interval_seconds,
    })))
}

fn lifetime(portal: &Portal, seconds: u64, moment: Moment) -> u64 {
    if portal.rules.absolute_times {
        moment.shown() + seconds
    } else {
        seconds
    }
}

pub(super) fn token(portal: &mut Portal, request: &Token, moment: Moment) -> io::Result<Answered> {
    let (id, secret) = (&request.client_id, &request.client_secret);
    match (
        request.grant_type.as_str(),
        &request.device_code,
        &request.to_refresh,
    ) {
        (DEVICE_GRANT, Some(code), None) => match device_client(portal, id, secret, moment) {
            Ok(()) => token_for_code(portal, id, code, moment),
            Err(refused) => Ok(refused),
        },
        ("refresh_token", None, Some(token)) => match client(portal, id, secret, moment) {
            Ok(_) if portal.refresh_tokens.get(token) == Some(id) => {
                // Good for one use, as where they were seen.
                portal.refresh_tokens.remove(token);
                grant(portal, id, moment)
            }
            Ok(_) => Ok(refuse("invalid_grant")),
            Err(refused) => Ok(refused),
        },
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
    let known = portal.codes.get_mut(code);
    let Some(waiting) = known.filter(|it| it.client == client && !it.is_redeemed) else {
        return Ok(refuse(
            "invalid_grant: the device code has expired or is unknown",
        ));
    };
    if moment.boot >= waiting.ends_at {
        return Ok(refuse("expired_token"));
    }
    let last = waiting.asked_at.replace(moment.boot);
    if last.is_some_and(|last| moment.boot.since(last) + TOLERANCE < interval) {
        return Ok(refuse("slow_down"));
    }
    match waiting.decision {
        None => Ok(refuse("authorization_pending")),
        Some(Decision::Deny) => Ok(refuse("access_denied")),
        Some(Decision::Approve) => {
            waiting.is_redeemed = true;
            grant(portal, client, moment)
        }
    }
}

fn grant(portal: &mut Portal, client: &str, moment: Moment) -> io::Result<Answered> {
    let token = portal.sign_in(moment.boot)?;
    let refresh_token = if portal.rules.refresh_tokens {
        let text: String = Random::draw()?.long_lived_id().to_lowercase();
        let text: String = text.chars().take(16).collect();
        portal
            .refresh_tokens
            .insert(text.clone(), client.to_owned());
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
    Ok(Answered::good(json!({ "token_info": info })))
}
