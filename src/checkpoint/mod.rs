//! Checkpoints: who closes an epoch and when, what travels with its end, what may be committed.
//!
//! There is no barrier message. The [`coordinator`] broadcasts [`Close`]; each source answers with a
//! [`Cut`] at that epoch and downgrades its capability; timely's frontier tells everybody downstream
//! when all of the epoch has arrived. The room holds no I/O: [`decisions`] are pure functions over
//! observed facts, with [`rollback`], [`positions`], [`state`] and [`savepoint`] for what a start begins with; [`pace`]
//! is the only policy about time; and the coordinator joins them to the dataflow.

pub mod coordinator;
pub mod decisions;
pub(crate) mod history;
pub mod marker;
pub mod migration;
pub mod pace;
pub mod positions;
pub mod rollback;
pub mod savepoint;
pub mod state;

#[cfg(test)]
pub(crate) mod invariants;
#[cfg(test)]
mod model;

use serde::{Deserialize, Serialize};

use crate::offsets::Offsets;
use crate::time::Epoch;

/// From the coordinator to every source: no record read after this belongs to `epoch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The epoch that ends.
    pub epoch: Epoch,
    /// True for the last epoch of this run: sources read nothing more and let go.
    pub last: bool,
}

/// From every source, every epoch, data or not: where its partitions stand at the end of the epoch.
///
/// Without a cut from each worker the committer could not tell an idle worker from a slow one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The epoch it ends.
    pub epoch: Epoch,
    /// The worker whose partitions it speaks for.
    pub worker: usize,
    /// The next offset of each of the worker's partitions.
    pub next: Offsets,
    /// Where those of them began that were found after the start.
    pub joined: Offsets,
    /// True in the last epoch of the run.
    pub last: bool,
}

/// From a sink to everybody: what became of a closed epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Its end is durable, and so is everything before it.
    Committed {
        /// The epoch.
        epoch: Epoch,
        /// The offsets that the table's marker now holds, if a commit was made for this epoch.
        offsets: Option<Offsets>,
    },
    /// Its commit was not proved in time. The sink keeps its files, which ride with the next epoch, and
    /// its capability: the durable frontier does not move.
    Failed {
        /// The epoch.
        epoch: Epoch,
        /// How many files ride on, those of earlier failed epochs among them.
        files: usize,
        /// What happened, and what to do about it.
        reason: String,
    },
}

/// From a source to the coordinator, outside the order of epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// A bounded source has read to its end.
    Exhausted,
    /// The process was asked to drain.
    Drain,
    /// The source waits for a commit: too much is staged and not committed, or a partition can't be read
    /// on and what was read of it is to be committed first.
    Full,
}
