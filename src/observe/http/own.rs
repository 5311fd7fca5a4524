//! What can be looked at and has no model in Flink.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Api;
use crate::control::{History, Record, Status, Trigger};

/// `GET /calve/checkpoints`: the history with what Flink's has no place for.
pub(super) async fn history(State(api): State<Arc<Api>>) -> Json<Value> {
    let json = api.process.control().read_history(|history| {
        json!({
            "pipeline": api.settings.pipeline.name,
            "counts": counts(history),
            "restored": restored(history),
            "history": history.records().map(checkpoint).collect::<Vec<_>>(),
        })
    });
    Json(json)
}

pub(super) fn counts(history: &History) -> Value {
    let counts = history.counts();
    json!({
        "triggered": counts.triggered,
        "completed": counts.completed,
        "failed": counts.failed,
        "restored": counts.restored,
        "in-progress": history.in_progress(),
    })
}

pub(super) fn restored(history: &History) -> Value {
    let restored = history.last_restored().map(|restored| {
        json!({
            "epoch": restored.epoch.0,
            "at-ms": restored.at_ms,
            "savepoint": restored.savepoint,
        })
    });
    restored.into()
}

fn checkpoint(record: &Record) -> Value {
    let mut json = summary(record);
    json["offsets"] = json!(record.proof.offsets);
    json
}

/// A checkpoint without its offsets, which may be many.
pub(super) fn summary(record: &Record) -> Value {
    let (status, failure) = match &record.status {
        Status::InProgress => ("in progress", None),
        Status::Completed => ("completed", None),
        Status::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "epoch": record.epoch.0,
        "trigger": match record.trigger {
            Trigger::Periodic => "periodic",
            Trigger::Manual => "manual",
            Trigger::Savepoint => "savepoint",
        },
        "status": status,
        "failure": failure,
        "triggered-at-ms": record.triggered_at_ms,
        "duration-ms": record.took.map(|took| took.as_millis() as u64),
        "records": record.proof.records,
        "files": record.proof.files,
        "bytes": record.proof.bytes,
        "snapshot-id": record.proof.snapshot_id,
        "savepoint": record.savepoint,
    })
}
