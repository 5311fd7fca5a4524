//! The tables of a namespace: who writes to them, and how their files grow.

use futures::{StreamExt, stream};
use iceberg::spec::{SnapshotRef, TableMetadata, TableProperties};
use iceberg::{Catalog, NamespaceIdent};
use serde::Serialize;

use crate::error::Result;
use crate::iceberg::{self as room, external, figure, names, of_main};

/// Tables loaded at a time.
const LOADS_AT_ONCE: usize = 8;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// What is said of growth rests on at least so much of history.
const HISTORY_MS_MIN: i64 = 60_000;
/// Iceberg's own default of the size that writers aim at.
const TARGET_FILE_BYTES: u64 = 512 << 20;
/// Files that are smaller than this part of the target are small.
const SMALL: u64 = 4;
/// So many small files a day are no harm.
const FILES_PER_DAY_HARMLESS: u64 = 100;

/// A table, by its metadata.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TableSummary {
    /// Its name, with the namespace.
    pub table: String,
    /// The pipelines that write to it.
    pub pipelines: Vec<Writer>,
    /// Snapshots that it retains.
    pub snapshots: u64,
    /// Its data files.
    pub files: Option<u64>,
    /// Its rows.
    pub rows: Option<u64>,
    /// Bytes of its files.
    pub bytes: Option<u64>,
    /// When its newest snapshot was made, in milliseconds since 1970.
    pub changed_at_ms: Option<i64>,
    /// How it grows; unknown of a table that has hardly a history.
    pub growth: Option<Growth>,
    /// Why nothing of this is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A pipeline with a marker in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Writer {
    /// Its name.
    pub pipeline: String,
    /// Its incarnation.
    pub generation: u64,
    /// Its last epoch.
    pub epoch: u64,
    /// When that was committed, in milliseconds since 1970.
    pub committed_at_ms: i64,
}

/// What a table's recent snapshots have added, as a day of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Growth {
    /// Files a day.
    pub files_per_day: u64,
    /// Snapshots a day.
    pub snapshots_per_day: u64,
    /// Their average size.
    pub file_bytes: u64,
    /// The size that writers aim at.
    pub target_file_bytes: u64,
    /// The time that it was taken from, in milliseconds.
    pub over_ms: i64,
}

impl Growth {
    /// True if it makes many files that are much smaller than they should be.
    pub fn is_of_small_files(&self) -> bool {
        self.files_per_day > FILES_PER_DAY_HARMLESS
            && self.file_bytes < self.target_file_bytes / SMALL
    }

    /// By the snapshots of the last day, as far as they are retained, of appends only: a compaction adds what was there.
    pub fn of(metadata: &TableMetadata, now_ms: i64) -> Option<Self> {
        let recent: Vec<&SnapshotRef> = of_main(metadata)
            .take_while(|snapshot| snapshot.timestamp_ms() > now_ms - DAY_MS)
            .filter(|s| s.summary().operation.as_str() == "append")
            .collect();
        let oldest = recent.last()?;
        let over_ms = now_ms - oldest.timestamp_ms();
        if over_ms < HISTORY_MS_MIN {
            return None;
        }
        let sum = |name| -> u64 { recent.iter().filter_map(|s| figure(s, name)).sum() };
        let (files, bytes) = (sum("added-data-files"), sum("added-files-size"));
        let per_day = |count: u64| (count as f64 * DAY_MS as f64 / over_ms as f64).round() as u64;
        let target = TableProperties::PROPERTY_WRITE_TARGET_FILE_SIZE_BYTES;
        let target = metadata
            .properties()
            .get(target)
            .and_then(|v| v.parse().ok());
        Some(Self {
            files_per_day: per_day(files),
            snapshots_per_day: per_day(recent.len() as u64),
            file_bytes: bytes.checked_div(files).unwrap_or(0),
            target_file_bytes: target.unwrap_or(TARGET_FILE_BYTES),
            over_ms,
        })
    }
}

/// What a table's metadata tells.
pub fn summarize(table: &str, metadata: &TableMetadata, now_ms: i64) -> Result<TableSummary> {
    let mut pipelines = Vec::new();
    for pipeline in names::pipelines(metadata.properties().keys()) {
        let observed = room::observe(metadata, &pipeline)?;
        if let Some(recorded) = observed.property {
            pipelines.push(Writer {
                pipeline,
                generation: recorded.marker.generation.0,
                epoch: recorded.marker.epoch.0,
                committed_at_ms: recorded.marker.committed_at_ms,
            });
        }
    }
    let current = metadata.current_snapshot();
    let total = |name| match current {
        Some(snapshot) => figure(snapshot, name),
        None => Some(0),
    };
    Ok(TableSummary {
        table: table.to_owned(),
        pipelines,
        snapshots: metadata.snapshots().len() as u64,
        files: total("total-data-files"),
        rows: total("total-records"),
        bytes: total("total-files-size"),
        changed_at_ms: current.map(|snapshot| snapshot.timestamp_ms()),
        growth: Growth::of(metadata, now_ms),
        error: None,
    })
}

/// All tables of a namespace, by name. One that can't be read is there with the reason.
pub async fn tables(
    catalog: &dyn Catalog,
    namespace: &NamespaceIdent,
    now_ms: i64,
) -> Result<Vec<TableSummary>> {
    let found = catalog.list_tables(namespace).await.map_err(|error| {
        external(
            format!("the tables of namespace {namespace} can't be listed"),
            &error,
        )
    })?;
    let loaded = stream::iter(found).map(|ident| async move {
        let name = ident.to_string();
        let summary = match room::load(catalog, &ident).await {
            Ok(table) => summarize(&name, table.metadata(), now_ms),
            Err(error) => Err(error),
        };
        summary.unwrap_or_else(|error| TableSummary {
            table: name,
            pipelines: Vec::new(),
            snapshots: 0,
            files: None,
            rows: None,
            bytes: None,
            changed_at_ms: None,
            growth: None,
            error: Some(error.says()),
        })
    });
    let mut tables: Vec<_> = loaded.buffer_unordered(LOADS_AT_ONCE).collect().await;
    tables.sort_by(|a, b| a.table.cmp(&b.table));
    Ok(tables)
}
