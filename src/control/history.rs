//! The history of the checkpoints of this process: what Flink's *Checkpoints* tab shows.
//!
//! A ring of bounded length and a few counters, fed by the coordinator (an epoch was closed) and by the commit (it is
//! proved, or not). It is for people: nothing is decided from it, and a new process begins with an empty one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::offsets::Offsets;
use crate::time::Epoch;

/// So many checkpoints are remembered one by one.
pub const REMEMBERED: usize = 100;

/// Why an epoch was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The interval was over, or the run came to its end.
    Periodic,
    /// Somebody asked for a checkpoint.
    Manual,
    /// Somebody asked for a savepoint.
    Savepoint,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Its commit is not proved yet.
    InProgress,
    /// It is durable.
    Completed,
    /// It could not be proved, for this reason.
    Failed(String),
}

/// What a proved commit holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Rows.
    pub records: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where the partitions stand after it.
    pub offsets: Offsets,
    /// The snapshot in which all of its rows are: an older one if there was nothing to commit. None if it has been expired.
    pub snapshot_id: Option<i64>,
}

/// One checkpoint.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its epoch.
    pub epoch: Epoch,
    /// Why it was made.
    pub trigger: Trigger,
    /// What became of it.
    pub status: Status,
    /// When its epoch was closed, in milliseconds since 1970.
    pub triggered_at_ms: i64,
    /// From the close to the proof or the failure; none while it is in progress.
    pub took: Option<Duration>,
    /// What it has committed.
    pub proof: Proof,
    /// Where its savepoint was written.
    pub savepoint: Option<String>,
    closed: Instant,
}

/// What the dataflow began from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The epoch of the marker.
    pub epoch: Epoch,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The savepoint that was asked for.
    pub savepoint: Option<String>,
}

/// How many checkpoints this process has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Epochs that were closed.
    pub triggered: u64,
    /// Those that became durable.
    pub completed: u64,
    /// Those that failed.
    pub failed: u64,
    /// Starts of the dataflow that went on from a marker.
    pub restored: u64,
}

/// The checkpoints of this process.
#[derive(Debug, Default)]
pub struct History {
    records: VecDeque<Record>,
    counts: Counts,
    completed: Option<Record>,
    savepoint: Option<Record>,
    failed: Option<Record>,
    restored: Option<Restored>,
}

impl History {
    /// The last ones, newest first.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().rev()
    }

    /// The last one of this epoch, if it is remembered.
    pub fn get(&self, epoch: Epoch) -> Option<&Record> {
        self.records().find(|record| record.epoch == epoch)
    }

    /// How many there were.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many are under way.
    pub fn in_progress(&self) -> u64 {
        self.counts.triggered - self.counts.completed - self.counts.failed
    }

    /// The newest that is durable and no savepoint.
    pub fn last_completed(&self) -> Option<&Record> {
        self.completed.as_ref()
    }

    /// The newest savepoint that is durable.
    pub fn last_savepoint(&self) -> Option<&Record> {
        self.savepoint.as_ref()
    }

    /// The newer of those two.
    pub fn newest(&self) -> Option<&Record> {
        let both = self.completed.iter().chain(&self.savepoint);
        both.max_by_key(|record| record.closed)
    }

    /// The newest that failed.
    pub fn last_failed(&self) -> Option<&Record> {
        self.failed.as_ref()
    }

    /// What the dataflow began from, if not afresh.
    pub fn last_restored(&self) -> Option<&Restored> {
        self.restored.as_ref()
    }

    pub(super) fn triggered(&mut self, epoch: Epoch, trigger: Trigger) {
        self.counts.triggered += 1;
        if self.records.len() == REMEMBERED {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            epoch,
            trigger,
            status: Status::InProgress,
            triggered_at_ms: now_ms(),
            took: None,
            proof: Proof::default(),
            savepoint: None,
            closed: Instant::now(),
        });
    }

    pub(super) fn completed(&mut self, epoch: Epoch, proof: Proof) {
        let Some(record) = self.end(epoch, Status::Completed) else {
            return;
        };
        record.proof = proof;
        let record = record.clone();
        self.counts.completed += 1;
        match record.trigger {
            Trigger::Savepoint => self.savepoint = Some(record),
            Trigger::Periodic | Trigger::Manual => self.completed = Some(record),
        }
    }

    pub(super) fn failed(&mut self, epoch: Epoch, reason: &str) {
        if let Some(record) = self.end(epoch, Status::Failed(reason.to_owned())) {
            let record = record.clone();
            self.counts.failed += 1;
            self.failed = Some(record);
        }
    }

    /// All that are in progress have failed.
    pub(super) fn abandoned(&mut self, reason: &str) {
        let open = |record: &&Record| record.status == Status::InProgress;
        let open: Vec<Epoch> = self.records().filter(open).map(|r| r.epoch).collect();
        for epoch in open {
            self.failed(epoch, reason);
        }
    }

    pub(super) fn restored(&mut self, epoch: Epoch, savepoint: Option<&str>) {
        self.counts.restored += 1;
        self.restored = Some(Restored {
            epoch,
            at_ms: now_ms(),
            savepoint: savepoint.map(str::to_owned),
        });
    }

    pub(super) fn savepoint_written(&mut self, epoch: Epoch, location: &str) {
        let last = self.savepoint.as_mut().filter(|last| last.epoch == epoch);
        let same =
            |record: &&mut Record| record.epoch == epoch && record.trigger == Trigger::Savepoint;
        let remembered = self.records.iter_mut().rev().find(same);
        for record in remembered.into_iter().chain(last) {
            record.savepoint = Some(location.to_owned());
        }
    }

    fn end(&mut self, epoch: Epoch, status: Status) -> Option<&mut Record> {
        let open =
            |record: &&mut Record| record.epoch == epoch && record.status == Status::InProgress;
        let record = self.records.iter_mut().rev().find(open)?;
        record.status = status;
        record.took = Some(record.closed.elapsed());
        Some(record)
    }
}

/// The time, in milliseconds since 1970: for people, never for a decision.
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
