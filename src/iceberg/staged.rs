//! A staged file: written, closed, and not yet part of the table.

use iceberg::spec::{
    DataFile, StructType, deserialize_data_file_from_json, serialize_data_file_to_json,
};
use iceberg::table::Table;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A closed data file on its way to the committer, possibly in another process.
///
/// It is opaque: nothing outside of this room can turn it back into the data file that an append
/// takes, so nothing but the committer can append it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    path: String,
    rows: u64,
    bytes: u64,
    partition_spec_id: i32,
    data_file: String,
}

impl StagedFile {
    pub(super) fn encode(file: DataFile, table: &Table, partition_spec_id: i32) -> Result<Self> {
        let metadata = table.metadata();
        Ok(Self {
            path: file.file_path().to_owned(),
            rows: file.record_count(),
            bytes: file.file_size_in_bytes(),
            partition_spec_id,
            data_file: serialize_data_file_to_json(
                file,
                &partition_type(table, partition_spec_id)?,
                metadata.format_version(),
            )
            .map_err(|error| {
                Error::internal("a data file's description can't be written")
                    .caused_by(error.to_string())
            })?,
        })
    }

    /// The data file, if the table is still partitioned as it was when the file was written.
    pub(super) fn decode(&self, table: &Table) -> Result<DataFile> {
        let metadata = table.metadata();
        if self.partition_spec_id != metadata.default_partition_spec_id() {
            return Err(Error::data(format!(
                "table {} is now partitioned by spec {}, file {} was written for spec {}",
                table.identifier(),
                metadata.default_partition_spec_id(),
                self.path,
                self.partition_spec_id
            ))
            .advice(
                "nothing was committed; restart: the records are read again and written for the new spec",
            ));
        }
        deserialize_data_file_from_json(
            &self.data_file,
            self.partition_spec_id,
            &partition_type(table, self.partition_spec_id)?,
            metadata.current_schema(),
        )
        .map_err(|error| {
            Error::internal(format!(
                "the description of file {} can't be read",
                self.path
            ))
            .caused_by(error.to_string())
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many rows it holds.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How large it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn partition_type(table: &Table, spec_id: i32) -> Result<StructType> {
    let metadata = table.metadata();
    let missing = || {
        Error::data(format!(
            "partition spec {spec_id} of table {} can't be applied to its schema",
            table.identifier()
        ))
    };
    metadata
        .partition_spec_by_id(spec_id)
        .ok_or_else(missing)?
        .partition_type(metadata.current_schema())
        .map_err(|error| missing().caused_by(error.to_string()))
}
