//! Who signed a request, and whether they did.
//!
//! The signature is checked with the daemon's own signer, which is held to vectors of the official
//! SDK. The server goes by the list in `SignedHeaders`: host and date have to be in it, and so has
//! the token of a temporary key.
//!
//! Sources: the signer of the official Python SDK; the gateway's page on IAM authentication
//! errors and answers seen in the field for the sentences.

use hyper::header::HeaderMap;

use super::refusal::Refusal;
use super::{Request, header};
use crate::emulator::moment::Moment;
use crate::emulator::world::{Caller, World};
use crate::provider::huawei::signing::{self, CONTENT_HEADER, DATE_HEADER, Scheme, TOKEN_HEADER};
use crate::secret::Secret;

/// Largest difference between the request's time and the server's clock, in seconds.
const LARGEST_SKEW: u64 = 15 * 60;

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
    scheme: Scheme<'a>,
    id: &'a str,
    /// Of the derived scheme's scope.
    day: Option<&'a str>,
    signed_headers: &'a str,
    signature: &'a str,
}

fn parse(text: &str) -> Option<Authorization<'_>> {
    let (algorithm, rest) = text.split_once(' ')?;
    let mut parts = rest.split(',').map(str::trim);
    let (who, names, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let signed_headers = names.strip_prefix("SignedHeaders=")?;
    let signature = signature.strip_prefix("Signature=")?;
    let (scheme, id, day) = match algorithm {
        "SDK-HMAC-SHA256" => (Scheme::Plain, who.strip_prefix("Access=")?, None),
        "V11-HMAC-SHA256" => {
            let mut scope = who.strip_prefix("Credential=")?.split('/');
            let (id, day) = (scope.next()?, scope.next()?);
            let (region, service) = (scope.next()?, scope.next()?);
            if scope.next().is_some() {
                return None;
            }
            (Scheme::Derived { region, service }, id, Some(day))
        }
        _ => return None,
    };
    Some(Authorization {
        scheme,
        id,
        day,
        signed_headers,
        signature,
    })
}

/// The id of the key an `Authorization` header names, without believing it.
pub(super) fn claimed_id(authorization: &str) -> Option<&str> {
    parse(authorization).map(|parts| parts.id)
}

/// Checks a signed request.
pub(super) fn signed(
    world: &World,
    moment: Moment,
    request: Request<'_>,
) -> Result<Signer, Refusal> {
    let unauthorized = || Refusal::authentication("Unauthorized");
    let authorization = header(request.headers, "authorization").ok_or_else(unauthorized)?;
    let parts = parse(authorization).ok_or_else(unauthorized)?;
    let date = header(request.headers, DATE_HEADER)
        .ok_or_else(|| Refusal::authentication("x-sdk-date is missing"))?;
    in_time(moment, date, parts.day)?;
    in_scope(parts.scheme, request.path)?;

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
            let why = format!(
                "Get secretKey failed,ak:{},err:ak not exist",
                parts.id.escape_debug()
            );
            return Err(Refusal::authentication(why));
        }
    };
    check_signature(&parts, request, secret)?;

    let token = header(request.headers, TOKEN_HEADER);
    let expected = issued.as_ref().map(|key| key.token.expose());
    if token != expected {
        return Err(Refusal::authentication("decrypt token fail"));
    }
    if issued
        .as_ref()
        .is_some_and(|key| key.expires_at <= moment.boot)
    {
        return Err(Refusal::authentication("the security token has expired"));
    }
    Ok(Signer {
        caller,
        is_temporary: expected.is_some(),
    })
}

fn in_time(moment: Moment, date: &str, day: Option<&str>) -> Result<(), Refusal> {
    let parsed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map_err(|_| Refusal::authentication("x-sdk-date is malformed"))?;
    let signed_at = u64::try_from(parsed.timestamp().as_second()).unwrap_or(0);
    let now = moment.shown();
    if now.abs_diff(signed_at) > LARGEST_SKEW {
        return Err(Refusal::authentication(format_args!(
            "calc aksk signature fail:signature expired, signature time:{date},server time:{}",
            signing::date_text(now)
        )));
    }
    match day {
        Some(day) if date.split('T').next() != Some(day) => Err(Refusal::authentication(
            "the credential scope is of another day",
        )),
        Some(_) | None => Ok(()),
    }
}

/// A derived key is for one service, the one that is called, and for one region: STS has several,
/// and this one stands for each of them; IAM is global, and in each of them too.
fn in_scope(scheme: Scheme<'_>, path: &str) -> Result<(), Refusal> {
    let Scheme::Derived { region, service } = scheme else {
        return Ok(());
    };
    let (called, is_global) = if path.starts_with("/v5/") {
        ("sts", false)
    } else {
        ("iam", true)
    };
    if service != called {
        return Err(Refusal::authentication(format_args!(
            "the credential scope is not of the service {called}"
        )));
    }
    if is_region(region) || is_global && region == "globe" {
        Ok(())
    } else {
        Err(Refusal::authentication(
            "the credential scope is of no region of this service",
        ))
    }
}

/// `cn-north-4` and its likes.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let (words, number) = match parts.as_slice() {
        [words @ .., number] if words.len() >= 2 => (words, number),
        _ => return false,
    };
    let is_all =
        |part: &str, good: fn(&u8) -> bool| !part.is_empty() && part.as_bytes().iter().all(good);
    words.iter().all(|it| is_all(it, u8::is_ascii_lowercase)) && is_all(number, u8::is_ascii_digit)
}

fn check_signature(
    parts: &Authorization<'_>,
    request: Request<'_>,
    secret: &Secret,
) -> Result<(), Refusal> {
    let headers = listed(request.headers, parts.signed_headers)?;
    let query = signing::parse_query(request.query);
    let signed = signing::Request {
        scheme: parts.scheme,
        method: request.method,
        path: request.path,
        query: &query,
        headers: &headers,
        payload: request.body,
    };
    // Not in constant time: this is a stand-in, and its keys open nothing.
    if signed.signature(parts.id, secret) == parts.signature {
        Ok(())
    } else {
        let canonical = signed.canonical_request().replace('\n', "|");
        let why = format!("verify aksk signature fail, canonicalRequest:{canonical}");
        Err(Refusal::authentication(why))
    }
}

/// The headers that `SignedHeaders` names, which must be there, sorted and in lower case.
fn listed<'h>(headers: &'h HeaderMap, list: &'h str) -> Result<Vec<(&'h str, &'h str)>, Refusal> {
    let names: Vec<&str> = list.split(';').collect();
    let wrong = |why: &str| Err(Refusal::authentication(why));
    let is_ordered = names.is_sorted_by(|one, next| one < next);
    if !is_ordered || names.iter().any(|name| name.to_ascii_lowercase() != **name) {
        return wrong("SignedHeaders must be sorted, in lower case and each there once");
    }
    let must = |name: &str| headers.contains_key(name);
    let required = [
        ("host", true),
        (DATE_HEADER, true),
        (TOKEN_HEADER, must(TOKEN_HEADER)),
        (CONTENT_HEADER, must(CONTENT_HEADER)),
    ];
    for (name, is_required) in required {
        if is_required && !names.contains(&name) {
            return wrong(&format!("{name} must be signed"));
        }
    }
    let mut listed = Vec::new();
    for name in names {
        match header(headers, name) {
            Some(value) => listed.push((name, value)),
            None => {
                return wrong(&format!(
                    "a signed header is missing: {}",
                    name.escape_debug()
                ));
            }
        }
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::{Scheme, claimed_id, in_scope, is_region, parse};

    #[test]
    fn a_derived_key_is_for_the_called_service_in_some_region() {
        let (sts, iam) = ("/v5/caller-identity", "/v3.0/OS-CREDENTIAL/securitytokens");
        for (region, service, path, is_good) in [
            ("cn-north-4", "sts", sts, true),
            ("ap-southeast-1", "sts", sts, true),
            ("cn-north-4", "iam", iam, true),
            ("globe", "iam", iam, true),
            ("globe", "sts", sts, false),
            ("cn-north-4", "iam", sts, false),
            ("cn-north-4", "sts", iam, false),
            ("cn-north-4", "apic", sts, false),
            ("", "sts", sts, false),
        ] {
            let verdict = in_scope(Scheme::Derived { region, service }, path);
            assert_eq!(verdict.is_ok(), is_good, "{region}/{service} at {path}");
        }
        assert!(in_scope(Scheme::Plain, sts).is_ok());
        for other in [
            "cn-north",
            "cn-4",
            "-north-4",
            "cn-north-x",
            "CN-north-4",
            "globe",
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn both_schemes_are_read() {
        let plain = parse("SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=ab");
        let plain = plain.unwrap();
        assert_eq!(plain.scheme, Scheme::Plain);
        assert_eq!((plain.id, plain.signature), ("AK", "ab"));
        let derived = parse(
            "V11-HMAC-SHA256 Credential=AK/20260102/cn-north-4/sts, SignedHeaders=host, Signature=ab",
        )
        .unwrap();
        let (region, service) = ("cn-north-4", "sts");
        assert_eq!(derived.scheme, Scheme::Derived { region, service });
        assert_eq!(derived.day, Some("20260102"));
        for other in [
            "",
            "Bearer x",
            "SDK-HMAC-SHA256 Access=AK",
            "SDK-HMAC-SHA256 Credential=AK, SignedHeaders=host, Signature=ab",
            "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=ab, More=1",
            "TC3-HMAC-SHA256 Access=AK, SignedHeaders=host, Signature=ab",
            "V11-HMAC-SHA256 Credential=AK/20260102/cn-north-4, SignedHeaders=host, Signature=ab",
            "V11-HMAC-SHA256 Credential=AK/20260102/cn-north-4/sts/x, SignedHeaders=host, Signature=ab",
        ] {
            assert_eq!(claimed_id(other), None, "{other}");
        }
    }
}
