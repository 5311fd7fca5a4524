//! The process: `/overview`, `/config`, `/taskmanagers…`, `/jobmanager…`.

use std::fs;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Json;
use axum::extract::{Path, State};
use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::super::answer::Refused;
use super::super::{Api, hash};
use super::{Job, Phase};
use crate::observe::recent;

const VERSION: &str = concat!("calve ", env!("CARGO_PKG_VERSION"));

/// `GET /overview`
pub(in super::super) async fn overview(State(api): State<Arc<Api>>) -> Json<Value> {
    let job = Job::now(&api);
    let count = |phases: &[Phase]| usize::from(phases.contains(&job.phase));
    Json(json!({
        "taskmanagers": 1,
        "slots-total": api.settings.parallelism,
        "slots-available": 0,
        "jobs-running": count(&[Phase::Starting, Phase::Running, Phase::Restarting]),
        "jobs-finished": count(&[Phase::Finished]),
        "jobs-cancelled": count(&[Phase::Cancelled]),
        "jobs-failed": count(&[Phase::Failed]),
        "flink-version": VERSION,
        "flink-commit": "",
    }))
}

/// `GET /config`: what a dashboard needs to know.
pub(in super::super) async fn config() -> Json<Value> {
    Json(json!({
        "refresh-interval": 3000,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": VERSION,
        "flink-revision": VERSION,
        "features": {
            "web-submit": false,
            // Flink's page cancels with a GET, and whoever may look may do that.
            "web-cancel": false,
            "web-rescale": false,
            "web-history": false,
        },
    }))
}

/// `GET /jobmanager/config`: the settings, as `calve config` shows them.
pub(in super::super) async fn settings(State(api): State<Arc<Api>>) -> Json<Value> {
    let settings = api.settings.effective().into_iter();
    let settings = settings.filter_map(|setting| {
        let value = setting.value?;
        Some(json!({ "key": setting.key, "value": value }))
    });
    Json(settings.collect())
}

/// `GET /jobmanager/environment`: there is no JVM.
pub(in super::super) async fn environment() -> Json<Value> {
    Json(json!({
        "jvm": { "version": VERSION, "arch": std::env::consts::ARCH, "options": [] },
        "classpath": [],
    }))
}

/// `GET /jobmanager/log`: the last lines.
pub(in super::super) async fn log() -> String {
    let lines = recent::after(0).into_iter();
    let lines = lines.map(|line| {
        let at = DateTime::from_timestamp_millis(line.at_ms).unwrap_or_default();
        let at = at.format("%F %T%.3f");
        format!("{at} {:5} {}\n", line.level, line.text)
    });
    lines.collect()
}

/// `GET /jobmanager/logs`: the log is not in files.
pub(in super::super) async fn log_files() -> Json<Value> {
    Json(json!({ "logs": [] }))
}

/// `GET /jobmanager/stdout`: nothing is written there.
pub(in super::super) async fn stdout() -> &'static str {
    ""
}

/// `GET /jobmanager/thread-dump`: threads are not told.
pub(in super::super) async fn threads() -> Json<Value> {
    Json(json!({ "threadInfos": [] }))
}

/// `GET /taskmanagers`: this process.
pub(in super::super) async fn task_managers(State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({ "taskmanagers": [this_process(&api)] }))
}

/// `GET /taskmanagers/ID`: this process, with what a JVM would measure of itself.
pub(in super::super) async fn task_manager_details(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refused> {
    if id != task_manager(&api) {
        return Err(Refused::missing(format!("TaskManager {id} not found")));
    }
    let measured = [
        "heapUsed",
        "heapCommitted",
        "heapMax",
        "nonHeapUsed",
        "nonHeapCommitted",
        "nonHeapMax",
        "directCount",
        "directUsed",
        "directMax",
        "mappedCount",
        "mappedUsed",
        "mappedMax",
        "nettyShuffleMemorySegmentsAvailable",
        "nettyShuffleMemorySegmentsUsed",
        "nettyShuffleMemorySegmentsTotal",
        "nettyShuffleMemoryAvailable",
        "nettyShuffleMemoryUsed",
        "nettyShuffleMemoryTotal",
    ];
    let mut metrics = Map::from_iter(measured.map(|name| (name.to_owned(), json!(0))));
    metrics.insert("garbageCollectors".to_owned(), json!([]));
    let mut json = this_process(&api);
    json["metrics"] = Value::Object(metrics);
    json["allocatedSlots"] = json!([]);
    Ok(Json(json))
}

fn this_process(api: &Api) -> Value {
    let job = Job::now(api);
    let settings = &api.settings;
    let cores = available_parallelism().map_or(1, usize::from);
    let in_flight = settings.memory.in_flight * settings.parallelism as u64;
    let (total, available) = memory();
    let resource = |free: bool| {
        json!({
            "cpuCores": if free { 0.0 } else { cores as f64 },
            "taskHeapMemory": 0,
            "taskOffHeapMemory": if free { 0 } else { in_flight >> 20 },
            "managedMemory": 0,
            "networkMemory": 0,
            "extendedResources": {},
        })
    };
    json!({
        "id": task_manager(api),
        "path": "calve",
        "dataPort": -1,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": job.now,
        "slotsNumber": settings.parallelism,
        "freeSlots": 0,
        "totalResource": resource(false),
        "freeResource": resource(true),
        "hardware": {
            "cpuCores": cores,
            "physicalMemory": total,
            "freeMemory": available,
            "managedMemory": 0,
        },
        "memoryConfiguration": {
            "frameworkHeap": 0,
            "taskHeap": 0,
            "frameworkOffHeap": 0,
            "taskOffHeap": in_flight,
            "networkMemory": 0,
            "managedMemory": 0,
            "jvmMetaspace": 0,
            "jvmOverhead": 0,
            "totalFlinkMemory": in_flight,
            "totalProcessMemory": in_flight,
        },
    })
}

/// The id of this process, in the form of Flink's.
pub(super) fn task_manager(api: &Api) -> String {
    let hash = hash(&format!("{}/process 0", api.settings.pipeline.name));
    let parts = [
        &hash[..8],
        &hash[8..12],
        &hash[12..16],
        &hash[16..20],
        &hash[20..],
    ];
    parts.join("-")
}

/// The machine's memory and what of it is available, in bytes; 0 where the system does not tell it this way.
fn memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let mut lines = text.lines();
        let kib = lines.find_map(|line| {
            line.strip_prefix(name)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        kib.map_or(0, |kib: u64| kib << 10)
    };
    (bytes("MemTotal:"), bytes("MemAvailable:"))
}
