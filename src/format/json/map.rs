//! Maps: objects whose keys are data, or arrays of `{"key": …, "value": …}`.

use std::collections::HashMap;
use std::ops::Range;

use super::super::builder::{Struct, Values};
use super::fault::{Fault, Outcome};
use super::scalar::{takes_numbers, takes_text, type_name, write_number, write_text};
use super::scan::{Scanner, unescape};
use super::temporal::LastDate;
use super::value::{Context, write_object, write_value};

/// Maps up to this size are searched for repeated keys pair by pair.
const PAIRWISE_MAX: usize = 16;

/// A map is an object, or an array of objects with `key` and `value`.
pub(super) fn write_map(
    entries: &mut Struct,
    scan: &mut Scanner<'_>,
    context: &mut Context,
    depth: usize,
) -> Outcome {
    let (pairs, end) = match scan.peek() {
        b'[' => (true, b']'),
        _ => (false, b'}'),
    };
    scan.bump();
    if scan.value_start() == end {
        scan.bump();
        return Ok(());
    }
    let mut index = 0;
    loop {
        if pairs {
            write_object(entries, scan, context, depth + 1)
                .map_err(|fault| fault.at_index(index))?;
        } else {
            write_entry(entries, scan, context, depth)?;
        }
        if !scan.another(end)? {
            return Ok(());
        }
        index += 1;
    }
}

/// Writes one member of an object as a map's entry.
fn write_entry(
    entries: &mut Struct,
    scan: &mut Scanner<'_>,
    context: &mut Context,
    depth: usize,
) -> Outcome {
    let [keys, values] = &mut *entries.children else {
        return Err(Fault::new("a map without keys and values"));
    };
    if scan.value_start() != b'"' {
        return Err(scan.unexpected("a key in quotes"));
    }
    let span = scan.string()?;
    let Context { scratch, last_date } = &mut *context;
    let text = if span.escaped {
        scratch.clear();
        unescape(scan.slice(span), scratch)?;
        scratch
    } else {
        scan.slice(span)
    };
    write_key(&mut keys.values, text, last_date).map_err(|fault| fault.at_key(text))?;
    keys.validity.append_non_null();
    scan.colon()?;
    write_value(values, scan, context, depth + 1).map_err(|fault| fault.at_key(scan.slice(span)))
}

/// Writes a map's key, which JSON knows only as a string, as a value of the key's type.
fn write_key(values: &mut Values, text: &[u8], last_date: &mut LastDate) -> Outcome {
    if let Values::Boolean(values) = values {
        values.append(match text {
            b"true" => true,
            b"false" => false,
            _ => return Err(Fault::new("the key is not a boolean")),
        });
        return Ok(());
    }
    let mut scan = Scanner::new(text);
    if takes_numbers(values)
        && !matches!(values, Values::Timestamp { .. })
        && let Ok(number) = scan.number()
        && scan.at_end()
    {
        return write_number(values, number);
    }
    if takes_text(values) || matches!(values, Values::String(_)) {
        return write_text(values, text, last_date);
    }
    Err(Fault::new(format!(
        "the key is not a value of type {}",
        type_name(values)
    )))
}

/// A map's key, comparable.
#[derive(PartialEq, Eq, Hash)]
enum Cell<'a> {
    Bits(i128),
    Bytes(&'a [u8]),
}

/// The first two of the keys in `range` that are equal, counted from the map's beginning.
///
/// Readers that know a map as a dictionary would drop one of them without a word.
pub(super) fn first_repeated(keys: &Values, range: Range<usize>) -> Option<(usize, usize)> {
    let start = range.start;
    if range.len() <= PAIRWISE_MAX {
        for second in range.clone() {
            let key = cell(keys, second)?;
            for first in range.start..second {
                if cell(keys, first)? == key {
                    return Some((first - start, second - start));
                }
            }
        }
        return None;
    }
    let mut places = HashMap::with_capacity(range.len());
    for second in range {
        if let Some(first) = places.insert(cell(keys, second)?, second) {
            return Some((first - start, second - start));
        }
    }
    None
}

fn bytes(bytes: &[u8], start: usize, end: usize) -> Option<Cell<'_>> {
    bytes.get(start..end).map(Cell::Bytes)
}

/// The key at `at`; `None` if keys of this type can't be compared.
fn cell(keys: &Values, at: usize) -> Option<Cell<'_>> {
    Some(match keys {
        Values::Boolean(values) => Cell::Bits(i128::from(values.get_bit(at))),
        Values::Int(values) | Values::Date(values) => Cell::Bits(i128::from(*values.get(at)?)),
        Values::Long(values) | Values::Time(values) | Values::Timestamp { values, .. } => {
            Cell::Bits(i128::from(*values.get(at)?))
        }
        Values::Float(values) => Cell::Bits(i128::from(values.get(at)?.to_bits())),
        Values::Double(values) => Cell::Bits(i128::from(values.get(at)?.to_bits())),
        Values::Decimal { values, .. } => Cell::Bits(*values.get(at)?),
        Values::String(strings) => {
            let ends = strings.offsets.get(at..at + 2)?;
            return bytes(&strings.bytes, ends[0] as usize, ends[1] as usize);
        }
        Values::Uuid(values) => return bytes(values, at * 16, at * 16 + 16),
        Values::Fixed {
            bytes: values,
            width,
        } => return bytes(values, at * width, (at + 1) * width),
        Values::Binary {
            offsets,
            bytes: values,
        } => {
            let ends = offsets.get(at..at + 2)?;
            return bytes(values, ends[0] as usize, ends[1] as usize);
        }
        Values::Struct(_) | Values::List { .. } | Values::Map { .. } => return None,
    })
}
