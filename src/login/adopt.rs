//! A session that `tccli sso login` left in its profile file, used as it is and never written.
//!
//! Source: `tccli` 3.1.165, `plugins/sso`: the file is JSON with `type` `sso` and an object
//! `sso` that holds the token; the end in it is what the tool assumes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::config::model::Site;
use crate::provider::session::Session;
use crate::secret::{Secret, SecretRef, SecretSource};
use crate::stamp::Stamp;

/// The profile file of one login.
#[derive(Debug)]
pub(super) struct Profile {
    path: PathBuf,
    site: Site,
    source: SecretSource,
}

#[derive(Deserialize)]
struct Credential {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    sso: Option<Sso>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sso {
    token: String,
    #[serde(default)]
    zone_id: Option<String>,
    site: String,
    #[serde(default)]
    expires_at: Option<u64>,
}

impl Profile {
    pub(super) fn new(path: &Path, site: Site) -> Self {
        Self {
            path: path.to_owned(),
            site,
            source: SecretSource::new(SecretRef::File(path.to_owned())),
        }
    }

    /// The version of the file now.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    /// The session in it. `now` is taken for the time of signing in, which the file lacks.
    ///
    /// # Errors
    /// A sentence on why there is none; nothing of the content is in it.
    pub(super) fn read(&self, now: SystemTime) -> Result<Session, String> {
        let shown = self.path.display();
        let text = self.source.read().map_err(|error| error.to_string())?;
        let credential: Credential = serde_json::from_str(text.expose())
            .map_err(|_| format!("`{shown}` is not a profile of tccli"))?;
        let sso = credential
            .sso
            .filter(|_| credential.kind.as_deref() == Some("sso"))
            .ok_or_else(|| format!("`{shown}` holds no session of `tccli sso login`"))?;
        let token = Secret::from(sso.token);
        if sso.site != self.site.as_str() {
            return Err(format!("the session in `{shown}` is of another site"));
        }
        if token.is_empty() {
            return Err(format!("the session in `{shown}` has no token"));
        }
        let ends_at = sso
            .expires_at
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .unwrap_or(now);
        Ok(Session {
            token,
            refresh_token: None,
            zone: sso.zone_id.filter(|zone| !zone.is_empty()),
            signed_in_at: now,
            ends_at,
            end_is_estimate: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Profile, Site, SystemTime};

    fn read(directory: &Path, text: &str) -> Result<super::Session, String> {
        let path = directory.join("default.credential");
        std::fs::write(&path, text).unwrap();
        Profile::new(&path, Site::Cn).read(SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_session_of_the_tool_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let whole = r#"{"type": "sso", "secretId": "AKID", "expiresAt": 9, "sso": {"token": "CANARY",
            "uin": "100000000001", "zoneId": "z-1", "site": "cn", "authUrl": "https://a.example",
            "roleConfigurationId": "r", "roleConfigurationName": "n", "expiresAt": 1700000000}}"#;
        let session = read(dir.path(), whole).unwrap();
        assert_eq!(session.token.expose(), "CANARY");
        assert_eq!(session.zone.as_deref(), Some("z-1"));
        assert!(session.end_is_estimate);
        for (text, part) in [
            (whole.replace("\"cn\"", "\"intl\""), "another site"),
            (
                whole.replace("\"type\": \"sso\"", "\"type\": \"oauth\""),
                "holds no session",
            ),
            (whole.replace("CANARY", ""), "has no token"),
            ("CANARY".to_owned(), "not a profile"),
        ] {
            let error = read(dir.path(), &text).unwrap_err();
            assert!(error.contains(part) && !error.contains("CANARY"), "{error}");
        }
    }
}
