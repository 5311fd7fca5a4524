//! Decoded rows on their way from the decoder to a table writer.

mod keys;

use arrow::record_batch::RecordBatch;

use crate::budget::Charge;

pub use keys::{KeyColumns, Keys};

/// Rows of one epoch in the table's schema.
#[derive(Debug)]
pub struct Rows {
    /// The rows.
    pub batch: RecordBatch,
    /// What the messages they came from cost until the rows are written.
    pub charges: Vec<Charge>,
}
