//! TC3-HMAC-SHA256, a pure function of its input; the emulator checks with the same one.
//!
//! Source: Tencent Cloud API 3.0 "signature v3", held to vectors made with the official SDKs.

use crate::mac::{hex, keyed, sha256_hex};
use crate::secret::Secret;

/// The algorithm's name, first word of the header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// What is signed. `content_type` and `host` must be sent exactly as given here, and `payload`
/// must be the very bytes of the body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: &'a str,
    pub content_type: &'a str,
    pub host: &'a str,
    pub service: &'a str,
    /// Seconds since 1970; also decides the date of the scope.
    pub timestamp: u64,
    pub payload: &'a [u8],
}

impl Request<'_> {
    /// Step 1. Only the two mandatory headers are signed, as every official SDK does.
    #[must_use]
    pub fn canonical_request(&self) -> String {
        format!(
            "{}\n{}\n{}\ncontent-type:{}\nhost:{}\n\ncontent-type;host\n{}",
            self.method,
            self.path,
            self.query,
            self.content_type,
            self.host,
            sha256_hex(self.payload),
        )
    }

    /// `DATE/SERVICE/tc3_request`, the date in UTC.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{}/{}/tc3_request", self.date(), self.service)
    }

    /// Step 2.
    #[must_use]
    pub fn string_to_sign(&self) -> String {
        self.string_to_sign_for(&self.canonical_request())
    }

    /// Steps 3 and 4: the signature in lower-case hex.
    #[must_use]
    pub fn signature(&self, secret_key: &Secret) -> String {
        self.signature_for(&self.canonical_request(), secret_key)
    }

    /// The same for a canonical request made elsewhere, for who checks requests that sign more
    /// headers than ours. Only service and timestamp of `self` are used.
    #[must_use]
    pub fn signature_for(&self, canonical_request: &str, secret_key: &Secret) -> String {
        let mut first = zeroize::Zeroizing::new(String::from("TC3"));
        first.push_str(secret_key.expose());
        let date = keyed(first.as_bytes(), self.date().as_bytes());
        let service = keyed(&*date, self.service.as_bytes());
        let signing = keyed(&*service, b"tc3_request");
        let text = self.string_to_sign_for(canonical_request);
        hex(&*keyed(&*signing, text.as_bytes()))
    }

    /// The whole `Authorization` header.
    #[must_use]
    pub fn authorization(&self, secret_id: &str, secret_key: &Secret) -> String {
        format!(
            "{ALGORITHM} Credential={secret_id}/{}, SignedHeaders=content-type;host, Signature={}",
            self.scope(),
            self.signature(secret_key),
        )
    }

    fn string_to_sign_for(&self, canonical_request: &str) -> String {
        format!(
            "{ALGORITHM}\n{}\n{}\n{}",
            self.timestamp,
            self.scope(),
            sha256_hex(canonical_request.as_bytes()),
        )
    }

    fn date(&self) -> String {
        let seconds = i64::try_from(self.timestamp).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds)
            .unwrap_or(jiff::Timestamp::MAX)
            .strftime("%Y-%m-%d")
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::Request;
    use crate::secret::Secret;

    #[test]
    fn every_vector_of_the_official_sdks_is_reproduced() {
        let vectors: Value = serde_json::from_str(include_str!(
            "../../../tests/it/fixtures/tencent/tc3-signing.json"
        ))
        .unwrap();
        let signed = vectors["signed"].as_array().unwrap();
        assert_eq!(signed.len(), 5);
        for vector in signed {
            let text = |part: &str, key: &str| vector[part][key].as_str().unwrap();
            let request = Request {
                method: text("input", "method"),
                path: text("input", "path"),
                query: text("input", "query"),
                content_type: text("input", "content_type"),
                host: text("input", "host"),
                service: text("input", "service"),
                timestamp: vector["input"]["timestamp"].as_u64().unwrap(),
                payload: text("input", "payload").as_bytes(),
            };
            let name = vector["name"].as_str().unwrap();
            let secret = Secret::from(text("input", "secret_key"));
            let expected = |key: &str| text("expected", key);
            assert_eq!(
                request.canonical_request(),
                expected("canonical_request"),
                "{name}"
            );
            assert_eq!(
                request.string_to_sign(),
                expected("string_to_sign"),
                "{name}"
            );
            assert_eq!(request.signature(&secret), expected("signature"), "{name}");
            assert_eq!(
                request.authorization(text("input", "secret_id"), &secret),
                expected("authorization"),
                "{name}"
            );
        }
    }
}
