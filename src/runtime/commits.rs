//! Snapshots of state, as the commits of a table ask for them.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::checkpoint::state::Part;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::iceberg::{NamedStates, StateSnapshots};
use crate::state::{MaxParallelism, SnapshotHead, SnapshotId, SnapshotStore, StatePart};
use crate::time::{Epoch, Generation};

/// Makes the parts of all workers one snapshot for each commit.
pub(super) struct StateCommits {
    pub(super) snapshots: SnapshotStore,
    pub(super) max_parallelism: MaxParallelism,
    /// What snapshots say about the dataflow.
    pub(super) about: Value,
    /// How many of the snapshots that the table names are kept.
    pub(super) retained: usize,
    /// One tidies at a time.
    pub(super) tidying: Mutex<()>,
}

#[async_trait]
impl StateSnapshots for StateCommits {
    async fn complete(
        &self,
        generation: Generation,
        epoch: Epoch,
        parts: Vec<Part>,
    ) -> Result<String> {
        let head = SnapshotHead {
            generation,
            epoch,
            max_parallelism: self.max_parallelism,
            about: self.about.clone(),
        };
        let parts = parts.iter().map(|Part(json)| serde_json::from_str(json));
        let parts = parts
            .collect::<Result<Vec<StatePart>, _>>()
            .map_err(|error| {
                Error::internal("a part of a state snapshot can't be read").caused_by(error)
            })?;
        let id = self.snapshots.complete(head, parts).await?;
        failpoint::pass("state-complete");
        Ok(id.to_string())
    }

    async fn tidy(&self, named: NamedStates) {
        // Whoever is at it knows less than we do, but the next commit is soon enough for the difference.
        let Ok(_alone) = self.tidying.try_lock() else {
            return;
        };
        failpoint::pass("state-tidy");
        let kept = kept(named, self.retained);
        if let Err(error) = self.snapshots.collect_garbage(&kept).await {
            tracing::warn!(%error, "old state is not deleted; the next checkpoint tries again");
        }
    }
}

/// The snapshots that must not be deleted, the newest last.
fn kept(mut named: NamedStates, retained: usize) -> Vec<SnapshotId> {
    named.committed.truncate(retained);
    let all = named.committed.iter().rev().chain(&named.possible);
    // The empty state is no snapshot.
    all.filter_map(|name| name.parse().ok()).collect()
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
        let named = NamedStates {
            committed: vec![name(4), name(3), name(2), EMPTY_STATE.to_owned()],
            possible: vec![name(5)],
        };
        let epochs = |retained| {
            let kept = kept(named.clone(), retained);
            kept.iter().map(|id| id.epoch().0).collect::<Vec<_>>()
        };
        assert_eq!(epochs(1), [4, 5]);
        assert_eq!(epochs(2), [3, 4, 5]);
        assert_eq!(epochs(9), [2, 3, 4, 5]);
    }
}
