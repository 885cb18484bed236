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

/// A service on the internet: `https://`, or `http://` to a loopback address.
pub(super) fn service(text: &str) -> Result<String, Complaint> {
    let url = parse(text)?;
    if url.encrypted || url.is_loopback() {
        return Ok(url.text());
    }
    Err(Complaint::new("must begin with `https://`")
        .hint("`http://` is accepted to loopback addresses only, as in \"http://127.0.0.1:8080\""))
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
    let url = parse(text)?;
    if url.encrypted || url.is_loopback() || known.contains(&url.host.as_str()) {
        return Ok(url.text());
    }
    Err(Complaint::new("must begin with `https://`").hint(format!(
        "`http://` is accepted to loopback addresses and to {}",
        known.join(", ")
    )))
}

/// A page for people, with its path: `https://`, or `http://` to a loopback address.
pub(super) fn page(text: &str) -> Result<String, Complaint> {
    let is_wrong = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '"' | '<' | '>');
    if text.contains(is_wrong) || !text.is_ascii() {
        return Err(Complaint::new("is not a URL"));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let url = parse(&format!("{scheme}://{host}"))?;
    if path.contains(['#', '?']) {
        return Err(Complaint::new("may not have a query or fragment"));
    }
    if url.encrypted || url.is_loopback() {
        return Ok(format!("{}{path}", url.text()));
    }
    Err(Complaint::new("must begin with `https://`"))
}

/// An HTTP proxy, anywhere.
pub(super) fn proxy(text: &str) -> Result<String, Complaint> {
    parse(text).map(|url| url.text())
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
fn parse(text: &str) -> Result<Url, Complaint> {
    let hint = "as in \"https://sts.tencentcloudapi.com\"";
    if text.contains('@') {
        return Err(Complaint::new("may not contain a user name or password"));
    }
    if text.contains(['#', '?']) {
        return Err(Complaint::new("may not have a query or fragment").hint(hint));
    }
    let uri: Uri = text
        .parse()
        .map_err(|_| Complaint::new("is not a URL").hint(hint))?;
    let encrypted = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        Some(_) | None => {
            return Err(Complaint::new("must begin with `https://`").hint(hint));
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
    use super::{huawei_metadata, proxy, service, tencent_metadata};

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
            assert_eq!(service(text).as_deref(), Ok(read), "{text}");
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
            let wrong = service(text).unwrap_err();
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
}
