//! Arrow arrays under construction, one [`Column`] a field of the table's schema.
//!
//! Arrow's own builders are boxed and dynamic once a schema is known only at run time, and they
//! can't take a half-written row back. These are plain vectors behind one `enum`, with two rules:
//!
//! * a column's length is the length of its validity, which grows *after* a value was written whole;
//! * [`Column::truncate`] cuts everything, nested columns included, back to a given number of rows,
//!   whatever a failed write left behind. The offsets of lists, maps and strings say how long their
//!   contents were, so nothing has to be remembered while a row is written.
//!
//! Offsets of strings, lists and maps are `i32`: whoever fills columns keeps a batch's input below
//! 2 GiB, and no value grows while it is decoded.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, FixedSizeBinaryArray, LargeBinaryArray,
    ListArray, MapArray, NullBufferBuilder, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, FieldRef, Fields, Float32Type,
    Float64Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use iceberg::spec::{PrimitiveType, Type};

use super::json::Keys;
use crate::error::{Error, Result};

/// How deeply a table's columns may nest. Decoding recurses over the schema, so it needs a bound.
pub(super) const NESTING_MAX: usize = 64;

/// Strings are copied in blocks and cut to their length: the last one needs so much more room, or all of them move.
const OVERSHOOT: usize = 64;

/// One field's values of the rows decoded so far.
pub(super) struct Column {
    /// The field's name, for messages.
    pub(super) name: Box<str>,
    /// True if null is not a value of this field.
    pub(super) required: bool,
    /// Which rows are not null; its length is the column's length.
    pub(super) validity: NullBufferBuilder,
    /// The values; where a row is null there is a filler.
    pub(super) values: Values,
}

/// The values of a column, by the Iceberg type they have.
pub(super) enum Values {
    Boolean(BooleanBufferBuilder),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Date(Vec<i32>),
    Time(Vec<i64>),
    Timestamp {
        values: Vec<i64>,
        zoned: bool,
        nanos: bool,
    },
    String(Strings),
    Uuid(Vec<u8>),
    Fixed {
        bytes: Vec<u8>,
        width: usize,
    },
    Binary {
        offsets: Vec<i64>,
        bytes: Vec<u8>,
    },
    Struct(Box<Struct>),
    List {
        offsets: Vec<i32>,
        element: Box<Column>,
        field: FieldRef,
    },
    Map {
        offsets: Vec<i32>,
        entries: Box<Struct>,
        field: FieldRef,
    },
}

/// UTF-8 text, end to end, and where each value ends.
pub(super) struct Strings {
    pub(super) offsets: Vec<i32>,
    pub(super) bytes: Vec<u8>,
    /// Bytes a row of the last batch, to reserve for the next one.
    bytes_per_row: usize,
}

impl Strings {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            bytes: Vec::new(),
            bytes_per_row: 0,
        }
    }

    /// Closes the value whose bytes were appended last.
    #[inline]
    pub(super) fn end_value(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
    }
}

/// The columns of a struct, or the `key` and `value` columns of a map.
pub(super) struct Struct {
    pub(super) children: Vec<Column>,
    /// Finds a child by the name a text format gives it.
    pub(super) keys: Keys,
    fields: Fields,
}

impl Struct {
    /// Empty columns for `fields`, whose Iceberg types are `types`.
    pub(super) fn new(fields: &Fields, types: &[&Type], depth: usize) -> Result<Self> {
        let children = fields
            .iter()
            .zip(types)
            .map(|(field, iceberg)| Column::new(field, iceberg, depth))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            keys: Keys::new(children.iter().map(|child| &*child.name)),
            children,
            fields: fields.clone(),
        })
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        for child in &mut self.children {
            child.reserve(rows);
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        for child in &mut self.children {
            child.truncate(len);
        }
    }

    fn finish(&mut self, len: usize, nulls: Option<NullBuffer>) -> Result<StructArray, ArrowError> {
        let arrays = self
            .children
            .iter_mut()
            .map(Column::finish)
            .collect::<Result<Vec<_>, _>>()?;
        StructArray::try_new_with_length(self.fields.clone(), arrays, nulls, len)
    }
}

impl Column {
    /// An empty column for `field`, whose Iceberg type is `iceberg`.
    pub(super) fn new(field: &Field, iceberg: &Type, depth: usize) -> Result<Self> {
        let values = Values::new(field.data_type(), iceberg, depth)
            .map_err(|reason| unsupported(field.name(), &reason))?;
        Ok(Self {
            name: field.name().as_str().into(),
            required: !field.is_nullable(),
            validity: NullBufferBuilder::new(0),
            values,
        })
    }

    /// Number of values written whole.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.validity.len()
    }

    /// Makes room for `rows` more rows.
    pub(super) fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.reserve(rows),
            Values::Int(values) | Values::Date(values) => values.reserve(rows),
            Values::Long(values) | Values::Time(values) => values.reserve(rows),
            Values::Timestamp { values, .. } => values.reserve(rows),
            Values::Float(values) => values.reserve(rows),
            Values::Double(values) => values.reserve(rows),
            Values::Decimal { values, .. } => values.reserve(rows),
            Values::String(strings) => {
                strings.offsets.reserve(rows);
                strings
                    .bytes
                    .reserve(rows * strings.bytes_per_row + OVERSHOOT);
            }
            Values::Uuid(bytes) => bytes.reserve(rows * 16),
            Values::Struct(columns) => columns.reserve(rows),
            // How long these get is not known; they grow as needed.
            Values::Fixed { .. }
            | Values::Binary { .. }
            | Values::List { .. }
            | Values::Map { .. } => {}
        }
    }

    /// Writes a null, or a filler where the field is required but its parent is null.
    pub(super) fn push_absent(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int(values) | Values::Date(values) => values.push(0),
            Values::Long(values) | Values::Time(values) => values.push(0),
            Values::Timestamp { values, .. } => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Double(values) => values.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::String(strings) => strings.end_value(),
            Values::Uuid(bytes) => bytes.extend_from_slice(&[0; 16]),
            Values::Fixed { bytes, width } => bytes.resize(bytes.len() + *width, 0),
            Values::Binary { offsets, bytes } => offsets.push(bytes.len() as i64),
            Values::Struct(columns) => {
                for child in &mut columns.children {
                    child.push_absent();
                }
            }
            Values::List {
                offsets, element, ..
            } => offsets.push(element.len() as i32),
            Values::Map {
                offsets, entries, ..
            } => offsets.push(entries.children[0].len() as i32),
        }
        self.validity.append(self.required);
    }

    /// Cuts the column back to its first `len` values; what was begun after them is gone.
    pub(super) fn truncate(&mut self, len: usize) {
        self.validity.truncate(len);
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::Int(values) | Values::Date(values) => values.truncate(len),
            Values::Long(values) | Values::Time(values) => values.truncate(len),
            Values::Timestamp { values, .. } => values.truncate(len),
            Values::Float(values) => values.truncate(len),
            Values::Double(values) => values.truncate(len),
            Values::Decimal { values, .. } => values.truncate(len),
            Values::String(strings) => {
                strings.offsets.truncate(len + 1);
                strings.bytes.truncate(last(&strings.offsets));
            }
            Values::Uuid(bytes) => bytes.truncate(len * 16),
            Values::Fixed { bytes, width } => bytes.truncate(len * *width),
            Values::Binary { offsets, bytes } => {
                offsets.truncate(len + 1);
                bytes.truncate(offsets.last().map_or(0, |end| *end as usize));
            }
            Values::Struct(columns) => columns.truncate(len),
            Values::List {
                offsets, element, ..
            } => {
                offsets.truncate(len + 1);
                element.truncate(last(offsets));
            }
            Values::Map {
                offsets, entries, ..
            } => {
                offsets.truncate(len + 1);
                entries.truncate(last(offsets));
            }
        }
    }

    /// Turns what was written into an array; the column is empty afterwards.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let len = self.len();
        let nulls = self.validity.finish();
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Values::Long(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Time(values) => primitive::<Time64MicrosecondType>(values, nulls)?,
            Values::Timestamp {
                values,
                zoned,
                nanos,
            } => {
                let zone = zoned.then_some("+00:00");
                let values = ScalarBuffer::from(std::mem::take(values));
                if *nanos {
                    Arc::new(
                        PrimitiveArray::<TimestampNanosecondType>::try_new(values, nulls)?
                            .with_timezone_opt(zone),
                    )
                } else {
                    Arc::new(
                        PrimitiveArray::<TimestampMicrosecondType>::try_new(values, nulls)?
                            .with_timezone_opt(zone),
                    )
                }
            }
            Values::Float(values) => primitive::<Float32Type>(values, nulls)?,
            Values::Double(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Decimal {
                values,
                precision,
                scale,
            } => Arc::new(
                PrimitiveArray::<Decimal128Type>::try_new(std::mem::take(values).into(), nulls)?
                    .with_precision_and_scale(*precision, *scale)?,
            ),
            Values::String(strings) => {
                strings.bytes_per_row = strings.bytes.len().div_ceil(len.max(1));
                Arc::new(StringArray::try_new(
                    taken(&mut strings.offsets),
                    Buffer::from_vec(std::mem::take(&mut strings.bytes)),
                    nulls,
                )?)
            }
            Values::Uuid(bytes) => fixed(bytes, 16, nulls)?,
            Values::Fixed { bytes, width } => fixed(bytes, *width, nulls)?,
            Values::Binary { offsets, bytes } => {
                let offsets = std::mem::replace(offsets, vec![0]);
                Arc::new(LargeBinaryArray::try_new(
                    OffsetBuffer::new(offsets.into()),
                    Buffer::from_vec(std::mem::take(bytes)),
                    nulls,
                )?)
            }
            Values::Struct(columns) => Arc::new(columns.finish(len, nulls)?),
            Values::List {
                offsets,
                element,
                field,
            } => Arc::new(ListArray::try_new(
                field.clone(),
                taken(offsets),
                element.finish()?,
                nulls,
            )?),
            Values::Map {
                offsets,
                entries,
                field,
            } => {
                let entries = entries.finish(last(offsets), None)?;
                let offsets = taken(offsets);
                Arc::new(MapArray::try_new(
                    field.clone(),
                    offsets,
                    entries,
                    nulls,
                    false,
                )?)
            }
        })
    }
}

impl Values {
    /// No values of an Arrow type that stands for an Iceberg type.
    fn new(arrow: &DataType, iceberg: &Type, depth: usize) -> Result<Self, String> {
        if depth >= NESTING_MAX {
            return Err(format!("it is nested more than {NESTING_MAX} levels deep"));
        }
        let nested = |error: Error| error.to_string();
        Ok(match (iceberg, arrow) {
            // An Arrow uuid is just sixteen bytes: only the Iceberg type tells it from a `fixed`.
            (Type::Primitive(PrimitiveType::Uuid), _) => Self::Uuid(Vec::new()),
            (_, DataType::Boolean) => Self::Boolean(BooleanBufferBuilder::new(0)),
            (_, DataType::Int32) => Self::Int(Vec::new()),
            (_, DataType::Int64) => Self::Long(Vec::new()),
            (_, DataType::Float32) => Self::Float(Vec::new()),
            (_, DataType::Float64) => Self::Double(Vec::new()),
            (_, DataType::Decimal128(precision, scale)) if *scale >= 0 => Self::Decimal {
                values: Vec::new(),
                precision: *precision,
                scale: *scale,
            },
            (_, DataType::Date32) => Self::Date(Vec::new()),
            (_, DataType::Time64(TimeUnit::Microsecond)) => Self::Time(Vec::new()),
            (_, DataType::Timestamp(unit, zone)) => Self::Timestamp {
                values: Vec::new(),
                zoned: zone.is_some(),
                nanos: *unit == TimeUnit::Nanosecond,
            },
            (_, DataType::Utf8) => Self::String(Strings::new()),
            (_, DataType::FixedSizeBinary(width)) if *width > 0 => Self::Fixed {
                bytes: Vec::new(),
                width: *width as usize,
            },
            (Type::Primitive(PrimitiveType::Binary), DataType::LargeBinary) => Self::Binary {
                offsets: vec![0],
                bytes: Vec::new(),
            },
            (Type::Struct(of), DataType::Struct(fields)) => {
                let types: Vec<&Type> = of.fields().iter().map(|f| &*f.field_type).collect();
                Self::Struct(Box::new(
                    Struct::new(fields, &types, depth + 1).map_err(nested)?,
                ))
            }
            (Type::List(list), DataType::List(field)) => Self::List {
                offsets: vec![0],
                element: Box::new(
                    Column::new(field, &list.element_field.field_type, depth + 1)
                        .map_err(nested)?,
                ),
                field: field.clone(),
            },
            (Type::Map(map), DataType::Map(field, _)) => {
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(format!("{arrow} is not a map of keys and values"));
                };
                if !map.key_field.field_type.is_primitive() {
                    return Err("a map's keys must be of a primitive type".to_owned());
                }
                let types = [&*map.key_field.field_type, &*map.value_field.field_type];
                Self::Map {
                    offsets: vec![0],
                    entries: Box::new(Struct::new(fields, &types, depth + 1).map_err(nested)?),
                    field: field.clone(),
                }
            }
            _ => return Err(format!("values of type {iceberg} can't be decoded")),
        })
    }
}

fn unsupported(column: &str, reason: &str) -> Error {
    Error::data(format!("column {column:?}: {reason}"))
}

/// The last offset, which is the length of what the offsets point into.
fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |end| *end as usize)
}

fn taken(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into())
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(std::mem::take(values));
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?))
}

fn fixed(
    bytes: &mut Vec<u8>,
    width: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let values = Buffer::from_vec(std::mem::take(bytes));
    // `width` came from an `i32` in the Arrow type.
    Ok(Arc::new(FixedSizeBinaryArray::try_new(
        width as i32,
        values,
        nulls,
    )?))
}
