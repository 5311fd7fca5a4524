//! The two counters everything else is ordered by.
//!
//! Both are newtypes because both are small integers that would silently swap places as bare
//! `u64`s, and swapping them is exactly the mistake that would let a zombie process commit.

use std::fmt;

use differential_dataflow::lattice::Lattice;
use serde::{Deserialize, Serialize};
use timely::order::{PartialOrder, TotalOrder};
use timely::progress::Antichain;
use timely::progress::timestamp::{PathSummary, Refines, Timestamp};

/// The checkpoint a record belongs to; timely's timestamp in every dataflow of calve.
///
/// An epoch is a counter, never a clock reading: time only decides *when* the coordinator closes
/// one. Epochs count up within one run of the process from the marker's epoch plus one, so an epoch
/// number names the same checkpoint in logs, file names, markers and metrics.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialOrder for Epoch {
    fn less_equal(&self, other: &Self) -> bool {
        self <= other
    }
}

impl TotalOrder for Epoch {}

/// What differential dataflow asks of a time: epochs are totally ordered, so these are maximum and minimum.
impl Lattice for Epoch {
    fn join(&self, other: &Self) -> Self {
        *self.max(other)
    }
    fn meet(&self, other: &Self) -> Self {
        *self.min(other)
    }
}

impl Timestamp for Epoch {
    type Summary = Epochs;
    fn minimum() -> Self {
        Self(0)
    }
}

impl Refines<()> for Epoch {
    fn to_inner((): ()) -> Self {
        Self::minimum()
    }
    fn to_outer(self) {}
    fn summarize(_: Epochs) {}
}

/// A number of epochs: what a path through the dataflow adds to a record's [`Epoch`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epochs(pub u64);

impl PartialOrder for Epochs {
    fn less_equal(&self, other: &Self) -> bool {
        self <= other
    }
}

impl PathSummary<Epoch> for Epochs {
    fn results_in(&self, src: &Epoch) -> Option<Epoch> {
        src.0.checked_add(self.0).map(Epoch)
    }
    fn followed_by(&self, other: &Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

/// True once every message at `epoch` has arrived: no element of the frontier is at or before it.
pub fn has_passed(frontier: &Antichain<Epoch>, epoch: Epoch) -> bool {
    !frontier.less_equal(&epoch)
}

/// The incarnation of a pipeline: each start claims the next one in the table.
///
/// A process whose generation is lower than the table's is a zombie: something else has taken the
/// pipeline over, and whatever it still holds must not be committed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation a new start claims.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
