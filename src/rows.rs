//! Decoded rows on their way from the decoder to a table writer.

mod keys;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;

use crate::budget::Charge;
use crate::error::{Error, Result};

pub use keys::{Key, KeyColumns, Keys};

/// Rows of one epoch in the table's schema.
#[derive(Debug)]
pub struct Rows {
    /// The rows.
    pub batch: RecordBatch,
    /// What the messages they came from cost until the rows are written.
    pub charges: Vec<Charge>,
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

    /// Kafka's timestamp of each row, in milliseconds since 1970; `None` if the table has no column `_timestamp`.
    pub fn timestamps_ms(&self) -> Option<impl Iterator<Item = Option<i64>> + '_> {
        let column = self.batch.column_by_name("_timestamp")?;
        let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some((0..column.len()).map(|row| (!column.is_null(row)).then(|| column.value(row) / 1000)))
    }
}
