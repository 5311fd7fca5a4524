//! The operators: `/jobs/ID/vertices/V` and what is below it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::super::Api;
use super::super::answer::Refused;
use super::super::change::is_id;
use super::cluster::task_manager;
use super::{Job, Phase, TASK_STATES, by_state, task_state};

/// Workers have no address of their own.
const ENDPOINT: &str = "localhost:-1";

/// What one operator has read and written, as far as it is counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Figures {
    read_bytes: Option<u64>,
    write_bytes: Option<u64>,
    read_records: Option<u64>,
    write_records: Option<u64>,
}

/// The figures of an operator over all workers of this process.
pub(super) fn figures(api: &Api, operator: &str) -> Figures {
    let metrics = api.process.metrics();
    match operator {
        "Kafka source" => Figures {
            write_bytes: Some(metrics.bytes_read.get()),
            write_records: Some(metrics.records_read.get()),
            ..Figures::default()
        },
        "Stage" => Figures {
            read_records: Some(metrics.records_staged.get()),
            ..Figures::default()
        },
        "Commit" => Figures {
            write_bytes: Some(metrics.bytes_committed.get()),
            write_records: Some(metrics.records_committed.get()),
            ..Figures::default()
        },
        _ => Figures::default(),
    }
}

impl Figures {
    fn named(&self) -> [(&'static str, Option<u64>); 4] {
        [
            ("read-bytes", self.read_bytes),
            ("write-bytes", self.write_bytes),
            ("read-records", self.read_records),
            ("write-records", self.write_records),
        ]
    }

    /// A figure that is not known is 0 and not complete.
    pub(super) fn json(&self) -> Value {
        let mut json = json!({
            "accumulated-backpressured-time": 0,
            "accumulated-idle-time": 0,
            "accumulated-busy-time": 0.0,
        });
        for (name, figure) in self.named() {
            json[name] = json!(figure.unwrap_or(0));
            json[format!("{name}-complete")] = json!(figure.is_some());
        }
        json
    }

    /// The same over all subtasks: only the sum is known.
    fn aggregated(&self, subtasks: usize) -> Value {
        let times = [
            "accumulated-backpressured-time",
            "accumulated-idle-time",
            "accumulated-busy-time",
        ];
        let figures = self
            .named()
            .into_iter()
            .chain(times.map(|time| (time, None)));
        let figures = figures.map(|(name, figure)| {
            let sum = figure.unwrap_or(0);
            (name.to_owned(), spread(sum, sum / subtasks.max(1) as u64))
        });
        Value::Object(Map::from_iter(figures))
    }
}

/// The statistics of something of which sum and mean are known.
fn spread(sum: u64, mean: u64) -> Value {
    json!({
        "min": mean, "max": mean, "avg": mean, "sum": sum,
        "median": mean, "p25": mean, "p75": mean, "p95": mean,
    })
}

/// `GET /jobs/ID/vertices/V`
pub(in super::super) async fn details(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    let index = index(&job, &vertex)?;
    let operator = &job.graph.operators[index];
    let parallelism = operator.parallelism;
    let running = job.now - job.running_since();
    let figures = figures(&api, &operator.name);
    // Figures are counted over all workers; alone, it is the one worker's.
    let own = if parallelism == 1 {
        figures
    } else {
        Figures::default()
    };
    let durations = durations(&job).map(|(state, ms)| (state.to_owned(), json!(ms)));
    let durations = Map::from_iter(durations);
    let subtasks = (0..parallelism).map(|subtask| {
        json!({
            "subtask": subtask,
            "status": task_state(job.phase),
            "attempt": api.process.metrics().restarts.get(),
            "endpoint": ENDPOINT,
            "start-time": job.running_since(),
            "end-time": job.ended(),
            "duration": running,
            "metrics": own.json(),
            "taskmanager-id": task_manager(&api),
            "status-duration": durations,
            "start_time": job.running_since(),
        })
    });
    let subtasks: Vec<Value> = subtasks.collect();
    Ok(Json(json!({
        "id": vertex,
        "name": operator.name,
        "parallelism": parallelism,
        "maxParallelism": parallelism,
        "now": job.now,
        "subtasks": subtasks,
        "aggregated": aggregated(&job, figures, parallelism),
    })))
}

/// How long each subtask has been in each state.
fn durations(job: &Job<'_>) -> [(&'static str, i64); 5] {
    [
        ("CREATED", job.running_since() - job.started()),
        ("SCHEDULED", 0),
        ("DEPLOYING", 0),
        ("INITIALIZING", 0),
        ("RUNNING", job.now - job.running_since()),
    ]
}

/// Figures and durations over all subtasks.
fn aggregated(job: &Job<'_>, figures: Figures, parallelism: usize) -> Value {
    let durations = durations(job).map(|(state, ms)| {
        let ms = ms.max(0) as u64;
        (state.to_owned(), spread(ms * parallelism as u64, ms))
    });
    json!({
        "metrics": figures.aggregated(parallelism),
        "status-duration": Map::from_iter(durations),
    })
}

/// `GET /jobs/ID/vertices/V/subtasktimes`: when each subtask came to each state; 0 where it has not been.
pub(in super::super) async fn times(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    let operator = &job.graph.operators[index(&job, &vertex)?];
    let running = job.since.get(&Phase::Running).copied().unwrap_or(0);
    let timestamps = TASK_STATES.map(|state| {
        let at = match state {
            "CREATED" | "SCHEDULED" | "DEPLOYING" | "INITIALIZING" => job.started(),
            "RUNNING" => running,
            state if state == task_state(job.phase) => job.changed(),
            _ => 0,
        };
        (state.to_owned(), json!(at))
    });
    let timestamps = Map::from_iter(timestamps);
    let subtasks = (0..operator.parallelism).map(|subtask| {
        json!({
            "subtask": subtask,
            "endpoint": ENDPOINT,
            "duration": job.now - job.running_since(),
            "timestamps": timestamps,
        })
    });
    let subtasks: Vec<Value> = subtasks.collect();
    Ok(Json(json!({
        "id": vertex,
        "name": operator.name,
        "now": job.now,
        "subtasks": subtasks,
    })))
}

/// `GET /jobs/ID/vertices/V/taskmanagers`: this process.
pub(in super::super) async fn task_managers(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    let operator = &job.graph.operators[index(&job, &vertex)?];
    let figures = figures(&api, &operator.name);
    let state = task_state(job.phase);
    Ok(Json(json!({
        "id": vertex,
        "name": operator.name,
        "now": job.now,
        "taskmanagers": [{
            "endpoint": ENDPOINT,
            "status": state,
            "start-time": job.running_since(),
            "end-time": job.ended(),
            "duration": job.now - job.running_since(),
            "metrics": figures.json(),
            "status-counts": by_state(state, operator.parallelism),
            "taskmanager-id": task_manager(&api),
            "aggregated": aggregated(&job, figures, operator.parallelism),
        }],
    })))
}

/// `GET /jobs/ID/vertices/V/accumulators`: there are none.
pub(in super::super) async fn accumulators(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    index(&found(&api, &id)?, &vertex)?;
    Ok(Json(json!({ "id": vertex, "user-accumulators": [] })))
}

/// `GET /jobs/ID/vertices/V/subtasks/accumulators`: there are none.
pub(in super::super) async fn subtask_accumulators(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    let parallelism = job.graph.operators[index(&job, &vertex)?].parallelism;
    Ok(Json(
        json!({ "id": vertex, "parallelism": parallelism, "subtasks": [] }),
    ))
}

/// `GET /jobs/ID/vertices/V/flamegraph`: Flink's answer where they are switched off.
pub(in super::super) async fn flame_graph(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    index(&found(&api, &id)?, &vertex)?;
    Ok(Json(json!({ "endTimestamp": -2, "data": null })))
}

/// `GET /jobs/ID/vertices/V/backpressure`: the source waits for budget, nobody for another operator.
pub(in super::super) async fn backpressure(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    index(&job, &vertex)?;
    Ok(Json(json!({
        "status": "deprecated",
        "backpressureLevel": null,
        "end-timestamp": null,
        "subtasks": null,
        "backpressure-level": null,
    })))
}

/// `GET /jobs/ID/vertices/V/watermarks`: records carry epochs, no event times.
pub(in super::super) async fn watermarks(
    State(api): State<Arc<Api>>,
    Path((id, vertex)): Path<(String, String)>,
) -> Result<Json<Value>, Refused> {
    let job = found(&api, &id)?;
    index(&job, &vertex)?;
    Ok(Json(json!([])))
}

pub(super) fn found<'a>(api: &'a Api, id: &str) -> Result<Job<'a>, Refused> {
    api.is_ours(id)?;
    Ok(Job::now(api))
}

pub(super) fn index(job: &Job<'_>, vertex: &str) -> Result<usize, Refused> {
    is_id(vertex, "vertexid")?;
    let mut vertices = job.vertices();
    let found = vertices.find(|(_, id, _)| id.eq_ignore_ascii_case(vertex));
    found
        .map(|(index, ..)| index)
        .ok_or_else(|| Refused::missing(format!("Vertex {vertex} not found")))
}
