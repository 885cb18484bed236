//! Where upstream calls go: URLs without a path, encrypted unless they stay on this host.

use std::net::IpAddr;

use hyper::Uri;

use super::reader::Complaint;

/// The metadata service of a Tencent CVM, by name and number; reached only from inside.
const TENCENT_METADATA: [&str; 3] = [
    "metadata.tencentyun.com",
    "bm.metadata.tencentyun.com",
    "169.254.0.23",
];

/// The metadata service of a Huawei ECS; it has no name.
const HUAWEI_METADATA: [&str; 1] = ["169.254.169.254"];

const ENCRYPTED: &str = "`https://`";

/// A service on the internet: `https://`, or `http://` to a loopback address. `example` is one
/// that would do in this place.
pub(super) fn service(example: &'static str) -> impl Fn(&str) -> Result<String, Complaint> {
    move |text| {
        let url = parse(text, ENCRYPTED, example)?;
        if url.encrypted || url.is_loopback() {
            return Ok(url.text());
        }
        Err(Complaint::new("must begin with `https://`").hint(
            "`http://` is accepted to loopback addresses only, as in \"http://127.0.0.1:8080\"",
        ))
    }
}

/// The metadata service of a Huawei ECS, or a stand-in for it.
pub(super) fn huawei_metadata(text: &str) -> Result<String, Complaint> {
    metadata(text, &HUAWEI_METADATA)
}

/// The metadata service of a Tencent CVM, or a stand-in for it.
pub(super) fn tencent_metadata(text: &str) -> Result<String, Complaint> {
    metadata(text, &TENCENT_METADATA)
}

fn metadata(text: &str, known: &[&str]) -> Result<String, Complaint> {
    let example = known
        .first()
        .map_or_else(String::new, |host| format!("http://{host}"));
    let url = parse(text, "`http://` or `https://`", &example)?;
    if url.encrypted || url.is_loopback() || known.contains(&url.host.as_str()) {
        return Ok(url.text());
    }
    Err(Complaint::new("must begin with `https://`").hint(format!(
        "`http://` is accepted to loopback addresses and to {}",
        known.join(", ")
    )))
}

/// A page for people, with its path: `https://`, or `http://` to a loopback address.
pub(super) fn page(example: &'static str) -> impl Fn(&str) -> Result<String, Complaint> {
    move |text| read_page(text, example)
}

fn read_page(text: &str, example: &str) -> Result<String, Complaint> {
    let is_wrong = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '<' | '>');
    let hint = format!("as in \"{example}\"");
    if text.contains(is_wrong) || !text.is_ascii() {
        return Err(Complaint::new("is not a URL").hint(hint));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let url = parse(&format!("{scheme}://{host}"), ENCRYPTED, example)?;
    if path.contains(['#', '?']) {
        return Err(Complaint::new("may not have a query or fragment").hint(hint));
    }
    if url.encrypted || url.is_loopback() {
        return Ok(format!("{}{path}", url.text()));
    }
    Err(Complaint::new("must begin with `https://`").hint(hint))
}

/// An HTTP proxy, anywhere.
pub(super) fn proxy(text: &str) -> Result<String, Complaint> {
    let url = parse(text, "`http://` or `https://`", "http://proxy.example:3128")?;
    Ok(url.text())
}

struct Url {
    encrypted: bool,
    /// In lower case; IPv6 addresses in brackets.
    host: String,
    port: Option<u16>,
}

impl Url {
    fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>()
            .is_ok_and(|ip| ip.to_canonical().is_loopback())
    }

    fn text(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        match self.port {
            Some(port) => format!("{scheme}://{}:{port}", self.host),
            None => format!("{scheme}://{}", self.host),
        }
    }
}

/// Says nothing of the text itself: it may hold a password.
fn parse(text: &str, schemes: &str, example: &str) -> Result<Url, Complaint> {
    let hint = format!("as in \"{example}\"");
    if text.contains('@') {
        return Err(Complaint::new("may not contain a user name or password"));
    }
    if text.contains(['#', '?']) {
        return Err(Complaint::new("may not have a query or fragment").hint(hint));
    }
    let begins = || Complaint::new(format!("must begin with {schemes}")).hint(hint.as_str());
    let Ok(uri) = text.parse::<Uri>() else {
        // `host:3128` and `host/path` are what people write instead.
        let is_bare = !text.contains("//") && !text.contains(char::is_whitespace);
        return Err(if is_bare {
            begins()
        } else {
            Complaint::new("is not a URL").hint(hint)
        });
    };
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => {
            return Err(begins());
        }
    };
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    if host.is_empty() {
        return Err(Complaint::new("names no host").hint(hint));
    }
    if uri.path() != "/" {
        return Err(Complaint::new("may not have a path").hint(hint));
    }
    // The URL's own parser takes a port that is none for no port at all.
    let whole = uri.authority().map_or("", |whole| whole.as_str());
    let port = match whole
        .get(host.len()..)
        .and_then(|rest| rest.strip_prefix(':'))
    {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            Ok(_) | Err(_) => {
                return Err(Complaint::new("has an impossible port").hint("1 to 65535"));
            }
        },
    };
    Ok(Url {
        encrypted,
        host,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::{huawei_metadata, page, proxy, service, tencent_metadata};

    #[test]
    fn services_are_encrypted_unless_local() {
        for (text, read) in [
            (
                "https://sts.tencentcloudapi.com",
                "https://sts.tencentcloudapi.com",
            ),
            ("HTTPS://Sts.Example/", "https://sts.example"),
            ("https://host:8443", "https://host:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(service("")(text).as_deref(), Ok(read), "{text}");
        }
        for (text, complaint) in [
            (
                "http://sts.tencentcloudapi.com",
                "must begin with `https://`",
            ),
            ("http://localhost:80", "must begin with `https://`"),
            ("http://169.254.0.23", "must begin with `https://`"),
            ("sts.tencentcloudapi.com", "must begin with `https://`"),
            ("ftp://host", "must begin with `https://`"),
            ("https://host/path", "may not have a path"),
            ("https://host?x", "may not have a query"),
            ("https://host#x", "may not have a query"),
            ("https://u:p@host", "may not contain a user name"),
            ("https://host:0", "has an impossible port"),
            ("https://host:99999", "has an impossible port"),
            ("https://host:", "has an impossible port"),
            ("https://", "is not a URL"),
            ("https://a b", "is not a URL"),
        ] {
            let wrong = service("")(text).unwrap_err();
            assert!(wrong.text.starts_with(complaint), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn the_metadata_service_is_reached_in_the_clear() {
        for text in [
            "http://metadata.tencentyun.com",
            "http://169.254.0.23",
            "http://127.0.0.1:1",
        ] {
            assert_eq!(tencent_metadata(text).as_deref(), Ok(text));
        }
        for text in ["http://169.254.169.254", "http://127.0.0.1:1"] {
            assert_eq!(huawei_metadata(text).as_deref(), Ok(text));
        }
        assert!(tencent_metadata("http://169.254.169.254").is_err());
        assert!(huawei_metadata("http://169.254.0.23").is_err());
        assert!(proxy("http://proxy.example:3128").is_ok());
    }

    #[test]
    fn complaints_have_examples_of_their_own_kind() {
        for text in [
            "proxy:3128",
            "proxy",
            "socks5://proxy:1",
            "proxy.example:3128/x",
        ] {
            let wrong = proxy(text).unwrap_err();
            assert_eq!(
                wrong.text, "must begin with `http://` or `https://`",
                "{text}"
            );
            let hint = wrong.hint.unwrap_or_default();
            assert_eq!(hint, "as in \"http://proxy.example:3128\"", "{text}");
        }
        let wrong = service("https://a.example")("a.example").unwrap_err();
        assert_eq!(wrong.hint.as_deref(), Some("as in \"https://a.example\""));
        let wrong = page("https://a.example/portal")("portal").unwrap_err();
        assert_eq!(
            wrong.hint.as_deref(),
            Some("as in \"https://a.example/portal\"")
        );
    }
}
