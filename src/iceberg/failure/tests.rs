use super::*;

/// An error as the REST catalog of the library makes it for an unexpected status.
fn answered(status: &str) -> iceberg::Error {
    iceberg::Error::new(
        ErrorKind::Unexpected,
        "Received response with unexpected status code",
    )
    .with_context("status", status)
    .with_context("json", "{\"message\": \"status: 200\"}")
}

#[test]
fn a_refusal_is_told_from_what_may_still_succeed() {
    for (status, definite) in [
        ("400 Bad Request", true),
        ("401 Unauthorized", true),
        ("403 Forbidden", true),
        ("422 Unprocessable Entity", true),
        ("408 Request Timeout", false),
        ("409 Conflict", false),
        ("429 Too Many Requests", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        assert_eq!(is_definite(&answered(status)), definite, "{status}");
    }
    let conflict = iceberg::Error::new(ErrorKind::CatalogCommitConflicts, "conflict");
    assert!(!is_definite(&conflict));
    let lost = iceberg::Error::new(ErrorKind::Unexpected, "connection reset");
    assert!(!is_definite(&lost));
}

#[test]
fn a_refused_token_is_advised_on() {
    let error = external("the catalog can't be read", &answered("401 Unauthorized"));
    assert_eq!(error.kind(), crate::error::Kind::External);
    assert!(error.to_string().contains("token"), "{error}");
}

#[test]
fn the_deepest_cause_is_named_and_nothing_twice() {
    let root = std::io::Error::other("connection refused (os error 111)");
    let middle = crate::error::Error::external("sending failed").caused_by(root);
    let error = iceberg::Error::new(ErrorKind::Unexpected, "no answer").with_source(middle);
    let text = describe(&error);
    assert_eq!(text.matches("connection refused").count(), 1, "{text}");
    assert_eq!(text.matches("no answer").count(), 1, "{text}");
}
