//! A table's metadata → what people are shown of it. Nothing is asked of the catalog: the table is the one that the last
//! commit was proved by.

use iceberg::spec::{Snapshot, SnapshotRef, TableMetadata};
use iceberg::table::Table;

use super::{lineage, names};
use crate::checkpoint::marker::Marker;
use crate::notices::{SnapshotFacts, TableFacts};

/// So many snapshots are shown one by one.
const RECENT: usize = 20;

/// What `table` holds, and which of its snapshots are commits of `pipeline`.
pub(super) fn of(table: &Table, pipeline: &str, target_file_bytes: u64) -> TableFacts {
    let metadata = table.metadata();
    let key = names::marker_key(pipeline);
    let total = |name: &str| metadata.current_snapshot().map_or(0, |s| number(s, name));
    TableFacts {
        name: table.identifier().to_string(),
        location: metadata.location().to_owned(),
        uuid: metadata.uuid().to_string(),
        format_version: metadata.format_version() as u8,
        partitioning: partitioning(metadata),
        snapshot_id: metadata.current_snapshot_id().map(|id| id.to_string()),
        snapshots: metadata.snapshots().len(),
        rows: total("total-records"),
        files: total("total-data-files"),
        bytes: total("total-files-size"),
        target_file_bytes,
        recent: lineage::of_main(metadata)
            .take(RECENT)
            .map(|snapshot| self::snapshot(snapshot, &key))
            .collect(),
    }
}

fn snapshot(snapshot: &SnapshotRef, marker_key: &str) -> SnapshotFacts {
    let marker = snapshot.summary().additional_properties.get(marker_key);
    SnapshotFacts {
        id: snapshot.snapshot_id().to_string(),
        at_ms: snapshot.timestamp_ms(),
        operation: snapshot.summary().operation.as_str().to_owned(),
        ours: marker.and_then(|json| Some(Marker::epoch_in(json)?.0)),
        rows: number(snapshot, "added-records"),
        files: number(snapshot, "added-data-files"),
        bytes: number(snapshot, "added-files-size"),
    }
}

/// A figure in a snapshot's summary; none if its writer left it out.
pub(crate) fn figure(snapshot: &Snapshot, name: &str) -> Option<u64> {
    let summary = &snapshot.summary().additional_properties;
    summary.get(name)?.parse().ok()
}

/// What is not told counts as nothing: it is for people.
fn number(snapshot: &Snapshot, name: &str) -> u64 {
    figure(snapshot, name).unwrap_or(0)
}

/// `day(start_time), bucket[16](user)`; empty for an unpartitioned table.
fn partitioning(metadata: &TableMetadata) -> String {
    let fields = metadata.default_partition_spec().fields().iter();
    let words = fields.map(|field| {
        let column = metadata.current_schema().name_by_field_id(field.source_id);
        format!("{}({})", field.transform, column.unwrap_or("?"))
    });
    words.collect::<Vec<_>>().join(", ")
}
