//! The table of all paths.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, patch, post};

use super::flink::{busy, checkpoints, cluster, job, metrics, vertices};
use super::{Api, change, own, ui};

/// Every path, as it is beneath `/` and `/v1`.
pub(super) fn all() -> Router<Arc<Api>> {
    // A job's own paths, and those of one of its vertices.
    let vertex = Router::new()
        .route("/", get(vertices::details))
        .route("/accumulators", get(vertices::accumulators))
        .route("/backpressure", get(vertices::backpressure))
        .route("/flamegraph", get(vertices::flame_graph))
        .route("/metrics", get(metrics::none))
        .route(
            "/subtasks/accumulators",
            get(vertices::subtask_accumulators),
        )
        .route("/subtasks/metrics", get(busy::of_subtasks))
        .route("/subtasktimes", get(vertices::times))
        .route("/taskmanagers", get(vertices::task_managers))
        .route("/watermarks", get(vertices::watermarks));
    let job = Router::new()
        .route("/", patch(change::cancel).get(job::details))
        .route("/accumulators", get(job::accumulators))
        .route(
            "/checkpoints",
            post(change::checkpoint).get(checkpoints::all),
        )
        .route("/checkpoints/config", get(checkpoints::config))
        .route("/checkpoints/details/{number}", get(checkpoints::details))
        .route(
            "/checkpoints/details/{number}/subtasks/{vertex}",
            get(checkpoints::subtasks),
        )
        .route("/checkpoints/{trigger}", get(change::checkpoint_status))
        .route("/config", get(job::config))
        .route("/drain", post(change::drain))
        .route("/drain/{trigger}", get(change::drain_status))
        .route("/exceptions", get(job::exceptions))
        .route("/metrics", get(metrics::of_job))
        .route("/plan", get(job::plan))
        .route("/savepoints", post(change::savepoint))
        .route("/savepoints/{trigger}", get(change::savepoint_status))
        .route("/stop", post(change::stop))
        .nest("/vertices/{vertex}", vertex);
    Router::new()
        .route("/config", get(cluster::config))
        .route("/jobmanager/config", get(cluster::settings))
        .route("/jobmanager/environment", get(cluster::environment))
        .merge(process("/jobmanager"))
        .route("/jobs", get(job::ids))
        .route("/jobs/overview", get(job::overview))
        .nest("/jobs/{job}", job)
        .route("/overview", get(cluster::overview))
        .route("/taskmanagers", get(cluster::task_managers))
        .route("/taskmanagers/{id}", get(cluster::task_manager_details))
        .merge(process("/taskmanagers/{id}"))
        .route("/calve/checkpoints", get(own::history))
        .merge(ui::routes())
}

/// What Flink has of each process: job manager and task manager are one here.
fn process(path: &str) -> Router<Arc<Api>> {
    let below = |name: &str| format!("{path}/{name}");
    Router::new()
        .route(&below("log"), get(cluster::log))
        .route(&below("logs"), get(cluster::log_files))
        .route(&below("metrics"), get(metrics::none))
        .route(&below("stdout"), get(cluster::stdout))
        .route(&below("thread-dump"), get(cluster::threads))
}
