//! Decoded rows on their way from the decoder to a table writer.

mod keys;
#[cfg(test)]
mod tests;
mod watermark;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use timely::dataflow::Stream;

use crate::budget::Charge;
use crate::error::{Error, Result};
use crate::time::Epoch;

pub use keys::{Key, KeyColumns, Keys};
pub use watermark::Watermark;

/// Rows on their way: what the operators of a dataflow take and give.
pub type RowStream<'scope> = Stream<'scope, Epoch, Vec<Rows>>;

/// Rows of one epoch in the table's schema.
#[derive(Debug)]
pub struct Rows {
    /// The rows.
    pub batch: RecordBatch,
    /// What the messages they came from cost until the rows are written.
    pub charges: Vec<Charge>,
}

impl From<RecordBatch> for Rows {
    /// Rows that cost nobody anything, as a dataflow makes them itself, and as tests do.
    fn from(batch: RecordBatch) -> Self {
        let charges = Vec::new();
        Self { batch, charges }
    }
}

impl Rows {
    /// The rows for which `keep` is true; `None` if there is none, and then their memory is free.
    pub fn filter(self, keep: Vec<bool>) -> Result<Option<Self>> {
        let kept = keep.iter().filter(|keep| **keep).count();
        if kept == 0 {
            return Ok(None);
        }
        if kept == self.batch.num_rows() {
            return Ok(Some(self));
        }
        let batch = filter_record_batch(&self.batch, &BooleanArray::from(keep))
            .map_err(|error| Error::internal("rows can't be filtered").caused_by(error))?;
        Ok(Some(Self {
            batch,
            charges: self.charges,
        }))
    }

    /// The same rows with other values in one column, which must fit the table: its type, and nulls where they may be.
    pub fn with_column(self, name: &str, values: ArrayRef) -> Result<Self> {
        let schema = self.batch.schema();
        let (index, field) = schema.column_with_name(name).ok_or_else(|| {
            let fields = schema.fields().iter();
            let all: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
            Error::config(format!("the table has no column {name}")).advice(format!(
                "declare it in table.columns; there are: {}",
                all.join(", ")
            ))
        })?;
        let misfit = |error| {
            let (is, expected) = (values.data_type(), field.data_type());
            Error::data(format!(
                "column {name} of the table is {expected}, it can't take these values ({is})"
            ))
            .caused_by(error)
        };
        let mut columns = self.batch.columns().to_vec();
        columns[index] = Arc::clone(&values);
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(misfit)?;
        Ok(Self { batch, ..self })
    }

    /// Topic and partition of each row; an empty name and 0 if the table does not have both columns.
    pub fn origins(&self) -> impl Iterator<Item = (&str, i32)> {
        let topics = self.batch.column_by_name("_topic");
        let partitions = self.batch.column_by_name("_partition");
        let topics = topics.and_then(|column| column.as_string_opt::<i32>());
        let partitions = partitions.and_then(|column| column.as_primitive_opt::<Int32Type>());
        let columns = topics.zip(partitions);
        (0..self.batch.num_rows()).map(move |row| match columns {
            Some((topics, partitions)) => (topics.value(row), partitions.value(row)),
            None => ("", 0),
        })
    }

    /// Kafka's timestamp of each row, in milliseconds since 1970; `None` if the table has no column `_timestamp`.
    pub fn timestamps_ms(&self) -> Option<impl Iterator<Item = Option<i64>> + '_> {
        let column = self.batch.column_by_name("_timestamp")?;
        let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some((0..column.len()).map(|row| (!column.is_null(row)).then(|| column.value(row) / 1000)))
    }
}
