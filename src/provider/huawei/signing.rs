//! SDK-HMAC-SHA256 and its derived relative V11-HMAC-SHA256, pure functions of their input; the
//! emulator checks with the same ones.
//!
//! Source: the signer of the official Python SDK core 3.1.219, held to vectors made with it. Our
//! own calls use the first scheme only; the second is there for clients of the emulator, since
//! official SDKs choose it for hosts that are not the cloud's own.

use percent_encoding::percent_decode_str;

use crate::mac::{hex, keyed, sha256_hex};
use crate::provider::service::request::url_encoded;
use crate::secret::Secret;

/// The header with the time, `YYYYMMDDTHHMMSSZ`.
pub const DATE_HEADER: &str = "x-sdk-date";
/// Stands in for the hash of the body, if it is there.
pub const CONTENT_HEADER: &str = "x-sdk-content-sha256";
/// The token of temporary keys; signed like every other header.
pub const TOKEN_HEADER: &str = "x-security-token";

/// How the key is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme<'a> {
    /// SDK-HMAC-SHA256: the secret key itself.
    Plain,
    /// V11-HMAC-SHA256: a key derived for one day, region and service.
    Derived { region: &'a str, service: &'a str },
}

impl Scheme<'_> {
    /// The first word of the header.
    #[must_use]
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Plain => "SDK-HMAC-SHA256",
            Self::Derived { .. } => "V11-HMAC-SHA256",
        }
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub scheme: Scheme<'a>,
    pub method: &'a str,
    /// As sent; escapes are understood.
    pub path: &'a str,
    /// Names and values in the clear, in any order.
    pub query: &'a [(String, String)],
    /// Every header to be signed, names in any case and order. `host` and [`DATE_HEADER`] must
    /// be among them, with the very text that is sent.
    pub headers: &'a [(&'a str, &'a str)],
    /// The very bytes of the body.
    pub payload: &'a [u8],
}

impl Request<'_> {
    /// The names of the signed headers, as in the header and in the canonical request.
    #[must_use]
    pub fn signed_headers(&self) -> String {
        let names: Vec<String> = self.sorted_headers().into_iter().map(|(n, _)| n).collect();
        names.join(";")
    }

    /// Step 1.
    #[must_use]
    pub fn canonical_request(&self) -> String {
        let mut headers = String::new();
        for (name, value) in self.sorted_headers() {
            headers.extend([&name, ":", value, "\n"]);
        }
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            self.method.to_ascii_uppercase(),
            canonical_path(self.path),
            canonical_query(self.query),
            self.signed_headers(),
            self.payload_hash(),
        )
    }

    /// Step 2.
    #[must_use]
    pub fn string_to_sign(&self) -> String {
        let scope = match self.scheme {
            Scheme::Plain => String::new(),
            Scheme::Derived { region, service } => format!("{}\n", self.scope(region, service)),
        };
        format!(
            "{}\n{}\n{scope}{}",
            self.scheme.algorithm(),
            self.date(),
            sha256_hex(self.canonical_request().as_bytes()),
        )
    }

    /// Step 3: the signature in lower-case hex.
    #[must_use]
    pub fn signature(&self, access_key_id: &str, secret_key: &Secret) -> String {
        let text = self.string_to_sign();
        let mac = match self.scheme {
            Scheme::Plain => keyed(secret_key.expose().as_bytes(), text.as_bytes()),
            Scheme::Derived { region, service } => {
                let scope = self.scope(region, service);
                let key = derived_key(access_key_id, secret_key, &scope);
                keyed(key.as_bytes(), text.as_bytes())
            }
        };
        hex(&*mac)
    }

    /// The whole `Authorization` header.
    #[must_use]
    pub fn authorization(&self, access_key_id: &str, secret_key: &Secret) -> String {
        let who = match self.scheme {
            Scheme::Plain => format!("Access={access_key_id}"),
            Scheme::Derived { region, service } => {
                format!("Credential={access_key_id}/{}", self.scope(region, service))
            }
        };
        format!(
            "{} {who}, SignedHeaders={}, Signature={}",
            self.scheme.algorithm(),
            self.signed_headers(),
            self.signature(access_key_id, secret_key),
        )
    }

    /// Names with an underscore are never signed: gateways on the way may drop such headers.
    fn sorted_headers(&self) -> Vec<(String, &str)> {
        let mut headers: Vec<(String, &str)> = self
            .headers
            .iter()
            .filter(|(name, _)| !name.contains('_'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        headers.sort_unstable();
        headers
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(its, _)| its.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    fn date(&self) -> &str {
        self.header(DATE_HEADER).unwrap_or_default()
    }

    fn scope(&self, region: &str, service: &str) -> String {
        let day = self.date().split('T').next().unwrap_or_default();
        format!("{day}/{region}/{service}")
    }

    /// The official signer hashes an empty body whatever [`CONTENT_HEADER`] says.
    fn payload_hash(&self) -> String {
        match self.header(CONTENT_HEADER) {
            Some(given) if !self.payload.is_empty() => given.to_owned(),
            Some(_) | None => sha256_hex(self.payload),
        }
    }
}

/// `YYYYMMDDTHHMMSSZ`, the text of [`DATE_HEADER`]; `timestamp` in seconds since 1970.
#[must_use]
pub fn date_text(timestamp: u64) -> String {
    let seconds = i64::try_from(timestamp).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::MAX)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

/// The pairs of a query as it was sent. No `+` for a space: the official signers escape it.
#[must_use]
pub fn parse_query(query: &str) -> Vec<(String, String)> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Decoded as a whole, then escaped part by part, and with a slash at the end: `%2F` therefore
/// separates parts like any other slash.
fn canonical_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut canonical = decoded
        .split('/')
        .map(url_encoded)
        .collect::<Vec<_>>()
        .join("/");
    if !canonical.ends_with('/') {
        canonical.push('/');
    }
    canonical
}

/// Sorted in the clear, by name and then by value.
fn canonical_query(pairs: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort_unstable();
    let escaped: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", url_encoded(name), url_encoded(value)))
        .collect();
    escaped.join("&")
}

/// HKDF-SHA256 (RFC 5869) of one block; what signs is its hexadecimal *text*.
fn derived_key(
    access_key_id: &str,
    secret_key: &Secret,
    scope: &str,
) -> zeroize::Zeroizing<String> {
    let extracted = keyed(access_key_id.as_bytes(), secret_key.expose().as_bytes());
    let expanded = keyed(&*extracted, &[scope.as_bytes(), &[1]].concat());
    zeroize::Zeroizing::new(hex(&*expanded))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{
        Request, Scheme, canonical_path, canonical_query, date_text, derived_key, parse_query,
    };
    use crate::mac::sha256_hex;
    use crate::secret::Secret;

    fn vectors() -> Vec<Value> {
        let file: Value = serde_json::from_str(include_str!(
            "../../../tests/it/fixtures/huawei/huawei-signing.json"
        ))
        .unwrap();
        file["vectors"].as_array().unwrap().clone()
    }

    /// Lists become repeated pairs, booleans and numbers their text.
    fn pairs(query: &Value) -> Vec<(String, String)> {
        let text = |value: &Value| {
            let plain = value.as_str().map(str::to_owned);
            plain.unwrap_or_else(|| value.to_string())
        };
        let mut pairs = Vec::new();
        for pair in query.as_array().unwrap() {
            let values = pair[1]
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![pair[1].clone()]);
            pairs.extend(values.iter().map(|value| (text(&pair[0]), text(value))));
        }
        pairs
    }

    fn headers(vector: &Value) -> Vec<(&str, &str)> {
        let members = [&vector["headers_in"], &vector["expected"]["headers_added"]];
        members
            .into_iter()
            .flat_map(|part| part.as_object().unwrap())
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect()
    }

    #[test]
    fn every_vector_of_the_official_sdk_is_reproduced() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 5);
        for vector in &vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let expected = |key: &str| vector["expected"][key].as_str().unwrap();
            let scheme = match text("algorithm") {
                "SDK-HMAC-SHA256" => Scheme::Plain,
                "V11-HMAC-SHA256" => Scheme::Derived {
                    region: text("region_id"),
                    service: text("derived_auth_service_name"),
                },
                other => panic!("{other}"),
            };
            let (query, headers) = (pairs(&vector["query"]), headers(vector));
            let request = Request {
                scheme,
                method: text("method"),
                path: text("uri"),
                query: &query,
                headers: &headers,
                payload: text("payload").as_bytes(),
            };
            let name = text("name");
            let secret = Secret::from(text("sk"));
            let canonical = request.canonical_request();
            assert_eq!(canonical, expected("canonical_request"), "{name}");
            assert_eq!(
                sha256_hex(canonical.as_bytes()),
                expected("canonical_request_sha256"),
                "{name}"
            );
            let to_sign = request.string_to_sign();
            assert_eq!(to_sign, expected("string_to_sign"), "{name}");
            assert_eq!(
                request.authorization(text("ak"), &secret),
                expected("Authorization"),
                "{name}"
            );
            if let Scheme::Derived { region, service } = scheme {
                let key = derived_key(text("ak"), &secret, &request.scope(region, service));
                assert_eq!(*key, expected("derived_key_hex"));
            }
        }
    }

    /// The far end sees escaped text only, and must come to the same signature.
    #[test]
    fn a_query_survives_the_wire() {
        for vector in vectors() {
            let sent = vector["expected"]["request_uri"].as_str().unwrap();
            let (_, query) = sent.split_once('?').unwrap_or((sent, ""));
            let given = canonical_query(&pairs(&vector["query"]));
            assert_eq!(canonical_query(&parse_query(query)), given, "{sent}");
        }
    }

    /// Each row was computed by the official Python signer.
    #[test]
    fn paths_are_escaped_once_however_they_come() {
        for (path, canonical) in [
            ("/", "/"),
            ("/v5/caller-identity", "/v5/caller-identity/"),
            ("/a//b", "/a//b/"),
            ("/a%2Fb", "/a/b/"),
            ("/a%252Fb", "/a%252Fb/"),
            ("/a+b", "/a%2Bb/"),
            ("/a%zz", "/a%25zz/"),
            ("/%ff", "/%EF%BF%BD/"),
            ("/-_.~!*'()", "/-_.~%21%2A%27%28%29/"),
        ] {
            assert_eq!(canonical_path(path), canonical, "{path}");
        }
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn queries_are_sorted_in_the_clear() {
        for (sent, canonical) in [
            ("", ""),
            ("b&a", "a=&b="),
            ("a=2&a=1&A=3", "A=3&a=1&a=2"),
            ("a=b=c", "a=b%3Dc"),
            ("a+b=c+d", "a%2Bb=c%2Bd"),
            ("%7E=%7e&&x=%2A", "x=%2A&~=~"),
        ] {
            assert_eq!(canonical_query(&parse_query(sent)), canonical, "{sent}");
        }
    }

    #[test]
    fn the_date_is_in_utc() {
        assert_eq!(date_text(1_767_323_045), "20260102T030405Z");
        assert_eq!(date_text(0), "19700101T000000Z");
    }
}
