//! The cloud says no: a status, a code and a sentence, in one of its shapes.
//!
//! Codes: the gateway's are documented. Of STS's, `STS5.1001` (not allowed), `STS5.1106` (no such
//! agency) and `STS5.2001` (wrong audience) were seen in the field; it publishes no list, so the
//! others, `STS5.04xx` here, are stand-ins with the status in their number.

use std::borrow::Cow;

use hyper::StatusCode;
use serde_json::json;

use crate::emulator::parameters::Complaint;

/// One error answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    /// `{"error_code", "error_msg", "request_id"}`
    Flat,
    /// `{"error": {"code", "message", "title"}}`
    Keystone,
}

impl Refusal {
    pub(super) fn service(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            shape: Shape::Flat,
        }
    }

    /// The gateway's own word.
    pub(super) fn gateway(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::service(status, code, message)
    }

    /// The one code of everything about authentication.
    pub(super) fn authentication(why: impl std::fmt::Display) -> Self {
        let message = format!("Incorrect IAM authentication information: {why}");
        Self::gateway(StatusCode::UNAUTHORIZED, "APIGW.0301", message)
    }

    pub(super) fn no_such_api() -> Self {
        Self::gateway(
            StatusCode::NOT_FOUND,
            "APIGW.0101",
            "The API does not exist or has not been published in the environment",
        )
    }

    /// A value that the documentation rules out.
    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::service(StatusCode::BAD_REQUEST, "STS5.0400", message)
    }

    /// The caller's policy or the agency's trust policy.
    pub(super) fn not_allowed(message: impl Into<String>) -> Self {
        Self::service(StatusCode::FORBIDDEN, "STS5.1001", message)
    }

    pub(super) fn no_such_agency() -> Self {
        let message = "the agency cannot be found";
        Self::service(StatusCode::NOT_FOUND, "STS5.1106", message)
    }

    /// Our own trouble, in the cloud's words.
    pub(super) fn system(error: &std::io::Error) -> Self {
        let message = error.to_string();
        Self::service(StatusCode::INTERNAL_SERVER_ERROR, "STS5.0500", message)
    }

    /// IAM v3.0 answers in the shape of the software it grew out of.
    pub(super) fn in_the_manner_of_keystone(mut self) -> Self {
        self.shape = Shape::Keystone;
        self
    }

    /// The status that goes with a code whose status nobody said.
    pub(super) fn usual_status(code: &str) -> StatusCode {
        match code {
            "APIGW.0301" | "APIGW.0303" => StatusCode::UNAUTHORIZED,
            "APIGW.0302" | "STS5.1001" => StatusCode::FORBIDDEN,
            "APIGW.0308" => StatusCode::TOO_MANY_REQUESTS,
            "APIGW.0101" | "STS5.1106" => StatusCode::NOT_FOUND,
            "APIGW.0201" => StatusCode::BAD_GATEWAY,
            "STS5.0500" => StatusCode::INTERNAL_SERVER_ERROR,
            "IIC.1006" => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) fn body(&self, request_id: &str) -> String {
        match self.shape {
            // What DecodeAuthorizationMessage of STS takes; here it holds nothing.
            Shape::Flat if self.code == "STS5.1001" => json!({
                "error_code": self.code,
                "error_msg": self.message,
                "request_id": request_id,
                "encoded_authorization_message": "ZXhhbXBsZQ==",
            }),
            Shape::Flat => json!({
                "error_code": self.code,
                "error_msg": self.message,
                "request_id": request_id,
            }),
            Shape::Keystone => json!({ "error": {
                "code": self.status.as_u16(),
                "message": self.message,
                "title": self.status.canonical_reason().unwrap_or_default(),
            }}),
        }
        .to_string()
    }
}

impl From<Complaint> for Refusal {
    fn from(complaint: Complaint) -> Self {
        Self::parameter(match complaint {
            Complaint::Missing { name } => format!("{name} is missing"),
            Complaint::NotAnObject => "the request body is not a JSON object".to_owned(),
            Complaint::Unknown { name } => format!("{name} is not a known parameter"),
            Complaint::WrongType { name, expected } => format!("{name} is not {expected}"),
        })
    }
}
