//! The pipeline: `/jobs`, `/jobs/overview`, `/jobs/ID` and what says the same of it in other words.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::Api;
use super::super::answer::Refused;
use super::{Job, Phase, by_state, job_state, task_state};

/// `GET /jobs`
pub(in super::super) async fn ids(State(api): State<Arc<Api>>) -> Json<Value> {
    let job = Job::now(&api);
    Json(json!({ "jobs": [{ "id": job.id, "status": job_state(job.phase) }] }))
}

/// `GET /jobs/overview`
pub(in super::super) async fn overview(State(api): State<Arc<Api>>) -> Json<Value> {
    let job = Job::now(&api);
    let tasks = job.tasks();
    let state = task_state(job.phase);
    let count = |name: &str| if name == state { tasks } else { 0 };
    Json(json!({
        "jobs": [{
            "jid": job.id,
            "name": job.name,
            "start-time": job.started(),
            "end-time": job.ended(),
            "duration": job.duration(),
            "state": job_state(job.phase),
            "last-modification": job.changed(),
            "tasks": {
                "running": count("RUNNING"),
                "canceling": 0,
                "canceled": count("CANCELED"),
                "total": tasks,
                "created": 0,
                "scheduled": count("SCHEDULED"),
                "deploying": 0,
                "reconciling": 0,
                "finished": count("FINISHED"),
                "initializing": 0,
                "failed": count("FAILED"),
            },
            "pending-operators": 0,
        }],
    }))
}

/// `GET /jobs/ID`
pub(in super::super) async fn details(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    let job = Job::now(&api);
    let since = |phase| job.since.get(&phase).copied().unwrap_or(0);
    let vertices = job.vertices().map(|(_, id, operator)| {
        json!({
            "id": id,
            "slotSharingGroupId": job.id,
            "name": operator.name,
            "maxParallelism": operator.parallelism,
            "parallelism": operator.parallelism,
            "status": task_state(job.phase),
            "start-time": job.running_since(),
            "end-time": job.ended(),
            "duration": job.now - job.running_since(),
            "tasks": by_state(task_state(job.phase), operator.parallelism),
            "metrics": super::vertices::figures(&api, &operator.name).json(),
        })
    });
    let vertices: Vec<Value> = vertices.collect();
    Ok(Json(json!({
        "jid": job.id,
        "name": job.name,
        "isStoppable": false,
        "state": job_state(job.phase),
        "job-type": "STREAMING",
        "start-time": job.started(),
        "end-time": job.ended(),
        "duration": job.duration(),
        "maxParallelism": -1,
        "now": job.now,
        "timestamps": {
            "INITIALIZING": since(Phase::Starting),
            "CREATED": since(Phase::Starting),
            "RUNNING": since(Phase::Running),
            "FAILING": 0,
            "FAILED": since(Phase::Failed),
            "CANCELLING": 0,
            "CANCELED": since(Phase::Cancelled),
            "FINISHED": since(Phase::Finished),
            "RESTARTING": since(Phase::Restarting),
            "SUSPENDED": 0,
            "RECONCILING": 0,
        },
        "vertices": vertices,
        "status-counts": by_state(task_state(job.phase), job.graph.operators.len()),
        "plan": drawn(&job),
        "pending-operators": 0,
    })))
}

/// `GET /jobs/ID/plan`
pub(in super::super) async fn plan(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    Ok(Json(json!({ "plan": drawn(&Job::now(&api)) })))
}

fn drawn(job: &Job<'_>) -> Value {
    let nodes = job.vertices().map(|(index, id, operator)| {
        let into = job.graph.edges.iter().filter(|(_, to)| *to == index);
        let inputs = into.enumerate().map(|(number, (from, _))| {
            json!({
                "num": number,
                "id": job.vertex_id(*from),
                "ship_strategy": "FORWARD",
                "exchange": "pipelined_bounded",
            })
        });
        let inputs: Vec<Value> = inputs.collect();
        let mut node = json!({
            "id": id,
            "parallelism": operator.parallelism,
            "operator": "",
            "operator_strategy": "",
            "description": operator.name,
            "optimizer_properties": {},
        });
        if !inputs.is_empty() {
            node["inputs"] = Value::Array(inputs);
        }
        node
    });
    json!({
        "jid": job.id,
        "name": job.name,
        "type": "STREAMING",
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

/// `GET /jobs/ID/config`
pub(in super::super) async fn config(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    let strategy = api.settings.effective().into_iter();
    let mut strategy = strategy.filter(|setting| setting.key == "restart-strategy.type");
    Ok(Json(json!({
        "jid": api.job_id,
        "name": api.settings.pipeline.name,
        "execution-config": {
            "restart-strategy": strategy.next().and_then(|setting| setting.value),
            "job-parallelism": api.settings.parallelism,
            "object-reuse-mode": true,
            "user-config": {},
        },
    })))
}

/// `GET /jobs/ID/exceptions`: the failures of the dataflow, newest first.
pub(in super::super) async fn exceptions(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    let failures = api.process.control().failures();
    let entries = failures.iter().rev().map(|failure| {
        json!({
            "exceptionName": failure.reason.lines().next(),
            "stacktrace": failure.reason,
            "timestamp": failure.at_ms,
            "failureLabels": {},
            "taskName": null,
            "endpoint": null,
            "taskManagerId": null,
            "concurrentExceptions": [],
        })
    });
    let entries: Vec<Value> = entries.collect();
    Ok(Json(json!({
        "exceptionHistory": { "entries": entries, "truncated": false },
    })))
}

/// `GET /jobs/ID/accumulators`: there are none.
pub(in super::super) async fn accumulators(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    api.is_ours(&id)?;
    Ok(Json(json!({
        "job-accumulators": [],
        "user-task-accumulators": [],
        "serialized-user-task-accumulators": {},
    })))
}
