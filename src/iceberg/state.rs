//! State snapshots and table commits: which snapshot a commit names, and which ones are kept after it.
//!
//! A snapshot is durable before the commit whose marker names it. A commit can fail after that, or land late, so
//! snapshots are never deleted because of what was *sent*: after a proved commit, what the table's history names
//! by then is kept (the newest few, and whatever may still land), and the rest goes.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Mutex;

use crate::checkpoint::state::{self, Report};
use crate::error::Result;
use crate::failpoint;
use crate::state::{MaxParallelism, SnapshotHead, SnapshotId, SnapshotStore, StatePart};
use crate::time::{Epoch, Generation};

/// What a table says of state snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateSnapshots {
    /// Named by the markers in the table's history, the newest first, each once.
    pub committed: Vec<String>,
    /// Named by attempts whose outcome is not known.
    pub possible: Vec<String>,
}

impl StateSnapshots {
    /// Those that must not be deleted, the newest last.
    fn kept(mut self, retained: usize) -> Vec<SnapshotId> {
        self.committed.truncate(retained);
        let all = self.committed.iter().rev().chain(&self.possible);
        // The empty state is no snapshot.
        all.filter_map(|name| name.parse().ok()).collect()
    }
}

/// Makes the parts of all workers one snapshot for each commit. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StateCommit {
    snapshots: SnapshotStore,
    operators: &'static [&'static str],
    max_parallelism: MaxParallelism,
    /// What snapshots say about the dataflow.
    about: Value,
    retained: usize,
    /// One tidies at a time.
    tidying: Arc<Mutex<()>>,
}

impl StateCommit {
    /// For these operators; the `retained` newest snapshots that a table names are kept.
    pub fn new(
        snapshots: SnapshotStore,
        operators: &'static [&'static str],
        max_parallelism: MaxParallelism,
        about: Value,
        retained: usize,
    ) -> Self {
        Self {
            snapshots,
            operators,
            max_parallelism,
            about,
            retained,
            tidying: Arc::default(),
        }
    }

    /// See [`state::parts`].
    pub(super) fn parts(
        &self,
        reports: &[Report],
        epoch: Epoch,
        peers: usize,
    ) -> Result<Result<Vec<StatePart>, String>> {
        state::parts(reports, epoch, self.operators, peers)
    }

    /// Makes the snapshot durable, and returns the name that the marker is to have.
    pub(super) async fn complete(
        &self,
        generation: Generation,
        epoch: Epoch,
        parts: Vec<StatePart>,
    ) -> Result<String> {
        let head = SnapshotHead {
            generation,
            epoch,
            max_parallelism: self.max_parallelism,
            about: self.about.clone(),
        };
        let id = self.snapshots.complete(head, parts).await?;
        failpoint::pass("state-complete");
        Ok(id.to_string())
    }

    /// Deletes what nothing can go back to. Nothing depends on its success: the next commit tries again.
    pub(super) async fn tidy(self, named: StateSnapshots) {
        // Whoever is at it knows less than we do, but the next commit is soon enough for the difference.
        let Ok(_alone) = self.tidying.try_lock() else {
            return;
        };
        failpoint::pass("state-tidy");
        if let Err(error) = self
            .snapshots
            .collect_garbage(&named.kept(self.retained))
            .await
        {
            tracing::warn!(%error, "old state is not deleted; the next checkpoint tries again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::marker::EMPTY_STATE;

    fn name(epoch: u64) -> String {
        format!("g1-e{epoch}-0f8fad5bd9cb469fa16570867728950e")
    }

    #[test]
    fn the_newest_few_are_kept_and_what_may_still_land() {
        let named = StateSnapshots {
            committed: vec![name(4), name(3), name(2), EMPTY_STATE.to_owned()],
            possible: vec![name(5)],
        };
        let kept = |retained| {
            let kept = named.clone().kept(retained);
            kept.iter().map(|id| id.epoch().0).collect::<Vec<_>>()
        };
        assert_eq!(kept(1), [4, 5]);
        assert_eq!(kept(2), [3, 4, 5]);
        assert_eq!(kept(9), [2, 3, 4, 5]);
    }
}
