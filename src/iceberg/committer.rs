//! The committer: the only way from staged files to rows in a table.
//!
//! Its life: [`Committer::observe`] the table, [`Committer::claim`] the next generation, then
//! [`Committer::commit`] one epoch after the other. It remembers the last marker it has proved (the
//! head) and the attempts to follow it whose outcome is unknown. Their files ride with the next
//! epoch. But such an attempt may still land, even late. At most one of them can, and when a later
//! load shows it, its files leave the batch, its offsets count as committed, and the chain goes on
//! from it.
//!
//! ```text
//!   head ◀── unproved (epoch 4) ✗ can't be proved
//!     ▲ ◀─── next commit (epoch 5, with the files of 4)      the usual case: 4 never landed
//!
//!   head ◀── epoch 4 (late!) ◀── epoch 5 without its files   the case that must not be forgotten
//! ```

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use iceberg::table::Table;

use super::guard::Intent;
use super::landing::{CommitFailure, Landing, Target};
use super::lineage;
use super::names;
use super::refusal::stopped;
use super::staged::StagedFile;
use super::state::NamedStates;
use crate::checkpoint::decisions::{Decision, Mine};
use crate::checkpoint::marker::{Marker, MarkerId, Ranges, VERSION};
use crate::error::{Error, Result};
use crate::offsets::Offsets;
use crate::time::{Epoch, Generation};

mod claim;

pub use claim::Observation;

/// What one epoch adds to the table.
#[derive(Clone, Debug, Default)]
pub struct Staged {
    /// The epoch.
    pub epoch: Epoch,
    /// Its files.
    pub files: Vec<StagedFile>,
    /// The cut: the next offset of each partition.
    pub next: Offsets,
    /// Where partitions began that were not in any cut before.
    pub joined: Offsets,
    /// The state snapshot that belongs to the cut.
    pub state_snapshot: Option<String>,
}

/// A proved commit.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its snapshot; `None` if there was nothing to commit, or it has been expired since.
    pub snapshot_id: Option<i64>,
    /// The marker the table stands at now.
    pub marker: Marker,
    /// How many swaps were sent.
    pub attempts: u32,
    /// How long it took.
    pub duration: Duration,
    /// True if it landed although no answer said so.
    pub already: bool,
    /// The earlier attempt of unknown outcome that was found to have landed.
    pub late: Option<Marker>,
}

/// An attempt whose outcome is not known.
#[derive(Debug)]
struct Unproved {
    marker: Marker,
    paths: HashSet<String>,
}

/// Commits the epochs of one pipeline to one table, under one generation.
#[derive(Debug)]
pub struct Committer {
    target: Target,
    table: Table,
    head: Marker,
    unproved: Vec<Unproved>,
    /// Files that were handed in and are not proved to be in the table.
    riding: Vec<StagedFile>,
    /// Where partitions of their epochs began.
    riding_joined: Offsets,
    /// Files that were found to have landed late, until the next proved commit.
    landed: HashSet<String>,
}

impl Committer {
    /// Commits an epoch: files, offsets and state snapshot in one atomic change, proved by a
    /// reload. An epoch in which nothing moved makes no snapshot.
    ///
    /// After [`CommitFailure::Unknown`] go on with the next epoch: the files of the failed one ride
    /// with it (handing them in again does no harm). If the returned future is dropped, the attempt
    /// counts as unknown as well.
    pub async fn commit(&mut self, staged: Staged) -> Result<Committed, CommitFailure> {
        let started = Instant::now();
        let mut attempts = 0;
        let mut late = None;
        if staged.epoch <= self.head.epoch {
            return Err(CommitFailure::Fatal(Error::internal(format!(
                "epoch {} was handed in after {}",
                staged.epoch, self.head
            ))));
        }
        self.take_aboard(&staged).map_err(CommitFailure::Fatal)?;
        loop {
            let moved = Ranges::between(&self.head.next, &staged.next, &self.riding_joined)
                .map_err(CommitFailure::Fatal)?;
            if self.riding.is_empty()
                && moved.is_empty()
                && staged.state_snapshot == self.head.state_snapshot
                && self.unproved.is_empty()
            {
                return Ok(self.committed(None, attempts, started, false, late));
            }
            let marker = self.next_marker(&staged, moved);
            let intent = Intent::Commit(self.mine(&marker));
            // Before it is sent, so that a dropped future can't make it be forgotten.
            self.unproved.push(Unproved {
                marker: marker.clone(),
                paths: paths(&self.riding),
            });
            let sent_before = attempts;
            let landing = self
                .target
                .land(&self.table, &intent, &marker, &self.riding, &mut attempts)
                .await;
            match landing {
                Ok(Landing::Proved { table, answer_lost }) => {
                    self.riding.clear();
                    self.riding_joined = Offsets::new();
                    self.landed.clear();
                    self.go_on_from(marker, table);
                    let snapshot = lineage::snapshot_of(self.table.metadata(), &self.head);
                    return Ok(self.committed(snapshot, attempts, started, answer_lost, late));
                }
                Ok(Landing::Elsewhere { table, decision }) => {
                    let landed = match &decision {
                        Decision::Landed(id) => {
                            self.unproved.iter().position(|u| u.marker.id == *id)
                        }
                        _ => None,
                    };
                    let Some(index) = landed else {
                        return Err(CommitFailure::Fatal(stopped(
                            &self.target,
                            self.head.generation,
                            decision,
                        )));
                    };
                    let landed = self.unproved.swap_remove(index);
                    tracing::info!(marker = %landed.marker, "a commit of unknown outcome has landed");
                    self.riding.retain(|f| !landed.paths.contains(f.path()));
                    self.landed.extend(landed.paths);
                    late = Some(landed.marker.clone());
                    self.go_on_from(landed.marker, table);
                }
                Err(failure) => {
                    if attempts == sent_before {
                        self.unproved.pop();
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// The table as it was last read.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The snapshot of that marker, if it is retained.
    pub fn snapshot_id(&self) -> Option<i64> {
        lineage::snapshot_of(self.table.metadata(), &self.head)
    }

    /// The last marker that was proved.
    pub fn marker(&self) -> &Marker {
        &self.head
    }

    /// How many attempts there are whose outcome is not known, and that may still land.
    pub fn undecided(&self) -> usize {
        self.unproved.len()
    }

    /// The state snapshots that this pipeline may go on from: those that the history of the table names, the
    /// newest first, and those of attempts that may still land. All markers are read for it, so it is left to
    /// whoever tidies up beside the commits.
    pub fn named_states(&self) -> impl FnOnce() -> NamedStates + Send + use<> {
        let metadata = self.table.metadata_ref();
        let pipeline = self.target.pipeline.clone();
        let head = self.head.state_snapshot.clone();
        let unproved = self.unproved.iter();
        let possible = unproved
            .filter_map(|u| u.marker.state_snapshot.clone())
            .collect();
        move || {
            // A marker that can't be read may name any of them: then nothing is named, and nothing is tidied.
            let Ok(chain) = lineage::chain(&metadata, &pipeline) else {
                return NamedStates::default();
            };
            let markers = chain.into_iter().rev().map(|link| link.marker);
            let earlier = markers.filter_map(|marker| marker.state_snapshot);
            let mut known = HashSet::new();
            let committed = head.into_iter().chain(earlier);
            NamedStates {
                committed: committed
                    .filter(|name| known.insert(name.clone()))
                    .collect(),
                possible,
            }
        }
    }

    /// Takes over what an epoch hands in, each file once, before anything can go wrong.
    ///
    /// | a file's epoch | known | |
    /// |---|---|---|
    /// | any | riding, or landed late | skipped |
    /// | after the head's, up to the one handed in | no | taken aboard |
    /// | others | no | error: it would be lost, or belongs to a later cut |
    fn take_aboard(&mut self, staged: &Staged) -> Result<()> {
        let aboard = paths(&self.riding);
        for file in &staged.files {
            if aboard.contains(file.path()) || self.landed.contains(file.path()) {
                continue;
            }
            if file.epoch() <= self.head.epoch || file.epoch() > staged.epoch {
                return Err(Error::internal(format!(
                    "file {} of epoch {} was handed in with epoch {}, after {}",
                    file.path(),
                    file.epoch(),
                    staged.epoch,
                    self.head
                ))
                .advice("nothing was committed; restart resumes from the last marker"));
            }
            self.riding.push(file.clone());
        }
        self.riding_joined.advance_to(&staged.joined);
        Ok(())
    }

    /// Everything built on the old head is void now: its swap names a snapshot that `main` has
    /// left.
    fn go_on_from(&mut self, marker: Marker, table: Table) {
        self.head = marker;
        self.table = table;
        self.unproved.clear();
    }

    fn next_marker(&self, staged: &Staged, moved: Ranges) -> Marker {
        let mut next = self.head.next.clone();
        next.advance_to(&staged.next);
        Marker {
            generation: self.head.generation,
            epoch: staged.epoch,
            parent: Some(self.head.id.clone()),
            moved,
            next,
            topic_ids: self.head.topic_ids.clone(),
            cluster_id: self.head.cluster_id.clone(),
            state_snapshot: staged.state_snapshot.clone(),
            ..blank_marker(&self.target, &self.table, &self.riding)
        }
    }

    fn mine(&self, marker: &Marker) -> Mine {
        Mine {
            id: marker.id.clone(),
            table_uuid: self.head.table_uuid.clone(),
            generation: self.head.generation,
            parent: self.head.id.clone(),
            parent_rank: self.head.rank(),
            unproved: self.unproved.iter().map(|u| u.marker.id.clone()).collect(),
        }
    }

    fn committed(
        &self,
        snapshot_id: Option<i64>,
        attempts: u32,
        started: Instant,
        already: bool,
        late: Option<Marker>,
    ) -> Committed {
        Committed {
            snapshot_id,
            marker: self.head.clone(),
            attempts,
            duration: started.elapsed(),
            already,
            late,
        }
    }
}

fn paths(files: &[StagedFile]) -> HashSet<String> {
    files.iter().map(|file| file.path().to_owned()).collect()
}

/// A marker with everything that does not depend on where in the chain it stands.
fn blank_marker(target: &Target, table: &Table, files: &[StagedFile]) -> Marker {
    Marker {
        version: VERSION,
        id: MarkerId::random(),
        pipeline: target.pipeline.clone(),
        table_uuid: table.metadata().uuid().to_string(),
        generation: Generation::default(),
        epoch: Epoch::default(),
        parent: None,
        moved: Ranges::default(),
        next: Offsets::new(),
        gaps: Ranges::default(),
        gaps_unknown: false,
        topic_ids: BTreeMap::new(),
        cluster_id: None,
        state_snapshot: None,
        rows: files.iter().map(StagedFile::rows).sum(),
        files: u32::try_from(files.len()).unwrap_or(u32::MAX),
        files_digest: names::files_digest(files.iter().map(StagedFile::path)),
        base_sequence: table.metadata().last_sequence_number(),
        committed_at_ms: chrono::Utc::now().timestamp_millis(),
        calve_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
