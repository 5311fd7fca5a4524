//! The rows of a table, reduced to which records they are: only the provenance columns are read.
//!
//! The library plans the scan, so that delete files count. It takes the name `_partition` for a
//! metadata column of its own, so columns are asked for by their ids.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use futures::stream::{self, Stream};
use futures::{StreamExt, TryStreamExt};
use iceberg::arrow::ArrowReaderBuilder;
use iceberg::scan::FileScanTask;
use iceberg::spec::SnapshotRef;
use iceberg::table::Table;

use super::chain::Coverage;
use super::offset_set::Tally;
use crate::error::{Error, Result};
use crate::format::Provenance;
use crate::iceberg::external;
use crate::offsets::TopicPartition;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 65_536;

/// The columns that tell which record a row is, by field id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// `_topic`, or the one topic that the pipeline reads.
    pub(super) topic: Result<i32, String>,
    /// `_partition`
    pub(super) partition: i32,
    /// `_offset`
    pub(super) offset: i32,
}

impl Columns {
    /// Of the current snapshot's schema; `None` if it lacks one. The topic may be missing where
    /// there is only one.
    pub(super) fn find(table: &Table, coverage: &Coverage) -> Result<Option<Self>> {
        let metadata = table.metadata();
        let schema = match metadata.current_snapshot() {
            Some(snapshot) => snapshot
                .schema(metadata)
                .map_err(|error| unreadable(table, &error))?,
            None => metadata.current_schema().clone(),
        };
        let id = |column| {
            let fields = schema.as_struct().fields().iter();
            let mut found = fields.filter(|field| Provenance::of(field) == Some(column));
            found.next().map(|field| field.id)
        };
        let topic = match id(Provenance::Topic) {
            Some(id) => Some(Ok(id)),
            None => {
                let mut topics: Vec<_> = coverage
                    .partitions
                    .keys()
                    .map(|place| &place.at.topic)
                    .collect();
                topics.dedup();
                match topics.as_slice() {
                    [only] => Some(Err((*only).clone())),
                    _ => None,
                }
            }
        };
        Ok(
            match (topic, id(Provenance::Partition), id(Provenance::Offset)) {
                (Some(topic), Some(partition), Some(offset)) => Some(Self {
                    topic,
                    partition,
                    offset,
                }),
                _ => None,
            },
        )
    }

    fn projection(&self) -> Vec<i32> {
        let topic = self.topic.as_ref().ok().copied();
        [self.partition, self.offset]
            .into_iter()
            .chain(topic)
            .collect()
    }
}

/// The rows of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FileRows {
    /// By the partition of their record.
    pub(super) partitions: BTreeMap<TopicPartition, Tally>,
    /// Rows that lack their topic, partition or offset.
    pub(super) anonymous: u64,
}

/// Reads the data files of a snapshot, or the current one, that are `wanted`, several at a time, each
/// into a tally of its own: `None` for a file that is not there any more.
pub(super) async fn read(
    table: &Table,
    snapshot: Option<&SnapshotRef>,
    columns: &Columns,
    wanted: impl Fn(&str) -> bool,
) -> Result<impl Stream<Item = Result<(String, Option<FileRows>)>>> {
    let failed = |error| unreadable(table, &error);
    let mut scan = table.scan().select_empty();
    if let Some(snapshot) = snapshot {
        scan = scan.snapshot_id(snapshot.snapshot_id());
    }
    let scan = scan.build().map_err(failed)?;
    let tasks = scan.plan_files().await.map_err(failed)?;
    let mut tasks: Vec<FileScanTask> = tasks.try_collect().await.map_err(failed)?;
    tasks.retain(|task| wanted(task.data_file_path()));
    let at_once = std::thread::available_parallelism().map_or(2, usize::from);
    let (table, columns) = (table.clone(), columns.clone());
    let files = stream::iter(tasks).map(move |mut task| {
        let (table, columns) = (table.clone(), columns.clone());
        async move {
            let path = task.data_file_path.clone();
            task.project_field_ids = columns.projection();
            // Decoding is work: a task of its own gets a thread of its own.
            let reading = tokio::spawn(read_file(table.reader_builder(), task, columns));
            let read = reading
                .await
                .map_err(|error| Error::internal("a reader panicked").caused_by(error))?;
            match read {
                Ok(rows) => Ok((path, Some(rows))),
                Err(error) => match table.file_io().exists(&path).await {
                    Ok(false) => Ok((path, None)),
                    _ => Err(external(format!("data file {path} can't be read"), &error)),
                },
            }
        }
    });
    Ok(files.buffer_unordered(at_once))
}

fn unreadable(table: &Table, error: &iceberg::Error) -> Error {
    external(format!("table {} can't be read", table.identifier()), error)
}

async fn read_file(
    reader: ArrowReaderBuilder,
    task: FileScanTask,
    columns: Columns,
) -> iceberg::Result<FileRows> {
    let reader = reader
        .with_data_file_concurrency_limit(1)
        .with_batch_size(BATCH_ROWS)
        .build();
    let task = stream::iter([Ok(task)]).boxed();
    let mut batches = reader.read(task)?.stream();
    let mut tallies = Tallies::default();
    while let Some(batch) = batches.try_next().await? {
        tallies.add(&batch, &columns)?;
    }
    Ok(tallies.finish())
}

/// By topic, then partition: looked up without making a key.
#[derive(Default)]
struct Tallies {
    topics: BTreeMap<String, BTreeMap<i32, Tally>>,
    anonymous: u64,
}

impl Tallies {
    fn add(&mut self, batch: &RecordBatch, columns: &Columns) -> iceberg::Result<()> {
        let partitions = flat(batch.column(0), &DataType::Int32)?;
        let offsets = flat(batch.column(1), &DataType::Int64)?;
        let (partitions, offsets) = (
            partitions.as_primitive::<Int32Type>(),
            offsets.as_primitive::<Int64Type>(),
        );
        let topics = match columns.topic {
            Ok(_) => Some(flat(batch.column(2), &DataType::Utf8)?),
            Err(_) => None,
        };
        let topics = topics.as_ref().map(|topics| topics.as_string::<i32>());
        let only = columns.topic.as_ref().err().map_or("", String::as_str);
        // Rows come in runs: consecutive offsets of one partition.
        let mut run: Option<(&str, i32, std::ops::Range<i64>)> = None;
        for row in 0..batch.num_rows() {
            if partitions.is_null(row)
                || offsets.is_null(row)
                || topics.is_some_and(|topics| topics.is_null(row))
            {
                self.anonymous += 1;
                continue;
            }
            let (partition, offset) = (partitions.value(row), offsets.value(row));
            let topic = topics.map_or(only, |topics| topics.value(row));
            match &mut run {
                Some((t, p, offsets))
                    if *p == partition && offsets.end == offset && *t == topic =>
                {
                    offsets.end += 1;
                }
                _ => {
                    if let Some(run) = run.replace((topic, partition, offset..offset + 1)) {
                        self.add_run(run);
                    }
                }
            }
        }
        if let Some(run) = run {
            self.add_run(run);
        }
        Ok(())
    }

    fn add_run(&mut self, (topic, partition, run): (&str, i32, std::ops::Range<i64>)) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), BTreeMap::new());
        }
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.entry(partition).or_default().add(run);
        }
    }

    fn finish(self) -> FileRows {
        let mut rows = FileRows {
            anonymous: self.anonymous,
            ..FileRows::default()
        };
        for (topic, partitions) in self.topics {
            for (partition, tally) in partitions {
                let at = TopicPartition::new(topic.clone(), partition);
                rows.partitions.insert(at, tally);
            }
        }
        rows
    }
}

/// A column in its plain form. The library may hand one out in another, as it does with constants, and
/// what is asked of an array must never depend on that.
fn flat(column: &ArrayRef, to: &DataType) -> iceberg::Result<ArrayRef> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    Ok(cast(column, to)?)
}
