//! What a request to the admin socket asks for, and how answers look. Pure.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;

use super::api::{Refusal, RefusalBody};

/// Every name of a large host's roles fits.
const LARGEST_SELECTION: usize = 64 * 1024;
const LARGEST_BODY: usize = 4 * 1024;

/// What browsers and proxies send and no command of ours does.
const FORBIDDEN_HEADERS: [&str; 6] = [
    "origin",
    "referer",
    "x-forwarded-for",
    "forwarded",
    "via",
    "sec-fetch-site",
];

/// What a path and a method ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Status,
    Operation(Operation),
    /// Another method is wanted: this one.
    WrongMethod(&'static str),
    Nowhere,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operation {
    Forget,
    Login,
    LoginCancel,
    LoginList,
    LoginWait,
    Logout,
    Refresh,
    Reload,
    Whoami,
}

impl Operation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Forget => "forget",
            Self::Login => "login",
            Self::LoginCancel => "login-cancel",
            Self::LoginList => "login-list",
            Self::LoginWait => "login-wait",
            Self::Logout => "logout",
            Self::Refresh => "refresh",
            Self::Reload => "reload",
            Self::Whoami => "whoami",
        }
    }

    pub(super) fn largest_body(self) -> usize {
        match self {
            Self::Forget | Self::Refresh => LARGEST_SELECTION,
            Self::Login
            | Self::LoginCancel
            | Self::LoginList
            | Self::LoginWait
            | Self::Logout
            | Self::Reload
            | Self::Whoami => LARGEST_BODY,
        }
    }
}

pub(super) fn route(method: &Method, path: &str) -> Route {
    let operation = match path {
        "/admin/v1/status" => {
            return if method == Method::GET || method == Method::HEAD {
                Route::Status
            } else {
                Route::WrongMethod("GET, HEAD")
            };
        }
        "/admin/v1/forget" => Operation::Forget,
        "/admin/v1/login" => Operation::Login,
        "/admin/v1/login-cancel" => Operation::LoginCancel,
        "/admin/v1/login-list" => Operation::LoginList,
        "/admin/v1/login-wait" => Operation::LoginWait,
        "/admin/v1/logout" => Operation::Logout,
        "/admin/v1/refresh" => Operation::Refresh,
        "/admin/v1/reload" => Operation::Reload,
        "/admin/v1/whoami" => Operation::Whoami,
        _ => return Route::Nowhere,
    };
    if method == Method::POST {
        Route::Operation(operation)
    } else {
        Route::WrongMethod("POST")
    }
}

/// The header, if there is one, for which a request is refused whatever it asks for.
pub(super) fn forbidden_header(headers: &HeaderMap) -> Option<&'static str> {
    FORBIDDEN_HEADERS.into_iter().find(|name| {
        let mut values = headers.get_all(*name).iter();
        // A person who types the address into a browser is no page that reaches for it.
        values.any(|value| *name != "sec-fetch-site" || value != "none")
    })
}

pub(super) fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status =
        StatusCode::from_u16(refusal.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    error(status, refusal)
}

pub(super) fn error(status: StatusCode, refusal: &Refusal) -> Response<Full<Bytes>> {
    json(
        status,
        &RefusalBody {
            error: refusal.clone(),
        },
    )
}

pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response<Full<Bytes>> {
    // Plain structs with text keys: there is nothing in them that JSON cannot hold.
    let body = serde_json::to_vec_pretty(document).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_exact() {
        assert_eq!(route(&Method::HEAD, "/admin/v1/status"), Route::Status);
        assert_eq!(
            route(&Method::POST, "/admin/v1/forget"),
            Route::Operation(Operation::Forget)
        );
        assert_eq!(
            route(&Method::GET, "/admin/v1/forget"),
            Route::WrongMethod("POST")
        );
        assert_eq!(route(&Method::GET, "/admin/v1/status/"), Route::Nowhere);
        assert_eq!(route(&Method::GET, "/v1/roles"), Route::Nowhere);
    }

    #[test]
    fn what_browsers_and_proxies_add_is_refused() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            headers
        };
        assert_eq!(forbidden_header(&headers("sec-fetch-site", "none")), None);
        assert!(forbidden_header(&headers("sec-fetch-site", "cross-site")).is_some());
        assert!(forbidden_header(&headers("origin", "")).is_some());
        assert_eq!(forbidden_header(&headers("accept", "*/*")), None);
    }
}
