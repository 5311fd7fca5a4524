//! The table of all paths.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, patch, post};

use super::{Api, change, look};

/// Every path, as it is beneath `/` and `/v1`.
pub(super) fn all() -> Router<Arc<Api>> {
    Router::new()
        // To be changed.
        .route("/jobs/{job}", patch(change::cancel))
        .route("/jobs/{job}/savepoints", post(change::savepoint))
        .route(
            "/jobs/{job}/savepoints/{trigger}",
            get(change::savepoint_status),
        )
        .route("/jobs/{job}/stop", post(change::stop))
        .route("/jobs/{job}/checkpoints", post(change::checkpoint))
        .route(
            "/jobs/{job}/checkpoints/{trigger}",
            get(change::checkpoint_status),
        )
        .route("/jobs/{job}/drain", post(change::drain))
        .route("/jobs/{job}/drain/{trigger}", get(change::drain_status))
        // To be looked at.
        .route("/jobs", get(look::jobs))
        .route("/calve/checkpoints", get(look::history))
        .route("/metrics", get(look::metrics))
}
