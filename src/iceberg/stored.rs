//! `stored_rows`: what the table held when a run took the pipeline over, as a stream.
//!
//! For dataflows whose state is derived from what they have written: nothing but the table has to survive. The
//! rows are those of the snapshot that the claim was built on, so they agree with the offsets from which the run
//! reads on, whatever others commit meanwhile. The library plans the scan, so that delete files count.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::scan::{ArrowRecordBatchStream, FileScanTask};
use iceberg::table::Table;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::operator::source;
use timely::dataflow::{Scope, Stream};
use tokio::sync::OnceCell;

use super::failure;
use crate::error::{Error, Result};
use crate::process::Process;
use crate::time::Epoch;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8_192;

/// The rows of one snapshot, seen from one process. Nothing is read until somebody asks.
#[derive(Debug)]
pub struct Stored {
    table: Table,
    snapshot: Option<i64>,
    /// Planned by the first worker that asks.
    files: OnceCell<Vec<FileScanTask>>,
}

impl Stored {
    /// The rows of `snapshot`; without one there are none.
    pub fn new(table: Table, snapshot: Option<i64>) -> Self {
        Self {
            table,
            snapshot,
            files: OnceCell::new(),
        }
    }

    /// The files, in an order that is the same in every process.
    async fn files(&self) -> Result<&[FileScanTask]> {
        let files = self.files.get_or_try_init(|| async {
            let Some(snapshot) = self.snapshot else {
                return Ok(Vec::new());
            };
            let scan = self.table.scan().select_empty().snapshot_id(snapshot);
            let scan = scan.build().map_err(|error| self.unreadable(&error))?;
            let planned = scan.plan_files().await;
            let planned = planned.map_err(|error| self.unreadable(&error))?;
            let planned: Result<Vec<FileScanTask>, _> = planned.try_collect().await;
            let mut files = planned.map_err(|error| self.unreadable(&error))?;
            files.sort_by(|a, b| (&a.data_file_path, a.start).cmp(&(&b.data_file_path, b.start)));
            Ok(files)
        });
        files.await.map(Vec::as_slice)
    }

    /// Opens one worker's share of the files: its batches have `columns`, in this order.
    async fn open(
        &self,
        columns: &[String],
        worker: usize,
        workers: usize,
    ) -> Result<ArrowRecordBatchStream> {
        let schema = self.table.metadata().current_schema();
        let id = |name: &String| {
            schema.field_id_by_name(name).ok_or_else(|| {
                Error::data(format!(
                    "table {} has no column {name}",
                    self.table.identifier()
                ))
            })
        };
        let ids: Vec<i32> = columns.iter().map(id).collect::<Result<_>>()?;
        let share = self.files().await?.iter().skip(worker).step_by(workers);
        let share: Vec<_> = share
            .map(|file| {
                let mut file = file.clone();
                file.project_field_ids.clone_from(&ids);
                Ok(file)
            })
            .collect();
        let reader = self.table.reader_builder();
        let reader = reader
            .with_data_file_concurrency_limit(1)
            .with_batch_size(BATCH_ROWS)
            .build();
        let read = reader.read(stream::iter(share).boxed());
        Ok(read.map_err(|error| self.unreadable(&error))?.stream())
    }

    fn unreadable(&self, error: &iceberg::Error) -> Error {
        let table = self.table.identifier();
        failure::external(format!("the rows of table {table} can't be read"), error)
    }
}

/// Reads what a table held.
pub trait StoredRows<'scope> {
    /// The rows of `stored` at `epoch`; each worker reads its share of the files, a batch each time that it is scheduled.
    fn stored_rows(
        self,
        stored: Arc<Stored>,
        columns: Vec<String>,
        epoch: Epoch,
        process: Arc<Process>,
    ) -> Stream<'scope, Epoch, Vec<RecordBatch>>;
}

impl<'scope> StoredRows<'scope> for Scope<'scope, Epoch> {
    fn stored_rows(
        self,
        stored: Arc<Stored>,
        columns: Vec<String>,
        epoch: Epoch,
        process: Arc<Process>,
    ) -> Stream<'scope, Epoch, Vec<RecordBatch>> {
        let (worker, workers) = (self.index(), self.peers());
        source::<_, CapacityContainerBuilder<_>, _, _>(self, "Stored", move |capability, info| {
            let again = self.activator_for(info.address);
            // Kept if reading fails: the epoch can't be committed then.
            let mut capability = Some(capability.delayed(&epoch));
            let mut open = None;
            move |output| {
                let Some(held) = &capability else {
                    return;
                };
                if process.has_failed() {
                    return;
                }
                let next = process.block_on(async {
                    let rows = match &mut open {
                        Some(rows) => rows,
                        None => open.insert(stored.open(&columns, worker, workers).await?),
                    };
                    let next = rows.try_next().await;
                    next.map_err(|error| stored.unreadable(&error))
                });
                match next {
                    Ok(Some(rows)) => {
                        output.session(held).give(rows);
                        again.activate();
                    }
                    Ok(None) => {
                        capability = None;
                        open = None;
                    }
                    Err(error) => process.fail(error),
                }
            }
        })
    }
}
