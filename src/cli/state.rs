//! What a running pipeline says of itself: the answers of `/calve/state` and `/calve/logs`, as far as commands show
//! them.
//!
//! The figures are those of the web UI, of the same answer: nothing is counted or remembered here.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// Everything that changes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct State {
    /// When this was so, in milliseconds since 1970.
    pub(super) at_ms: i64,
    pub(super) version: String,
    pub(super) pipeline: String,
    pub(super) dataflow: String,
    pub(super) parallelism: usize,
    pub(super) phase: Phase,
    pub(super) phase_since_ms: i64,
    pub(super) started_ms: i64,
    pub(super) figures: Figures,
    pub(super) limits: Limits,
    pub(super) lag: Lag,
    /// From the reading of a record to the table, at most; known after two checkpoints.
    pub(super) delay_ms: Option<i64>,
    pub(super) checkpoints: Checkpoints,
    pub(super) graph: Graph,
    pub(super) rejects: Rejects,
    /// Of the dataflow, oldest first.
    pub(super) failures: Vec<Failure>,
    /// The number of the newest log line.
    pub(super) log_newest: u64,
    /// The last minutes, oldest first: milliseconds since 1970, records read and committed a second, lag.
    pub(super) series: Vec<(i64, f64, f64, u64)>,
}

/// Where the life of the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    Starting,
    Running,
    Restarting,
    Finished,
    Cancelled,
    Failed,
}

impl Phase {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// True if there is nothing more to come: the process is about to end.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled | Self::Failed)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Figures {
    pub(super) records_committed: u64,
    pub(super) files_committed: u64,
    pub(super) bytes_committed: u64,
    pub(super) restarts: u64,
    pub(super) in_flight_bytes: u64,
    pub(super) uncommitted_bytes: u64,
    pub(super) records_per_s: f64,
    pub(super) committed_per_s: f64,
    pub(super) bytes_per_s: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Limits {
    pub(super) in_flight_bytes: u64,
    pub(super) uncommitted_bytes: u64,
}

/// Records before the readers.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Lag {
    pub(super) total: u64,
    pub(super) partitions: usize,
    /// Those with the largest lag, if there are many.
    pub(super) shown: Vec<PartitionLag>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct PartitionLag {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) lag: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Checkpoints {
    pub(super) counts: Counts,
    pub(super) latest: Latest,
    /// Newest first.
    pub(super) history: Vec<Checkpoint>,
    pub(super) config: Pace,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Counts {
    pub(super) in_progress: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Latest {
    completed: Option<Checkpoint>,
    savepoint: Option<Checkpoint>,
    pub(super) failed: Option<Checkpoint>,
}

impl Latest {
    /// The newest that is durable, savepoint or not.
    pub(super) fn durable(&self) -> Option<&Checkpoint> {
        let both = self.completed.iter().chain(&self.savepoint);
        both.max_by_key(|checkpoint| checkpoint.ended_ms())
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Checkpoint {
    pub(super) epoch: u64,
    pub(super) trigger: String,
    pub(super) status: CheckpointStatus,
    pub(super) failure: Option<String>,
    pub(super) triggered_at_ms: i64,
    pub(super) duration_ms: Option<u64>,
    pub(super) records: u64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) snapshot_id: Option<String>,
}

impl Checkpoint {
    /// When it was proved or given up.
    pub(super) fn ended_ms(&self) -> i64 {
        let took = self.duration_ms.unwrap_or_default();
        self.triggered_at_ms + i64::try_from(took).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum CheckpointStatus {
    #[serde(rename = "in progress")]
    InProgress,
    #[serde(rename = "completed")]
    Completed,
    #[serde(rename = "failed")]
    Failed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Pace {
    pub(super) interval_ms: u64,
    pub(super) min_pause_ms: u64,
}

/// The dataflow; empty while there is none.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Graph {
    /// Who holds the open epoch back, in a sentence.
    pub(super) says: String,
    pub(super) workers: Vec<usize>,
    pub(super) operators: Vec<Operator>,
    pub(super) edges: Vec<Edge>,
    pub(super) holders: Vec<Holder>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Operator {
    pub(super) node: usize,
    pub(super) name: String,
    /// How long it has run on each worker, since its start.
    pub(super) busy_ms: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Edge {
    /// Operator and port.
    pub(super) from: [usize; 2],
    pub(super) to: [usize; 2],
    pub(super) item: String,
    pub(super) items: u64,
    /// The least epoch that may still come; none if nothing can.
    pub(super) frontier: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Holder {
    pub(super) node: usize,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rejects {
    pub(super) count: u64,
    /// `halt` or `skip`.
    pub(super) policy: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Failure {
    pub(super) at_ms: i64,
    pub(super) reason: String,
}

/// The answer of `/calve/logs`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Log {
    /// Oldest first.
    pub(super) lines: Vec<LogLine>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct LogLine {
    pub(super) number: u64,
    pub(super) at_ms: i64,
    pub(super) level: String,
    pub(super) text: String,
}

/// Reads an answer of the API.
pub(super) fn parse<T: DeserializeOwned>(answer: &Value) -> Result<T> {
    T::deserialize(answer).map_err(|error| {
        let theirs = answer["version"]
            .as_str()
            .unwrap_or("of an unknown version");
        Error::external(format!(
            "the pipeline, calve {theirs}, answers what calve {} does not understand",
            env!("CARGO_PKG_VERSION")
        ))
        .caused_by(error)
        .advice("use the calve that runs the pipeline")
    })
}

impl State {
    /// For each operator, by its number: which part of the time since `before` it has run, on each worker. None if the
    /// dataflow is another one by now.
    pub(super) fn busy_since(&self, before: &State) -> Option<Vec<Vec<f64>>> {
        let elapsed = (self.at_ms - before.at_ms) as f64;
        let same =
            |a: &Operator, b: &Operator| a.node == b.node && a.busy_ms.len() == b.busy_ms.len();
        let (now, was) = (&self.graph.operators, &before.graph.operators);
        let comparable = self.started_ms == before.started_ms
            && elapsed > 0.0
            && now.len() == was.len()
            && now.iter().zip(was).all(|(a, b)| same(a, b));
        comparable.then(|| {
            let operators = now.iter().zip(was);
            let shares = operators.map(|(now, was)| {
                let workers = now.busy_ms.iter().zip(&was.busy_ms);
                workers
                    .map(|(now, was)| ((now - was) / elapsed).clamp(0.0, 1.0))
                    .collect()
            });
            shares.collect()
        })
    }
}

/// What a real pipeline has answered: two looks some seconds apart, and its log.
#[cfg(test)]
pub(super) mod recorded {
    use super::*;

    /// A file of the room, read when the test runs: a picture is mended without a build.
    pub(in crate::cli) fn file(name: &str) -> String {
        let path = format!("{}/src/cli/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).expect(&path)
    }

    fn answers() -> Value {
        serde_json::from_str(&file("state/recorded.json")).expect("JSON")
    }

    /// The second look.
    pub(in crate::cli) fn answer() -> Value {
        answers()["now"].take()
    }

    /// Both looks.
    pub(in crate::cli) fn states() -> (State, State) {
        let answers = answers();
        let state = |name| parse(&answers[name]).expect("a state");
        (state("before"), state("now"))
    }

    pub(in crate::cli) fn lines() -> Vec<LogLine> {
        parse::<Log>(&answers()["log"]).expect("a log").lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_time_are_between_two_looks_at_the_same_process() {
        let (before, now) = recorded::states();
        let busy = now.busy_since(&before).expect("shares");
        let elapsed = (now.at_ms - before.at_ms) as f64;
        let stage = now.graph.operators.iter().position(|o| o.name == "Stage");
        let stage = stage.expect("an operator that writes");
        let ran = |state: &State| state.graph.operators[stage].busy_ms[0];
        assert_eq!(busy[stage][0], (ran(&now) - ran(&before)) / elapsed);
        assert!(busy[stage][0] > 0.0, "it had work to do");
        let shares = busy.iter().flatten();
        assert!(shares.clone().all(|share| (0.0..=1.0).contains(share)));
        assert_eq!(busy.len(), now.graph.operators.len());
        // The same moment, another process, another dataflow.
        assert!(now.busy_since(&now).is_none());
        let mut other = before.clone();
        other.started_ms -= 1;
        assert!(now.busy_since(&other).is_none());
        let mut other = before;
        other.graph.operators.pop();
        assert!(now.busy_since(&other).is_none());
    }

    #[test]
    fn an_answer_of_another_version_is_said_to_be_one() {
        let mut now = recorded::answer();
        now["version"] = "9.9.9".into();
        let fields = now.as_object_mut().expect("fields");
        fields.remove("lag");
        let error = parse::<State>(&now).expect_err("no lag");
        let text = error.to_string();
        assert!(
            text.contains("calve 9.9.9") && text.contains("lag"),
            "{text}"
        );
    }
}
