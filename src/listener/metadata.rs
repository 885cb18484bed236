//! What only metadata services have: tokens that are fetched first, and answers about the
//! instance that the host pretends to be.

use hyper::http::{HeaderValue, StatusCode, request::Parts};
use percent_encoding::percent_decode_str;

use super::answer::Answer;
use super::metadata_token;
use super::protocol::{self, About, Want, aws_imds};
use super::rules::Rules;
use super::session::Session;
use crate::clock::rfc3339_seconds;
use crate::config::model::Protocol;
use crate::store::{Role, Snapshot};

impl Session {
    /// The refusal of a request that shows a wrong metadata token, or none where one is needed.
    pub(super) fn without_metadata_token(
        &self,
        protocol: Protocol,
        want: Want<'_>,
        rules: &Rules,
        parts: &Parts,
    ) -> Option<Answer> {
        if let Want::Secretly { secret, .. } = want {
            let secret: Vec<u8> = percent_decode_str(secret).collect();
            if rules.accepts_token(protocol, &secret) {
                return None;
            }
            let message = "the path does not hold the token of this listener";
            return Some(self.refuse_metadata_token(protocol, message));
        }
        if matches!(want, Want::MetadataToken | Want::DatedToken) {
            return None;
        }
        let context = &self.live.context;
        let now = context.clock.boot();
        let mut shown = protocol
            .token_headers()
            .iter()
            .flat_map(|spelling| parts.headers.get_all(&spelling.token))
            .peekable();
        let message = if shown.peek().is_none() {
            if !rules.needs_metadata_token(protocol) {
                return None;
            }
            "a metadata token is needed: fetch one by PUT /latest/api/token (or set `imds-v1 = \
             true` for clients that cannot)"
        } else {
            let tokens = &context.metadata_tokens;
            if shown.all(|shown| tokens.accept(&self.live.name, now, shown.as_bytes())) {
                return None;
            }
            "this token is unknown here or has expired: ask for a new one"
        };
        Some(self.refuse_metadata_token(protocol, message))
    }

    /// Always 401: that is what makes clients fetch another.
    fn refuse_metadata_token(&self, protocol: Protocol, message: &str) -> Answer {
        self.denied(protocol, "token");
        self.refuse(protocol, StatusCode::UNAUTHORIZED, message)
    }

    /// Makes a metadata token, good for as long as the client asked. Its header is sent back: the
    /// Rust SDK of AWS fails without it, and the Go SDK does without tokens.
    pub(super) fn begin_session(&self, protocol: Protocol, parts: &Parts) -> Answer {
        let headers = protocol.token_headers();
        let asked = headers.iter().find_map(|spelling| {
            let value = parts.headers.get(&spelling.lifetime)?;
            Some((&spelling.lifetime, metadata_token::lifetime(value)))
        });
        let Some((name, Some(lifetime))) = asked else {
            let names = headers.iter().map(|spelling| spelling.lifetime.as_str());
            let message = format!(
                "a token is asked for with a lifetime of 1 to 21600 seconds in the header `{}`",
                names.collect::<Vec<_>>().join("` or `")
            );
            return self.refuse(protocol, StatusCode::BAD_REQUEST, &message);
        };
        let context = &self.live.context;
        let now = context.clock.boot();
        let token = context.metadata_tokens.mint(&self.live.name, now, lifetime);
        let mut answer = self.told(protocol, protocol::TEXT, token);
        let echoed = HeaderValue::from(lifetime.as_secs());
        answer.headers_mut().insert(name.clone(), echoed);
        answer
    }

    /// Tokens are made under `latest` alone.
    pub(super) fn refuse_dated_token(&self, protocol: Protocol) -> Answer {
        let message = "tokens are made at /latest/api/token alone";
        self.refuse(protocol, StatusCode::FORBIDDEN, message)
    }

    /// What the instance is, as far as the configuration says.
    pub(super) fn about(&self, protocol: Protocol, about: About, rules: &Rules) -> Answer {
        let instance = &rules.instance;
        let text = |value: &Option<String>| value.clone().map(Into::into);
        let body = match about {
            About::Document => aws_imds::document(instance),
            About::Id => text(&instance.id),
            About::Region => text(&instance.region),
            About::Zone => text(&instance.zone),
        };
        match body {
            Some(body) => self.told(protocol, protocol::TEXT, body),
            None => self.refuse(
                protocol,
                StatusCode::NOT_FOUND,
                "`instance` of this listener does not say",
            ),
        }
    }

    pub(super) fn tell_profile(&self, protocol: Protocol, role: &Role, held: &Snapshot) -> Answer {
        let updated = rfc3339_seconds(held.issued_at);
        let body = aws_imds::profile(role.name().as_str(), &updated);
        self.told(protocol, protocol::TEXT, body)
    }
}
