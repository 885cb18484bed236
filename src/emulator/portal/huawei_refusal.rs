//! How Huawei's Identity Center says no.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Answered, JSON};
use crate::emulator::reply::reply;
use crate::emulator::strike::Manner;

pub(super) fn bad_request() -> Answered {
    error(StatusCode::BAD_REQUEST, "IIC.400", "bad request")
}

pub(super) fn invalid_client() -> Answered {
    error(StatusCode::BAD_REQUEST, "IIC.400", "invalid_client")
}

pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Answered {
    Answered::refused(status, code, body(code, message))
}

fn body(code: &str, message: &str) -> Value {
    json!({ "error_code": code, "error_msg": message, "request_id": "emulated" })
}

/// How scripted errors look here.
pub(super) const MANNER: Manner = Manner {
    error: |code, message, status| {
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::BAD_REQUEST);
        Ok(reply(status, JSON, body(code, message).to_string()))
    },
    throttled: ("APIGW.0308", "The throttling threshold has been reached."),
    broken: ("IIC.1006", "As scripted."),
};
