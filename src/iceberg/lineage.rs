//! Table metadata → the facts that the decisions are made from.

use std::collections::HashSet;

use iceberg::spec::{SnapshotRef, TableMetadata};

use super::names;
use crate::checkpoint::decisions::{Observed, Recorded, Whereabouts};
use crate::checkpoint::marker::Marker;
use crate::error::Result;
use crate::time::Epoch;

/// Reduces a table's metadata to what it says about one pipeline.
///
/// An error means that a marker is there but can't be read; nothing may be decided then.
pub(super) fn observe(metadata: &TableMetadata, pipeline: &str) -> Result<Observed> {
    let key = names::marker_key(pipeline);
    let property = metadata
        .properties()
        .get(&key)
        .map(|json| Marker::parse(json, &format!("table property {key}")))
        .transpose()?;
    let lineage = newest(metadata, &key)?;
    let property = match property {
        None => None,
        Some(marker) => Some(Recorded {
            snapshot: locate(metadata, &key, &marker, lineage.as_ref())?,
            marker,
        }),
    };
    Ok(Observed {
        table_uuid: metadata.uuid().to_string(),
        property,
        lineage,
    })
}

/// The current snapshot, its parent, and so on, as far as they are retained.
///
/// A chain of parents can't be longer than the number of snapshots, unless damaged metadata makes
/// it a circle: the set of what was seen bounds the walk.
fn lineage(metadata: &TableMetadata) -> impl Iterator<Item = &SnapshotRef> {
    let mut seen = HashSet::new();
    std::iter::successors(metadata.current_snapshot(), |snapshot| {
        metadata.snapshot_by_id(snapshot.parent_snapshot_id()?)
    })
    .take_while(move |snapshot| seen.insert(snapshot.snapshot_id()))
}

fn marker_of(snapshot: &SnapshotRef, key: &str) -> Result<Option<Marker>> {
    snapshot
        .summary()
        .additional_properties
        .get(key)
        .map(|json| Marker::parse(json, &format!("snapshot {}", snapshot.snapshot_id())))
        .transpose()
}

/// The newest marker in the lineage; snapshots of other writers are skipped.
fn newest(metadata: &TableMetadata, key: &str) -> Result<Option<Marker>> {
    lineage(metadata)
        .find_map(|snapshot| marker_of(snapshot, key).transpose())
        .transpose()
}

fn locate(
    metadata: &TableMetadata,
    key: &str,
    marker: &Marker,
    newest: Option<&Marker>,
) -> Result<Whereabouts> {
    if newest.is_some_and(|newest| newest.id == marker.id) {
        return Ok(Whereabouts::Newest);
    }
    for snapshot in lineage(metadata) {
        if carries(snapshot, key, marker)? {
            return Ok(Whereabouts::Buried);
        }
    }
    for snapshot in metadata.snapshots() {
        if carries(snapshot, key, marker)? {
            return Ok(Whereabouts::Detached);
        }
    }
    Ok(if reaches_below(metadata, marker) {
        Whereabouts::Bypassed
    } else {
        Whereabouts::Expired
    })
}

fn carries(snapshot: &SnapshotRef, key: &str, marker: &Marker) -> Result<bool> {
    Ok(marker_of(snapshot, key)?.is_some_and(|found| found.id == marker.id))
}

/// True if the lineage shows the table as it was before `marker` was committed: it ends in a
/// snapshot without a parent (or there is none at all), or in one that the marker was built upon.
/// Expiry takes the oldest snapshots, so what it leaves never reaches that far down.
fn reaches_below(metadata: &TableMetadata, marker: &Marker) -> bool {
    match lineage(metadata).last() {
        None => true,
        Some(oldest) => {
            oldest.parent_snapshot_id().is_none()
                || oldest.sequence_number() <= marker.base_sequence
        }
    }
}

/// The snapshot that carries `marker`, if it is retained.
pub(super) fn snapshot_of(metadata: &TableMetadata, marker: &Marker) -> Option<i64> {
    let key = names::marker_key(&marker.pipeline);
    lineage(metadata)
        .find(|snapshot| carries(snapshot, &key, marker).unwrap_or(false))
        .map(|snapshot| snapshot.snapshot_id())
}

/// The newest epoch that any marker of the pipeline speaks of, in the history of `main` or not.
pub(super) fn newest_epoch(metadata: &TableMetadata, pipeline: &str) -> Result<Option<Epoch>> {
    let key = names::marker_key(pipeline);
    let property = metadata
        .properties()
        .get(&key)
        .map(|json| Marker::parse(json, &format!("table property {key}")))
        .transpose()?;
    let mut newest = property.map(|marker| marker.epoch);
    for snapshot in metadata.snapshots() {
        newest = newest.max(marker_of(snapshot, &key)?.map(|marker| marker.epoch));
    }
    Ok(newest)
}

/// The retained snapshots that the history of `main` does not lead to: branches, tags on them, and
/// what was rolled back.
pub(super) fn detached(metadata: &TableMetadata) -> Vec<SnapshotRef> {
    let attached: HashSet<i64> = lineage(metadata).map(|s| s.snapshot_id()).collect();
    let snapshots = metadata.snapshots();
    snapshots
        .filter(|snapshot| !attached.contains(&snapshot.snapshot_id()))
        .cloned()
        .collect()
}
