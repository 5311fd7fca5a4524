//! What a table remembers of its snapshots → the facts that the [decisions](super::decisions) are
//! made from.

use std::collections::HashSet;

use super::decisions::{Observed, Recorded, Whereabouts};
use super::marker::Marker;
use crate::error::Result;

#[cfg(test)]
mod tests;

/// A table's snapshots, as far as they are retained.
pub(crate) trait History {
    /// The snapshot that `main` names.
    fn current(&self) -> Option<i64>;
    /// All retained snapshots.
    fn retained(&self) -> impl Iterator<Item = i64>;
    /// True if a snapshot is retained.
    fn retains(&self, snapshot: i64) -> bool;
    /// The snapshot that a retained one was built on, retained or not.
    fn parent(&self, snapshot: i64) -> Option<i64>;
    /// The sequence number of a retained snapshot.
    fn sequence(&self, snapshot: i64) -> i64;
    /// The marker that a snapshot carries; none if it is another writer's, or not retained.
    fn marker(&self, snapshot: i64) -> Result<Option<Marker>>;
}

/// Reduces a table to what it says about the pipeline of these markers; `recorded` is the one in the
/// table property.
pub(crate) fn observe(
    table_uuid: String,
    recorded: Option<Marker>,
    history: &impl History,
) -> Result<Observed> {
    let newest = newest(history)?;
    let property = match recorded {
        None => None,
        Some(marker) => Some(Recorded {
            snapshot: locate(history, &marker, newest.as_ref())?,
            marker,
        }),
    };
    let off_the_lineage = property.as_ref().is_some_and(|recorded| {
        matches!(
            recorded.snapshot,
            Whereabouts::Detached | Whereabouts::Bypassed
        )
    });
    let whole = property
        .as_ref()
        .is_none_or(|recorded| !off_the_lineage || is_whole(history, &recorded.marker));
    let retained = history.retained().filter(|_| off_the_lineage);
    let retained = retained.filter_map(|snapshot| history.marker(snapshot).transpose());
    Ok(Observed {
        table_uuid,
        property,
        lineage: newest,
        whole,
        // The usual case need not read every snapshot.
        retained: retained.collect::<Result<_>>()?,
    })
}

/// The current snapshot, its parent, and so on, as far as they are retained.
///
/// A chain of parents can't be longer than the number of snapshots, unless damaged metadata makes
/// it a circle: the set of what was seen bounds the walk.
pub(crate) fn lineage(history: &impl History) -> impl Iterator<Item = i64> {
    let mut seen = HashSet::new();
    std::iter::successors(history.current(), |snapshot| history.parent(*snapshot))
        .take_while(move |snapshot| history.retains(*snapshot) && seen.insert(*snapshot))
}

/// The newest marker in the lineage; snapshots of other writers are skipped.
fn newest(history: &impl History) -> Result<Option<Marker>> {
    lineage(history)
        .find_map(|snapshot| history.marker(snapshot).transpose())
        .transpose()
}

/// Where the snapshot of `marker` is.
///
/// | in the lineage | retained | the lineage reaches below it | |
/// |---|---|---|---|
/// | yes, no newer marker is | | | newest |
/// | yes, below a newer marker | | | buried |
/// | no | yes | | detached |
/// | no | no | yes | bypassed |
/// | no | no | no | expired |
fn locate(history: &impl History, marker: &Marker, newest: Option<&Marker>) -> Result<Whereabouts> {
    if newest.is_some_and(|newest| newest.id == marker.id) {
        return Ok(Whereabouts::Newest);
    }
    if carried_by(lineage(history), history, marker)? {
        return Ok(Whereabouts::Buried);
    }
    if carried_by(history.retained(), history, marker)? {
        return Ok(Whereabouts::Detached);
    }
    Ok(if reaches_below(history, marker) {
        Whereabouts::Bypassed
    } else {
        Whereabouts::Expired
    })
}

/// True if the first snapshot of the lineage is retained, and was there before `marker` was made. A younger one is
/// that of a table which was replaced (`CREATE OR REPLACE`): it keeps its UUID and its properties, begins without a
/// parent, and may hold the rows of every marker.
fn is_whole(history: &impl History, marker: &Marker) -> bool {
    lineage(history).last().is_none_or(|oldest| {
        history.parent(oldest).is_none() && history.sequence(oldest) <= marker.base_sequence
    })
}

fn carried_by(
    mut snapshots: impl Iterator<Item = i64>,
    history: &impl History,
    marker: &Marker,
) -> Result<bool> {
    snapshots
        .find_map(|snapshot| match history.marker(snapshot) {
            Ok(found) => found
                .is_some_and(|found| found.id == marker.id)
                .then_some(Ok(true)),
            Err(error) => Some(Err(error)),
        })
        .unwrap_or(Ok(false))
}

/// True if the lineage shows the table as it was before `marker` was committed: it ends in a
/// snapshot without a parent (or there is none at all), or in one that the marker was built upon.
/// Expiry takes the oldest snapshots, so what it leaves never reaches that far down.
fn reaches_below(history: &impl History, marker: &Marker) -> bool {
    match lineage(history).last() {
        None => true,
        Some(oldest) => {
            history.parent(oldest).is_none() || history.sequence(oldest) <= marker.base_sequence
        }
    }
}
