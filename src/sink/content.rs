//! What is to be in a sink's file: from what is in it now, and the newest set. Pure.

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use super::ini::{self, Setting};
use crate::config::model::{Sink, SinkKind};
use crate::formats::{Body, Rendering, env, native};

/// Why a file is not touched: it is not what its readers expect.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContentError {
    #[error("it holds something that is no JSON object; move it away, or name another `path`")]
    NotJson,
    #[error("it holds something that is no text; move it away, or name another `path`")]
    NotText,
    #[error("a part of the credentials holds a line break, which this file cannot")]
    LineBreak,
}

/// What is to be in the file of `sink`; `None`: there is to be no file. Without `set` the
/// credentials are to be taken out.
///
/// # Errors
/// The file is not what it should be, and better left alone.
pub fn content(
    sink: &Sink,
    current: Option<&[u8]>,
    set: Option<Rendering<'_>>,
) -> Result<Option<Body>, ContentError> {
    match sink.kind {
        SinkKind::EnvFile => Ok(set.map(env::assignments)),
        SinkKind::Json => Ok(set.map(|set| {
            let mut body = native::credentials(set);
            body.push(b'\n');
            body
        })),
        SinkKind::TccliProfile => tccli(current, set),
        SinkKind::AwsCredentials => {
            let names = [
                "aws_access_key_id",
                "aws_secret_access_key",
                "aws_session_token",
            ];
            sections(sink, current, set, names)
        }
        SinkKind::HuaweiCredentials => sections(sink, current, set, ["ak", "sk", "security_token"]),
    }
}

fn sections(
    sink: &Sink,
    current: Option<&[u8]>,
    set: Option<Rendering<'_>>,
    [id, secret, token]: [&str; 3],
) -> Result<Option<Body>, ContentError> {
    let text = str::from_utf8(current.unwrap_or_default()).map_err(|_| ContentError::NotText)?;
    let keys = set.map(|set| &set.set.keys);
    let settings: [Setting<'_>; 3] = [
        (id, keys.map(|keys| keys.access_key_id.as_str())),
        (secret, keys.map(|keys| keys.secret_access_key.expose())),
        (token, keys.map(|keys| keys.session_token.expose())),
    ];
    let breaks = |(_, value): &Setting<'_>| value.is_some_and(|it| it.contains(['\n', '\r']));
    if settings.iter().any(breaks) {
        return Err(ContentError::LineBreak);
    }
    let section = sink.profile.as_deref().unwrap_or("default");
    let mut text = ini::set(text, section, &settings);
    let is_empty = text.trim().is_empty();
    let bytes = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
    Ok((!is_empty).then_some(bytes))
}

/// Members that would make tccli refresh by itself, and replace what we wrote.
const ITS_OWN_LOGINS: [&str; 4] = ["type", "sso", "oauth", "expiresAt"];

/// tccli reads `secretId`, `secretKey` and `token` at every command, whatever else there is.
fn tccli(current: Option<&[u8]>, set: Option<Rendering<'_>>) -> Result<Option<Body>, ContentError> {
    let current = current.unwrap_or_default();
    let mut others: Map<String, Value> = if current.trim_ascii().is_empty() {
        Map::new()
    } else {
        serde_json::from_slice(current).map_err(|_| ContentError::NotJson)?
    };
    let ours = ["secretId", "secretKey", "token"];
    for key in ours.into_iter().chain(ITS_OWN_LOGINS) {
        wipe(others.remove(key));
    }
    let keys = set.map(|set| &set.set.keys);
    if keys.is_none() && others.is_empty() {
        return Ok(None);
    }
    let values = keys.into_iter().flat_map(|keys| {
        [
            keys.access_key_id.as_str(),
            keys.secret_access_key.expose(),
            keys.session_token.expose(),
        ]
    });
    let mut body = Zeroizing::new(Vec::with_capacity(current.len() * 2 + 8192));
    let mut separator = "{\n  ";
    for (key, value) in ours.into_iter().zip(values) {
        member(&mut body, separator, key, &value);
        separator = ",\n  ";
    }
    for (key, value) in &others {
        member(&mut body, separator, key, value);
        separator = ",\n  ";
    }
    body.extend_from_slice(b"\n}\n");
    Ok(Some(body))
}

fn member(body: &mut Vec<u8>, separator: &str, key: &str, value: &impl serde::Serialize) {
    body.extend_from_slice(separator.as_bytes());
    let written = serde_json::to_writer(&mut *body, key);
    body.extend_from_slice(b": ");
    let written = written.and_then(|()| serde_json::to_writer(&mut *body, value));
    debug_assert!(written.is_ok(), "writing to memory does not fail");
}

/// What was in the file were credentials too.
fn wipe(value: Option<Value>) {
    if let Some(Value::String(mut text)) = value {
        text.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::{ContentError, content};
    use crate::config::model::{Sink, SinkKind, SocketAccess};
    use crate::formats::testing::with_rendering;

    fn sink(kind: SinkKind) -> Sink {
        Sink {
            name: "s".parse().unwrap(),
            kind,
            role: "app".parse().unwrap(),
            path: "/nowhere/file".into(),
            profile: kind.usual_profile().map(str::to_owned),
            access: SocketAccess {
                mode: 0o600,
                mode_is_set: true,
                owner: None,
                group: None,
            },
            notify: None,
        }
    }

    fn written(kind: SinkKind, current: Option<&str>) -> String {
        let mut text = String::new();
        with_rendering(|set| {
            let body = content(&sink(kind), current.map(str::as_bytes), Some(set));
            text = String::from_utf8(body.unwrap().unwrap().to_vec()).unwrap();
        });
        text
    }

    fn emptied(kind: SinkKind, current: &str) -> Option<String> {
        let body = content(&sink(kind), Some(current.as_bytes()), None).unwrap();
        body.map(|body| String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn tccli_finds_its_keys_and_no_login_of_its_own() {
        let new = "{\n  \"secretId\": \"AKIDexample\",\n  \"secretKey\": \"se/cr+et==\",\n  \
                   \"token\": \"tok\\\"en\\\\with everything\"\n}\n";
        assert_eq!(written(SinkKind::TccliProfile, None), new);
        assert_eq!(written(SinkKind::TccliProfile, Some(" \n")), new);
        let before = r#"{"type": "sso", "sso": {"a": 1}, "expiresAt": 5, "secretId": "old",
            "region": "ap-guangzhou", "more": [1, 2]}"#;
        let after = written(SinkKind::TccliProfile, Some(before));
        let after: serde_json::Value = serde_json::from_str(&after).unwrap();
        assert_eq!(after["secretId"], "AKIDexample");
        assert_eq!(after["region"], "ap-guangzhou");
        assert_eq!(after["more"], serde_json::json!([1, 2]));
        assert_eq!(after.as_object().unwrap().len(), 5, "{after}");
    }

    #[test]
    fn sections_of_others_stay() {
        let before = "# by hand\n[other]\naws_access_key_id = THEIRS\n";
        assert_eq!(
            written(SinkKind::AwsCredentials, Some(before)),
            "# by hand\n[other]\naws_access_key_id = THEIRS\n\n[default]\n\
             aws_access_key_id = AKIDexample\naws_secret_access_key = se/cr+et==\n\
             aws_session_token = tok\"en\\with everything\n"
        );
        assert_eq!(
            written(SinkKind::HuaweiCredentials, None),
            "[basic]\nak = AKIDexample\nsk = se/cr+et==\n\
             security_token = tok\"en\\with everything\n"
        );
    }

    #[test]
    fn whole_files_are_what_other_clients_read() {
        let json = written(SinkKind::Json, Some("anything"));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["access_key_id"], "AKIDexample");
        assert!(
            written(SinkKind::EnvFile, None).contains("\nTENCENTCLOUD_SECRET_ID=AKIDexample\n")
        );
    }

    #[test]
    fn forgetting_leaves_what_others_wrote() {
        for kind in SinkKind::ALL {
            assert_eq!(emptied(kind, &written(kind, None)), None, "{kind:?}");
        }
        let shared = "[other]\nak = THEIRS\n";
        let both = written(SinkKind::HuaweiCredentials, Some(shared));
        assert_eq!(
            emptied(SinkKind::HuaweiCredentials, &both).unwrap().trim(),
            shared.trim()
        );
        let shared = r#"{"region": "ap-guangzhou"}"#;
        let both = written(SinkKind::TccliProfile, Some(shared));
        let left = emptied(SinkKind::TccliProfile, &both).unwrap();
        let left: serde_json::Value = serde_json::from_str(&left).unwrap();
        assert_eq!(left, serde_json::json!({ "region": "ap-guangzhou" }));
    }

    #[test]
    fn files_of_another_kind_are_left_alone() {
        let refused = |kind, current: &[u8]| content(&sink(kind), Some(current), None).unwrap_err();
        for current in ["[default]\nkey = 1\n", "[1]", "\"text\""] {
            let error = refused(SinkKind::TccliProfile, current.as_bytes());
            assert_eq!(error, ContentError::NotJson, "{current}");
        }
        let error = refused(SinkKind::AwsCredentials, &[0xff, 0xfe]);
        assert_eq!(error, ContentError::NotText);
    }
}
