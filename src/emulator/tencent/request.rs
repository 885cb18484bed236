//! The head of a request: method, content type and the common parameters (`X-TC-…`).
//!
//! `X-TC-RequestClient` is not judged: tccli itself breaks the documented pattern with a space.
//!
//! Source: Tencent Cloud API 3.0, "common parameters" and "request structure".

use hyper::header::HeaderMap;

use super::refusal::Refusal;

/// The version of STS that is emulated.
pub(super) const VERSION: &str = "2018-08-13";

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub(in crate::emulator) struct Request<'a> {
    pub(in crate::emulator) method: &'a str,
    pub(in crate::emulator) path: &'a str,
    pub(in crate::emulator) query: &'a str,
    pub(in crate::emulator) headers: &'a HeaderMap,
    pub(in crate::emulator) body: &'a [u8],
}

/// The emulated actions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::emulator) enum Action {
    AssumeRole,
    AssumeRoleWithSaml,
    AssumeRoleWithWebIdentity,
    GetCallerIdentity,
    GetFederationToken,
}

impl Action {
    const ALL: [Self; 5] = [
        Self::AssumeRole,
        Self::AssumeRoleWithSaml,
        Self::AssumeRoleWithWebIdentity,
        Self::GetCallerIdentity,
        Self::GetFederationToken,
    ];

    /// As the wire names it.
    pub(in crate::emulator) fn as_str(self) -> &'static str {
        match self {
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithSaml => "AssumeRoleWithSAML",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::GetFederationToken => "GetFederationToken",
        }
    }

    pub(in crate::emulator) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Whether it is signed; the others carry their proof in the body and the word `SKIP` where
    /// the signature would stand.
    pub(super) fn is_signed(self) -> bool {
        match self {
            Self::AssumeRole | Self::GetCallerIdentity | Self::GetFederationToken => true,
            Self::AssumeRoleWithSaml | Self::AssumeRoleWithWebIdentity => false,
        }
    }
}

/// The common parameters, each present and well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'a> {
    pub(super) action: Action,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) authorization: &'a str,
    pub(super) content_type: &'a str,
    pub(super) host: &'a str,
    pub(super) token: Option<&'a str>,
    /// The body is not covered by the signature, by the client's wish.
    pub(super) unsigned_payload: bool,
}

impl<'a> Common<'a> {
    pub(super) fn read(request: Request<'a>) -> Result<Self, Refusal> {
        let headers = request.headers;
        if request.method != "POST" {
            return Err(Refusal::new(
                "UnsupportedProtocol",
                "only POST with a JSON body is emulated",
            ));
        }
        let content_type = one(headers, "content-type")?.unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::new(
                "InvalidRequest",
                "`Content-Type` must be `application/json`",
            ));
        }
        let name = required(headers, "x-tc-action", "Action")?;
        let action = Action::named(name).ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Refusal::new(
                "InvalidAction",
                format!("The request action=`{shown}` is invalid or doesn't exist."),
            )
        })?;
        if required(headers, "x-tc-version", "Version")? != VERSION {
            return Err(Refusal::new(
                "NoSuchVersion",
                "The request `Version` is invalid or doesn't exist.",
            ));
        }
        let timestamp = decimal(required(headers, "x-tc-timestamp", "Timestamp")?)?;
        if !is_region(required(headers, "x-tc-region", "Region")?) {
            return Err(Refusal::new(
                "UnsupportedRegion",
                "The request does not support this region.",
            ));
        }
        Ok(Self {
            action,
            timestamp,
            authorization: one(headers, "authorization")?.unwrap_or_default(),
            content_type,
            host: one(headers, "host")?.unwrap_or_default(),
            token: one(headers, "x-tc-token")?,
            unsigned_payload: one(headers, "x-tc-content-sha256")? == Some("UNSIGNED-PAYLOAD"),
        })
    }
}

/// A header that may be there once, in printable ASCII.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return Ok(None);
    };
    let text = first.to_str().ok();
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.trim())),
        _ => Err(Refusal::new(
            "InvalidParameter",
            format!("the header `{name}` must be there once, in printable ASCII"),
        )),
    }
}

fn required<'a>(
    headers: &'a HeaderMap,
    header: &'static str,
    parameter: &str,
) -> Result<&'a str, Refusal> {
    one(headers, header)?
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            Refusal::new(
                "MissingParameter",
                format!("The request is missing a required parameter `{parameter}`."),
            )
        })
}

fn decimal(text: &str) -> Result<u64, Refusal> {
    let is_plain = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_plain => Ok(number),
        _ => Err(Refusal::new(
            "InvalidParameter",
            "The value type of parameter `Timestamp` is not valid: it is the unix time in seconds.",
        )),
    }
}

/// `ap-guangzhou`, `na-siliconvalley`, `ap-shanghai-fsi`, … by form: the list itself changes.
fn is_region(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (2..=4).contains(&text.split('-').count()) && text.split('-').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::{decimal, is_region};

    #[test]
    fn regions_are_known_by_their_form() {
        for good in [
            "ap-guangzhou",
            "na-siliconvalley",
            "ap-shanghai-fsi",
            "sa-saopaulo",
        ] {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            "guangzhou",
            "AP-guangzhou",
            "ap-",
            "ap-guang zhou",
            "a-b-c-d-e",
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn a_timestamp_is_plain_decimal() {
        assert_eq!(decimal("1700000000"), Ok(1_700_000_000));
        for bad in [
            "",
            "+1700000000",
            "-5",
            "1.7e9",
            "99999999999999999999",
            "now",
        ] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
    }
}
