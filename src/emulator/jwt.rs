//! OIDC tokens: a JWT whose signature and claims are held against the provider's settings.
//!
//! Only HS256 with the provider's own key; see [`crate::emulator::world::OidcProvider`] for why.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use serde::Deserialize;

use crate::emulator::world::OidcProvider;

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    nbf: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flaw {
    Audience,
    Expired,
    Other(&'static str),
}

impl Flaw {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Audience => "it is for another audience",
            Self::Expired => "Expired token",
            Self::Other(why) => why,
        }
    }
}

/// Whom a good token is about.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Identified {
    pub(super) subject: String,
    /// The one of its audiences that the provider knows.
    pub(super) audience: String,
}

/// Checks a token at `now` (seconds since 1970).
pub(super) fn check(provider: &OidcProvider, token: &str, now: u64) -> Result<Identified, Flaw> {
    let refused = Flaw::Other;
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| refused("not a JWT"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| refused("not a JWT"))?;
    let header: Header = part(header).ok_or_else(|| refused("its header is not readable"))?;
    if header.alg != "HS256" {
        return Err(refused("its algorithm is not HS256"));
    }
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| refused("its signature is not readable"))?;
    provider
        .mac(signed)
        .verify_slice(&signature)
        .map_err(|_| refused("its signature does not hold"))?;
    let claims: Claims = part(claims).ok_or_else(|| {
        refused("it must have the claims iss, sub, aud (text) and exp (a number)")
    })?;
    let audiences = match &claims.aud {
        Audience::One(one) => std::slice::from_ref(one),
        Audience::Several(several) => several,
    };
    if claims.exp <= now {
        return Err(Flaw::Expired);
    }
    if claims.nbf.is_some_and(|from| from > now) {
        return Err(refused("it is not valid yet"));
    }
    if claims.iss != provider.issuer {
        return Err(refused("it is of another issuer"));
    }
    let known = audiences.iter().find(|it| provider.audiences.contains(it));
    let audience = known.cloned().ok_or(Flaw::Audience)?;
    if !provider.subjects.is_empty() && !provider.subjects.contains(&claims.sub) {
        return Err(refused("it is for another subject"));
    }
    Ok(Identified {
        subject: claims.sub,
        audience,
    })
}

fn part<T: for<'de> Deserialize<'de>>(encoded: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Flaw, OidcProvider, check};

    #[test]
    fn each_claim_counts() {
        let mut provider = OidcProvider::new("100000000001", "example-oidc").unwrap();
        provider.subjects = vec!["system:serviceaccount:app:app".to_owned()];
        let good = json!({
            "iss": "https://example-oidc.example", "aud": ["other", "sts.cloud.tencent.com"],
            "sub": "system:serviceaccount:app:app", "exp": 2_000, "nbf": 900,
        });
        let identified = check(&provider, &provider.sign(&good), 1_000).unwrap();
        assert_eq!(identified.subject, "system:serviceaccount:app:app");
        assert_eq!(identified.audience, "sts.cloud.tencent.com");
        for (claim, value, why) in [
            ("exp", json!(1_000), "Expired token"),
            ("exp", json!("2000"), "must have the claims"),
            ("nbf", json!(1_001), "not valid yet"),
            ("iss", json!("https://other.example"), "another issuer"),
            ("aud", json!("other"), "another audience"),
            ("aud", json!(null), "must have the claims"),
            (
                "sub",
                json!("system:serviceaccount:app:other"),
                "another subject",
            ),
        ] {
            let mut claims = good.clone();
            claims[claim] = value;
            let flaw = check(&provider, &provider.sign(&claims), 1_000).unwrap_err();
            assert!(flaw.why().contains(why), "{claim}: {flaw:?}");
        }
    }

    #[test]
    fn a_token_of_another_key_or_without_one_is_refused() {
        let provider = OidcProvider::new("100000000001", "example-oidc").unwrap();
        let twin = OidcProvider::new("100000000001", "example-oidc").unwrap();
        let lifetime = std::time::Duration::from_mins(1);
        let good = provider.token("someone", 1_000, lifetime);
        assert_eq!(check(&provider, &good, 1_000).unwrap().subject, "someone");
        let (_, claims_and_signature) = good.split_once('.').unwrap();
        for bad in [
            twin.token("someone", 1_000, lifetime),
            String::new(),
            "a.b".to_owned(),
            "a.b.c".to_owned(),
            format!("{good}x"),
            format!("eyJhbGciOiJub25lIn0.{claims_and_signature}"), // {"alg":"none"}
        ] {
            let flaw = check(&provider, &bad, 1_000).unwrap_err();
            assert!(matches!(flaw, Flaw::Other(_)), "{bad}: {flaw:?}");
        }
    }
}
