//! Is a value of a column in the table more than once? Asked of the rows, in bounded memory.
//!
//! A record that a producer has written twice has two offsets, so the offsets say nothing about it: this does.
//!
//! Each key becomes a digest of 128 bits. All digests with the same remainder are sorted in memory, and equal neighbours
//! are duplicates; so many remainders are taken, one pass over the column for each, that their digests fit into
//! [`DIGESTS_MAX`]. So 16 million rows take one pass, and a billion takes 60: memory is bounded, disk is not needed,
//! and what grows is time. Two different keys share a digest once in 10²⁰ tables of a billion rows.
//!
//! Keys with a null in them are equal to nothing, as in SQL; they are counted.

use std::collections::HashMap;
use std::hash::Hasher;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use futures::TryStreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::table::Table;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::iceberg::external;

/// Digests that are kept at a time: 256 MB.
pub const DIGESTS_MAX: u64 = 16 << 20;
/// Duplicates that are shown by their value.
const SHOWN: usize = 10;

/// What was found about a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Keys {
    /// The columns of the key.
    pub columns: Vec<String>,
    /// Rows whose key was compared.
    pub rows: u64,
    /// Rows whose key has a null, which is equal to nothing.
    pub null_rows: u64,
    /// Keys that several rows have.
    pub duplicates: u64,
    /// Rows beyond the first of each key.
    pub rows_too_many: u64,
    /// Some of these keys, and how many rows each has.
    pub sample: Vec<(String, u64)>,
    /// How often the columns were read.
    pub passes: u64,
}

/// Looks for rows with the same key in the current snapshot, with about so many digests in memory.
pub async fn duplicate_keys(table: &Table, columns: &[String], digests_max: u64) -> Result<Keys> {
    let reader = Reader::new(table, columns)?;
    let rows = rows(table).await?;
    let passes = rows.div_ceil(digests_max.max(1)).max(1);
    let expected = usize::try_from(rows.div_ceil(passes)).unwrap_or(0);
    let mut keys = Keys {
        columns: columns.to_vec(),
        passes,
        ..Keys::default()
    };
    let mut some = HashMap::new();
    for pass in 0..passes {
        // With a margin for chance: a vector that grows would take twice the memory.
        let mut digests = Vec::with_capacity(expected + expected / 64);
        let mut nulls = 0;
        reader
            .visit(|key| match key {
                None => nulls += 1,
                Some((digest, ..)) if digest % u128::from(passes) == u128::from(pass) => {
                    digests.push(digest);
                }
                Some(_) => {}
            })
            .await?;
        keys.null_rows = nulls;
        keys.rows += digests.len() as u64;
        digests.sort_unstable();
        for run in digests.chunk_by(|a, b| a == b).filter(|run| run.len() > 1) {
            keys.duplicates += 1;
            keys.rows_too_many += run.len() as u64 - 1;
            if some.len() < SHOWN {
                some.insert(run[0], run.len() as u64);
            }
        }
    }
    if !some.is_empty() {
        keys.passes += 1;
        reader
            .visit(|key| {
                if let Some((digest, batch, row)) = key
                    && let Some(rows) = some.remove(&digest)
                {
                    keys.sample.push((shown(batch, row), rows));
                }
            })
            .await?;
        keys.sample.sort();
    }
    Ok(keys)
}

/// How many rows the files of the current snapshot have, deleted ones included.
async fn rows(table: &Table) -> Result<u64> {
    let failed = |error: iceberg::Error| unreadable(table, &error);
    let scan = table.scan().select_empty().build().map_err(failed)?;
    let files = scan.plan_files().await.map_err(failed)?;
    let rows = files.try_fold(0, async |rows, file| {
        Ok(rows + file.record_count.unwrap_or(0))
    });
    rows.await.map_err(failed)
}

/// The columns of a key, and how to read them.
struct Reader<'a> {
    table: &'a Table,
    columns: &'a [String],
    types: Vec<DataType>,
}

impl<'a> Reader<'a> {
    fn new(table: &'a Table, columns: &'a [String]) -> Result<Self> {
        let metadata = table.metadata();
        let schema = match metadata.current_snapshot() {
            Some(snapshot) => snapshot
                .schema(metadata)
                .map_err(|e| unreadable(table, &e))?,
            None => metadata.current_schema().clone(),
        };
        let arrow = schema_to_arrow_schema(&schema).map_err(|e| unreadable(table, &e))?;
        let types = columns.iter().map(|column| {
            let field = arrow.field_with_name(column).map_err(|_| {
                let known: Vec<_> = arrow.fields().iter().map(|f| f.name().as_str()).collect();
                Error::config(format!(
                    "table {} has no column {column:?}",
                    table.identifier()
                ))
                .advice(format!("its columns are {}", known.join(", ")))
            })?;
            match field.data_type().is_nested() {
                false => Ok(field.data_type().clone()),
                true => Err(
                    Error::config(format!("column {column} is nested, so it is no key"))
                        .advice("name columns of plain values, separated by commas"),
                ),
            }
        });
        Ok(Self {
            table,
            columns,
            types: types.collect::<Result<_>>()?,
        })
    }

    /// Shows every row: its digest, and where it stands; nothing if its key has a null.
    async fn visit(
        &self,
        mut visit: impl FnMut(Option<(u128, &RecordBatch, usize)>),
    ) -> Result<()> {
        let failed = |error: iceberg::Error| unreadable(self.table, &error);
        let scan = self.table.scan().select(self.columns);
        let stream = scan.build().map_err(failed)?.to_arrow().await;
        let mut batches = stream.map_err(failed)?;
        let fields = self.types.iter().cloned().map(SortField::new).collect();
        let undecodable = |error| Error::internal("keys can't be compared").caused_by(error);
        let converter: RowConverter = RowConverter::new(fields).map_err(undecodable)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            // The library may hand a column out in another form, as it does with constants.
            let columns = batch.columns().iter().zip(&self.types);
            let columns = columns.map(|(column, to)| match column.data_type() == to {
                true => Ok(column.clone()),
                false => cast(column, to),
            });
            let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>().map_err(undecodable)?;
            let keys = converter.convert_columns(&columns).map_err(undecodable)?;
            for (row, key) in keys.iter().enumerate() {
                match columns.iter().any(|column| column.is_null(row)) {
                    true => visit(None),
                    false => visit(Some((digest(key.as_ref()), &batch, row))),
                }
            }
        }
        Ok(())
    }
}

/// Two hashes of 64 bits that know nothing of each other.
fn digest(key: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(key);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

fn shown(batch: &RecordBatch, row: usize) -> String {
    let values = batch.columns().iter();
    let values = values.map(|column| array_value_to_string(column, row).unwrap_or_default());
    values.collect::<Vec<_>>().join(", ")
}

fn unreadable(table: &Table, error: &iceberg::Error) -> Error {
    external(format!("table {} can't be read", table.identifier()), error)
}
