//! What a dataflow writes to: one table, seen from one process.

use std::sync::{Arc, Mutex, PoisonError};

use iceberg::spec::SchemaRef;
use iceberg::table::Table;

use super::facts;
use super::names::FileOrigin;
use super::properties::Properties;
use super::{Committer, TableWriter, WriterOptions};
use crate::error::Result;
use crate::notices::TableFacts;
use crate::time::{Epoch, Generation};

/// A table as the target of a pipeline. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sink {
    table: Table,
    pipeline: String,
    generation: Generation,
    target_file_bytes: Option<u64>,
    row_group_bytes: usize,
    /// Only in the process that claimed the pipeline, until the commit operator takes it.
    committer: Arc<Mutex<Option<Committer>>>,
}

impl Sink {
    /// A sink of `generation` of `pipeline`, with the committer if this process has claimed it.
    pub fn new(
        table: Table,
        pipeline: String,
        generation: Generation,
        target_file_bytes: Option<u64>,
        row_group_bytes: usize,
        committer: Option<Committer>,
    ) -> Self {
        Self {
            table,
            pipeline,
            generation,
            target_file_bytes,
            row_group_bytes,
            committer: Arc::new(Mutex::new(committer)),
        }
    }

    /// The schema that rows must have.
    pub fn schema(&self) -> &SchemaRef {
        self.table.metadata().current_schema()
    }

    /// A writer for the rows of one epoch on one worker.
    pub(super) fn writer(&self, epoch: Epoch, worker: usize) -> Result<TableWriter> {
        TableWriter::new(
            &self.table,
            WriterOptions {
                origin: FileOrigin {
                    pipeline: self.pipeline.clone(),
                    generation: self.generation,
                    epoch,
                    worker,
                },
                target_file_bytes: self.target_file_bytes,
                row_group_bytes: self.row_group_bytes,
            },
        )
    }

    /// What people are shown of `table`, this sink's as it is now.
    pub(super) fn facts(&self, table: &Table) -> TableFacts {
        let properties = Properties::new(table.identifier().to_string(), table.metadata());
        let target = properties.target_file_bytes(self.target_file_bytes);
        facts::of(table, &self.pipeline, target.unwrap_or_default())
    }

    /// The right to commit: there is one, and the first to ask gets it.
    pub(super) fn take_committer(&self) -> Option<Committer> {
        self.committer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
