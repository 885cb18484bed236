//! Who signed a request, and whether they did.
//!
//! The signature is checked with the daemon's own signer, which is held to vectors of the
//! official SDKs. What is signed as `host` is what was sent as `Host`, whatever that is: clients
//! pointed at an emulator put a port in, and tccli even a scheme. The Node SDK signs the name
//! without the port, so that is tried too.
//!
//! Source: Tencent Cloud API 3.0, "signature v3" and its table of common error codes.

use std::collections::BTreeSet;

use super::refusal::Refusal;
use super::request::{Common, Request};
use crate::emulator::moment::Moment;
use crate::emulator::world::{Caller, World};
use crate::mac::sha256_hex;
use crate::provider::tencent::signing;
use crate::secret::Secret;

/// Largest difference between the request's timestamp and the server's clock, in seconds.
pub(super) const LARGEST_SKEW: u64 = 300;

const SERVICE: &str = "sts";

/// A request whose signature holds.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) caller: Caller,
    /// Signed with a temporary key.
    pub(super) is_temporary: bool,
}

/// The parts of an `Authorization` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Authorization<'a> {
    id: &'a str,
    date: &'a str,
    service: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

/// The id of the key an `Authorization` header names, without believing it.
pub(in crate::emulator) fn claimed_id(authorization: &str) -> Option<&str> {
    parse(authorization).map(|parts| parts.id)
}

/// Checks a signed request.
pub(super) fn signed(
    world: &World,
    moment: Moment,
    request: Request<'_>,
    common: Common<'_>,
) -> Result<Signer, Refusal> {
    if common.authorization == "SKIP" {
        return Err(malformed("this action must be signed"));
    }
    let parts = parse(common.authorization).ok_or_else(|| {
        malformed(
            "it is no `TC3-HMAC-SHA256 Credential=ID/DATE/SERVICE/tc3_request, \
             SignedHeaders=NAMES, Signature=HEX`",
        )
    })?;
    let names = signed_headers(parts.signed_headers)?;
    check_timestamp(moment, common.timestamp)?;

    let issued = world.ledger.find(parts.id);
    let (secret, caller) = match (world.key(parts.id), &issued) {
        (Some(key), _) => (
            &key.secret,
            Caller::User {
                account: key.account.clone(),
                uin: key.uin.clone(),
            },
        ),
        (None, Some(issued)) => (&issued.secret, issued.caller.clone()),
        (None, None) => {
            return Err(Refusal::new(
                "AuthFailure.SecretIdNotFound",
                "The SecretId is not found, please ensure that your SecretId is correct.",
            ));
        }
    };
    let canonical = canonical_requests(request, common, &names)?;
    check_signature(&parts, common, &canonical, secret)?;

    // The token is not part of the signature, so it has to be checked by itself.
    let expected = issued.as_ref().map(|key| key.token.expose());
    if common.token != expected {
        return Err(Refusal::new(
            "AuthFailure.TokenFailure",
            "The request token is invalid: it does not belong to this SecretId.",
        ));
    }
    if issued
        .as_ref()
        .is_some_and(|key| key.expires_at <= moment.boot)
    {
        return Err(Refusal::new(
            "AuthFailure.TokenFailure",
            "The request token is invalid: it is expired.",
        ));
    }
    Ok(Signer {
        caller,
        is_temporary: expected.is_some(),
    })
}

/// Checks the head of an unsigned action.
pub(super) fn unsigned(moment: Moment, common: Common<'_>) -> Result<(), Refusal> {
    if common.authorization != "SKIP" {
        return Err(malformed("this action is not signed: send the word `SKIP`"));
    }
    if common.token.is_some() {
        return Err(malformed("this action is not signed: send no `X-TC-Token`"));
    }
    check_timestamp(moment, common.timestamp)
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(
        "AuthFailure.InvalidAuthorization",
        format!("Authorization in the request header does not comply with the standard: {why}."),
    )
}

fn check_timestamp(moment: Moment, timestamp: u64) -> Result<(), Refusal> {
    if moment.shown().abs_diff(timestamp) <= LARGEST_SKEW {
        return Ok(());
    }
    Err(Refusal::new(
        "AuthFailure.SignatureExpire",
        format!(
            "The signature is expired: the request time {timestamp} is more than {LARGEST_SKEW} \
             seconds away from the server time {}",
            moment.shown()
        ),
    ))
}

/// Exactly the published spelling, with a comma and one space between the fields.
fn parse(text: &str) -> Option<Authorization<'_>> {
    let rest = text.strip_prefix(signing::ALGORITHM)?;
    let rest = rest.strip_prefix(" Credential=")?;
    let (credential, rest) = rest.split_once(", SignedHeaders=")?;
    let (signed_headers, signature) = rest.split_once(", Signature=")?;
    let mut parts = credential.split('/');
    let authorization = Authorization {
        id: parts.next()?,
        date: parts.next()?,
        service: parts.next()?,
        signed_headers,
        signature,
    };
    let ends_well = parts.next() == Some("tc3_request") && parts.next().is_none();
    (ends_well && !authorization.id.is_empty()).then_some(authorization)
}

/// The names of the signed headers: lower case, in order, the two mandatory ones among them.
fn signed_headers(list: &str) -> Result<Vec<&str>, Refusal> {
    let names: Vec<&str> = list.split(';').collect();
    let in_order: BTreeSet<&str> = names.iter().copied().collect();
    let is_name = |name: &&str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    if !names.iter().all(is_name) || !in_order.iter().eq(names.iter()) {
        return Err(malformed("`SignedHeaders` are lower-case names in order"));
    }
    if !in_order.contains("content-type") || !in_order.contains("host") {
        return Err(malformed("`content-type` and `host` must be signed"));
    }
    Ok(names)
}

/// What the client may have signed. Extra headers are signed as sent, or in lower case as the
/// published example has them; the host as sent, or without its port.
fn canonical_requests(
    request: Request<'_>,
    common: Common<'_>,
    names: &[&str],
) -> Result<BTreeSet<String>, Refusal> {
    let payload = if common.unsigned_payload {
        b"UNSIGNED-PAYLOAD"
    } else {
        request.body
    };
    let mut texts = BTreeSet::new();
    for host in [common.host, without_port(common.host)] {
        for lower_case in [false, true] {
            let mut block = String::new();
            for name in names {
                let value = match *name {
                    "content-type" => common.content_type.to_owned(),
                    "host" => host.to_owned(),
                    other if lower_case => extra(request, other)?.to_ascii_lowercase(),
                    other => extra(request, other)?,
                };
                block.extend([*name, ":", &value, "\n"]);
            }
            texts.insert(format!(
                "{}\n{}\n{}\n{block}\n{}\n{}",
                request.method,
                request.path,
                request.query,
                names.join(";"),
                sha256_hex(payload),
            ));
        }
    }
    Ok(texts)
}

fn extra(request: Request<'_>, name: &str) -> Result<String, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value.trim().to_owned()),
        _ => Err(malformed("a signed header must be there once, in ASCII")),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn check_signature(
    parts: &Authorization<'_>,
    common: Common<'_>,
    canonical: &BTreeSet<String>,
    secret: &Secret,
) -> Result<(), Refusal> {
    let failure = |why: &str| Refusal::new("AuthFailure.SignatureFailure", why);
    let signing = signing::Request {
        method: "POST",
        path: "/",
        query: "",
        content_type: common.content_type,
        host: common.host,
        service: SERVICE,
        timestamp: common.timestamp,
        payload: &[],
    };
    let scope = format!("{}/{}/tc3_request", parts.date, parts.service);
    if scope != signing.scope() {
        return Err(failure(&format!(
            "The Credential scope in Authorization must be {}.",
            signing.scope()
        )));
    }
    let holds = canonical
        .iter()
        .any(|text| signing.signature_for(text, secret) == parts.signature);
    if holds {
        Ok(())
    } else {
        Err(failure(
            "The provided credentials could not be validated. Please check your signature is correct.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{claimed_id, parse, signed_headers, without_port};

    #[test]
    fn only_the_published_spelling_is_an_authorization() {
        let good = "TC3-HMAC-SHA256 Credential=AKID1/2023-11-14/sts/tc3_request, \
                    SignedHeaders=content-type;host, Signature=00";
        assert_eq!(claimed_id(good), Some("AKID1"));
        for bad in [
            good.replace("TC3-HMAC-SHA256", "HMAC-SHA256"),
            good.replace(", ", ","),
            good.replace("tc3_request", "aws4_request"),
            good.replace("/sts/", "/"),
            good.replace("AKID1", ""),
            good.replace("Signature", "signature"),
        ] {
            assert!(parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_mandatory_headers_must_be_signed_and_all_in_order() {
        assert!(signed_headers("content-type;host").is_ok());
        assert!(signed_headers("content-type;host;x-tc-action").is_ok());
        for bad in [
            "",
            "host",
            "content-type",
            "host;content-type",
            "content-type;content-type;host",
            "Content-Type;host",
            "content-type;host;",
        ] {
            assert!(signed_headers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_is_cut_off_and_nothing_else() {
        for (host, name) in [
            ("127.0.0.1:8080", "127.0.0.1"),
            ("http://127.0.0.1:8080", "http://127.0.0.1"),
            ("sts.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(without_port(host), name);
        }
    }
}
