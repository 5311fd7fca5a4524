//! The library's errors, in this program's words.

use std::error::Error as _;

use iceberg::ErrorKind;

use crate::error::Error;

#[cfg(test)]
mod tests;

/// Everything an error and its causes say, on one line, each thing once.
///
/// The library prints one level of causes itself; what helps ("connection refused") is often
/// deeper down.
pub(super) fn describe(error: &iceberg::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// A failure of the catalog or the warehouse while doing `what`.
pub(crate) fn external(what: impl Into<String>, error: &iceberg::Error) -> Error {
    let failure = Error::external(what).caused_by(describe(error));
    match http_status(error) {
        Some(401 | 403) => failure.advice(
            "check the catalog's token or credential, and that it may read and write this table",
        ),
        _ if describe(error).contains("PermissionDenied") => failure.advice(
            "the warehouse refuses access: check s3.access-key, s3.secret-key and what they may do",
        ),
        _ => failure.advice("check that the catalog and the warehouse are up and reachable"),
    }
}

/// True if the request was refused for good: sending the same again can't succeed, and it has not
/// been carried out. Conflicts (409) are no refusal, and neither is "later" (408, 425, 429).
pub(super) fn is_definite(error: &iceberg::Error) -> bool {
    if error.kind() == ErrorKind::FeatureUnsupported {
        return true;
    }
    match http_status(error) {
        Some(408 | 409 | 425 | 429) | None => false,
        Some(status) => (400..500).contains(&status),
    }
}

/// The HTTP status of a REST catalog's answer. The library keeps it only as text in the error's
/// context: `context: { status: 400 Bad Request, … }`.
pub(super) fn http_status(error: &iceberg::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, rest) = text.split_once("context: { status: ")?;
    rest.get(..3)?.parse().ok()
}
