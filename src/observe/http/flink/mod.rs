//! What can be looked at, in the paths and shapes of Flink's REST API.
//!
//! A shape is Flink's to the last field: clients and dashboards read them by name. What calve has no counterpart for says
//! so in Flink's own way: 0, `null`, an empty list, or `…-complete: false` beside a figure that is not known.
//!
//! | Flink | calve |
//! |---|---|
//! | job, its id | pipeline, a hash of its name |
//! | checkpoint id | epoch |
//! | external path of a checkpoint | the table's snapshot |
//! | vertex | operator of the dataflow |
//! | subtask | worker |
//! | slot | worker |
//! | task manager | this process |

pub(super) mod busy;
pub(super) mod checkpoints;
pub(super) mod cluster;
pub(super) mod job;
pub(super) mod metrics;
pub(super) mod vertices;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Api, hash};
use crate::control::{Graph, Operator, Phase, now_ms};

/// Flink's states of a task.
const TASK_STATES: [&str; 10] = [
    "CREATED",
    "SCHEDULED",
    "DEPLOYING",
    "INITIALIZING",
    "RUNNING",
    "FINISHED",
    "CANCELING",
    "CANCELED",
    "FAILED",
    "RECONCILING",
];

/// Flink's word for a phase of a job.
pub(super) fn job_state(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "INITIALIZING",
        Phase::Running => "RUNNING",
        Phase::Restarting => "RESTARTING",
        Phase::Finished => "FINISHED",
        Phase::Cancelled => "CANCELED",
        Phase::Failed => "FAILED",
    }
}

/// Flink's word for what the tasks do then.
fn task_state(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting | Phase::Restarting => "SCHEDULED",
        phase => job_state(phase),
    }
}

/// The pipeline at one moment, as every answer wants it.
struct Job<'a> {
    id: &'a str,
    name: &'a str,
    phase: Phase,
    since: BTreeMap<Phase, i64>,
    now: i64,
    graph: std::sync::Arc<Graph>,
}

impl<'a> Job<'a> {
    fn now(api: &'a Api) -> Self {
        let control = api.process.control();
        let (phase, since) = control.phase();
        Self {
            id: &api.job_id,
            name: &api.settings.pipeline.name,
            phase,
            since,
            now: now_ms(),
            graph: control.graph(),
        }
    }

    fn started(&self) -> i64 {
        self.since
            .get(&Phase::Starting)
            .copied()
            .unwrap_or(self.now)
    }

    /// When it came to the phase that it is in.
    fn changed(&self) -> i64 {
        self.since.get(&self.phase).copied().unwrap_or(self.now)
    }

    /// −1 while it runs.
    fn ended(&self) -> i64 {
        match self.phase {
            Phase::Starting | Phase::Running | Phase::Restarting => -1,
            Phase::Finished | Phase::Cancelled | Phase::Failed => self.changed(),
        }
    }

    fn duration(&self) -> i64 {
        let end = match self.ended() {
            -1 => self.now,
            end => end,
        };
        end - self.started()
    }

    /// When the dataflow began to run; before that, when the process did.
    fn running_since(&self) -> i64 {
        let running = self.since.get(&Phase::Running).copied();
        running.unwrap_or_else(|| self.started())
    }

    fn tasks(&self) -> usize {
        self.graph.operators.iter().map(|o| o.parallelism).sum()
    }

    fn vertex_id(&self, index: usize) -> String {
        let name = &self.graph.operators[index].name;
        hash(&format!("{}/{index}/{name}", self.name))
    }

    /// The operators with their numbers and ids.
    fn vertices(&self) -> impl Iterator<Item = (usize, String, &Operator)> {
        let operators = self.graph.operators.iter().enumerate();
        operators.map(|(index, operator)| (index, self.vertex_id(index), operator))
    }
}

/// A count for each of Flink's states of a task, `count` in `state`.
fn by_state(state: &str, count: usize) -> Value {
    let counts = TASK_STATES.map(|name| {
        let count = if name == state { count } else { 0 };
        (name.to_owned(), json!(count))
    });
    Value::Object(Map::from_iter(counts))
}
