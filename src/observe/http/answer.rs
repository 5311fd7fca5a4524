//! Answers that are no data: what is wrong with a request, as Flink says it, `{"errors": […]}`.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A request that is not carried out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) reason: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    pub(super) fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// A part of the path that can't be read, in Flink's words.
    pub(super) fn parameter(name: &str, value: &str) -> Self {
        Self::bad(format!(
            "Bad request, could not parse parameters: Cannot resolve path parameter ({name}) from value {value:?}."
        ))
    }

    pub(super) fn missing(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    pub(super) fn conflict(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errors": [self.reason] }))).into_response()
    }
}

pub(super) async fn not_found(uri: Uri) -> Refused {
    // The path is the client's own, and bounded in length.
    Refused::missing(format!("Not found: {}", uri.path()))
}

pub(super) async fn not_allowed() -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take this method",
    )
}
