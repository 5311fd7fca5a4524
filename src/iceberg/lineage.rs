//! Table metadata → the facts that the decisions are made from.

use iceberg::spec::TableMetadata;

use super::names;
use crate::checkpoint::decisions::Observed;
use crate::checkpoint::history::{self, History};
use crate::checkpoint::marker::Marker;
use crate::error::Result;

/// Reduces a table's metadata to what it says about one pipeline.
///
/// An error means that a marker is there but can't be read; nothing may be decided then.
pub fn observe(metadata: &TableMetadata, pipeline: &str) -> Result<Observed> {
    let history = Snapshots::of(metadata, pipeline);
    let recorded = metadata
        .properties()
        .get(&history.key)
        .map(|json| Marker::parse(json, &format!("table property {}", history.key)))
        .transpose()?;
    history::observe(metadata.uuid().to_string(), recorded, &history)
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

/// The snapshot that carries `marker`, if it is retained.
pub(super) fn snapshot_of(metadata: &TableMetadata, marker: &Marker) -> Option<i64> {
    let history = Snapshots::of(metadata, &marker.pipeline);
    history::lineage(&history).find(|snapshot| {
        let found = history.marker(*snapshot).ok().flatten();
        found.is_some_and(|found| found.id == marker.id)
    })
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
