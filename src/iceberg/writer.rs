//! Writing one epoch's rows of one worker: rolling Parquet files, one row of them per partition.
//!
//! ```text
//!   batch ─▶ split by partition ─▶ the partition's open file ─▶ rolls at the target size
//!                                  (64 at most; the one that rested longest is closed)
//! ```
//!
//! Memory is bounded: what the open files hold together stays below `row_group_bytes` plus what
//! one batch adds, because the fullest file's row group is ended when they would exceed it.
//! The library's rolling and partitioning writers have no such bound.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use iceberg::arrow::{RecordBatchPartitionSplitter, schema_to_arrow_schema};
use iceberg::spec::{PartitionKey, Struct};
use iceberg::table::Table;
use iceberg::writer::file_writer::location_generator::{
    DefaultLocationGenerator, LocationGenerator,
};
use parquet::file::properties::WriterProperties;

use super::metrics::Metrics;
use super::names::{self, FileOrigin};
use super::parquet_file::ParquetFile;
use super::properties::Properties;
use super::staged::StagedFile;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// Partitions whose files are open at the same time; each costs a file handle or an upload, and
/// the encoders of every column.
const OPEN_PARTITIONS_MAX: usize = 64;

/// How to write.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Who writes, for the file names.
    pub origin: FileOrigin,
    /// When to roll to a new file; `None` leaves it to the table property, or 256 MiB.
    pub target_file_bytes: Option<u64>,
    /// The most that all open files together hold in memory.
    pub row_group_bytes: usize,
}

/// What a writer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteProgress {
    /// Rows written.
    pub rows: u64,
    /// Bytes held in memory.
    pub bytes_buffered: usize,
    /// Bytes handed to the storage.
    pub bytes_written: u64,
}

struct OpenFile {
    partition: PartitionKey,
    file: ParquetFile,
}

/// Writes rows into files that belong to one epoch.
pub struct TableWriter {
    table: Table,
    options: WriterOptions,
    schema: SchemaRef,
    properties: WriterProperties,
    metrics: Arc<Metrics>,
    target_file_bytes: u64,
    locations: DefaultLocationGenerator,
    splitter: Option<RecordBatchPartitionSplitter>,
    /// In the order of their last use, the most recent one last.
    open: VecDeque<OpenFile>,
    staged: Vec<StagedFile>,
    rows: u64,
    bytes_closed: u64,
}

impl TableWriter {
    /// A writer for rows of the table's current schema, partitioned by its default spec.
    pub fn new(table: &Table, options: WriterOptions) -> Result<Self> {
        let metadata = table.metadata();
        let schema = metadata.current_schema();
        let properties = Properties::new(table.identifier().to_string(), metadata);
        Ok(Self {
            table: table.clone(),
            schema: arrow_schema(table)?,
            properties: properties.writer_properties(schema, options.row_group_bytes)?,
            metrics: Arc::new(Metrics::new(schema, &properties)?),
            target_file_bytes: properties.target_file_bytes(options.target_file_bytes)?,
            locations: DefaultLocationGenerator::new(metadata)
                .map_err(|error| unfit(table, &error))?,
            splitter: splitter(table)?,
            options,
            open: VecDeque::new(),
            staged: Vec::new(),
            rows: 0,
            bytes_closed: 0,
        })
    }

    /// The Arrow schema that batches must have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes a batch of the table's columns.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<WriteProgress> {
        let batch = self.conform(batch)?;
        if batch.num_rows() > 0 {
            for (partition, part) in self.split(batch)? {
                self.write_part(partition, &part).await?;
            }
        }
        Ok(self.progress())
    }

    /// Finishes all files.
    pub async fn close(mut self) -> Result<Vec<StagedFile>> {
        while let Some(open) = self.open.pop_front() {
            if let Err(error) = self.finish(open).await {
                self.abort().await;
                return Err(error);
            }
        }
        Ok(self.staged)
    }

    /// Deletes everything that was written, as far as possible: it belongs to no table.
    pub async fn abort(self) {
        let paths = self
            .open
            .iter()
            .map(|open| open.file.path())
            .chain(self.staged.iter().map(StagedFile::path))
            .map(str::to_owned)
            .collect::<Vec<_>>();
        drop(self.open);
        for path in paths {
            if let Err(error) = self.table.file_io().delete(&path).await {
                tracing::debug!(path, %error, "an abandoned file was left behind");
            }
        }
    }

    fn progress(&self) -> WriteProgress {
        let open: usize = self.open.iter().map(|open| open.file.bytes_written()).sum();
        WriteProgress {
            rows: self.rows,
            bytes_buffered: self.bytes_buffered(),
            bytes_written: self.bytes_closed + open as u64,
        }
    }

    fn bytes_buffered(&self) -> usize {
        self.open
            .iter()
            .map(|open| open.file.bytes_buffered())
            .sum()
    }

    /// The batch under the table's own schema, whose metadata carries the field ids.
    fn conform(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if Arc::ptr_eq(batch.schema_ref(), &self.schema) {
            return Ok(batch);
        }
        let names = |schema: &SchemaRef| {
            schema
                .fields()
                .iter()
                .map(|f| f.name().clone())
                .collect::<Vec<_>>()
        };
        let wrong = || {
            Error::internal(format!(
                "a batch does not have the columns of table {}",
                self.table.identifier()
            ))
        };
        if names(batch.schema_ref()) != names(&self.schema) {
            return Err(wrong());
        }
        RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec())
            .map_err(|error| wrong().caused_by(error))
    }

    fn split(&self, batch: RecordBatch) -> Result<Vec<(PartitionKey, RecordBatch)>> {
        match &self.splitter {
            None => {
                let metadata = self.table.metadata();
                let key = PartitionKey::new(
                    metadata.default_partition_spec().as_ref().clone(),
                    Arc::clone(metadata.current_schema()),
                    Struct::empty(),
                );
                Ok(vec![(key, batch)])
            }
            Some(splitter) => splitter.split(&batch).map_err(|error| {
                Error::data(format!(
                    "rows can't be assigned to the partitions of table {}",
                    self.table.identifier()
                ))
                .caused_by(error.to_string())
            }),
        }
    }

    async fn write_part(&mut self, partition: PartitionKey, part: &RecordBatch) -> Result<()> {
        let known = self
            .open
            .iter()
            .position(|open| open.partition.data() == partition.data());
        let mut open = match known.and_then(|index| self.open.remove(index)) {
            Some(open) => open,
            None => {
                if self.open.len() >= OPEN_PARTITIONS_MAX
                    && let Some(oldest) = self.open.pop_front()
                {
                    self.finish(oldest).await?;
                }
                OpenFile {
                    file: self.create(&partition).await?,
                    partition,
                }
            }
        };
        let written = open.file.write(part).await;
        let full = open.file.size() as u64 >= self.target_file_bytes;
        self.open.push_back(open);
        written?;
        self.rows += part.num_rows() as u64;
        if full && let Some(open) = self.open.pop_back() {
            self.finish(open).await?;
        }
        self.bound_memory().await
    }

    async fn create(&self, partition: &PartitionKey) -> Result<ParquetFile> {
        let mut name = partition_path(partition);
        let table = self.table.metadata().uuid();
        name.push_str(&self.options.origin.data_file_name(table));
        ParquetFile::create(
            self.table.file_io(),
            self.locations.generate_location(None, &name),
            Arc::clone(&self.schema),
            self.properties.clone(),
            Arc::clone(&self.metrics),
        )
        .await
    }

    async fn finish(&mut self, open: OpenFile) -> Result<()> {
        let spec_id = open.partition.spec().spec_id();
        let path = open.file.path().to_owned();
        let (mut builder, bytes) = match open.file.finish().await {
            Ok(finished) => finished,
            Err(error) => {
                // Best effort: without a footer nobody can read it anyway.
                let _ = self.table.file_io().delete(&path).await;
                return Err(error);
            }
        };
        let file = builder
            .partition(open.partition.data().clone())
            .partition_spec_id(spec_id)
            .build()
            .map_err(|error| {
                Error::internal("a data file's description is incomplete").caused_by(error)
            })?;
        self.bytes_closed += bytes;
        let epoch = self.options.origin.epoch;
        self.staged
            .push(StagedFile::encode(file, &self.table, spec_id, epoch)?);
        Ok(())
    }

    /// Ends row groups, the largest first, until the bound holds.
    async fn bound_memory(&mut self) -> Result<()> {
        while self.bytes_buffered() > self.options.row_group_bytes {
            let fullest = self
                .open
                .iter_mut()
                .max_by_key(|open| open.file.bytes_buffered());
            match fullest {
                Some(open) if open.file.bytes_buffered() > 0 => open.file.flush().await?,
                _ => break,
            }
        }
        Ok(())
    }
}

fn unfit(table: &Table, error: &iceberg::Error) -> Error {
    Error::data(format!("table {} can't be written", table.identifier()))
        .caused_by(error.to_string())
        .advice("change its schema or partitioning, or write to another table")
}

fn arrow_schema(table: &Table) -> Result<SchemaRef> {
    schema_to_arrow_schema(table.metadata().current_schema())
        .map(Arc::new)
        .map_err(|error| unfit(table, &error))
}

/// What assigns rows to partitions, if the table has any; an error if the library does not know
/// how to.
pub(super) fn splitter(table: &Table) -> Result<Option<RecordBatchPartitionSplitter>> {
    let spec = table.metadata().default_partition_spec();
    if spec.is_unpartitioned() {
        return Ok(None);
    }
    let schema = Arc::clone(table.metadata().current_schema());
    let splitter =
        RecordBatchPartitionSplitter::try_new_with_computed_values(schema, Arc::clone(spec))
            .map_err(|error| unfit(table, &error))?;
    // Some combinations of transform and type are found missing only when they are asked for.
    splitter
        .split(&RecordBatch::new_empty(arrow_schema(table)?))
        .map_err(|error| unfit(table, &error))?;
    Ok(Some(splitter))
}

/// `day=2026-01-02/city=Bern/`, or nothing for an unpartitioned table. The library's own version
/// puts values into the path as they are.
fn partition_path(partition: &PartitionKey) -> String {
    let spec = partition.spec();
    let Ok(types) = spec.partition_type(partition.schema()) else {
        return String::new();
    };
    spec.fields()
        .iter()
        .zip(types.fields())
        .zip(partition.data().fields())
        .map(|((field, of), value)| {
            let value = field
                .transform
                .to_human_string(&of.field_type, value.as_ref());
            names::partition_folder(&field.name, &value) + "/"
        })
        .collect()
}
