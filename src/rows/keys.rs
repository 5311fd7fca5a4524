//! The keys of rows: some of their columns as bytes.
//!
//! State is kept under these bytes, and they say which worker a row belongs to, so they are durable: they
//! depend on the values alone, neither on the machine nor on the version of Arrow.
//!
//! | part of a key | bytes |
//! |---|---|
//! | format | `1`: no column is null; `2`: a bitmap of the columns that are null follows, which have no value |
//! | `boolean` | one byte |
//! | `int`, `long`, `date`, `time`, `timestamp…` | eight bytes, big-endian (so that an `int` may become a `long`) |
//! | `decimal` | sixteen bytes, big-endian |
//! | `uuid`, `fixed` | as they are |
//! | `string`, `binary` | as they are, behind their length (four bytes, big-endian) unless it is the last column |
//!
//! A `float` or `double` is no key: that two of them are equal is mostly chance.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, Schema, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

const WITHOUT_NULLS: u8 = 1;
const WITH_NULLS: u8 = 2;

/// The columns that make a row's key, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumns(Vec<usize>);

impl KeyColumns {
    /// The columns of these names; an error says what is wrong with them.
    pub fn new<N: AsRef<str>>(names: &[N], schema: &Schema) -> Result<Self> {
        let mut columns = Vec::new();
        for name in names {
            let name = name.as_ref();
            let Some((index, field)) = schema.column_with_name(name) else {
                let fields = schema.fields().iter();
                let all: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
                return Err(
                    Error::config(format!("the key column {name} does not exist"))
                        .advice(format!("the table has: {}", all.join(", "))),
                );
            };
            if Column::new(&new_empty_array(field.data_type())).is_err() {
                return Err(Error::config(format!(
                    "column {name} can't be a key: its type is {}",
                    field.data_type()
                ))
                .advice(
                    "keys are boolean, int, long, decimal, date, time, timestamp, string, uuid, \
                     fixed or binary",
                ));
            }
            if columns.contains(&index) {
                return Err(Error::config(format!(
                    "the key column {name} is named twice"
                )));
            }
            columns.push(index);
        }
        match columns.is_empty() {
            false => Ok(Self(columns)),
            true => Err(Error::config("a key has no column")),
        }
    }

    /// The keys of all rows.
    pub fn of(&self, rows: &RecordBatch) -> Result<Keys> {
        let columns: Vec<Column<'_>> = self
            .0
            .iter()
            .map(|&index| Column::new(rows.column(index)))
            .collect::<Result<_>>()?;
        let mut keys = Keys {
            bytes: Vec::with_capacity(rows.num_rows() * 40),
            ends: Vec::with_capacity(rows.num_rows()),
        };
        let may_be_null = columns.iter().any(|column| column.nulls > 0);
        for row in 0..rows.num_rows() {
            let bytes = &mut keys.bytes;
            if may_be_null && columns.iter().any(|column| column.is_null(row)) {
                bytes.push(WITH_NULLS);
                for columns in columns.chunks(8) {
                    let bits = columns.iter().enumerate();
                    bytes.push(bits.fold(0, |bits, (n, c)| bits | u8::from(c.is_null(row)) << n));
                }
            } else {
                bytes.push(WITHOUT_NULLS);
            }
            for (n, column) in columns.iter().enumerate() {
                if !may_be_null || !column.is_null(row) {
                    column.write(row, n + 1 == columns.len(), bytes);
                }
            }
            keys.ends.push(bytes.len());
        }
        Ok(keys)
    }
}

/// The bytes of one row's key, as state is kept under them.
#[derive(Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Key([u8]);

impl Key {
    fn new(bytes: &[u8]) -> &Self {
        // SAFETY: `Key` is transparent, so it has the layout of the slice, and the lifetime stays the same.
        #[allow(unsafe_code)] // a slice as another type can't be borrowed otherwise
        unsafe {
            &*(std::ptr::from_ref(bytes) as *const Self)
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// True if one of the key's columns is null.
    pub fn is_null(&self) -> bool {
        self.0.first() == Some(&WITH_NULLS)
    }
}

/// As bytes at once: a slice would be written one by one.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// The keys of a batch of rows, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// The key of one row.
    pub fn get(&self, row: usize) -> &Key {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Key::new(&self.bytes[start..self.ends[row]])
    }

    /// All keys, in the order of the rows.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Key> {
        (0..self.ends.len()).map(|row| self.get(row))
    }
}

/// One key column of a batch.
struct Column<'a> {
    array: &'a ArrayRef,
    nulls: usize,
    values: Values<'a>,
}

enum Values<'a> {
    Whole(Box<dyn Fn(usize) -> i64 + 'a>),
    Decimal(Box<dyn Fn(usize) -> i128 + 'a>),
    Boolean(&'a arrow::array::BooleanArray),
    Fixed(&'a arrow::array::FixedSizeBinaryArray),
    Text(&'a arrow::array::StringArray),
    Bytes(Box<dyn Fn(usize) -> &'a [u8] + 'a>),
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self> {
        use Values::{Boolean, Bytes, Decimal, Fixed, Text, Whole};
        macro_rules! whole {
            ($type:ty) => {{
                let array = array.as_primitive::<$type>();
                Whole(Box::new(|row| i64::from(array.value(row))))
            }};
        }
        let values = match array.data_type() {
            DataType::Boolean => Boolean(array.as_boolean()),
            DataType::Int32 => whole!(Int32Type),
            DataType::Int64 => whole!(Int64Type),
            DataType::Date32 => whole!(Date32Type),
            DataType::Time64(TimeUnit::Microsecond) => whole!(Time64MicrosecondType),
            DataType::Timestamp(TimeUnit::Microsecond, _) => whole!(TimestampMicrosecondType),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => whole!(TimestampNanosecondType),
            DataType::Decimal128(..) => {
                let array = array.as_primitive::<Decimal128Type>();
                Decimal(Box::new(|row| array.value(row)))
            }
            DataType::FixedSizeBinary(_) => Fixed(array.as_fixed_size_binary()),
            DataType::Utf8 => Text(array.as_string()),
            DataType::LargeUtf8 => {
                let array = array.as_string::<i64>();
                Bytes(Box::new(|row| array.value(row).as_bytes()))
            }
            DataType::Binary => {
                let array = array.as_binary::<i32>();
                Bytes(Box::new(|row| array.value(row)))
            }
            DataType::LargeBinary => {
                let array = array.as_binary::<i64>();
                Bytes(Box::new(|row| array.value(row)))
            }
            other => {
                return Err(Error::internal(format!(
                    "a key column has become {other} since the start"
                )));
            }
        };
        Ok(Self {
            array,
            nulls: array.null_count(),
            values,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls > 0 && self.array.is_null(row)
    }

    fn write(&self, row: usize, is_last: bool, key: &mut Vec<u8>) {
        let value = match &self.values {
            Values::Whole(value) => return key.extend_from_slice(&value(row).to_be_bytes()),
            Values::Decimal(value) => return key.extend_from_slice(&value(row).to_be_bytes()),
            Values::Boolean(values) => return key.push(u8::from(values.value(row))),
            Values::Fixed(values) => return key.extend_from_slice(values.value(row)),
            Values::Text(values) => values.value(row).as_bytes(),
            Values::Bytes(value) => value(row),
        };
        if !is_last {
            // An array of these types holds less than 4 GiB; a LargeBinary of more would not be one record.
            key.extend_from_slice(&(value.len() as u32).to_be_bytes());
        }
        key.extend_from_slice(value);
    }
}
