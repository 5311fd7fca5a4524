//! Figures by their Flink names: `/jobs/ID/metrics`, and of the process.
//!
//! Without `get` the answer lists what there is, with it the values of what was asked for and is there.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::Api;
use super::super::answer::Refused;
use crate::observe::figures;

#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Wanted {
    get: Option<String>,
}

impl Wanted {
    /// True if only the names are asked for.
    pub(super) fn is_for_names(&self) -> bool {
        self.get.is_none()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let mut get = self.get.iter().flat_map(|get| get.split(','));
        get.any(|wanted| wanted == name)
    }
}

/// `GET /jobs/ID/metrics`
pub(in super::super) async fn of_job(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    Ok(answer(&job_metrics(&api), &wanted))
}

/// `GET /jobs/ID/vertices/V/metrics`, `GET /jobmanager/metrics` and the like: what Flink counts there is not counted.
pub(in super::super) async fn none() -> Json<Value> {
    Json(json!([]))
}

fn answer(metrics: &[(&str, String)], wanted: &Wanted) -> Json<Value> {
    let metrics = metrics
        .iter()
        .filter_map(|(name, value)| match wanted.is_for_names() {
            true => Some(json!({ "id": name })),
            false => wanted
                .has(name)
                .then(|| json!({ "id": name, "value": value })),
        });
    Json(metrics.collect())
}

/// All that Flink has of a job. Values are text.
fn job_metrics(api: &Api) -> Vec<(&'static str, String)> {
    let numbers = figures::flink::of_job(&api.process);
    let mut metrics: Vec<_> = numbers
        .map(|(name, number)| (name, number.to_string()))
        .into();
    let control = api.process.control();
    let snapshot = control.read_history(|history| history.newest()?.proof.snapshot_id);
    let path = snapshot.map_or("n/a".to_owned(), |snapshot| format!("iceberg:{snapshot}"));
    metrics.push(("lastCheckpointExternalPath", path));
    metrics
}
