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
use super::Job;
use crate::control::{Phase, Record};

#[derive(Debug, Default, Deserialize)]
pub(in super::super) struct Wanted {
    get: Option<String>,
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

/// `GET /jobs/ID/vertices/V/metrics`, `GET /taskmanagers/metrics` and the like: what Flink counts there is not counted.
pub(in super::super) async fn none() -> Json<Value> {
    Json(json!([]))
}

fn answer(metrics: &[(&str, String)], wanted: &Wanted) -> Json<Value> {
    let metrics = metrics
        .iter()
        .filter_map(|(name, value)| match &wanted.get {
            None => Some(json!({ "id": name })),
            Some(get) => {
                let is_wanted = get.split(',').any(|wanted| wanted == *name);
                is_wanted.then(|| json!({ "id": name, "value": value }))
            }
        });
    Json(metrics.collect())
}

/// All that Flink has of a job. Values are text, −1 where there is none yet.
fn job_metrics(api: &Api) -> Vec<(&'static str, String)> {
    let job = Job::now(api);
    let in_phase = |phase: Phase| {
        if job.phase == phase {
            job.now - job.changed()
        } else {
            0
        }
    };
    let control = api.process.control();
    let (counts, in_progress, last, restored) = control.read_history(|history| {
        let newest = [history.last_completed(), history.last_savepoint()];
        let newest = newest.into_iter().flatten();
        (
            history.counts(),
            history.in_progress(),
            newest.max_by_key(|record| record.triggered_at_ms).cloned(),
            history.last_restored().map(|restored| restored.at_ms),
        )
    });
    let of_last = |value: &dyn Fn(&Record) -> i64| last.as_ref().map_or(-1, value);
    let took = |record: &Record| record.took.map_or(0, |took| took.as_millis() as i64);
    let size = of_last(&|record| record.proof.bytes as i64);
    let snapshot = last.as_ref().and_then(|record| record.proof.snapshot_id);
    let numbers = [
        ("lastCheckpointSize", size),
        ("lastCheckpointFullSize", size),
        ("lastCheckpointDuration", of_last(&took)),
        (
            "lastCheckpointCompletedTimestamp",
            of_last(&|r| r.triggered_at_ms + took(r)),
        ),
        ("lastCompletedCheckpointId", of_last(&|r| r.epoch.0 as i64)),
        ("lastCheckpointProcessedData", of_last(&|_| 0)),
        ("lastCheckpointPersistedData", of_last(&|_| 0)),
        ("lastCheckpointRestoreTimestamp", restored.unwrap_or(-1)),
        ("totalNumberOfCheckpoints", counts.triggered as i64),
        ("numberOfInProgressCheckpoints", in_progress as i64),
        ("numberOfCompletedCheckpoints", counts.completed as i64),
        ("numberOfFailedCheckpoints", counts.failed as i64),
        ("numRestarts", api.process.metrics().restarts.get() as i64),
        ("numRescales", 0),
        ("uptime", in_phase(Phase::Running)),
        ("downtime", in_phase(Phase::Restarting)),
        ("runningTime", in_phase(Phase::Running)),
        ("restartingTime", in_phase(Phase::Restarting)),
        ("initializingTime", in_phase(Phase::Starting)),
        ("createdTime", 0),
        ("deployingTime", 0),
        ("failingTime", 0),
        ("cancellingTime", 0),
    ];
    let numbers = numbers.map(|(name, number)| (name, number.to_string()));
    let path = match snapshot {
        Some(snapshot) => format!("iceberg:{snapshot}"),
        None => "n/a".to_owned(),
    };
    let mut metrics = Vec::from(numbers);
    metrics.push(("lastCheckpointExternalPath", path));
    metrics
}
