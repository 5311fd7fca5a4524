//! The checkpoints: `/jobs/ID/checkpoints`, `…/config`, `…/details/N`, `…/details/N/subtasks/V`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::super::Api;
use super::super::answer::Refused;
use super::Job;
use crate::config::StateBackend;
use crate::control::{Record, Restored, Status, Trigger};
use crate::time::Epoch;

/// What is not known of checkpoints, or has no meaning: nothing waits for a barrier here.
const NOTHING: [u64; 0] = [];

/// `GET /jobs/ID/checkpoints`
pub(in super::super) async fn all(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    let tasks = Job::now(&api).tasks();
    let json = api.process.control().read_history(|history| {
        let counts = history.counts();
        let one = |record: Option<&Record>| record.map(|record| checkpoint(&api, record, tasks));
        let ended = || history.records().filter(|r| r.status == Status::Completed);
        let sizes: Vec<u64> = ended().map(|record| record.proof.bytes).collect();
        let durations: Vec<u64> = ended().map(millis).collect();
        let zeros = vec![0; sizes.len()];
        json!({
            "counts": {
                "restored": counts.restored,
                "total": counts.triggered,
                "in_progress": history.in_progress(),
                "completed": counts.completed,
                "failed": counts.failed,
            },
            "summary": {
                "checkpointed_size": summary(&sizes),
                "state_size": summary(&sizes),
                "end_to_end_duration": summary(&durations),
                "alignment_buffered": summary(&zeros),
                "processed_data": summary(&zeros),
                "persisted_data": summary(&zeros),
            },
            "latest": {
                "completed": one(history.last_completed()),
                "savepoint": one(history.last_savepoint()),
                "failed": one(history.last_failed()),
                "restored": history.last_restored().map(|restored| restored_json(&api, restored)),
            },
            "history": history.records().map(|r| checkpoint(&api, r, tasks)).collect::<Vec<_>>(),
        })
    });
    Ok(Json(json))
}

/// `GET /jobs/ID/checkpoints/config`
pub(in super::super) async fn config(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    let checkpoint = &api.settings.checkpoint;
    Ok(Json(json!({
        "mode": "exactly_once",
        "interval": checkpoint.interval.as_millis() as u64,
        "timeout": checkpoint.timeout.as_millis() as u64,
        "min_pause": checkpoint.min_pause().as_millis() as u64,
        "max_concurrent": checkpoint.max_concurrent,
        "externalization": { "enabled": true, "delete_on_cancellation": false },
        "state_backend": match api.settings.state.backend {
            StateBackend::Rocksdb => "EmbeddedRocksDBStateBackend",
            StateBackend::Memory => "HashMapStateBackend",
        },
        "checkpoint_storage": "IcebergTable",
        "unaligned_checkpoints": false,
        "tolerable_failed_checkpoints": checkpoint.tolerable_failed,
        "aligned_checkpoint_timeout": 0,
        "checkpoints_after_tasks_finish": true,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 0,
        "changelog_storage": "memory",
    })))
}

/// `GET /jobs/ID/checkpoints/details/N`
pub(in super::super) async fn details(
    State(api): State<Arc<Api>>,
    Path((id, number)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let record = found(&api, &id, &number)?;
    let job = Job::now(&api);
    let mut json = checkpoint(&api, &record, job.tasks());
    let tasks = job.vertices().map(|(_, id, operator)| {
        let bytes = if operator.name == "Stage" {
            record.proof.bytes
        } else {
            0
        };
        (id, task(&record, bytes, operator.parallelism))
    });
    json["tasks"] = Value::Object(Map::from_iter(tasks));
    Ok(Json(json))
}

/// `GET /jobs/ID/checkpoints/details/N/subtasks/V`: workers are not told apart.
pub(in super::super) async fn subtasks(
    State(api): State<Arc<Api>>,
    Path((id, number, vertex)): Path<(String, String, String)>,
) -> Result<Json<Value>, Refused> {
    let record = found(&api, &id, &number)?;
    let job = Job::now(&api);
    let operator = job.vertices().find(|(_, id, _)| *id == vertex);
    let (_, _, operator) =
        operator.ok_or_else(|| Refused::missing(format!("Vertex {vertex} not found")))?;
    let nothing = summary(&NOTHING);
    let mut json = task(&record, 0, operator.parallelism);
    json["summary"] = json!({
        "checkpointed_size": nothing,
        "state_size": nothing,
        "end_to_end_duration": summary(&[millis(&record)]),
        "checkpoint_duration": { "sync": nothing, "async": nothing },
        "alignment": {
            "buffered": nothing,
            "processed": nothing,
            "persisted": nothing,
            "duration": nothing,
        },
        "start_delay": nothing,
    });
    let subtask = |index: usize| match record.status {
        Status::Completed => json!({
            "className": "completed",
            "index": index,
            "status": "completed",
            "ack_timestamp": ended(&record),
            "end_to_end_duration": millis(&record),
            "checkpointed_size": 0,
            "state_size": 0,
            "checkpoint": { "sync": 0, "async": 0 },
            "alignment": { "buffered": 0, "processed": 0, "persisted": 0, "duration": 0 },
            "start_delay": 0,
            "unaligned_checkpoint": false,
            "aborted": false,
        }),
        _ => json!({ "className": "pending", "index": index, "status": "pending_or_failed" }),
    };
    let subtasks: Vec<Value> = (0..operator.parallelism).map(subtask).collect();
    json["subtasks"] = Value::Array(subtasks);
    Ok(Json(json))
}

fn found(api: &Api, id: &str, number: &str) -> Result<Record, Refused> {
    api.is_ours(id)?;
    let epoch: u64 = number
        .parse()
        .map_err(|_| Refused::parameter("checkpointid", number))?;
    let control = api.process.control();
    let record = control.read_history(|history| history.get(Epoch(epoch)).cloned());
    record.ok_or_else(|| {
        Refused::missing(format!(
            "Could not find checkpointing statistics for checkpoint {epoch}."
        ))
    })
}

fn millis(record: &Record) -> u64 {
    record.took.map_or(0, |took| took.as_millis() as u64)
}

fn ended(record: &Record) -> i64 {
    match record.took {
        Some(_) => record.triggered_at_ms + millis(record) as i64,
        None => -1,
    }
}

fn status(record: &Record) -> &'static str {
    match record.status {
        Status::InProgress => "IN_PROGRESS",
        Status::Completed => "COMPLETED",
        Status::Failed(_) => "FAILED",
    }
}

/// The part that a checkpoint and each of its tasks have.
fn task(record: &Record, bytes: u64, subtasks: usize) -> Value {
    let acknowledged = match record.status {
        Status::Completed => subtasks,
        _ => 0,
    };
    json!({
        "id": record.epoch.0,
        "status": status(record),
        "latest_ack_timestamp": ended(record),
        "checkpointed_size": bytes,
        "state_size": bytes,
        "end_to_end_duration": millis(record),
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": 0,
        "num_subtasks": subtasks,
        "num_acknowledged_subtasks": acknowledged,
    })
}

fn checkpoint(api: &Api, record: &Record, tasks: usize) -> Value {
    let mut json = task(record, record.proof.bytes, tasks);
    let is_savepoint = record.trigger == Trigger::Savepoint;
    json["is_savepoint"] = json!(is_savepoint);
    json["savepointFormat"] = json!(is_savepoint.then_some("CANONICAL"));
    json["trigger_timestamp"] = json!(record.triggered_at_ms);
    json["checkpoint_type"] = json!(if is_savepoint {
        "SAVEPOINT"
    } else {
        "CHECKPOINT"
    });
    json["tasks"] = json!({});
    match &record.status {
        Status::InProgress => json["className"] = json!("in_progress"),
        Status::Completed => {
            json["className"] = json!("completed");
            json["external_path"] = json!(external_path(api, record));
            json["discarded"] = json!(false);
        }
        Status::Failed(reason) => {
            json["className"] = json!("failed");
            json["failure_timestamp"] = json!(ended(record));
            json["failure_message"] = json!(reason);
        }
    }
    json
}

/// A checkpoint is a snapshot of the table; a savepoint has a place of its own.
fn external_path(api: &Api, record: &Record) -> String {
    let table = table(api);
    match (&record.savepoint, record.proof.snapshot_id) {
        (Some(location), _) => location.clone(),
        (None, Some(snapshot)) => format!("iceberg:{table}@{snapshot}"),
        // Flink's words for one that has none.
        (None, None) => "<checkpoint-not-externally-addressable>".to_owned(),
    }
}

fn restored_json(api: &Api, restored: &Restored) -> Value {
    let table = || format!("iceberg:{}", table(api));
    json!({
        "id": restored.epoch.0,
        "restore_timestamp": restored.at_ms,
        "is_savepoint": restored.savepoint.is_some(),
        "external_path": restored.savepoint.clone().unwrap_or_else(table),
    })
}

fn table(api: &Api) -> String {
    let table = &api.settings.table;
    let name = table.name.clone().unwrap_or_default();
    format!("{}.{name}", table.database.join("."))
}

/// Least, greatest, mean and percentiles, as Flink computes them.
fn summary(values: &[u64]) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let sum: u64 = sorted.iter().sum();
    let mut json = json!({
        "min": sorted.first().copied().unwrap_or(0),
        "max": sorted.last().copied().unwrap_or(0),
        "avg": sum / sorted.len().max(1) as u64,
    });
    for (name, percent) in [
        ("p50", 50.0),
        ("p90", 90.0),
        ("p95", 95.0),
        ("p99", 99.0),
        ("p999", 99.9),
    ] {
        json[name] = percentile(&sorted, percent).map_or(json!("NaN"), |value| json!(value));
    }
    json
}

/// The percentile of sorted values: between its two neighbours, at p × (n + 1).
fn percentile(sorted: &[u64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = percent / 100.0 * (sorted.len() + 1) as f64;
    let below = (place as usize).clamp(1, last + 1) - 1;
    let above = (below + 1).min(last);
    let part = (place - (below + 1) as f64).clamp(0.0, 1.0);
    let (from, to) = (sorted[below] as f64, sorted[above] as f64);
    Some(from + part * (to - from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_that_flink_gives_for_the_same_durations() {
        // The durations of the ten checkpoints of a Flink job, and what its REST API said of them.
        let durations = [42, 24, 22, 13, 21, 142, 206, 178, 339, 1272];
        let summary = summary(&durations);
        assert_eq!(summary["min"], 13);
        assert_eq!(summary["max"], 1272);
        assert_eq!(summary["avg"], 225);
        assert_eq!(summary["p50"], 92.0);
        let p90 = summary["p90"].as_f64().unwrap();
        assert!((p90 - 1178.7).abs() < 1e-9, "{p90}");
        assert_eq!(summary["p95"], 1272.0);
        assert_eq!(summary["p999"], 1272.0);
    }

    #[test]
    fn of_nothing_there_are_no_percentiles() {
        assert_eq!(percentile(&[], 50.0), None);
        assert_eq!(summary(&[])["p50"], "NaN");
        assert_eq!(summary(&[7])["p99"], 7.0);
    }
}
