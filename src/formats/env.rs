//! Credentials as lines of `NAME=VALUE`, for a shell and for systemd's `EnvironmentFile=`.

use zeroize::Zeroizing;

use super::{Body, Rendering};
use crate::clock::rfc3339_seconds;
use crate::credentials::Cloud;

/// The variables from which a cloud's own tools read the three parts of a set.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    pub ids: &'static [&'static str],
    pub secrets: &'static [&'static str],
    pub tokens: &'static [&'static str],
}

/// Those of one cloud.
#[must_use]
pub fn names(cloud: Cloud) -> Names {
    match cloud {
        // tccli, the Node SDK and Terraform each have a name of their own for the token.
        Cloud::Tencent => Names {
            ids: &["TENCENTCLOUD_SECRET_ID"],
            secrets: &["TENCENTCLOUD_SECRET_KEY"],
            tokens: &[
                "TENCENTCLOUD_TOKEN",
                "TENCENTCLOUD_SESSION_TOKEN",
                "TENCENTCLOUD_SECURITY_TOKEN",
            ],
        },
        // The SDKs' names, Terraform's and those of the object storage's clients.
        Cloud::Huawei => Names {
            ids: &["HUAWEICLOUD_SDK_AK", "HW_ACCESS_KEY", "OBS_ACCESS_KEY_ID"],
            secrets: &[
                "HUAWEICLOUD_SDK_SK",
                "HW_SECRET_KEY",
                "OBS_SECRET_ACCESS_KEY",
            ],
            tokens: &[
                "HUAWEICLOUD_SDK_SECURITY_TOKEN",
                "HW_SECURITY_TOKEN",
                "OBS_SECURITY_TOKEN",
            ],
        },
    }
}

/// The names of the cloud's own tools, then those of S3 clients.
#[must_use]
pub fn assignments(rendering: Rendering<'_>) -> Body {
    let keys = &rendering.set.keys;
    let Names {
        ids,
        secrets,
        tokens,
    } = names(rendering.cloud);
    let id = shell_word(&keys.access_key_id);
    let secret = shell_word(keys.secret_access_key.expose());
    let token = shell_word(keys.session_token.expose());
    // Room for all of it, so that the buffer never moves and leaves a copy.
    let room = 600
        + (ids.len() + 1) * id.len()
        + (secrets.len() + 1) * secret.len()
        + (tokens.len() + 1) * token.len();
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str("# ");
    text.push_str(rendering.role.as_str());
    text.push_str(": valid until ");
    text.push_str(&rfc3339_seconds(rendering.shown_expiry));
    text.push_str(", and not renewed in an environment\n");
    assign(&mut text, ids, &id);
    assign(&mut text, secrets, &secret);
    assign(&mut text, tokens, &token);
    text.push_str("# the same for S3 clients of the object storage\n");
    assign(&mut text, &["AWS_ACCESS_KEY_ID"], &id);
    assign(&mut text, &["AWS_SECRET_ACCESS_KEY"], &secret);
    assign(&mut text, &["AWS_SESSION_TOKEN"], &token);
    Zeroizing::new(std::mem::take(&mut *text).into_bytes())
}

fn assign(text: &mut String, names: &[&str], value: &str) {
    for name in names {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
}

/// A word of the shell that means this text: as it is where nothing in it is special, else in
/// single quotes.
#[must_use]
pub fn shell_word(text: &str) -> Zeroizing<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+/=.,:@%".contains(c);
    Zeroizing::new(if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    })
}

#[cfg(test)]
mod tests {
    use super::{assignments, shell_word};
    use crate::formats::testing::with_rendering;

    #[test]
    fn the_lines_are_these() {
        with_rendering(|rendering| {
            let body = assignments(rendering);
            let text = str::from_utf8(&body).unwrap();
            assert!(
                text.starts_with("# app: valid until 2027-01-15T08:00:00Z, "),
                "{text}"
            );
            assert!(text.contains("\nTENCENTCLOUD_SECRET_ID=AKIDexample\n"));
            assert!(text.ends_with("\nAWS_SESSION_TOKEN='tok\"en\\with everything'\n"));
        });
    }

    #[test]
    fn words_mean_the_same_to_a_shell() {
        assert_eq!(*shell_word("a+/="), "a+/=");
        assert_eq!(*shell_word(""), "''");
        assert_eq!(*shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }
}
