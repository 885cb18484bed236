//! The answers of the metrics address. Pure.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

/// An answer of this address. Boxed, so that a guard's verdict is small.
pub type Page = Box<Response<Full<Bytes>>>;

/// An error in our own shape.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Page {
    let body = json!({"error": {"code": code, "message": message}});
    page(status, "application/json", body.to_string())
}

/// Any answer. It is never stored: what it says is true now.
pub(super) fn page(status: StatusCode, content_type: &'static str, body: String) -> Page {
    let mut page = Box::new(Response::new(Full::new(Bytes::from(body))));
    *page.status_mut() = status;
    let headers = page.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    page
}
