//! Which `Host` a request may name. Pure.
//!
//! This is what keeps web pages out: a page can make a browser connect to a loopback address
//! under a name of its own (DNS rebinding), but it cannot make it send one of ours.

use std::net::{IpAddr, SocketAddr};

/// The hosts one listener answers to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hosts(Option<Names>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Names {
    own: SocketAddr,
    /// Names and addresses (lower case, no brackets) that the protocols emulate.
    emulated: Vec<String>,
    /// What the configuration adds.
    extra: Vec<String>,
    /// Spelled as nearly every client spells it, to be compared before anything is taken apart.
    usual: String,
}

impl Hosts {
    /// A Unix socket: no name can be wrong, since no name led to it. `emulated` still decides
    /// about absolute-form targets.
    #[must_use]
    pub fn any() -> Self {
        Self(None)
    }

    /// A TCP listener at `own`.
    #[must_use]
    pub fn at(own: SocketAddr, emulated: &[&str], extra: &[String]) -> Self {
        Self(Some(Names {
            own,
            emulated: emulated.iter().map(|&name| name.to_owned()).collect(),
            extra: extra
                .iter()
                .filter_map(|entry| split(entry))
                .map(|(name, _)| name.to_owned())
                .collect(),
            usual: own.to_string(),
        }))
    }

    /// Whether every `Host` is fine, and any number of them.
    #[must_use]
    pub fn accepts_any(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is a `Host` of ours. `local` is the address the connection came in on, for
    /// listeners that have no single one.
    #[must_use]
    pub fn accepts(&self, host: &str, local: Option<IpAddr>) -> bool {
        let Some(names) = &self.0 else { return true };
        if host == names.usual {
            return true;
        }
        let Some((host, port)) = split(host) else {
            return false;
        };
        let port_is_ours = port.is_none_or(|port| port == names.own.port());
        let address = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let own = if names.own.ip().is_unspecified() {
            local
        } else {
            Some(names.own.ip())
        };
        let is_own = address.is_some() && address == own.map(|ip| ip.to_canonical());
        let is_localhost =
            names.own.ip().to_canonical().is_loopback() && host.eq_ignore_ascii_case("localhost");
        if (is_own || is_localhost) && port_is_ours {
            return true;
        }
        is_emulated(names.emulated.iter().map(String::as_str), host, address)
            || names
                .extra
                .iter()
                .any(|name| host.eq_ignore_ascii_case(name))
    }
}

/// Whether an absolute-form target may name this authority: only hosts that we emulate, since
/// anything else means that somebody takes us for a proxy.
#[must_use]
pub fn may_be_target(authority: &str, emulated: &[&str]) -> bool {
    split(authority).is_some_and(|(host, _)| {
        let address = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        is_emulated(emulated.iter().copied(), host, address)
    })
}

/// The port does not matter here: emulated services have their own, and a redirection may lead
/// from there to ours.
fn is_emulated<'a>(
    mut emulated: impl Iterator<Item = &'a str>,
    host: &str,
    address: Option<IpAddr>,
) -> bool {
    emulated.any(|name| {
        host.eq_ignore_ascii_case(name)
            || address.is_some_and(|address| name.parse() == Ok(address))
    })
}

/// Host and port, without brackets and without the dot that marks a complete name.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if rest.is_empty() => None,
        Some(_) | None => return None,
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_fine = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    is_fine.then_some((host, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Hosts, may_be_target};

    const EMULATED: [&str; 3] = ["metadata.tencentyun.com", "169.254.0.23", "fd00:ec2::23"];

    #[test]
    fn the_hosts_of_a_loopback_listener() {
        let extra = ["metadata.example".to_owned()];
        let hosts = Hosts::at("127.0.0.1:9470".parse().unwrap(), &EMULATED, &extra);
        for (host, accepted) in [
            ("127.0.0.1:9470", true),
            ("127.0.0.1", true),
            ("localhost", true),
            ("LOCALHOST:9470", true),
            ("localhost.", true),
            ("metadata.tencentyun.com", true),
            ("Metadata.TencentYun.com:80", true),
            ("169.254.0.23", true),
            ("[fd00:ec2::23]", true),
            ("[fd00:ec2:0::23]:80", true),
            ("metadata.example", true),
            ("metadata.example:9470", true),
            ("127.0.0.1:9471", false),
            ("localhost:80", false),
            ("127.0.0.2", false),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("metadata.tencentyun.com.evil.example", false),
            ("user@127.0.0.1", false),
            ("127.0.0.1:", false),
            ("127.0.0.1:+9470", false),
            ("127.0.0.1:9470:9470", false),
            ("[127.0.0.1", false),
            ("", false),
            (":9470", false),
        ] {
            assert_eq!(hosts.accepts(host, None), accepted, "{host:?}");
        }
    }

    #[test]
    fn an_ipv6_listener_and_one_on_every_address() {
        let hosts = Hosts::at("[::1]:9470".parse().unwrap(), &[], &[]);
        assert!(hosts.accepts("[::1]:9470", None) && hosts.accepts("[::1]", None));
        assert!(hosts.accepts("[0:0::1]", None) && hosts.accepts("localhost", None));
        assert!(!hosts.accepts("127.0.0.1", None));
        let hosts = Hosts::at("0.0.0.0:9470".parse().unwrap(), &[], &[]);
        let local = Some("192.0.2.1".parse().unwrap());
        assert!(hosts.accepts("192.0.2.1:9470", local));
        assert!(!hosts.accepts("192.0.2.2:9470", local) && !hosts.accepts("localhost", local));
    }

    #[test]
    fn targets_name_only_what_is_emulated() {
        assert!(may_be_target("metadata.tencentyun.com", &EMULATED));
        assert!(may_be_target("169.254.0.23:80", &EMULATED));
        for other in [
            "127.0.0.1:9470",
            "localhost",
            "a@169.254.0.23",
            "evil.example",
        ] {
            assert!(!may_be_target(other, &EMULATED), "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_makes_it_panic(host in any::<String>()) {
            let hosts = Hosts::at("[::1]:1".parse().unwrap(), &EMULATED, &[]);
            prop_assert!(!hosts.accepts(&host, None) || host.is_ascii());
        }
    }
}
