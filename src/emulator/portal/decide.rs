//! The page on which a person approves or denies.

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::{pairs, query};
use crate::emulator::portal_book::{Decision, is_state};
use crate::emulator::reply::{Reply, reply};
use crate::emulator::state::State;

/// Where the pages are.
pub(super) const PAGES: &str = "/portal/";

const HTML: &str = "text/html; charset=utf-8";

/// `GET /portal/device?user_code=…`, `GET /portal/ORGANISATION/login?state=…`, and the
/// `POST /portal/decide` of their buttons.
pub(super) fn respond(state: &State, head: &Parts, body: &[u8]) -> Reply {
    if !from_our_page(head) {
        return page(
            StatusCode::FORBIDDEN,
            "<p>Requests from other pages are refused.</p>",
        );
    }
    if head.uri.path() == "/portal/decide" && head.method == Method::POST {
        return decide(state, body);
    }
    if head.method != Method::GET {
        return page(
            StatusCode::METHOD_NOT_ALLOWED,
            "<p>This is a page to look at.</p>",
        );
    }
    let shown = query(head, "user_code").or_else(|| query(head, "state"));
    ask(&shown.unwrap_or_default())
}

/// A page elsewhere must not press our buttons.
fn from_our_page(head: &Parts) -> bool {
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let host = header("host").unwrap_or_default();
    match header("origin") {
        None => true,
        Some(origin) => origin
            .split_once("://")
            .is_some_and(|(_, from)| from == host),
    }
}

fn ask(shown: &str) -> Reply {
    let escaped = quick_xml::escape::escape(shown);
    // A state redeems the session: the page does not show what the address already holds.
    let what = if is_state(shown) {
        "<p>The command line asks to sign in.</p>".to_owned()
    } else {
        format!("<p>Compare this code with the one on your terminal:</p><h2>{escaped}</h2>")
    };
    let text = format!(
        "{what}<form method=\"post\" action=\"/portal/decide\">\
         <input type=\"hidden\" name=\"shown\" value=\"{escaped}\">\
         <button name=\"decision\" value=\"approve\">Approve</button> \
         <button name=\"decision\" value=\"deny\">Deny</button></form>"
    );
    page(StatusCode::OK, &text)
}

fn decide(state: &State, body: &[u8]) -> Reply {
    let fields = pairs(body);
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let decision = match field("decision") {
        "approve" => Decision::Approve,
        "deny" => Decision::Deny,
        _ => return page(StatusCode::BAD_REQUEST, "<p>Approve or deny?</p>"),
    };
    let now = state.moment(0).boot;
    if state.with_portal(|portal| portal.decide(field("shown"), decision, now)) {
        page(StatusCode::OK, "<p>Thank you. You can close this page.</p>")
    } else {
        page(
            StatusCode::NOT_FOUND,
            "<p>Nobody waits for this code, or not any more.</p>",
        )
    }
}

fn page(status: StatusCode, content: &str) -> Reply {
    let text = format!(
        "<!doctype html><title>Emulated portal</title>\
         <body style=\"font-family:sans-serif;max-width:30em;margin:3em auto\">\
         <h1>Emulated portal</h1>{content}\n"
    );
    reply(status, HTML, text)
}
