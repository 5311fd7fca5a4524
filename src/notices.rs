//! What the dataflow posts for people to read: the table as it was read back last, and the last rejects.
//!
//! A board, not a queue: of bounded size, written once a checkpoint or once a reject, and nothing is ever decided from
//! it. Like the figures it lives as long as the process, across restarts of the dataflow.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::control::now_ms;

/// So many rejects are remembered.
const REJECTS_MAX: usize = 50;
/// So much of a reason is remembered.
const REASON_CHARS_MAX: usize = 500;

/// The board.
#[derive(Debug, Default)]
pub struct Notices {
    table: Mutex<Option<TableFacts>>,
    rejects: Mutex<VecDeque<RejectNotice>>,
}

/// A table as it was read back after the last commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableFacts {
    /// Namespace and name.
    pub name: String,
    /// Where it lies.
    pub location: String,
    /// Its UUID.
    pub uuid: String,
    /// Of the Iceberg format.
    pub format_version: u8,
    /// What it is partitioned by, in words; empty if by nothing.
    pub partitioning: String,
    /// The current snapshot, in digits: a JSON number is not exact for all readers.
    pub snapshot_id: Option<String>,
    /// Snapshots in the metadata.
    pub snapshots: usize,
    /// Rows, as the current snapshot's summary counts them.
    pub rows: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The size that data files should have, in bytes.
    pub target_file_bytes: u64,
    /// The last snapshots, newest first.
    pub recent: Vec<SnapshotFacts>,
}

/// One snapshot of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotFacts {
    /// Its id, in digits.
    pub id: String,
    /// When it was committed, in milliseconds since 1970.
    pub at_ms: i64,
    /// `append`, `overwrite`, …
    pub operation: String,
    /// The epoch, if it is a commit of this pipeline.
    pub ours: Option<u64>,
    /// Rows that it added.
    pub rows: u64,
    /// Data files that it added.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A record that could not be decoded: where it is and why, but not what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RejectNotice {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// What is wrong.
    pub reason: String,
    /// When it was found, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Notices {
    /// The table was read back.
    pub fn table_is(&self, facts: TableFacts) {
        *lock(&self.table) = Some(facts);
    }

    /// The table as it was read back last; `None` before the first time.
    pub fn table(&self) -> Option<TableFacts> {
        lock(&self.table).clone()
    }

    /// A record was rejected now.
    pub fn rejected(&self, topic: &str, partition: i32, offset: i64, reason: &str) {
        let mut rejects = lock(&self.rejects);
        if rejects.len() == REJECTS_MAX {
            rejects.pop_back();
        }
        rejects.push_front(RejectNotice {
            topic: topic.to_owned(),
            partition,
            offset,
            reason: reason.chars().take(REASON_CHARS_MAX).collect(),
            at_ms: now_ms(),
        });
    }

    /// The last rejects, newest first.
    pub fn rejects(&self) -> Vec<RejectNotice> {
        lock(&self.rejects).iter().cloned().collect()
    }
}

/// Every statement under these locks leaves the board valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_rejects_are_remembered_and_no_reason_is_endless() {
        let notices = Notices::default();
        let many = REJECTS_MAX as i64 + 10;
        for offset in 0..many {
            notices.rejected("t", 1, offset, &"é".repeat(10_000));
        }
        let rejects = notices.rejects();
        assert_eq!(rejects.len(), REJECTS_MAX);
        assert_eq!(
            (rejects[0].offset, rejects[REJECTS_MAX - 1].offset),
            (many - 1, 10)
        );
        assert_eq!(rejects[0].reason.chars().count(), REASON_CHARS_MAX);
    }
}
