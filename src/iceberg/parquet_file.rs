//! One Parquet file being written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use iceberg::io::{FileIO, FileWrite};
use iceberg::spec::DataFileBuilder;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::failure;
use super::metrics::{Metrics, NanCounts};
use crate::error::{Error, Result};

/// The storage's writer, as the encoder wants it.
struct Sink(Box<dyn FileWrite>);

type Written<'a> = Pin<Box<dyn Future<Output = parquet::errors::Result<()>> + Send + 'a>>;

fn unwritten(error: iceberg::Error) -> ParquetError {
    ParquetError::External(failure::describe(&error).into())
}

impl AsyncFileWriter for Sink {
    fn write(&mut self, bytes: Bytes) -> Written<'_> {
        Box::pin(async { self.0.write(bytes).await.map_err(unwritten) })
    }

    fn complete(&mut self) -> Written<'_> {
        Box::pin(async { self.0.close().await.map_err(unwritten) })
    }
}

/// A file between its first row and its footer.
pub(super) struct ParquetFile {
    path: String,
    writer: AsyncArrowWriter<Sink>,
    metrics: Arc<Metrics>,
    nans: NanCounts,
}

impl ParquetFile {
    pub(super) async fn create(
        io: &FileIO,
        path: String,
        schema: SchemaRef,
        properties: WriterProperties,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let created = async { io.new_output(&path)?.writer().await };
        let sink = created.await.map_err(|error| {
            failure::external(format!("file {path} can't be created"), &error)
                .advice("check that the warehouse exists and may be written to")
        })?;
        let writer = AsyncArrowWriter::try_new(Sink(sink), schema, Some(properties))
            .map_err(|error| failed(&path, error))?;
        Ok(Self {
            path,
            writer,
            metrics,
            nans: NanCounts::new(),
        })
    }

    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.metrics.count_nans(batch, &mut self.nans);
        let written = self.writer.write(batch).await;
        written.map_err(|error| failed(&self.path, error))
    }

    /// Ends the row group, so that nothing is held in memory any more.
    pub(super) async fn flush(&mut self) -> Result<()> {
        let flushed = self.writer.flush().await;
        flushed.map_err(|error| failed(&self.path, error))
    }

    /// Writes the footer and closes the file.
    pub(super) async fn finish(mut self) -> Result<(DataFileBuilder, u64)> {
        let footer = self.writer.finish().await;
        let footer = footer.map_err(|error| failed(&self.path, error))?;
        let bytes = self.writer.bytes_written() as u64;
        let file = self
            .metrics
            .data_file(&self.path, bytes, &footer, self.nans)?;
        Ok((file, bytes))
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Bytes handed to the storage so far.
    pub(super) fn bytes_written(&self) -> usize {
        self.writer.bytes_written()
    }

    /// Bytes held in memory.
    pub(super) fn bytes_buffered(&self) -> usize {
        self.writer.memory_size()
    }

    /// How large the file would be if it were finished now.
    pub(super) fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }
}

fn failed(path: &str, error: ParquetError) -> Error {
    Error::external(format!("file {path} can't be written"))
        .caused_by(error)
        .advice(
            "nothing was committed; check the warehouse's free space, permissions and reachability",
        )
}
