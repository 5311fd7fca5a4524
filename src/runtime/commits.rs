//! Snapshots of state, as the commits of a table ask for them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::checkpoint::state::Part;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::iceberg::{NamedStates, S3Options, StateSnapshots};
use crate::retry;
use crate::state::{MaxParallelism, SnapshotHead, SnapshotId, SnapshotStore, StatePart};
use crate::time::{Epoch, Generation};

/// Makes the parts of all workers one snapshot for each commit.
pub(super) struct StateCommits {
    pub(super) snapshots: SnapshotStore,
    /// How savepoints are reached.
    pub(super) s3: S3Options,
    pub(super) max_parallelism: MaxParallelism,
    /// What snapshots say about the dataflow.
    pub(super) about: Value,
    /// How long it may take until a snapshot is whole.
    pub(super) timeout: Duration,
    /// How many of the snapshots that the table names are kept.
    pub(super) retained: usize,
    /// One tidies at a time.
    pub(super) tidying: Mutex<()>,
    /// Knows whether a savepoint is being made.
    pub(super) control: Arc<Control>,
}

impl StateCommits {
    /// Each attempt has a name of its own: what is left of one that seemed to fail is garbage.
    async fn attempt(&self, head: &SnapshotHead, parts: &[StatePart]) -> Result<SnapshotId> {
        if failpoint::fails("state-manifest") {
            return Err(Error::external("failpoint state-manifest"));
        }
        self.snapshots.complete(head.clone(), parts.to_vec()).await
    }
}

/// The options of S3 are secret.
impl fmt::Debug for StateCommits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCommits")
            .field("snapshots", &self.snapshots)
            .finish_non_exhaustive()
    }
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
        let over = async {
            sleep(self.timeout).await;
            Error::external(format!(
                "a state snapshot was not complete within {:?} (checkpoint.timeout)",
                self.timeout
            ))
            .advice("nothing is lost: check that state.checkpoints.dir answers")
        };
        let attempt = || self.attempt(&head, &parts);
        let id = retry::until_over("the manifest of a state snapshot", over, attempt).await?;
        failpoint::pass("state-complete");
        Ok(id.to_string())
    }

    async fn copy(&self, name: &str, location: &str) -> Result<()> {
        let id = name.parse()?;
        self.snapshots.export(&id, location, &self.s3).await
    }

    async fn tidy(&self, named: NamedStates) {
        // A savepoint that begins from now on is of this commit or a later one, and what those name is not touched.
        if self.control.makes_savepoint() {
            return;
        }
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
    use crate::state::Owner;

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

    #[tokio::test]
    async fn while_a_savepoint_is_being_made_no_state_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| format!("{}/{name}", folder.path().display());
        let owner = Owner {
            pipeline: "p".to_owned(),
            table: uuid::Uuid::from_u128(7),
        };
        let s3 = S3Options::default();
        let snapshots = SnapshotStore::open(&at("checkpoints"), &s3, owner, true).unwrap();
        let commits = StateCommits {
            snapshots,
            s3,
            max_parallelism: MaxParallelism::default(),
            about: Value::Null,
            timeout: Duration::from_secs(60),
            retained: 1,
            tidying: Mutex::default(),
            control: Arc::default(),
        };
        let complete = |epoch| commits.complete(Generation(1), Epoch(epoch), Vec::new());
        let (first, second) = (complete(1).await.unwrap(), complete(2).await.unwrap());
        let named = NamedStates {
            committed: vec![second, first.clone()],
            possible: Vec::new(),
        };
        let count = async || commits.snapshots.list().await.unwrap().len();
        let under_way = commits.control.savepoint_begins();
        commits.tidy(named.clone()).await;
        assert_eq!(count().await, 2);
        commits.copy(&first, &at("savepoint")).await.unwrap();
        drop(under_way);
        commits.tidy(named).await;
        assert_eq!(count().await, 1);
    }
}
