//! Shared by the decoder's tests: short ways to decode, and rows as text.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use super::*;
use crate::dice::Dice;

pub(super) fn schema(columns: &str) -> Schema {
    crate::format::columns::parse(columns).unwrap()
}

pub(super) fn decoder(schema: &Schema) -> JsonDecoder {
    JsonDecoder::new(schema).unwrap()
}

/// Payloads as messages of topic `t`, partition 7, with offsets from 0.
pub(super) fn messages(payloads: &[&[u8]]) -> Messages {
    let mut messages = Messages::new(Arc::from([Arc::from("t")]));
    for (offset, payload) in payloads.iter().enumerate() {
        messages.push(0, 7, offset as i64, Some(1_000), None, Some(payload));
    }
    messages
}

pub(super) fn decode(schema: &Schema, payloads: &[&str]) -> Decoded {
    let payloads: Vec<_> = payloads.iter().map(|payload| payload.as_bytes()).collect();
    decoder(schema).decode(&[messages(&payloads)]).unwrap()
}

/// Why a payload is rejected.
pub(super) fn reason(columns: &str, payload: &str) -> String {
    let mut rejects = decode(&schema(columns), &[payload]).rejects;
    assert_eq!(rejects.len(), 1, "accepted: {payload}");
    rejects.remove(0).reason
}

/// What the JSON value `json` becomes in a column of type `of`, or why it does not.
pub(super) fn value(of: &str, json: &str) -> Result<String, String> {
    let payload = format!("{{\"v\":{json}}}");
    let decoded = decode(&schema(&format!("v {of}")), &[&payload]);
    match decoded.rejects.first() {
        Some(reject) => Err(reject.reason.clone()),
        None => Ok(cell(decoded.rows.column(0), 0)),
    }
}

/// Checks a table of JSON values: what they become, or a part of the reason why they are rejected.
pub(super) fn check(of: &str, cases: &[(&str, Result<&str, &str>)]) {
    for (json, expected) in cases {
        match (value(of, json), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, *expected, "{of} from {json}"),
            (Err(found), Err(expected)) => {
                assert!(found.contains(expected), "{of} from {json}: {found}");
            }
            (found, expected) => panic!("{of} from {json}: {found:?}, expected {expected:?}"),
        }
    }
}

pub(super) fn rows(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|row| {
            let schema = batch.schema();
            let fields = schema.fields().iter().zip(batch.columns());
            let cells: Vec<_> = fields
                .map(|(field, column)| format!("{}: {}", field.name(), cell(column, row)))
                .collect();
            format!("{{{}}}", cells.join(", "))
        })
        .collect()
}

/// One value as text; times and decimals as their bare integers.
pub(super) fn cell(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => array
            .as_primitive::<Decimal128Type>()
            .value(row)
            .to_string(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time64(_) => array
            .as_primitive::<Time64MicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => array
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Timestamp(..) => array
            .as_primitive::<TimestampNanosecondType>()
            .value(row)
            .to_string(),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::LargeBinary => hex(array.as_binary::<i64>().value(row)),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let cells: Vec<_> = columns
                .map(|(field, column)| format!("{}: {}", field.name(), cell(column, row)))
                .collect();
            format!("{{{}}}", cells.join(", "))
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            let cells: Vec<_> = (0..elements.len()).map(|at| cell(&elements, at)).collect();
            format!("[{}]", cells.join(", "))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let cells: Vec<_> = (0..entries.len())
                .map(|at| {
                    format!(
                        "{}: {}",
                        cell(entries.column(0), at),
                        cell(entries.column(1), at)
                    )
                })
                .collect();
            format!("{{{}}}", cells.join(", "))
        }
        other => panic!("no text for {other}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Changes, drops, doubles or swaps a few bytes.
pub(super) fn mutate(dice: &mut Dice, text: &str) -> Vec<u8> {
    const BYTES: &[u8] = b"\"\\{}[],:0123456789eE+-.tfnux \n\x00\x1f\x7f\x80\xc3\xff";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        let byte = BYTES[dice.below(BYTES.len())];
        match dice.below(6) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => {
                let other = dice.below(bytes.len());
                bytes.swap(at, other);
            }
            _ => {
                let end = (at + dice.below(12)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}
