//! JSON values into columns, directed by the column's type.
//!
//! Each function writes one value whole or fails. After a failure the columns hold a part of the
//! value; the decoder cuts the row off again.

use arrow::array::BooleanBufferBuilder;

use super::super::builder::{Column, Struct, Values};
use super::fault::{Fault, Outcome};
use super::keys::duplicate;
use super::map::{first_repeated, write_map};
use super::number::Short;
use super::scalar::{takes_numbers, takes_text, type_name, write_number, write_text};
use super::scan::{Scanner, unescape};
use super::temporal::{self, LastDate};

/// What outlives a value: working memory and the last date read.
#[derive(Default)]
pub(super) struct Context {
    pub(super) scratch: Vec<u8>,
    pub(super) last_date: LastDate,
}

/// Writes the object here, one value into each of `columns`.
pub(super) fn write_object(
    columns: &mut Struct,
    scan: &mut Scanner<'_>,
    context: &mut Context,
    depth: usize,
) -> Outcome {
    if scan.value_start() != b'{' {
        return Err(scan.mismatch("an object"));
    }
    scan.bump();
    let Struct { children, keys, .. } = columns;
    keys.begin();
    let mut due = 0;
    let mut written = 0;
    let mut first = true;
    loop {
        let key = match keys.expected(&mut due, scan) {
            Some(key) => key,
            None if first && scan.value_start() == b'}' => {
                scan.bump();
                break;
            }
            None => keys.read(&mut due, scan, &mut context.scratch)?,
        };
        first = false;
        match key.and_then(|index| Some((index, children.get_mut(index)?))) {
            None => scan.skip_value(depth + 1, &mut context.scratch)?,
            Some((index, child)) => {
                if !keys.note(index) {
                    return Err(duplicate().in_field(&child.name));
                }
                if !write_usual(child, scan, &mut context.last_date) {
                    write_value(child, scan, context, depth + 1)
                        .map_err(|fault| fault.in_field(&child.name))?;
                }
                written += 1;
            }
        }
        if !scan.another(b'}')? {
            break;
        }
    }
    if written < children.len() {
        for (index, child) in children.iter_mut().enumerate() {
            if keys.has(index) {
                continue;
            }
            if child.required {
                return Err(Fault::new("it is required, but missing").in_field(&child.name));
            }
            child.push_absent();
        }
    }
    Ok(())
}

/// Writes the value here into `column`, if it has the most usual form that its type knows; otherwise nothing
/// happens. Whatever is written here, [`write_value`] would write as well: this is only the shorter way.
#[inline(always)]
fn write_usual(column: &mut Column, scan: &mut Scanner<'_>, last_date: &mut LastDate) -> bool {
    let written = match &mut column.values {
        Values::String(strings) => {
            let written = scan.peek() == b'"' && scan.copy_plain_string(&mut strings.bytes);
            if written {
                strings.end_value();
            }
            written
        }
        Values::Double(values) => match Short::of(scan.rest()) {
            Some(number) => {
                values.push(number.to_f64());
                scan.set_pos(scan.pos() + number.len);
                true
            }
            None => false,
        },
        Values::Long(values) => match Short::of(scan.rest()).and_then(Short::to_i32) {
            Some((value, len)) => {
                values.push(i64::from(value));
                scan.set_pos(scan.pos() + len);
                true
            }
            None => false,
        },
        Values::Int(values) => match Short::of(scan.rest()).and_then(Short::to_i32) {
            Some((value, len)) => {
                values.push(value);
                scan.set_pos(scan.pos() + len);
                true
            }
            None => false,
        },
        values => write_usual_time(values, scan, last_date),
    };
    if written {
        column.validity.append_non_null();
    }
    written
}

/// Writes the value here into `column`.
#[inline(never)]
pub(super) fn write_value(
    column: &mut Column,
    scan: &mut Scanner<'_>,
    context: &mut Context,
    depth: usize,
) -> Outcome {
    let first = scan.value_start();
    if first == b'n' && scan.eat(b"null") {
        if column.required {
            return Err(Fault::new("it is required, but null"));
        }
        column.push_absent();
        return Ok(());
    }
    match (&mut column.values, first) {
        (Values::String(strings), b'"') => {
            if !scan.copy_plain_string(&mut strings.bytes) {
                append_string(scan, &mut strings.bytes)?;
            }
            strings.end_value();
        }
        (
            Values::List {
                offsets, element, ..
            },
            b'[',
        ) => {
            write_list(element, scan, context, depth)?;
            offsets.push(element.len() as i32);
        }
        (
            Values::Map {
                offsets, entries, ..
            },
            b'{' | b'[',
        ) => {
            let before = offsets.last().map_or(0, |end| *end as usize);
            write_map(entries, scan, context, depth)?;
            let [keys, ..] = &*entries.children else {
                return Err(Fault::new("a map without keys"));
            };
            if let Some((first, second)) = first_repeated(&keys.values, before..keys.len()) {
                return Err(Fault::new(format!(
                    "entries {first} and {second} of the map have the same key"
                )));
            }
            offsets.push(keys.len() as i32);
        }
        (Values::Struct(columns), b'{') => write_object(columns, scan, context, depth)?,
        (Values::Boolean(values), b't' | b'f') => write_boolean(values, scan)?,
        (values, b'-' | b'0'..=b'9') if takes_numbers(values) => {
            let number = scan.number()?;
            write_number(values, number)?;
        }
        (values, b'"') if takes_text(values) => {
            let span = scan.string()?;
            let Context { scratch, last_date } = context;
            let text = if span.escaped {
                scratch.clear();
                unescape(scan.slice(span), scratch)?;
                scratch
            } else {
                scan.slice(span)
            };
            write_text(values, text, last_date)?;
        }
        (values, _) => {
            let expected = type_name(values);
            return Err(scan.mismatch(&expected));
        }
    }
    column.validity.append_non_null();
    Ok(())
}

/// Appends what the string here means to `out`.
#[inline(never)]
fn append_string(scan: &mut Scanner<'_>, out: &mut Vec<u8>) -> Outcome {
    let span = scan.string()?;
    let raw = scan.slice(span);
    if span.escaped {
        return unescape(raw, out);
    }
    out.extend_from_slice(raw);
    Ok(())
}

/// Writes the time here, if it has the most usual form of all.
#[inline]
fn write_usual_time(values: &mut Values, scan: &mut Scanner<'_>, last: &mut LastDate) -> bool {
    let Values::Timestamp {
        values,
        zoned: true,
        nanos: false,
    } = values
    else {
        return false;
    };
    let text = scan.rest().first_chunk();
    let Some(micros) = text.and_then(|text| temporal::quoted_utc_millis(text, last)) else {
        return false;
    };
    scan.set_pos(scan.pos() + temporal::QUOTED_UTC_MILLIS);
    values.push(micros);
    true
}

fn write_boolean(values: &mut BooleanBufferBuilder, scan: &mut Scanner<'_>) -> Outcome {
    let value = scan.eat(b"true");
    if !value && !scan.eat(b"false") {
        return Err(scan.unexpected("a value"));
    }
    values.append(value);
    Ok(())
}

fn write_list(
    element: &mut Column,
    scan: &mut Scanner<'_>,
    context: &mut Context,
    depth: usize,
) -> Outcome {
    scan.bump();
    if scan.value_start() == b']' {
        scan.bump();
        return Ok(());
    }
    let mut index = 0;
    loop {
        write_value(element, scan, context, depth + 1).map_err(|fault| fault.at_index(index))?;
        if !scan.another(b']')? {
            return Ok(());
        }
        index += 1;
    }
}
