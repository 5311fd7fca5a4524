//! From bytes to rows: what a table's columns are, and how a message's payload fills them.
//!
//! ```text
//!   declaration ──▶ columns ──▶ Schema ──▶ JsonDecoder ──▶ rows      (RecordBatch, the table's schema)
//!        ▲                                  ▲        └───▶ rejects   (Reject: where, why, all bytes)
//!        └── infer ◀── sample payloads      └── Messages
//! ```
//!
//! * [`columns`] reads and writes declarations such as `id string not null, value double`;
//! * [`infer`] proposes one from sample payloads;
//! * [`Decoder`] is what every format offers, [`JsonDecoder`] is JSON's; `builder` holds the Arrow
//!   columns that formats fill;
//! * [`Provenance`] names the columns that say where a row came from;
//! * [`Reject`] is a message that did not become a row.
//!
//! # Invariants
//!
//! * Each message becomes exactly one row or one reject, and rows keep the messages' order.
//! * A reject leaves no trace in the rows.
//! * A value is stored exactly as it was sent, or not at all.
//!
//! This room knows nothing of settings, Kafka clients or tables on disk, and must never panic on
//! data, drop a message, or let one message influence how another is read.

mod builder;
pub mod columns;
pub mod infer;
mod json;
mod provenance;
mod reject;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

pub use json::JsonDecoder;
pub use provenance::Provenance;
pub use reject::Reject;

use crate::error::{Error, Result};
use crate::messages::Messages;

/// A table's schema as Arrow has it, with the table's field ids.
pub(crate) fn arrow_schema(schema: &Schema) -> Result<arrow::datatypes::Schema> {
    schema_to_arrow_schema(schema).map_err(|error| {
        Error::data("the table's schema can't be written as an Arrow schema").caused_by(error)
    })
}

/// A payload format.
pub trait Decoder {
    /// The Arrow schema of the rows, with the table's field ids.
    fn schema(&self) -> &SchemaRef;

    /// Decodes all messages: each becomes one row or one reject, in order.
    ///
    /// An error is about none of the messages in particular: the batch as a whole can't be made.
    fn decode(&mut self, messages: &[Messages]) -> Result<Decoded>;
}

/// What became of some messages.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The rows, in the schema of [`Decoder::schema`].
    pub rows: RecordBatch,
    /// The messages that did not become rows.
    pub rejects: Vec<Reject>,
}
