//! Table metadata → the facts that the decisions are made from.

use std::collections::HashSet;

use iceberg::spec::{SnapshotRef, TableMetadata};

use super::names;
use crate::checkpoint::decisions::Observed;
use crate::checkpoint::history::{self, History};
use crate::checkpoint::marker::Marker;
use crate::error::Result;
use crate::time::Epoch;

/// Reduces a table's metadata to what it says about one pipeline.
///
/// An error means that a marker is there but can't be read; nothing may be decided then.
pub fn observe(metadata: &TableMetadata, pipeline: &str) -> Result<Observed> {
    let history = Snapshots::of(metadata, pipeline);
    history::observe(metadata.uuid().to_string(), history.recorded()?, &history)
}

/// A marker in the lineage of `main`, and the snapshot that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The snapshot.
    pub snapshot_id: i64,
    /// What it says of itself.
    pub marker: Marker,
}

/// All markers of a pipeline that the lineage of `main` retains, the oldest first.
pub fn chain(metadata: &TableMetadata, pipeline: &str) -> Result<Vec<Link>> {
    let history = Snapshots::of(metadata, pipeline);
    let mut links = Vec::new();
    for snapshot_id in history::lineage(&history) {
        if let Some(marker) = history.marker(snapshot_id)? {
            links.push(Link {
                snapshot_id,
                marker,
            });
        }
    }
    links.reverse();
    Ok(links)
}

/// The same of the retained snapshots that the history of `main` does not lead to: of what was rolled back, and of
/// branches.
pub fn cut_off(metadata: &TableMetadata, pipeline: &str) -> Result<Vec<Link>> {
    let history = Snapshots::of(metadata, pipeline);
    let mut links = Vec::new();
    for snapshot in detached(metadata) {
        let snapshot_id = snapshot.snapshot_id();
        if let Some(marker) = history.marker(snapshot_id)? {
            links.push(Link {
                snapshot_id,
                marker,
            });
        }
    }
    Ok(links)
}

/// The snapshot that carries `marker`, if it is retained.
pub(super) fn snapshot_of(metadata: &TableMetadata, marker: &Marker) -> Option<i64> {
    let history = Snapshots::of(metadata, &marker.pipeline);
    history::lineage(&history).find(|snapshot| {
        let found = history.marker(*snapshot).ok().flatten();
        found.is_some_and(|found| found.id == marker.id)
    })
}

/// The newest epoch that any marker of the pipeline speaks of, in the history of `main` or not.
pub(super) fn newest_epoch(metadata: &TableMetadata, pipeline: &str) -> Result<Option<Epoch>> {
    let history = Snapshots::of(metadata, pipeline);
    let mut newest = history.recorded()?.map(|marker| marker.epoch);
    for snapshot in history.retained() {
        newest = newest.max(history.marker(snapshot)?.map(|marker| marker.epoch));
    }
    Ok(newest)
}

/// The snapshots that the history of `main` leads to, the newest first, as far as they are retained.
pub fn of_main(metadata: &TableMetadata) -> impl Iterator<Item = &SnapshotRef> {
    // Whose markers they carry is not asked.
    let history = Snapshots::of(metadata, "");
    let snapshots: Vec<i64> = history::lineage(&history).collect();
    let snapshots = snapshots.into_iter();
    snapshots.filter_map(|snapshot| metadata.snapshot_by_id(snapshot))
}

/// The retained snapshots that the history of `main` does not lead to: branches, tags on them, and
/// what was rolled back.
pub(super) fn detached(metadata: &TableMetadata) -> Vec<SnapshotRef> {
    let attached: HashSet<i64> = of_main(metadata).map(|s| s.snapshot_id()).collect();
    let snapshots = metadata.snapshots();
    snapshots
        .filter(|snapshot| !attached.contains(&snapshot.snapshot_id()))
        .cloned()
        .collect()
}

/// The snapshots of a table, and the key under which a pipeline's markers stand in them.
struct Snapshots<'a> {
    metadata: &'a TableMetadata,
    key: String,
}

impl<'a> Snapshots<'a> {
    fn of(metadata: &'a TableMetadata, pipeline: &str) -> Self {
        Self {
            metadata,
            key: names::marker_key(pipeline),
        }
    }

    /// The marker in the table property.
    fn recorded(&self) -> Result<Option<Marker>> {
        self.metadata
            .properties()
            .get(&self.key)
            .map(|json| Marker::parse(json, &format!("table property {}", self.key)))
            .transpose()
    }
}

impl History for Snapshots<'_> {
    fn current(&self) -> Option<i64> {
        self.metadata.current_snapshot_id()
    }

    fn retained(&self) -> impl Iterator<Item = i64> {
        self.metadata.snapshots().map(|s| s.snapshot_id())
    }

    fn retains(&self, snapshot: i64) -> bool {
        self.metadata.snapshot_by_id(snapshot).is_some()
    }

    fn parent(&self, snapshot: i64) -> Option<i64> {
        self.metadata.snapshot_by_id(snapshot)?.parent_snapshot_id()
    }

    fn sequence(&self, snapshot: i64) -> i64 {
        let snapshot = self.metadata.snapshot_by_id(snapshot);
        snapshot.map_or(0, |snapshot| snapshot.sequence_number())
    }

    fn marker(&self, snapshot: i64) -> Result<Option<Marker>> {
        let Some(snapshot) = self.metadata.snapshot_by_id(snapshot) else {
            return Ok(None);
        };
        snapshot
            .summary()
            .additional_properties
            .get(&self.key)
            .map(|json| Marker::parse(json, &format!("snapshot {}", snapshot.snapshot_id())))
            .transpose()
    }
}
