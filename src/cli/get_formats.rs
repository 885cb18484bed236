//! The spellings of `credvend get`, made from the daemon's native answer.
//!
//! Where a local protocol has the same shape, its own renderer is used, so that `get` shows
//! what a client would read.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use zeroize::Zeroizing;

use super::args::Format;
use crate::clock::{BootTime, rfc3339_seconds};
use crate::credentials::{Cloud, CredentialSet, Keys};
use crate::formats::{Rendering, aws, env, huawei, native, tencent};
use crate::name::Name;
use crate::secret::Secret;

/// A native answer that was found complete.
#[derive(Debug)]
pub(super) struct Served {
    role: Name,
    cloud: Cloud,
    set: CredentialSet,
    expires_at: SystemTime,
}

/// The answer as it travels. Every member is needed; more may come with later versions.
#[derive(Deserialize)]
struct Native {
    role: String,
    cloud: String,
    access_key_id: String,
    #[serde(deserialize_with = "secret")]
    secret_access_key: Secret,
    #[serde(deserialize_with = "secret")]
    session_token: Secret,
    expires_at: Timestamp,
    issued_at: Timestamp,
    generation: u64,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::from)
}

impl Served {
    /// The body of a native answer, if it is whole; else which part is wrong, without quoting it.
    pub(super) fn parse(body: &[u8], asked_for: &Name) -> Result<Self, &'static str> {
        let native: Native =
            serde_json::from_slice(body).map_err(|_| "not the JSON of credentials")?;
        let role: Name = native.role.parse().map_err(|_| "`role` is no name")?;
        if role != *asked_for {
            return Err("credentials of another role");
        }
        let cloud = Cloud::ALL
            .into_iter()
            .find(|cloud| cloud.as_str() == native.cloud)
            .ok_or("`cloud` is none that is known")?;
        let keys = Keys {
            access_key_id: native.access_key_id,
            secret_access_key: native.secret_access_key,
            session_token: native.session_token,
        };
        if !keys.are_complete() {
            return Err("incomplete credentials");
        }
        if !keys.are_plain() {
            return Err("there are control characters in the credentials");
        }
        Ok(Self {
            role,
            cloud,
            // Boot times are the daemon's own affair, and no renderer looks at them.
            set: CredentialSet {
                keys,
                issued_at: native.issued_at.into(),
                obtained_at: BootTime::default(),
                expires_at: BootTime::default(),
                generation: native.generation,
                etag: String::new(),
            },
            expires_at: native.expires_at.into(),
        })
    }

    /// Whose keys they are.
    pub(super) fn cloud(&self) -> Cloud {
        self.cloud
    }

    /// The expiry that was told.
    pub(super) fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The three parts under the names that the cloud's own tools read.
    pub(super) fn variables(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        let keys = &self.set.keys;
        let names = env::names(self.cloud);
        let parts = [
            (names.ids, keys.access_key_id.as_str()),
            (names.secrets, keys.secret_access_key.expose()),
            (names.tokens, keys.session_token.expose()),
        ];
        let pair = |name: &&'static str, value: &str| (*name, Zeroizing::new(value.to_owned()));
        parts
            .iter()
            .flat_map(|(names, value)| names.iter().map(move |name| pair(name, value)))
            .collect()
    }

    /// The text to print, with a line feed at its end.
    pub(super) fn render(&self, format: Format) -> Zeroizing<Vec<u8>> {
        let rendering = Rendering {
            role: &self.role,
            cloud: self.cloud,
            set: &self.set,
            issued_at: self.set.issued_at,
            shown_expiry: self.expires_at,
        };
        match format {
            Format::Aws => line(aws::container(rendering)),
            Format::Env => line(env::assignments(rendering)),
            Format::Huawei => line(huawei::metadata(rendering)),
            Format::Json => line(native::credentials(rendering)),
            Format::Process => line(self.process()),
            Format::Tencent => line(tencent::metadata(rendering)),
        }
    }

    /// What AWS SDKs and the CLI read from a `credential_process`: `Version` is a number, and
    /// the token is called `SessionToken` here.
    fn process(&self) -> String {
        let keys = &self.set.keys;
        json!({
            "Version": 1,
            "AccessKeyId": keys.access_key_id,
            "SecretAccessKey": keys.secret_access_key.expose(),
            "SessionToken": keys.session_token.expose(),
            "Expiration": rfc3339_seconds(self.expires_at),
        })
        .to_string()
    }
}

/// The text with a line feed at its end.
fn line(text: impl AsRef<[u8]>) -> Zeroizing<Vec<u8>> {
    let text = text.as_ref();
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    bytes.extend_from_slice(text);
    if !text.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(cloud: &str) -> String {
        json!({
            "role": "app", "cloud": cloud, "access_key_id": "AKIDexample",
            "secret_access_key": "s+/=", "session_token": "it's a token",
            "expires_at": "2030-01-02T03:04:05Z", "issued_at": "2030-01-02T01:04:05Z",
            "generation": 7, "a later version": "adds this",
        })
        .to_string()
    }

    fn served(cloud: &str) -> Served {
        Served::parse(body(cloud).as_bytes(), &"app".parse().unwrap()).unwrap()
    }

    fn rendered(cloud: &str, format: Format) -> serde_json::Value {
        serde_json::from_slice(&served(cloud).render(format)).unwrap()
    }

    #[test]
    fn every_json_spelling_is_its_readers_own() {
        assert_eq!(
            rendered("tencent", Format::Process),
            json!({
                "Version": 1, "AccessKeyId": "AKIDexample", "SecretAccessKey": "s+/=",
                "SessionToken": "it's a token", "Expiration": "2030-01-02T03:04:05Z",
            })
        );
        assert_eq!(
            rendered("huawei", Format::Huawei),
            json!({"credential": {
                "access": "AKIDexample", "secret": "s+/=", "securitytoken": "it's a token",
                "expires_at": "2030-01-02T03:04:05.000000Z",
            }})
        );
        assert_eq!(
            rendered("tencent", Format::Tencent),
            json!({
                "TmpSecretId": "AKIDexample", "TmpSecretKey": "s+/=", "Token": "it's a token",
                "ExpiredTime": 1_893_553_445, "Expiration": "2030-01-02T03:04:05Z",
                "Code": "Success",
            })
        );
        assert_eq!(
            rendered("tencent", Format::Aws)["Token"],
            json!("it's a token")
        );
        let mut native: serde_json::Value = serde_json::from_str(&body("tencent")).unwrap();
        native.as_object_mut().unwrap().remove("a later version");
        assert_eq!(rendered("tencent", Format::Json), native);
    }

    #[test]
    fn assignments_mean_the_same_to_a_shell() {
        let shell = |cloud| String::from_utf8(served(cloud).render(Format::Env).to_vec()).unwrap();
        let text = shell("tencent");
        assert!(text.contains("\nTENCENTCLOUD_SECRET_ID=AKIDexample\n"));
        assert!(text.contains("\nTENCENTCLOUD_SECRET_KEY=s+/=\n"));
        assert!(text.ends_with("\nAWS_SESSION_TOKEN='it'\\''s a token'\n"));
        assert!(shell("huawei").contains("\nHUAWEICLOUD_SDK_AK=AKIDexample\n"));
    }

    #[test]
    fn whatever_is_not_whole_is_refused_without_repeating_it() {
        let name: Name = "app".parse().unwrap();
        let whole: serde_json::Value = serde_json::from_str(&body("tencent")).unwrap();
        for key in whole.as_object().unwrap().keys() {
            if key == "a later version" {
                continue;
            }
            let mut cut = whole.clone();
            cut.as_object_mut().unwrap().remove(key);
            assert!(
                Served::parse(cut.to_string().as_bytes(), &name).is_err(),
                "{key}"
            );
            cut[key] = json!("");
            assert!(
                Served::parse(cut.to_string().as_bytes(), &name).is_err(),
                "{key}"
            );
        }
        let other: Name = "other".parse().unwrap();
        assert!(Served::parse(body("tencent").as_bytes(), &other).is_err());
        assert!(!format!("{:?}", served("tencent")).contains("s+/="));
    }
}
