//! The AWS instance metadata service, version 2, as far as SDKs ask for credentials and for what
//! they run on.
//!
//! Source: the vendor's documentation and the SDKs. Everything is plain text, credentials too;
//! lists have no line break at their end; a dated token path is 403. The tree of the extended
//! credentials API is missing as a whole: a client that finds one half of it tries the other
//! without end.

use bytes::Bytes;
use hyper::http::{HeaderName, HeaderValue};
use serde_json::json;

use super::{About, Shaped, TokenHeaders, Trouble, Want, list_or_role, only_segment};
use crate::config::model::Instance;

/// Where clients look for the real service, on IPv4 and IPv6.
pub(super) const HOSTS: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

pub(super) static TOKENS: [TokenHeaders; 1] = [TokenHeaders {
    lifetime: HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
    token: HeaderName::from_static("x-aws-ec2-metadata-token"),
}];

/// Some tools take a service for this one by nothing but the first letters.
pub(crate) const SERVER: HeaderValue = HeaderValue::from_static("EC2ws");

const HTML: HeaderValue = HeaderValue::from_static("text/html");

pub(super) fn route(path: &str) -> Option<Want<'_>> {
    if let Some(version) = path.strip_suffix("/api/token") {
        return match version {
            "/latest" => Some(Want::MetadataToken),
            _ => only_segment(version, "/").map(|_| Want::DatedToken),
        };
    }
    if path == "/latest/dynamic/instance-identity/document" {
        return Some(Want::About(About::Document));
    }
    let tree = path.strip_prefix("/latest/meta-data/")?;
    if let Some(rest) = tree.strip_prefix("iam/security-credentials") {
        return list_or_role(rest);
    }
    // botocore puts a slash behind the zone.
    match tree.strip_suffix('/').unwrap_or(tree) {
        "iam/info" => Some(Want::Profile),
        "instance-id" => Some(Want::About(About::Id)),
        "placement/region" => Some(Want::About(About::Region)),
        "placement/availability-zone" => Some(Want::About(About::Zone)),
        _ => None,
    }
}

/// `iam/info`. Its readers look at `Code` alone; the ARN is nobody's, in an ARN's shape.
pub(crate) fn profile(role: &str, last_updated: &str) -> Bytes {
    Bytes::from(format!(
        "{{\n  \"Code\": \"Success\",\n  \"LastUpdated\": {},\n  \"InstanceProfileArn\": {},\n  \
         \"InstanceProfileId\": {}\n}}",
        json!(last_updated),
        json!(format!("arn:aws:iam::000000000000:instance-profile/{role}")),
        json!(role),
    ))
}

/// The identity document: the region is what it is read for, so there is none without it.
pub(crate) fn document(instance: &Instance) -> Option<Bytes> {
    let region = instance.region.as_deref()?;
    let members = [
        ("availabilityZone", instance.zone.as_deref()),
        ("instanceId", instance.id.as_deref()),
        ("region", Some(region)),
        ("version", Some("2017-09-30")),
    ];
    let lines: Vec<String> = members
        .into_iter()
        .filter_map(|(key, value)| Some(format!("  \"{key}\": {}", json!(value?))))
        .collect();
    Some(Bytes::from(format!("{{\n{}\n}}", lines.join(",\n"))))
}

/// The page of the real service, with a sentence more.
pub(super) fn refusal(trouble: Trouble, message: &str) -> Shaped {
    let title = format!(
        "{} - {}",
        trouble.status.as_u16(),
        trouble.status.canonical_reason().unwrap_or_default()
    );
    Shaped {
        content_type: HTML,
        body: Bytes::from(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n\
             \t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
             <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n \
             <head>\n  <title>{title}</title>\n </head>\n \
             <body>\n  <h1>{title}</h1>\n  <p>{}</p>\n </body>\n</html>\n",
            escaped(message)
        )),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            _ if character.is_control() => safe.push(' '),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use hyper::http::StatusCode;

    use super::{About, Instance, Trouble, Want, document, profile, refusal, route};

    #[test]
    fn paths() {
        let tree = "/latest/meta-data/iam/security-credentials";
        assert_eq!(route(tree), Some(Want::Roles));
        assert_eq!(route(&format!("{tree}/")), Some(Want::Roles));
        assert_eq!(
            route(&format!("{tree}/app")),
            Some(Want::Credentials("app"))
        );
        assert_eq!(route("/latest/api/token"), Some(Want::MetadataToken));
        assert_eq!(route("/2021-03-23/api/token"), Some(Want::DatedToken));
        assert_eq!(route("/latest/meta-data/iam/info"), Some(Want::Profile));
        for (path, about) in [
            ("/latest/meta-data/instance-id", About::Id),
            ("/latest/meta-data/placement/region", About::Region),
            ("/latest/meta-data/placement/availability-zone", About::Zone),
            (
                "/latest/meta-data/placement/availability-zone/",
                About::Zone,
            ),
            (
                "/latest/dynamic/instance-identity/document",
                About::Document,
            ),
        ] {
            assert_eq!(route(path), Some(Want::About(about)), "{path}");
        }
        for other in [
            "/",
            "/latest/meta-data/",
            "/latest/meta-data/iam/security-credentials-extended/",
            "/latest/meta-data/iam/security-credentials-extended/app",
            "/latest/meta-data/iam/security-credentials/app/",
            "/meta-data/latest/api/token",
            "/api/token",
            "/latest/meta-data/placement/availability-zone//",
        ] {
            assert_eq!(route(other), None, "{other}");
        }
    }

    #[test]
    fn what_it_runs_on_is_told_as_far_as_it_is_known() {
        let mut instance = Instance {
            id: Some("ins-1".to_owned()),
            region: Some("ap-guangzhou".to_owned()),
            zone: None,
        };
        let text = document(&instance).unwrap();
        assert_eq!(
            str::from_utf8(&text).unwrap(),
            "{\n  \"instanceId\": \"ins-1\",\n  \"region\": \"ap-guangzhou\",\n  \
             \"version\": \"2017-09-30\"\n}"
        );
        instance.region = None;
        assert_eq!(document(&instance), None);
    }

    #[test]
    fn the_profile_is_a_success() {
        let body: serde_json::Value =
            serde_json::from_slice(&profile("app", "2027-01-15T06:00:00Z")).unwrap();
        assert_eq!(body["Code"], "Success");
        assert_eq!(body["InstanceProfileId"], "app");
    }

    #[test]
    fn refusals_are_pages_that_nothing_breaks_out_of() {
        let shaped = refusal(Trouble::of(StatusCode::NOT_FOUND), "no <b>\"role\"\n&");
        let text = str::from_utf8(&shaped.body).unwrap();
        assert!(text.contains("<title>404 - Not Found</title>"), "{text}");
        assert!(text.contains("<p>no &lt;b&gt;\"role\" &amp;</p>"), "{text}");
    }
}
