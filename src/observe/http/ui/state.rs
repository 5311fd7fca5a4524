//! The state of the pipeline in JSON, from what lies in memory: no request goes out for it.

use serde_json::{Value, json};

use super::super::{Api, own};
use crate::config::{CheckpointMode, OnReject};
use crate::control::{History, Phase, Record, Status, now_ms};
use crate::observe::graph::{Edge, Holder, Operator, Port};
use crate::observe::recent;
use crate::time::Epoch;

/// So many partitions are shown one by one: those with the largest lag.
const PARTITIONS_MAX: usize = 64;

/// Everything that changes.
pub(super) fn now(api: &Api) -> Value {
    let control = api.process.control();
    let settings = &api.settings;
    let (phase, since) = control.phase();
    let failures = control.failures();
    json!({
        "at-ms": now_ms(),
        "version": env!("CARGO_PKG_VERSION"),
        "pipeline": settings.pipeline.name,
        "dataflow": api.live.dataflow,
        "job": api.job_id,
        "parallelism": settings.parallelism,
        "started-ms": api.live.started_ms,
        "phase": word(phase),
        "phase-since-ms": since.get(&phase),
        "changing": api.access.changing(),
        "savepoints-dir": settings.state.savepoints_dir,
        "figures": figures(api),
        "limits": {
            "in-flight-bytes": settings.memory.in_flight.saturating_mul(settings.parallelism as u64),
            "uncommitted-bytes": settings.memory.uncommitted,
        },
        "lag": lag(api),
        "delay-ms": control.read_history(delay_ms),
        "checkpoints": checkpoints(api),
        "graph": graph(api),
        "table": api.process.notices().table(),
        "rejects": {
            "count": api.process.metrics().records_rejected.get(),
            "policy": match settings.on_reject {
                OnReject::Halt => "halt",
                OnReject::Skip => "skip",
            },
            "recent": api.process.notices().rejects(),
        },
        "failures": failures
            .iter()
            .map(|failure| json!({ "at-ms": failure.at_ms, "reason": failure.reason }))
            .collect::<Vec<_>>(),
        "log-newest": recent::newest(),
    })
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Running => "running",
        Phase::Restarting => "restarting",
        Phase::Finished => "finished",
        Phase::Cancelled => "cancelled",
        Phase::Failed => "failed",
    }
}

fn figures(api: &Api) -> Value {
    let metrics = api.process.metrics();
    let (last, bytes_per_s) = api.live.last();
    let (_, read_per_s, committed_per_s, _) = last.unwrap_or_default();
    json!({
        "records-read": metrics.records_read.get(),
        "bytes-read": metrics.bytes_read.get(),
        "records-staged": metrics.records_staged.get(),
        "records-committed": metrics.records_committed.get(),
        "records-rejected": metrics.records_rejected.get(),
        "files-committed": metrics.files_committed.get(),
        "bytes-committed": metrics.bytes_committed.get(),
        "commits": metrics.commits.get(),
        "restarts": metrics.restarts.get(),
        "epoch-open": metrics.epoch_open.get(),
        "epoch-committed": metrics.epoch_committed.get(),
        "in-flight-bytes": metrics.in_flight_bytes.get().max(0),
        "uncommitted-bytes": metrics.uncommitted_bytes.get().max(0),
        "records-per-s": read_per_s,
        "committed-per-s": committed_per_s,
        "bytes-per-s": bytes_per_s,
    })
}

fn lag(api: &Api) -> Value {
    let metrics = api.process.metrics();
    let mut positions = metrics.positions();
    let partitions = positions.len();
    if partitions > PARTITIONS_MAX {
        positions.sort_by_key(|(_, position)| std::cmp::Reverse(position.lag));
        positions.truncate(PARTITIONS_MAX);
    }
    let shown = positions.into_iter().map(|(partition, position)| {
        json!({
            "topic": partition.topic,
            "partition": partition.partition,
            "lag": position.lag.max(0),
        })
    });
    json!({
        "total": metrics.lag_total(),
        "partitions": partitions,
        "shown": shown.collect::<Vec<_>>(),
    })
}

/// How long the oldest record of the last checkpoint waited from its reading to the table, at most: it was read when
/// the epoch before had just been closed.
fn delay_ms(history: &History) -> Option<i64> {
    let mut records = history.records();
    let newest = records.find(|record| record.status == Status::Completed)?;
    let before = records.next()?;
    let took = i64::try_from(newest.took?.as_millis()).ok()?;
    Some(newest.triggered_at_ms + took - before.triggered_at_ms)
}

fn checkpoints(api: &Api) -> Value {
    let settings = &api.settings.checkpoint;
    let config = json!({
        "mode": match settings.mode {
            CheckpointMode::ExactlyOnce => "Exactly once",
        },
        "interval-ms": settings.interval.as_millis() as u64,
        "timeout-ms": settings.timeout.as_millis() as u64,
        "min-pause-ms": settings.min_pause().as_millis() as u64,
        "max-concurrent": settings.max_concurrent,
        "tolerable-failed": settings.tolerable_failed,
    });
    api.process.control().read_history(|history| {
        json!({
            "counts": own::counts(history),
            "latest": {
                "completed": history.last_completed().map(checkpoint),
                "savepoint": history.last_savepoint().map(checkpoint),
                "failed": history.last_failed().map(checkpoint),
            },
            "restored": own::restored(history),
            "history": history.records().map(checkpoint).collect::<Vec<_>>(),
            "config": config,
        })
    })
}

/// As under `/calve/checkpoints`, without the offsets, and with an id that JavaScript can read.
fn checkpoint(record: &Record) -> Value {
    let mut json = own::summary(record);
    json["snapshot-id"] = json!(record.proof.snapshot_id.map(|id| id.to_string()));
    json
}

fn graph(api: &Api) -> Value {
    let view = api.live.graph.view();
    let collecting = api.process.metrics().epoch_open.get();
    json!({
        "says": view.says(Epoch(u64::try_from(collecting).unwrap_or_default())),
        "workers": view.workers,
        "operators": view.operators.iter().map(operator).collect::<Vec<_>>(),
        "edges": view.edges.iter().map(edge).collect::<Vec<_>>(),
        "open": view.open.map(|epoch| epoch.0),
        "holders": view.holders.iter().map(holder).collect::<Vec<_>>(),
    })
}

fn operator(operator: &Operator) -> Value {
    let busy_ms = operator.busy.iter().map(|busy| busy.as_secs_f64() * 1e3);
    json!({
        "node": operator.node,
        "name": operator.name,
        "busy-ms": busy_ms.collect::<Vec<_>>(),
        "runs": operator.runs,
    })
}

fn edge(edge: &Edge) -> Value {
    let port = |port: Port| [port.node, port.port];
    json!({
        "from": port(edge.from),
        "to": port(edge.to),
        "item": edge.item,
        "batches": edge.batches,
        "items": edge.items,
        "exchanged": edge.exchanged,
        "frontier": edge.frontier.map(|epoch| epoch.0),
    })
}

fn holder(holder: &Holder) -> Value {
    json!({ "node": holder.node, "messages": holder.messages, "workers": holder.workers })
}
