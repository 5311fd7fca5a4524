//! The figures of one process, counted where things happen and read by whoever shows them.
//!
//! They are the metric types of the Prometheus client themselves, so that a scrape, the progress
//! line and the tests read the same numbers. Counting is one relaxed atomic addition per *batch*.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Labels of the per-partition figures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct PartitionLabels {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

/// All figures; each field says what one of it is.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Records read from Kafka since the start of the process.
    pub records_read: Counter<u64, AtomicU64>,
    /// Bytes of keys and payloads read from Kafka.
    pub bytes_read: Counter<u64, AtomicU64>,
    /// Records that could not be decoded.
    pub records_rejected: Counter<u64, AtomicU64>,
    /// Records dropped because one with the same key had come before.
    pub records_deduplicated: Counter<u64, AtomicU64>,
    /// Records encoded into data files, committed or not.
    pub records_staged: Counter<u64, AtomicU64>,
    /// Records that a proved table commit made visible.
    pub records_committed: Counter<u64, AtomicU64>,
    /// Data files that a proved table commit made visible.
    pub files_committed: Counter<u64, AtomicU64>,
    /// Bytes of the committed data files.
    pub bytes_committed: Counter<u64, AtomicU64>,
    /// Proved table commits.
    pub commits: Counter<u64, AtomicU64>,
    /// Checkpoints whose commit could not be proved in time.
    pub checkpoints_failed: Counter<u64, AtomicU64>,
    /// Starts of the dataflow after a failure, within this process.
    pub restarts: Counter<u64, AtomicU64>,
    /// The epoch that is open for records.
    pub epoch_open: Gauge<i64, AtomicI64>,
    /// The last epoch whose end is durable.
    pub epoch_committed: Gauge<i64, AtomicI64>,
    /// Commits whose outcome is not known, and that may still land.
    pub commits_undecided: Gauge<i64, AtomicI64>,
    /// How long the last proved commit took, from its epoch's close to its proof.
    pub last_checkpoint_seconds: Gauge<f64, AtomicU64>,
    /// Size of the data files of the last proved commit.
    pub last_checkpoint_bytes: Gauge<i64, AtomicI64>,
    /// Records of the last proved commit.
    pub last_checkpoint_records: Gauge<i64, AtomicI64>,
    /// Bytes of messages read but not yet written, over the workers of the process.
    pub in_flight_bytes: Gauge<i64, AtomicI64>,
    /// Bytes of data files whose commit is not proved, over the workers of the process.
    pub uncommitted_bytes: Gauge<i64, AtomicI64>,
    /// How long the last local snapshot of a state stopped its operator.
    pub state_snapshot_seconds: Gauge<f64, AtomicU64>,
    /// Bytes of state that were uploaded for checkpoints.
    pub state_bytes_uploaded: Counter<u64, AtomicU64>,
    /// From the close of an epoch to the proof of its commit.
    pub checkpoint_seconds: Seconds,
    /// What of it the commit itself took.
    pub commit_seconds: Seconds,
    positions: Arc<Mutex<BTreeMap<PartitionLabels, Position>>>,
}

/// Where the source stands in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The next offset.
    pub next: i64,
    /// Records between it and the partition's end.
    pub lag: i64,
}

/// How often something has taken how long.
#[derive(Clone, Debug)]
pub struct Seconds(Histogram);

impl Default for Seconds {
    /// From 10 ms to three minutes.
    fn default() -> Self {
        Self(Histogram::new(exponential_buckets(0.01, 2.0, 15)))
    }
}

impl Seconds {
    /// Counts one more.
    pub fn observe(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

impl Metrics {
    /// Notes where the source stands in one partition.
    pub fn set_position(&self, partition: &PartitionLabels, next: i64, lag: i64) {
        let position = Position { next, lag };
        lock(&self.positions).insert(partition.clone(), position);
    }

    /// Where the source stands in each partition of this process.
    pub fn positions(&self) -> Vec<(PartitionLabels, Position)> {
        let positions = lock(&self.positions);
        let positions = positions.iter();
        positions
            .map(|(labels, at)| (labels.clone(), *at))
            .collect()
    }

    /// The lag over all partitions of this process, in records.
    pub fn lag_total(&self) -> u64 {
        let positions = lock(&self.positions);
        positions.values().map(|at| at.lag).sum::<i64>().max(0) as u64
    }

    /// Registers every figure under the prefix `calve_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("calve");
        macro_rules! register {
            ($($field:ident, $help:literal;)*) => {
                $(registry.register(stringify!($field), $help, self.$field.clone());)*
            };
        }
        register! {
            records_read, "Records read from Kafka";
            records_rejected, "Records that could not be decoded";
            records_deduplicated, "Records dropped because one with the same key had come before";
            records_staged, "Records encoded into data files, committed or not";
            records_committed, "Records made visible by a proved table commit";
            files_committed, "Data files made visible by a proved table commit";
            commits, "Proved table commits";
            commits_undecided, "Commits whose outcome is not known and that may still land";
            checkpoints_failed, "Checkpoints whose commit could not be proved in time";
            restarts, "Starts of the dataflow after a failure, within this process";
            epoch_open, "The epoch that is open for records";
            epoch_committed, "The last epoch whose end is durable";
            last_checkpoint_records, "Records of the last proved commit";
        }
        macro_rules! register_in {
            ($($unit:ident: $name:literal, $figure:expr, $help:literal;)*) => {
                $(registry.register_with_unit($name, $help, Unit::$unit, $figure.clone());)*
            };
        }
        register_in! {
            Seconds: "checkpoint_duration", self.checkpoint_seconds.0, "From the close of an epoch to the proof of its commit";
            Seconds: "commit_duration", self.commit_seconds.0, "From the first attempt at a commit to its proof";
            Seconds: "last_checkpoint_duration", self.last_checkpoint_seconds, "From the close of the last committed epoch to the proof of its commit";
            Seconds: "state_snapshot_duration", self.state_snapshot_seconds, "How long the last local snapshot of a state stopped its operator";
            Bytes: "read", self.bytes_read, "Keys and payloads read from Kafka";
            Bytes: "committed", self.bytes_committed, "Data files made visible by a proved table commit";
            Bytes: "state_uploaded", self.state_bytes_uploaded, "State uploaded for checkpoints";
            Bytes: "last_checkpoint", self.last_checkpoint_bytes, "Data files of the last proved commit";
            Bytes: "in_flight", self.in_flight_bytes, "Messages read but not yet written";
            Bytes: "uncommitted", self.uncommitted_bytes, "Data files written whose commit is not proved";
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every statement under this lock leaves the map valid.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
