//! A set as programs of this cloud print it: what STS, IAM, the user portal or the pod identity
//! answered, passed on as it came.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::{Assumed, SecurityKey};
use crate::clock::BootTime;
use crate::credentials::{Keys, Obtained};
use crate::provider::service::answer::{self, Holds, moment, parse, secret};
use crate::secret::Secret;

/// What the user portal of the Identity Center returns.
#[derive(Debug, Deserialize)]
struct PortalAnswer {
    agency_credentials: PortalKeys,
}

#[derive(Debug, Deserialize)]
struct PortalKeys {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    session_token: Secret,
    /// In seconds since 1970.
    expiration: u64,
}

/// What the pod identity of CCE returns.
#[derive(Debug, Deserialize)]
struct PodIdentity {
    credentials: PodKeys,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodKeys {
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    security_token: Secret,
    expiration: String,
}

impl Holds for PortalAnswer {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        let credentials = self.agency_credentials;
        let since_1970 = Duration::from_secs(credentials.expiration);
        let keys = Keys {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: credentials.session_token,
        };
        Ok((keys, SystemTime::UNIX_EPOCH.checked_add(since_1970)))
    }
}

impl Holds for PodIdentity {
    fn keys(self) -> Result<(Keys, Option<SystemTime>), String> {
        let expires_at = moment(&self.credentials.expiration);
        let keys = Keys {
            access_key_id: self.credentials.access_key_id,
            secret_access_key: self.credentials.secret_access_key,
            session_token: self.credentials.security_token,
        };
        Ok((keys, expires_at))
    }
}

/// Reads what a program printed in one of these shapes; `None` if it has none of them.
pub(in crate::provider) fn printed(
    bytes: &[u8],
    sent_at: BootTime,
) -> Option<Result<Obtained, String>> {
    #[derive(Deserialize)]
    struct Shape {
        credentials: Option<IgnoredAny>,
        credential: Option<IgnoredAny>,
        agency_credentials: Option<IgnoredAny>,
    }
    /// Two shapes have the same wrapper.
    #[derive(Deserialize)]
    struct Pod {
        #[serde(rename = "credentials")]
        _credentials: PodKey,
    }
    #[derive(Deserialize)]
    struct PodKey {
        #[serde(rename = "accessKeyId")]
        _access_key_id: IgnoredAny,
    }
    let shape: Shape = parse(bytes).ok()?;
    if shape.agency_credentials.is_some() {
        Some(answer::printed::<PortalAnswer>(bytes, sent_at))
    } else if shape.credential.is_some() {
        Some(answer::printed::<SecurityKey>(bytes, sent_at))
    } else if parse::<Pod>(bytes).is_ok() {
        Some(answer::printed::<PodIdentity>(bytes, sent_at))
    } else if shape.credentials.is_some() {
        Some(answer::printed::<Assumed>(bytes, sent_at))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSUMED: &str = r#"{"assumed_agency": {"urn": "sts::1:assumed-agency:app/x"},
        "credentials": {"access_key_id": "HSTAx", "secret_access_key": "CANARY-7f3a-key",
        "security_token": "CANARY-7f3a-token", "expiration": "2022-09-07T03:27:51.158Z"}}"#;
    const SECURITY_KEY: &str = r#"{"credential": {"access": "HSTAx", "secret": "CANARY-7f3a-key",
        "securitytoken": "CANARY-7f3a-token", "expires_at": "2022-09-07T03:27:51.158000Z"}}"#;
    const PORTAL: &str = r#"{"agency_credentials": {"access_key_id": "HSTAx",
        "secret_access_key": "CANARY-7f3a-key", "session_token": "CANARY-7f3a-token",
        "expiration": 1662521271}}"#;
    const POD: &str = r#"{"credentials": {"accessKeyId": "HSTAx",
        "secretAccessKey": "CANARY-7f3a-key", "securityToken": "CANARY-7f3a-token",
        "expiration": "2022-09-07T03:27:51.158Z"}, "audience": "x"}"#;

    #[test]
    fn a_program_may_print_any_shape_of_this_cloud() {
        for text in [ASSUMED, SECURITY_KEY, PORTAL, POD] {
            let set = printed(text.as_bytes(), BootTime::default())
                .unwrap()
                .unwrap();
            assert_eq!(set.keys.access_key_id, "HSTAx");
            assert_eq!(set.keys.secret_access_key.expose(), "CANARY-7f3a-key");
            assert_eq!(set.keys.session_token.expose(), "CANARY-7f3a-token");
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_662_521_271);
            assert_eq!(set.expires_at, expected, "{text}");
            let keyless = text.replace("CANARY-7f3a-token", "");
            let read = printed(keyless.as_bytes(), BootTime::default()).unwrap();
            assert!(read.is_err(), "{text}");
        }
        for text in [r#"{"Version": 1}"#, "[]", "not JSON"] {
            assert!(
                printed(text.as_bytes(), BootTime::default()).is_none(),
                "{text}"
            );
        }
    }
}
