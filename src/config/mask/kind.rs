//! What a key says about its value.

/// Words that make any key with them a secret's.
const WITHIN: [&str; 5] = ["secret", "password", "passwd", "token", "key"];
/// Words that are a part of many others, so they count only between hyphens and the like.
const PARTS: [&str; 16] = [
    "ak",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "cred",
    "creds",
    "pass",
    "passphrase",
    "passwort",
    "private",
    "pw",
    "pwd",
    "signature",
    "sk",
    "value",
];
/// Keys that are misspelt oftener than they are known to be secret.
const SPELLINGS: [&str; 6] = [
    "secret",
    "password",
    "token",
    "assertion",
    "saml-assertion",
    "credential",
];
/// Keys of programs with their arguments.
const PROGRAMS: [&str; 2] = ["command", "notify"];
/// Keys of URLs, by their last words.
const PLACES: [&str; 3] = ["proxy", "endpoint", "url"];
/// Keys whose values are names that stand elsewhere.
const REFERENCES: [&str; 5] = ["source", "login", "role", "roles", "protocols"];
/// Keys that look misspelt and are not.
const OPEN: [&str; 1] = ["socket"];

/// What is to be shown of a value.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Open,
    /// Anything in a `[key.*]`.
    Key,
    /// A URL without user, password or query.
    Place,
    /// A program and its arguments, which often hold a password.
    Program,
    /// The program itself.
    FirstWord,
    /// The name of a key, role or login, or of a protocol.
    Reference,
    Secret,
}

impl Kind {
    pub(super) fn of(key: &str) -> Self {
        if is_secret_key(key) {
            Self::Secret
        } else if is_program_key(key) {
            Self::Program
        } else if is_place_key(key) {
            Self::Place
        } else if REFERENCES
            .iter()
            .any(|right| strsim::osa_distance(key, right) <= 1)
        {
            Self::Reference
        } else {
            Self::Open
        }
    }

    /// That of an entry in a table of this kind.
    pub(super) fn within(self, key: &str) -> Self {
        match (self, Self::of(key)) {
            (Self::Secret, _) | (_, Self::Secret) => Self::Secret,
            (Self::Key, _) => Self::Key,
            (Self::Program | Self::FirstWord, Self::Open) => Self::Program,
            (Self::Place, Self::Open) => Self::Place,
            (_, kind) => kind,
        }
    }

    /// That of an item in a list of this kind.
    pub(super) fn of_item(self, index: usize) -> Self {
        match self {
            Self::Program if index == 0 => Self::FirstWord,
            // No program has a list in the place of its words.
            Self::Program | Self::FirstWord => Self::Secret,
            Self::Open | Self::Key | Self::Place | Self::Reference | Self::Secret => self,
        }
    }

    /// Whether nothing is shown unless it is known to be harmless.
    pub(super) fn is_guarded(self) -> bool {
        match self {
            Self::Key | Self::Program | Self::FirstWord | Self::Secret => true,
            Self::Open | Self::Place | Self::Reference => false,
        }
    }
}

/// Whether a value under this key is to be hidden.
pub(super) fn is_secret_key(key: &str) -> bool {
    let words = parts(key);
    let key = key.to_ascii_lowercase();
    key == "id"
        || WITHIN.iter().any(|word| key.contains(word))
        || is_misspelt(&key)
        || words
            .iter()
            .any(|word| is_misspelt(word) || PARTS.contains(&word.as_str()))
}

fn is_misspelt(word: &str) -> bool {
    !OPEN.contains(&word)
        && SPELLINGS.iter().any(|right| {
            let slips = if right.len() > 5 { 2 } else { 1 };
            strsim::osa_distance(word, right) <= slips
        })
}

pub(super) fn is_program_key(key: &str) -> bool {
    parts(key).iter().any(|word| {
        PROGRAMS
            .iter()
            .any(|right| word.contains(right) || strsim::osa_distance(word, right) <= 2)
    })
}

pub(super) fn is_place_key(key: &str) -> bool {
    parts(key).iter().any(|word| {
        PLACES.iter().any(|right| {
            word.contains(right) || strsim::osa_distance(word, right) <= right.len() / 4
        })
    })
}

/// The words of a key in lower case, `likeThis` and `like-this`.
fn parts(key: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(key.len() + 8);
    let mut after_small = false;
    for c in key.chars() {
        if c.is_ascii_uppercase() && after_small {
            spaced.push('-');
        }
        after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
        spaced.push(c.to_ascii_lowercase());
    }
    spaced
        .split(['-', '_', '.', ' '])
        .map(ToOwned::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{is_place_key, is_secret_key};

    #[test]
    fn secret_looking_keys_are_told_from_others() {
        for secret in [
            "id",
            "secret",
            "token",
            "saml-assertion",
            "web-identity-token",
            "id-token",
            "state-key",
            "secretId",
            "SECRET_KEY",
            "sercet",
            "secert-acess",
            "tokn",
            "api_key",
            "pasword",
            "db-password",
            "saml-asertion",
            "ak",
            "SK",
            "db-pass",
            "mail_pwd",
            "passphrase",
            "auth",
            "private",
            "value",
            "userPass",
        ] {
            assert!(is_secret_key(secret), "{secret}");
        }
        for open in [
            "duration",
            "source",
            "role-arn",
            "region",
            "roles",
            "users",
            "mode",
            "hosts",
            "endpoint",
            "address",
            "external-id",
            "provider-id",
            "session-name",
            "timeout",
            "protocols",
            "socket",
            "refresh-ahead",
            "expected-account",
            "policy",
            "default",
            "bypass",
            "author",
            "privately",
            "task",
            "values",
        ] {
            assert!(!is_secret_key(open), "{open}");
        }
    }

    #[test]
    fn keys_of_urls_are_told_from_others() {
        for place in [
            "proxy",
            "prox",
            "https_proxy",
            "endpoint",
            "sts-endpoint",
            "start-url",
            "endpont",
        ] {
            assert!(is_place_key(place), "{place}");
        }
        for other in [
            "region",
            "address",
            "hosts",
            "policy",
            "roles",
            "role-arn",
            "agency-urn",
        ] {
            assert!(!is_place_key(other), "{other}");
        }
    }
}
