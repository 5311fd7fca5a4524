//! Table properties → how Parquet files are written. The library maps none of these keys itself.
//!
//! | property | default | becomes |
//! |---|---|---|
//! | `write.parquet.compression-codec`, `-level` | `zstd`, level 1 | the codec of every column |
//! | `write.parquet.row-group-size-bytes` | 128 MiB | the row group's limit, capped by the writer's memory |
//! | `write.parquet.page-size-bytes`, `page-row-limit` | 1 MiB, 20,000 | the page's limits |
//! | `write.parquet.dict-size-bytes` | 2 MiB | the dictionary's limit, capped at a part of the writer's memory |
//! | `write.target-file-size-bytes` | 256 MiB | when to roll, unless the setting says otherwise |
//! | `write.metadata.metrics.default`, `.column.<name>` | `truncate(16)` | which bounds the manifest gets |
//! | `calve.parquet.delta-encodings` | `true` | see below |
//!
//! Encodings: times and offsets never repeat but grow steadily, so they get `DELTA_BINARY_PACKED`
//! and no dictionary; other integers fall back to it when their dictionary overflows. Readers
//! that know only PLAIN and dictionaries need the property set to `false`.

use std::collections::HashMap;
use std::str::FromStr;

use iceberg::spec::{PrimitiveType, Schema, StructType, TableMetadata, TableProperties, Type};
use parquet::basic::{BrotliLevel, Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::names::PROVENANCE_COLUMNS;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// The property that names the codec of new files.
pub(super) const COMPRESSION_CODEC: &str = "write.parquet.compression-codec";
const COMPRESSION_LEVEL: &str = "write.parquet.compression-level";
const ROW_GROUP_BYTES: &str = "write.parquet.row-group-size-bytes";
const PAGE_BYTES: &str = "write.parquet.page-size-bytes";
const PAGE_ROWS: &str = "write.parquet.page-row-limit";
const DICTIONARY_BYTES: &str = "write.parquet.dict-size-bytes";
const DELTA_ENCODINGS: &str = "calve.parquet.delta-encodings";
const METRICS_DEFAULT: &str = "write.metadata.metrics.default";
const METRICS_COLUMN: &str = "write.metadata.metrics.column.";

/// When to roll to a new file if neither the table nor a setting says.
const TARGET_FILE_BYTES_DEFAULT: u64 = 256 << 20;
/// Level 3 makes files of the same size and costs half as much again.
const ZSTD_LEVEL_DEFAULT: i32 = 1;
/// Values are handed to the encoders in portions of this many rows.
const WRITE_BATCH_ROWS: usize = 8_192;
/// A dictionary may take this part of a row group's memory. Larger ones leave so little for the pages that
/// row groups get small, and columns of unique values fill theirs in vain.
const DICTIONARIES_PER_ROW_GROUP: usize = 24;

/// What the manifest says about a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricsMode {
    /// Nothing.
    None,
    /// How many there are, how many are null or NaN.
    Counts,
    /// Bounds as well, of strings and binaries only so many characters or bytes.
    Truncate(usize),
    /// Bounds in full.
    Full,
}

impl FromStr for MetricsMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "none" => Ok(Self::None),
            "counts" => Ok(Self::Counts),
            "full" => Ok(Self::Full),
            other => other
                .strip_prefix("truncate(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|length| length.trim().parse().ok())
                .filter(|length| *length > 0)
                .map(Self::Truncate)
                .ok_or(()),
        }
    }
}

/// One table's properties, read with errors that name the property.
pub(super) struct Properties<'a> {
    table: String,
    values: &'a HashMap<String, String>,
}

impl<'a> Properties<'a> {
    pub(super) fn new(table: String, metadata: &'a TableMetadata) -> Self {
        Self {
            table,
            values: metadata.properties(),
        }
    }

    fn get<T: FromStr>(&self, key: &str, default: T) -> Result<T> {
        let Some(value) = self.values.get(key) else {
            return Ok(default);
        };
        value
            .trim()
            .parse()
            .map_err(|_| self.wrong(key, value, "can't be understood"))
    }

    fn wrong(&self, key: &str, value: &str, what: &str) -> Error {
        Error::data(format!(
            "table {}: the property {key} = {value} {what}",
            self.table
        ))
        .advice("nothing was written; correct the table property")
    }

    /// When to roll to a new file.
    pub(super) fn target_file_bytes(&self, setting: Option<u64>) -> Result<u64> {
        match setting {
            Some(bytes) => Ok(bytes),
            None => self.get(
                TableProperties::PROPERTY_WRITE_TARGET_FILE_SIZE_BYTES,
                TARGET_FILE_BYTES_DEFAULT,
            ),
        }
    }

    /// What the manifest says about the column of this (dotted) name.
    pub(super) fn metrics_mode(&self, column: &str) -> Result<MetricsMode> {
        let key = format!("{METRICS_COLUMN}{column}");
        let key = if self.values.contains_key(&key) {
            key.as_str()
        } else {
            METRICS_DEFAULT
        };
        self.get(key, MetricsMode::Truncate(16))
    }

    /// The Parquet writer's settings for files of `schema`.
    pub(super) fn writer_properties(
        &self,
        schema: &Schema,
        row_group_bytes_max: usize,
    ) -> Result<WriterProperties> {
        let row_group_bytes: usize = self.get(ROW_GROUP_BYTES, 128 << 20)?;
        let mut builder = WriterProperties::builder()
            .set_created_by(concat!("calve ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(self.compression()?)
            .set_max_row_group_row_count(None)
            .set_max_row_group_bytes(Some(row_group_bytes.min(row_group_bytes_max).max(1)))
            .set_data_page_size_limit(self.get(PAGE_BYTES, 1 << 20)?)
            .set_data_page_row_count_limit(self.get(PAGE_ROWS, 20_000)?)
            .set_dictionary_page_size_limit(
                self.get(DICTIONARY_BYTES, 2 << 20)?
                    .min(row_group_bytes_max / DICTIONARIES_PER_ROW_GROUP),
            )
            .set_write_batch_size(WRITE_BATCH_ROWS);
        if self.get(DELTA_ENCODINGS, true)? {
            builder = delta_encodings(builder, &mut Vec::new(), schema.as_struct());
        }
        Ok(builder.build())
    }

    fn compression(&self) -> Result<Compression> {
        let codec: String = self.get(COMPRESSION_CODEC, "zstd".to_owned())?;
        let level = match self.values.get(COMPRESSION_LEVEL) {
            None => None,
            Some(_) => Some(self.get::<i32>(COMPRESSION_LEVEL, 0)?),
        };
        let unsigned = |default: u32| level.map_or(Some(default), |level| level.try_into().ok());
        let wrong_level = || {
            let level = level.unwrap_or_default().to_string();
            self.wrong(
                COMPRESSION_LEVEL,
                &level,
                &format!("is no level of {codec}"),
            )
        };
        match codec.to_ascii_lowercase().as_str() {
            "zstd" => ZstdLevel::try_new(level.unwrap_or(ZSTD_LEVEL_DEFAULT))
                .map(Compression::ZSTD)
                .map_err(|_| wrong_level()),
            "gzip" => unsigned(GzipLevel::default().compression_level())
                .and_then(|level| GzipLevel::try_new(level).ok())
                .map(Compression::GZIP)
                .ok_or_else(wrong_level),
            "brotli" => unsigned(BrotliLevel::default().compression_level())
                .and_then(|level| BrotliLevel::try_new(level).ok())
                .map(Compression::BROTLI)
                .ok_or_else(wrong_level),
            "snappy" => Ok(Compression::SNAPPY),
            "lz4" | "lz4_raw" => Ok(Compression::LZ4_RAW),
            "uncompressed" | "none" => Ok(Compression::UNCOMPRESSED),
            _ => Err(self.wrong(
                COMPRESSION_CODEC,
                &codec,
                "is none of zstd, gzip, brotli, snappy, lz4, uncompressed",
            )),
        }
    }
}

/// Sets the encodings of integer columns, those in structs included. Lists and maps are left to
/// the defaults: their values come from many rows and repeat.
fn delta_encodings(
    mut builder: WriterPropertiesBuilder,
    path: &mut Vec<String>,
    fields: &StructType,
) -> WriterPropertiesBuilder {
    for field in fields.fields() {
        path.push(field.name.clone());
        builder = match field.field_type.as_ref() {
            Type::Struct(fields) => delta_encodings(builder, path, fields),
            Type::Primitive(primitive) => {
                let steady = path.len() == 1 && PROVENANCE_COLUMNS.contains(&field.name.as_str());
                let column = ColumnPath::new(path.clone());
                match primitive {
                    PrimitiveType::Timestamp
                    | PrimitiveType::Timestamptz
                    | PrimitiveType::TimestampNs
                    | PrimitiveType::TimestamptzNs => builder
                        .set_column_dictionary_enabled(column.clone(), false)
                        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
                    PrimitiveType::Long if steady => builder
                        .set_column_dictionary_enabled(column.clone(), false)
                        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
                    PrimitiveType::Int
                    | PrimitiveType::Long
                    | PrimitiveType::Date
                    | PrimitiveType::Time => {
                        builder.set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
                    }
                    _ => builder,
                }
            }
            Type::List(_) | Type::Map(_) => builder,
        };
        path.pop();
    }
    builder
}
