//! The status as a page for people: what `credvend status` shows, in one document that needs
//! nothing else.
//!
//! It carries no script, and its policy forbids any; all text is escaped; the browser asks again
//! every few seconds. A `Referer` would be refused at the next look, so the browser is told to
//! send none. Pure.

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use quick_xml::escape::escape;
use sha2::{Digest, Sha256};

use super::api::{ListenerStatus, LoginStatus, RoleStatus, SinkStatus, Status};
use crate::clock::in_two_units;

/// Seconds between two looks.
const LOOK_AGAIN: u8 = 5;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#cf222e;--odd:#9a6700}\
@media(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--odd:#d29922}}\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p{margin:.2rem 0}\
table{border-collapse:collapse;width:100%}\
th,td{border-bottom:1px solid var(--line);padding:.3rem .9rem .3rem 0;text-align:left;\
vertical-align:top}\
th{font-weight:600;white-space:nowrap}td{overflow-wrap:anywhere}\
.good{color:var(--good)}.bad{color:var(--bad)}.odd{color:var(--odd)}";

/// What the browser may do with the page: show it, in its own style, and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("letters, digits and signs")
});

/// Headers of the page beside those of every answer.
pub(super) fn headers() -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_SECURITY_POLICY, POLICY.clone()),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

/// The whole page.
pub(super) fn render(status: &Status) -> String {
    let fresh = status.roles.iter().filter(|it| it.held == "fresh").count();
    let title = format!("credvend: {fresh} of {} roles fresh", status.roles.len());
    let mut page = Page(String::with_capacity(8 * 1024));
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width\">\n");
    page.raw(&format!(
        "<meta http-equiv=\"refresh\" content=\"{LOOK_AGAIN}\">\n<title>"
    ));
    page.text(&title);
    page.raw("</title>\n<style>");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n");
    page.element("h1", &title);
    page.element(
        "p",
        &format!(
            "Version {}, process {}, started at {}, configured by {}",
            status.credvend, status.pid, status.started_at, status.config_file
        ),
    );
    if !status.last_reload_successful {
        page.raw("<p class=\"bad\">The last reload was refused: <code>credvend check</code> ");
        page.raw("lists the mistakes.</p>\n");
    }
    page.table("Roles", &status.roles, &ROLE_COLUMNS, role);
    page.table("Listeners", &status.listeners, &LISTENER_COLUMNS, listener);
    page.table("Logins", &status.logins, &LOGIN_COLUMNS, login);
    page.table("Sinks", &status.sinks, &SINK_COLUMNS, sink);
    if !status.notes.is_empty() {
        page.element("h2", "Notes");
        page.raw("<ul>\n");
        status.notes.iter().for_each(|it| page.element("li", it));
        page.raw("</ul>\n");
    }
    page.raw("</body>\n</html>\n");
    page.0
}

const ROLE_COLUMNS: [&str; 7] = [
    "Role",
    "Held",
    "Refresh",
    "Access key id",
    "Expires in",
    "Next refresh in",
    "Last error",
];
const LISTENER_COLUMNS: [&str; 6] = [
    "Listener",
    "State",
    "Address",
    "Protocols",
    "Roles",
    "Connections",
];
const LOGIN_COLUMNS: [&str; 4] = ["Login", "State", "Ends in", "Trouble"];
const SINK_COLUMNS: [&str; 4] = ["Sink", "State", "Role", "File"];

/// A cell, and the class that colours it.
type Cell = (String, &'static str);

fn role(role: &RoleStatus) -> [Cell; 7] {
    let held = match role.held.as_str() {
        "fresh" => "good",
        "degraded" => "odd",
        _ if role.refresh == "resting" => "",
        _ => "bad",
    };
    let refresh = match role.refresh.as_str() {
        "idle" | "resting" => "",
        "retrying" => "odd",
        _ => "bad",
    };
    let error = role.last_error.as_ref().map(|it| it.message.clone());
    [
        plain(role.name.clone()),
        (role.held.clone(), held),
        (role.refresh.clone(), refresh),
        plain(role.access_key_id.clone().unwrap_or_default()),
        plain(duration(role.expires_in_seconds)),
        plain(duration(role.next_refresh_in_seconds)),
        (error.unwrap_or_default(), "odd"),
    ]
}

fn listener(listener: &ListenerStatus) -> [Cell; 6] {
    let state = match &listener.error {
        Some(error) => (format!("{}: {error}", listener.state), "bad"),
        None => (listener.state.clone(), "good"),
    };
    [
        plain(listener.name.clone()),
        state,
        plain(listener.address.clone()),
        plain(listener.protocols.join(", ")),
        plain(listener.roles.join(", ")),
        plain(listener.connections.to_string()),
    ]
}

fn login(login: &LoginStatus) -> [Cell; 4] {
    let state = match login.state.as_str() {
        "signed-in" => "good",
        "needs-login" => "bad",
        _ => "odd",
    };
    let about = if login.end_is_estimate { "about " } else { "" };
    let ends = login
        .ends_in_seconds
        .map(|seconds| format!("{about}{}", in_two_units(seconds)));
    [
        plain(login.name.clone()),
        (login.state.clone(), state),
        plain(ends.unwrap_or_default()),
        (login.trouble.clone().unwrap_or_default(), "odd"),
    ]
}

fn sink(sink: &SinkStatus) -> [Cell; 4] {
    let state = match &sink.error {
        Some(error) => (format!("failed: {error}"), "bad"),
        None => ("kept".to_owned(), "good"),
    };
    [
        plain(sink.name.clone()),
        state,
        plain(sink.role.clone()),
        plain(sink.path.clone()),
    ]
}

fn plain(text: String) -> Cell {
    (text, "")
}

fn duration(seconds: Option<u64>) -> String {
    seconds.map(in_two_units).unwrap_or_default()
}

/// A page being written. Whatever is not a constant of this file goes through [`Self::text`].
struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// Escaped, and without control characters, which no page needs.
    fn text(&mut self, text: &str) {
        if text.contains(char::is_control) {
            let shown: String = text
                .chars()
                .map(|it| if it.is_control() { '\u{fffd}' } else { it })
                .collect();
            self.0.push_str(&escape(shown.as_str()));
        } else {
            self.0.push_str(&escape(text));
        }
    }

    fn element(&mut self, name: &'static str, text: &str) {
        self.open(name, "");
        self.text(text);
        writeln!(self.0, "</{name}>").expect("writing to a string");
    }

    fn open(&mut self, name: &'static str, class: &'static str) {
        if class.is_empty() {
            write!(self.0, "<{name}>").expect("writing to a string");
        } else {
            write!(self.0, "<{name} class=\"{class}\">").expect("writing to a string");
        }
    }

    /// Nothing at all where there are no rows.
    fn table<T, const N: usize>(
        &mut self,
        title: &'static str,
        rows: &[T],
        columns: &[&'static str; N],
        cells: fn(&T) -> [Cell; N],
    ) {
        if rows.is_empty() {
            return;
        }
        self.element("h2", title);
        self.raw("<table>\n<tr>");
        for column in columns {
            self.raw("<th scope=\"col\">");
            self.text(column);
            self.raw("</th>");
        }
        self.raw("</tr>\n");
        for row in rows {
            self.raw("<tr>");
            for (text, class) in cells(row) {
                self.open("td", class);
                self.text(&text);
                self.raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::LastError;

    fn status() -> Status {
        Status {
            credvend: "0.1.0".into(),
            last_reload_successful: true,
            roles: vec![RoleStatus {
                name: "app".into(),
                held: "degraded".into(),
                refresh: "failing".into(),
                access_key_id: Some("AKIDabcd…wxyz".into()),
                expires_in_seconds: Some(3_725),
                next_refresh_in_seconds: Some(59),
                real_expires_at: Some("2030-01-01T00:05:00Z".into()),
                last_error: Some(LastError {
                    message: "the cloud said <script>alert('&\"')</script>\u{1b}[2J".into(),
                    ..LastError::default()
                }),
                ..RoleStatus::default()
            }],
            notes: vec!["sink `s`: <b>".into()],
            ..Status::default()
        }
    }

    #[test]
    fn what_is_known_of_a_role_is_in_its_row() {
        let page = render(&status());
        let row = page.lines().find(|line| line.contains("<td>app</td>"));
        let row = row.unwrap_or_else(|| panic!("{page}"));
        for cell in [
            "<td class=\"odd\">degraded</td>",
            "<td class=\"bad\">failing</td>",
            "<td>AKIDabcd…wxyz</td>",
            "<td>1h 02m</td>",
            "<td>59s</td>",
        ] {
            assert!(row.contains(cell), "{cell} in {row}");
        }
        assert!(
            page.contains("<title>credvend: 0 of 1 roles fresh</title>"),
            "{page}"
        );
        assert!(
            !page.contains("2030-01-01"),
            "only `status` tells the real end: {page}"
        );
        assert!(!page.contains("<h2>Logins"), "no empty tables: {page}");
    }

    #[test]
    fn what_comes_from_outside_is_text() {
        let page = render(&status());
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("said &lt;script&gt;alert("), "{page}");
        assert!(!page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn the_policy_names_the_one_style_there_is() {
        let page = render(&status());
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = BASE64_STANDARD.encode(Sha256::digest(style));
        let policy = POLICY.to_str().unwrap();
        assert!(
            policy.contains(&format!("style-src 'sha256-{hash}'")),
            "{policy}"
        );
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!page.contains("style="), "the policy forbids it: {page}");
    }
}
