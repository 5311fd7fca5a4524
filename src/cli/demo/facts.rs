//! What the demo reads in the table: where it stands, and whether a sample is there twice.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use iceberg::table::Table;

use super::{PIPELINE, TOPIC};
use crate::checkpoint::marker::Marker;
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::iceberg::{Committer, names};
use crate::runtime::table::{self, Columns, OpenTable};
use crate::time::Epoch;

/// Where the table stands, by its current snapshot and the marker in it.
pub(super) struct Facts {
    pub(super) table: Table,
    /// The checkpoint of the current snapshot's marker.
    pub(super) epoch: Epoch,
    /// The current snapshot.
    pub(super) snapshot: i64,
    /// Rows in it.
    pub(super) rows: u64,
    /// Rows that it added.
    pub(super) added: u64,
    /// The offsets that it covers: first, and first no more.
    pub(super) covers: Option<(i64, i64)>,
    /// The offset at which a process that starts now resumes.
    pub(super) next: i64,
}

impl Facts {
    pub(super) async fn read(settings: &Settings) -> Result<Self> {
        let OpenTable { catalog, table } =
            table::open(settings, Columns::declared(settings)?).await?;
        let ident = table.identifier().clone();
        let observed = Committer::observe(catalog, ident, PIPELINE, settings.on_rollback).await?;
        let missing = || Error::internal("the table has no snapshot with a marker");
        let marker = observed.marker().ok_or_else(missing)?;
        let table = observed.table().clone();
        let snapshot = table.metadata().current_snapshot().ok_or_else(missing)?;
        let summary = &snapshot.summary().additional_properties;
        let count = |key: &str| summary.get(key).and_then(|text| text.parse().ok());
        let recorded = summary
            .get(&names::marker_key(PIPELINE))
            .ok_or_else(missing)?;
        let moved = Marker::parse(recorded, "the current snapshot")?.moved;
        Ok(Self {
            epoch: marker.epoch,
            snapshot: snapshot.snapshot_id(),
            rows: count("total-records").unwrap_or_default(),
            added: count("added-records").unwrap_or_default(),
            covers: moved
                .iter()
                .next()
                .map(|(_, _, start, end)| (start.0, end.0)),
            next: marker.next.get(TOPIC, 0).ok_or_else(missing)?.0,
            table,
        })
    }
}

/// How often each sample and each offset is there.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) rows: u64,
    samples: BTreeMap<String, u64>,
    offsets: BTreeSet<i64>,
}

impl Count {
    /// Reads the whole table.
    pub(super) async fn read(table: &Table) -> Result<Self> {
        let unreadable = |error: iceberg::Error| {
            Error::external("the table can't be read back").caused_by(error.to_string())
        };
        let scan = table.scan().select(["sample_id", "_offset"]).build();
        let batches = scan.map_err(unreadable)?.to_arrow().await;
        let mut batches = batches.map_err(unreadable)?;
        let mut count = Self::default();
        while let Some(batch) = batches.try_next().await.map_err(unreadable)? {
            count.add(&batch);
        }
        Ok(count)
    }

    fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        let (ids, offsets) = (batch.column(0), batch.column(1));
        for id in ids.as_string::<i32>().iter().flatten() {
            *self.samples.entry(id.to_owned()).or_default() += 1;
        }
        self.offsets
            .extend(offsets.as_primitive::<Int64Type>().iter().flatten());
    }

    pub(super) fn distinct_samples(&self) -> usize {
        self.samples.len()
    }

    /// `GROUP BY sample_id HAVING COUNT(*) > 1`.
    pub(super) fn duplicates(&self) -> Vec<(&str, u64)> {
        let twice = self.samples.iter().filter(|(_, count)| **count > 1);
        twice.map(|(id, count)| (id.as_str(), *count)).collect()
    }

    /// True if the offsets are 0, 1, … `end` - 1.
    pub(super) fn offsets_are_all_below(&self, end: i64) -> bool {
        self.offsets.iter().copied().eq(0..end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn count(rows: &[(&str, i64)]) -> Count {
        let ids = rows.iter().map(|(id, _)| *id).collect::<Vec<_>>();
        let offsets = rows.iter().map(|(_, offset)| *offset).collect::<Vec<_>>();
        let columns: [(&str, ArrayRef); 2] = [
            ("sample_id", Arc::new(StringArray::from(ids))),
            ("_offset", Arc::new(Int64Array::from(offsets))),
        ];
        let mut count = Count::default();
        count.add(&RecordBatch::try_from_iter(columns).unwrap());
        count
    }

    #[test]
    fn a_sample_that_is_there_twice_is_a_row_of_the_duplicate_query() {
        let twice = count(&[("a", 0), ("b", 1), ("b", 1), ("c", 2)]);
        assert_eq!(twice.duplicates(), [("b", 2)]);
        assert_eq!((twice.rows, twice.distinct_samples()), (4, 3));
        assert!(twice.offsets_are_all_below(3));
        assert!(count(&[("a", 0), ("b", 1)]).duplicates().is_empty());
    }

    #[test]
    fn a_missing_offset_is_seen() {
        assert!(!count(&[("a", 0), ("c", 2)]).offsets_are_all_below(3));
        assert!(!count(&[("a", 0), ("b", 1)]).offsets_are_all_below(3));
        assert!(!count(&[("a", 0), ("b", 1)]).offsets_are_all_below(1));
    }
}
