//! What is kept of a login, as text: its session, and the client we registered as.
//!
//! Reads a file that may have been torn or written by somebody else, so: never panics, never
//! quotes what it found.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::clock::unix_seconds;
use crate::provider::identity_center::Registration;
use crate::provider::session::Session;
use crate::secret::{Secret, WipedBuffer};

const VERSION: u32 = 1;

/// What was kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) session: Option<Session>,
    pub(super) client: Option<Registration>,
    /// People were told that the session ends soon.
    pub(super) warned: bool,
}

/// Why a document is of no use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Useless {
    #[error("it belongs to another portal")]
    Foreign,
    #[error("it is torn, or was not written by credvend")]
    Torn,
    #[error("it was written by another version of credvend")]
    Version,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    portal: &'a str,
    session: Option<WrittenSession<'a>>,
    client: Option<WrittenClient<'a>>,
}

#[derive(Serialize)]
struct WrittenSession<'a> {
    token: &'a str,
    refresh_token: Option<&'a str>,
    zone: Option<&'a str>,
    signed_in_at: u64,
    ends_at: u64,
    end_is_estimate: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    warned: bool,
}

#[derive(Serialize)]
struct WrittenClient<'a> {
    id: &'a str,
    secret: &'a str,
    expires_at: u64,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "version")]
    _version: u32,
    portal: String,
    session: Option<ReadSession>,
    client: Option<ReadClient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadSession {
    token: Hidden,
    refresh_token: Option<Hidden>,
    zone: Option<String>,
    signed_in_at: u64,
    ends_at: u64,
    end_is_estimate: bool,
    #[serde(default)]
    warned: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadClient {
    id: String,
    secret: Hidden,
    expires_at: u64,
}

/// Text on its way to a [`Secret`]; wiped if something after it is wrong.
#[derive(Deserialize)]
#[serde(transparent)]
struct Hidden(String);

impl Hidden {
    fn into_secret(mut self) -> Secret {
        Secret::from(std::mem::take(&mut self.0))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The text to keep.
pub(super) fn write(
    portal: &str,
    session: Option<&Session>,
    client: Option<&Registration>,
    warned: bool,
) -> WipedBuffer {
    let document = Written {
        version: VERSION,
        portal,
        session: session.map(|it| WrittenSession {
            token: it.token.expose(),
            refresh_token: it.refresh_token.as_ref().map(Secret::expose),
            zone: it.zone.as_deref(),
            signed_in_at: unix_seconds(it.signed_in_at),
            ends_at: unix_seconds(it.ends_at),
            end_is_estimate: it.end_is_estimate,
            warned,
        }),
        client: client.map(|it| WrittenClient {
            id: &it.id,
            secret: it.secret.expose(),
            expires_at: unix_seconds(it.expires_at),
        }),
    };
    let mut text = WipedBuffer::default();
    serde_json::to_writer(&mut text, &document)
        .expect("the document is text and numbers, and the buffer takes everything");
    text
}

/// What a kept text says about the login with this portal.
pub(super) fn read(text: &[u8], portal: &str) -> Result<Kept, Useless> {
    let Versioned { version } = serde_json::from_slice(text).map_err(|_| Useless::Torn)?;
    if version != VERSION {
        return Err(Useless::Version);
    }
    let read: Read = serde_json::from_slice(text).map_err(|_| Useless::Torn)?;
    if read.portal != portal {
        return Err(Useless::Foreign);
    }
    let warned = read.session.as_ref().is_some_and(|it| it.warned);
    let session = match read.session {
        Some(it) => Some(Session {
            token: it.token.into_secret(),
            refresh_token: it.refresh_token.map(Hidden::into_secret),
            zone: it.zone,
            signed_in_at: moment(it.signed_in_at)?,
            ends_at: moment(it.ends_at)?,
            end_is_estimate: it.end_is_estimate,
        }),
        None => None,
    };
    let client = match read.client {
        Some(it) => Some(Registration {
            id: it.id,
            secret: it.secret.into_secret(),
            expires_at: moment(it.expires_at)?,
        }),
        None => None,
    };
    Ok(Kept {
        session,
        client,
        warned,
    })
}

fn moment(seconds: u64) -> Result<SystemTime, Useless> {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .ok_or(Useless::Torn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        moment(seconds).unwrap()
    }

    fn written() -> WipedBuffer {
        let session = Session {
            token: Secret::from("CANARY-token"),
            refresh_token: Some(Secret::from("CANARY-refresh")),
            zone: Some("z-1".into()),
            signed_in_at: at(1_000),
            ends_at: at(2_000),
            end_is_estimate: true,
        };
        let client = Registration {
            id: "client".into(),
            secret: Secret::from("CANARY-client"),
            expires_at: at(3_000),
        };
        write("portal", Some(&session), Some(&client), true)
    }

    #[test]
    fn what_is_written_is_read() {
        let kept = read(written().as_ref(), "portal").unwrap();
        let session = kept.session.unwrap();
        assert_eq!(session.token.expose(), "CANARY-token");
        assert_eq!(session.refresh_token.unwrap().expose(), "CANARY-refresh");
        assert_eq!(session.zone.as_deref(), Some("z-1"));
        assert_eq!(
            (session.signed_in_at, session.ends_at),
            (at(1_000), at(2_000))
        );
        assert!(session.end_is_estimate);
        let client = kept.client.unwrap();
        assert_eq!(
            (client.id.as_str(), client.expires_at),
            ("client", at(3_000))
        );
        assert_eq!(client.secret.expose(), "CANARY-client");
    }

    #[test]
    fn a_document_of_before_there_were_warnings_in_it_is_read() {
        let text = String::from_utf8(written().as_ref().to_vec()).unwrap();
        let kept = read(text.as_bytes(), "portal").unwrap();
        assert!(kept.warned && text.contains(r#","warned":true"#), "{text}");
        let older = text.replace(r#","warned":true"#, "");
        assert!(!read(older.as_bytes(), "portal").unwrap().warned);
    }

    #[test]
    fn nothing_torn_or_foreign_is_believed() {
        let whole = written();
        let whole = whole.as_ref();
        for cut in 0..whole.len() {
            assert_eq!(
                read(&whole[..cut], "portal").unwrap_err(),
                Useless::Torn,
                "{cut}"
            );
        }
        assert_eq!(read(whole, "another").unwrap_err(), Useless::Foreign);
        let newer = String::from_utf8(whole.to_vec())
            .unwrap()
            .replace("\"version\":1", "\"version\":2");
        assert_eq!(
            read(newer.as_bytes(), "portal").unwrap_err(),
            Useless::Version
        );
    }
}
