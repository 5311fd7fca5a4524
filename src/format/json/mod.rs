//! JSON payloads into Arrow columns, in one pass, directed by the table's schema.
//!
//! ```text
//!  payload ──▶ scan ──▶ keys ──▶ value ──▶ columns        a record is done: the row stands
//!              text     column   map, scalar,             a fault: the row is cut off again,
//!                                number, temporal                  the message is a reject
//! ```
//!
//! No document is built. The scanner moves over the text once; each key says which column the value
//! belongs to, and the column's type says how the value is read. Nested structs, lists and maps are
//! written the same way, into their own columns.
//!
//! # What is accepted
//!
//! One message is one JSON object (RFC 8259, UTF-8, nothing after it) and becomes one row.
//!
//! | type | JSON that gives a value |
//! |---|---|
//! | `boolean` | `true`, `false` |
//! | `int`, `long` | a number that is whole: `12`, also `12.0` and `1.2e1` |
//! | `float`, `double` | any number whose nearest value is finite; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `decimal(p, s)` | a number, or a string with a number's text; exact: `1.50` fits a scale of 1, `1.25` does not |
//! | `date` | `"2026-03-01"` |
//! | `time` | `"12:34:56.789"`; seconds and fraction may be missing |
//! | `timestamp` | `"2026-03-01T12:34:56.789"` (`T` or a space) without a zone; a whole number of **milliseconds** since 1970 |
//! | `timestamptz` | the same with `Z`, `±HH:MM`, `±HHMM` or `±HH`, kept as UTC; a whole number of **milliseconds** since 1970 |
//! | `string` | a string |
//! | `uuid` | `"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11"`, either case |
//! | `fixed(n)`, `binary` | a base64 string (standard alphabet, with or without padding); `fixed` of exactly *n* bytes |
//! | `struct` | an object |
//! | `list` | an array |
//! | `map` | an object, its keys read as texts of the key's type; or an array of `{"key": …, "value": …}` |
//!
//! * Nothing is rounded, cut or wrapped: a number or a time that the type can't keep is a reject.
//!   Fractions of a second beyond the type's last place must be zeros. Only floats take the nearest
//!   value, as everywhere.
//! * Dates lie between the years 0001 and 9999, for `timestamptz` in UTC. Second 60 and hour 24 do
//!   not exist. `timestamp_ns` and `timestamptz_ns` keep nine places.
//! * A field that is missing or `null` gives null; if the field is required, a reject.
//! * Fields that no column takes are checked as strictly as the others (they may nest up to 128
//!   levels deep) and ignored; whether *they* stand twice is not looked at.
//! * A key that stands twice, of a column or in a map, is a reject: which one is meant is a guess.
//! * Half a surrogate pair and invalid UTF-8 are rejects; the character NUL (`\u0000`) is a character.
//! * A message without payload (a tombstone) is a reject.
//!
//! # Invariants
//!
//! * All columns have the same length after each message, whether it became a row or a reject.
//! * Whether a record is accepted, and as what, never depends on the records before it.
//!
//! It must never panic on data, and never guess.

mod block;
mod fault;
mod keys;
mod map;
mod number;
mod scalar;
mod scan;
pub(super) mod temporal;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Fields, SchemaRef};
use arrow::error::ArrowError;
use iceberg::spec::{Schema, Type};

pub(super) use keys::Keys;

use self::fault::{Fault, Outcome};
use self::scan::Scanner;
use self::value::{Context, write_object};
use super::builder::{Column, Struct, Values};
use super::{Decoded, Decoder, Provenance, Reject, arrow_schema};
use crate::error::{Error, Result};
use crate::messages::{Message, Messages};

/// Kafka's own limit on the name of a topic.
const TOPIC_BYTES_MAX: usize = 249;

/// Decodes JSON objects into rows of one table.
pub struct JsonDecoder {
    schema: SchemaRef,
    /// For each column of the table where it is filled from.
    sources: Vec<Source>,
    /// The columns that payloads fill.
    payload: Struct,
    /// The columns that the messages themselves fill.
    provenance: Vec<(Provenance, Column)>,
    context: Context,
}

/// Where a column of the table is filled from: an index into one of the decoder's two lists.
enum Source {
    Payload(usize),
    Provenance(usize),
}

impl JsonDecoder {
    /// A decoder for a table with this schema.
    ///
    /// Columns that [`Provenance::of`] recognizes are filled from the message, wherever they stand;
    /// a field of the payload that has their name is ignored.
    pub fn new(schema: &Schema) -> Result<Self> {
        let arrow = arrow_schema(schema)?;
        let mut sources = Vec::new();
        let mut provenance = Vec::new();
        let mut fields = Vec::new();
        let mut types = Vec::<&Type>::new();
        for (field, iceberg) in arrow.fields().iter().zip(schema.as_struct().fields()) {
            if let Some(which) = Provenance::of(iceberg) {
                sources.push(Source::Provenance(provenance.len()));
                provenance.push((which, Column::new(field, &iceberg.field_type, 0)?));
            } else {
                sources.push(Source::Payload(fields.len()));
                fields.push(field.clone());
                types.push(&iceberg.field_type);
            }
        }
        Ok(Self {
            payload: Struct::new(&Fields::from(fields), &types, 0)?,
            schema: Arc::new(arrow),
            sources,
            provenance,
            context: Context::default(),
        })
    }

    /// Writes one message's row; after a fault a part of it may stand in the payload's columns.
    fn write_row(&mut self, message: &Message<'_>) -> Outcome {
        let Some(payload) = message.payload else {
            return Err(Fault::new(
                "it has no payload (a tombstone), so there is no row in it",
            ));
        };
        let mut scan = Scanner::new(payload);
        if scan.value_start() != b'{' {
            return Err(not_an_object(&mut scan));
        }
        write_object(&mut self.payload, &mut scan, &mut self.context, 0)?;
        scan.skip_whitespace();
        if !scan.at_end() {
            return Err(scan.unexpected("nothing after the object"));
        }
        if micros(message).is_none() {
            self.check_time()?;
        }
        Ok(())
    }

    /// Writes where rows came from, column by column: most of it is a copy of what all messages have in a row.
    fn write_provenance<'m>(&mut self, messages: impl Iterator<Item = Message<'m>> + Clone) {
        for (which, column) in &mut self.provenance {
            let before = column.len();
            match (which, &mut column.values) {
                (Provenance::Topic, Values::String(strings)) => {
                    for message in messages.clone() {
                        strings.bytes.extend_from_slice(message.topic.as_bytes());
                        strings.end_value();
                    }
                    let len = strings.offsets.len() - 1;
                    column.validity.append_n_non_nulls(len - before);
                }
                (Provenance::Partition, Values::Int(values)) => {
                    values.extend(messages.clone().map(|message| message.partition));
                    column.validity.append_n_non_nulls(values.len() - before);
                }
                (Provenance::Offset, Values::Long(values)) => {
                    values.extend(messages.clone().map(|message| message.offset));
                    column.validity.append_n_non_nulls(values.len() - before);
                }
                (Provenance::Timestamp, Values::Timestamp { values, .. }) => {
                    for message in messages.clone() {
                        let time = micros(&message);
                        values.push(time.unwrap_or(0));
                        column.validity.append(time.is_some());
                    }
                }
                // `Provenance::of` has looked at the types.
                _ => messages.clone().for_each(|_| column.push_absent()),
            }
        }
    }

    /// Fails if a message without a time must have one.
    fn check_time(&self) -> Outcome {
        let required = self
            .provenance
            .iter()
            .any(|(which, column)| *which == Provenance::Timestamp && column.required);
        if required {
            return Err(
                Fault::new("the message has no timestamp, which is required")
                    .in_field(Provenance::Timestamp.name()),
            );
        }
        Ok(())
    }

    fn finish(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut payload = Vec::with_capacity(self.payload.children.len());
        for column in &mut self.payload.children {
            payload.push(column.finish()?);
        }
        let mut provenance = Vec::with_capacity(self.provenance.len());
        for (_, column) in &mut self.provenance {
            provenance.push(column.finish()?);
        }
        let columns = self
            .sources
            .iter()
            .map(|source| match *source {
                Source::Payload(index) => payload[index].clone(),
                Source::Provenance(index) => provenance[index].clone(),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, messages: &[Messages]) -> Result<Decoded> {
        let count: usize = messages.iter().map(Messages::len).sum();
        let bytes: usize = messages.iter().map(Messages::byte_len).sum();
        check_size(count, bytes)?;
        self.payload.reserve(count);
        for (_, column) in &mut self.provenance {
            column.reserve(count);
        }
        let mut rows = 0;
        let mut rejects = Vec::new();
        for messages in messages {
            let mut rejected = Vec::new();
            for (index, message) in messages.iter().enumerate() {
                match self.write_row(&message) {
                    Ok(()) => rows += 1,
                    Err(fault) => {
                        self.payload.truncate(rows);
                        rejects.push(Reject::new(&message, fault.to_string()));
                        rejected.push(index);
                    }
                }
            }
            let accepted = messages.iter().enumerate();
            let accepted = accepted.filter(|(index, _)| rejected.binary_search(index).is_err());
            match rejected.is_empty() {
                true => self.write_provenance(messages.iter()),
                false => self.write_provenance(accepted.map(|(_, message)| message)),
            }
        }
        let rows = self.finish(rows).map_err(|error| {
            // The columns may be of different lengths now.
            self.payload.truncate(0);
            for (_, column) in &mut self.provenance {
                column.truncate(0);
            }
            Error::internal("decoded columns do not make a batch").caused_by(error)
        })?;
        Ok(Decoded { rows, rejects })
    }
}

/// The message's own time in microseconds, if there is one that can be told so.
fn micros(message: &Message<'_>) -> Option<i64> {
    message.timestamp_ms?.checked_mul(1_000)
}

/// Arrow's strings and lists have 32-bit offsets; no value is longer decoded than it is in JSON.
fn check_size(count: usize, bytes: usize) -> Result<()> {
    if bytes.max(count.saturating_mul(TOPIC_BYTES_MAX)) > i32::MAX as usize {
        return Err(Error::internal(format!(
            "one batch of {count} messages and {bytes} bytes; an Arrow batch holds at most 2 GiB"
        ))
        .advice("lower the source's byte budget or the batch's size"));
    }
    Ok(())
}

#[cold]
fn not_an_object(scan: &mut Scanner<'_>) -> Fault {
    if scan.at_end() {
        return Fault::new("expected a JSON object, found an empty payload");
    }
    if scan.rest().starts_with(b"\xef\xbb\xbf") {
        return Fault::new("expected a JSON object, found a byte order mark (U+FEFF) before it");
    }
    scan.mismatch("a JSON object")
}
