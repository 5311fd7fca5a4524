//! A finished Parquet file's footer → what the manifest says about the file.
//!
//! The library has code for this as well, but it takes bounds only from row groups whose
//! statistics are exact. In a file of two row groups, one with a long string and so with shortened
//! statistics, that leaves the bounds of the other one alone as the file's, and readers skip rows
//! that are there. Here a shortened bound counts (a shortened minimum is still below every value,
//! and Parquet rounds a shortened maximum up), and a bound that is missing for one row group is
//! missing for the file.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type};
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, Datum, NestedField, PrimitiveLiteral,
    PrimitiveType, Schema, StructType, Type,
};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

use super::properties::{MetricsMode, Properties};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// One primitive column of a schema, in the order in which Parquet stores them.
#[derive(Clone, Debug)]
struct Leaf {
    id: i32,
    primitive: PrimitiveType,
    mode: MetricsMode,
    /// The way to it through structs, as indexes; `None` for values in lists and maps, which have
    /// no bounds in Iceberg.
    path: Option<Vec<usize>>,
}

/// What to tell about each column of a table's files.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    leaves: Vec<Leaf>,
}

/// How many NaNs each floating-point column has had so far, by field id.
pub(super) type NanCounts = HashMap<i32, u64>;

impl Metrics {
    pub(super) fn new(schema: &Schema, properties: &Properties<'_>) -> Result<Self> {
        let mut leaves = Vec::new();
        let modes = |id: i32| properties.metrics_mode(schema.name_by_field_id(id).unwrap_or(""));
        collect_struct(schema.as_struct(), Some(&[]), &modes, &mut leaves)?;
        Ok(Self { leaves })
    }

    /// Adds the NaNs of a batch: Parquet does not count them.
    pub(super) fn count_nans(&self, batch: &RecordBatch, counts: &mut NanCounts) {
        for leaf in &self.leaves {
            if let Some([first, rest @ ..]) = leaf.path.as_deref()
                && leaf.mode != MetricsMode::None
                && let Some(nans) = nans_at(batch.column(*first), rest, &leaf.primitive)
            {
                *counts.entry(leaf.id).or_default() += nans;
            }
        }
    }

    /// Describes a finished file.
    pub(super) fn data_file(
        &self,
        path: &str,
        bytes: u64,
        footer: &ParquetMetaData,
        nans: NanCounts,
    ) -> Result<DataFileBuilder> {
        let columns = footer.file_metadata().schema_descr().num_columns();
        if columns != self.leaves.len() {
            return Err(Error::internal(format!(
                "file {path} has {columns} columns, its schema {}",
                self.leaves.len()
            )));
        }
        let mut sizes = HashMap::new();
        let mut values = HashMap::new();
        let mut nulls = HashMap::new();
        let mut lower = HashMap::new();
        let mut upper = HashMap::new();
        for (index, leaf) in self.leaves.iter().enumerate() {
            if leaf.mode == MetricsMode::None {
                continue;
            }
            let mut bounds = Bounds::Unseen;
            let mut null_count = Some(0);
            for group in footer.row_groups() {
                let chunk = group.column(index);
                let count = u64::try_from(chunk.num_values()).unwrap_or(0);
                let size = u64::try_from(chunk.compressed_size()).unwrap_or(0);
                *sizes.entry(leaf.id).or_default() += size;
                *values.entry(leaf.id).or_default() += count;
                let group_nulls = chunk.statistics().and_then(Statistics::null_count_opt);
                null_count = null_count.zip(group_nulls).map(|(sum, nulls)| sum + nulls);
                let all_null = group_nulls == Some(count);
                bounds = bounds.extend(leaf, chunk.statistics(), all_null);
            }
            if let Some(count) = null_count {
                nulls.insert(leaf.id, count);
            }
            if let Bounds::Known(min, max) = bounds
                && leaf.path.is_some()
            {
                let (min, max) = shortened(min, max, leaf.mode);
                lower.extend(min.map(|min| (leaf.id, min)));
                upper.extend(max.map(|max| (leaf.id, max)));
            }
        }
        let rows = u64::try_from(footer.file_metadata().num_rows()).unwrap_or(0);
        let offsets = footer.row_groups().iter().filter_map(|g| g.file_offset());
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path(path.to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(rows)
            .file_size_in_bytes(bytes)
            .column_sizes(sizes)
            .value_counts(values)
            .null_value_counts(nulls)
            .nan_value_counts(nans)
            .lower_bounds(lower)
            .upper_bounds(upper)
            .split_offsets(Some(offsets.collect()));
        Ok(builder)
    }
}

fn collect_struct(
    fields: &StructType,
    path: Option<&[usize]>,
    modes: &impl Fn(i32) -> Result<MetricsMode>,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    for (index, field) in fields.fields().iter().enumerate() {
        let path = path.map(|path| [path, &[index]].concat());
        collect(field, path.as_deref(), modes, leaves)?;
    }
    Ok(())
}

fn collect(
    field: &NestedField,
    path: Option<&[usize]>,
    modes: &impl Fn(i32) -> Result<MetricsMode>,
    leaves: &mut Vec<Leaf>,
) -> Result<()> {
    match field.field_type.as_ref() {
        Type::Primitive(primitive) => {
            leaves.push(Leaf {
                id: field.id,
                primitive: primitive.clone(),
                mode: modes(field.id)?,
                path: path.map(<[usize]>::to_vec),
            });
            Ok(())
        }
        Type::Struct(fields) => collect_struct(fields, path, modes, leaves),
        Type::List(list) => collect(&list.element_field, None, modes, leaves),
        Type::Map(map) => {
            collect(&map.key_field, None, modes, leaves)?;
            collect(&map.value_field, None, modes, leaves)
        }
    }
}

/// The NaNs of a floating-point column; nothing for others.
fn nans_at(column: &ArrayRef, path: &[usize], primitive: &PrimitiveType) -> Option<u64> {
    match path {
        [index, rest @ ..] => nans_at(
            column.as_struct_opt()?.columns().get(*index)?,
            rest,
            primitive,
        ),
        [] => match primitive {
            PrimitiveType::Float => nans::<Float32Type>(column, |v| v.is_nan()),
            PrimitiveType::Double => nans::<Float64Type>(column, |v| v.is_nan()),
            _ => None,
        },
    }
}

fn nans<T: ArrowPrimitiveType>(column: &ArrayRef, is_nan: fn(T::Native) -> bool) -> Option<u64> {
    let column = column.as_primitive_opt::<T>()?;
    let count = if column.null_count() == 0 {
        column.values().iter().filter(|v| is_nan(**v)).count()
    } else {
        column.iter().flatten().filter(|v| is_nan(*v)).count()
    };
    Some(count as u64)
}

/// The bounds of a column over the row groups seen so far.
#[derive(Debug, PartialEq)]
enum Bounds {
    /// No value yet.
    Unseen,
    /// Every value lies between.
    Known(Datum, Datum),
    /// There are values of which nothing is known.
    Unknown,
}

impl Bounds {
    /// Adds a row group.
    ///
    /// | statistics | values | result |
    /// |---|---|---|
    /// | minimum and maximum | | extended |
    /// | none | all null, or floats (all NaN, which bounds leave out) | as before |
    /// | none, or unreadable | others | unknown, from then on |
    fn extend(self, leaf: &Leaf, statistics: Option<&Statistics>, all_null: bool) -> Self {
        let float = matches!(leaf.primitive, PrimitiveType::Float | PrimitiveType::Double);
        let found = match statistics {
            Some(statistics) if statistics.min_bytes_opt().is_some() => datum(
                leaf,
                statistics,
                Statistics::min_bytes_opt,
            )
            .zip(datum(leaf, statistics, Statistics::max_bytes_opt)),
            Some(_) if float => return self,
            _ if all_null => return self,
            _ => None,
        };
        match (self, found) {
            (Self::Unknown, _) | (_, None) => Self::Unknown,
            (Self::Unseen, Some((min, max))) => Self::Known(min, max),
            (Self::Known(min, max), Some((group_min, group_max))) => Self::Known(
                if group_min < min { group_min } else { min },
                if group_max > max { group_max } else { max },
            ),
        }
    }
}

/// A Parquet statistic as an Iceberg value. Both store most types alike; decimals of few digits
/// are little-endian integers in Parquet and big-endian bytes in Iceberg.
fn datum(
    leaf: &Leaf,
    statistics: &Statistics,
    side: fn(&Statistics) -> Option<&[u8]>,
) -> Option<Datum> {
    let bytes = side(statistics)?;
    let integer = match statistics {
        Statistics::Int32(_) => Some(i128::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        Statistics::Int64(_) => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
        _ => None,
    };
    match (&leaf.primitive, integer) {
        (PrimitiveType::Decimal { .. }, Some(unscaled)) => {
            Datum::try_from_bytes(&unscaled.to_be_bytes(), leaf.primitive.clone()).ok()
        }
        _ => Datum::try_from_bytes(bytes, leaf.primitive.clone()).ok(),
    }
}

/// Shortens the bounds of strings and binaries, the upper one upwards.
fn shortened(min: Datum, max: Datum, mode: MetricsMode) -> (Option<Datum>, Option<Datum>) {
    let length = match mode {
        MetricsMode::Truncate(length) => length,
        MetricsMode::Full => return (Some(min), Some(max)),
        MetricsMode::Counts | MetricsMode::None => return (None, None),
    };
    let lower = match min.literal() {
        PrimitiveLiteral::String(text) => {
            Datum::string(text.chars().take(length).collect::<String>())
        }
        PrimitiveLiteral::Binary(bytes) if *min.data_type() == PrimitiveType::Binary => {
            Datum::binary(bytes.iter().copied().take(length))
        }
        _ => min,
    };
    let upper = match max.literal() {
        PrimitiveLiteral::String(text) => rounded_up_text(text, length).map(Datum::string),
        PrimitiveLiteral::Binary(bytes) if *max.data_type() == PrimitiveType::Binary => {
            rounded_up_bytes(bytes, length).map(Datum::binary)
        }
        _ => Some(max),
    };
    (Some(lower), upper)
}

/// The smallest text of at most `length` characters that is not below `text`, if there is one.
fn rounded_up_text(text: &str, length: usize) -> Option<String> {
    if text.chars().nth(length).is_none() {
        return Some(text.to_owned());
    }
    let mut kept: Vec<char> = text.chars().take(length).collect();
    while let Some(last) = kept.pop() {
        // Surrogates are no characters; the step over them keeps the order.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            kept.push(next);
            return Some(kept.into_iter().collect());
        }
    }
    None
}

/// The same for bytes.
fn rounded_up_bytes(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    if bytes.len() <= length {
        return Some(bytes.to_vec());
    }
    let mut kept = bytes[..length].to_vec();
    while let Some(last) = kept.pop() {
        if let Some(next) = last.checked_add(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}
