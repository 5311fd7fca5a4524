//! Writing and reading savepoints, beside the tables: on local disks and on S3.
//!
//! ```text
//!   <directory>/savepoint-<pipeline>-<8 hex digits>/savepoint.json
//! ```
//!
//! The folder is new for each savepoint. The file is written last and at once (S3), or under another name, synced and
//! renamed (local disks): a savepoint is whole or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::table::Table;

use super::failure;
use crate::checkpoint::marker::Marker;
use crate::checkpoint::savepoint::{FILE, Savepoint, VERSION};
use crate::control::{Durable, Savepoints, now_ms};
use crate::error::{Error, Result};

/// Written and removed to see whether anything can be written.
const PROBE: &str = "probe";

/// Writes the savepoints of one pipeline and table.
#[derive(Debug)]
pub struct SavepointStore {
    files: FileIO,
    table: String,
    pipeline: String,
    /// True if its dataflow keeps state, which a savepoint can't hold yet.
    keeps_state: bool,
}

impl SavepointStore {
    /// Reaches files the way `table` does.
    pub fn beside(table: &Table, pipeline: &str, keeps_state: bool) -> Self {
        Self {
            files: table.file_io().clone(),
            table: table.identifier().to_string(),
            pipeline: pipeline.to_owned(),
            keeps_state,
        }
    }

    async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let unwritable = |cause: String| {
            Error::external(format!("{path} can't be written"))
                .caused_by(cause)
                .advice("name a directory that calve may write to (--path, state.savepoints.dir)")
        };
        if let Some(local) = local(path) {
            return write_local(&local, &bytes).map_err(|error| unwritable(error.to_string()));
        }
        let output = self.files.new_output(path);
        let output = output.map_err(|error| unwritable(error.to_string()))?;
        let written = output.write(Bytes::from(bytes)).await;
        written.map_err(|error| unwritable(error.to_string()))
    }
}

#[async_trait]
impl Savepoints for SavepointStore {
    async fn prepare(&self, directory: &str) -> Result<String> {
        if self.keeps_state {
            return Err(Error::config(
                "there is no savepoint of a dataflow that keeps state: it would hold offsets only",
            )
            .advice(
                "the pipeline goes on. Its last checkpoints are kept, state and all \
                 (state.checkpoints.num-retained): after `calve stop` a start goes on from the newest",
            ));
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let directory = directory.trim_end_matches('/');
        let location = format!("{directory}/savepoint-{}-{}", self.pipeline, &id[..8]);
        let probe = format!("{location}/{PROBE}");
        self.write(&probe, b"calve".to_vec()).await?;
        let removed = match local(&probe) {
            Some(path) => fs::remove_file(path).map_err(|error| error.to_string()),
            None => {
                let removed = self.files.delete(&probe).await;
                removed.map_err(|error| error.to_string())
            }
        };
        if let Err(error) = removed {
            tracing::warn!(probe, error, "a probe of a savepoint's directory stays");
        }
        Ok(location)
    }

    async fn complete(&self, location: &str, durable: &Durable) -> Result<()> {
        let marker = Marker::parse(&durable.marker, "the proved commit")?;
        let savepoint = Savepoint {
            version: VERSION,
            calve_version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at_ms: now_ms(),
            table: self.table.clone(),
            snapshot_id: durable.snapshot_id,
            marker,
            state: None,
        };
        let json = serde_json::to_vec_pretty(&savepoint).map_err(|error| {
            Error::internal("a savepoint can't be written as JSON").caused_by(error)
        })?;
        self.write(&format!("{location}/{FILE}"), json).await
    }
}

/// Reads the savepoint at `location`, its folder or the file in it, the way `table` reaches files.
pub async fn read_savepoint(table: &Table, location: &str) -> Result<Savepoint> {
    let folder = location.trim_end_matches('/');
    let folder = folder.strip_suffix(FILE).unwrap_or(folder);
    let path = format!("{}/{FILE}", folder.trim_end_matches('/'));
    let missing = |cause: String| {
        Error::config(format!("there is no savepoint at {path}"))
            .caused_by(cause)
            .advice("nothing was started; name the folder that `calve savepoint` printed")
    };
    let bytes = match local(&path) {
        Some(local) => fs::read(local).map_err(|error| missing(error.to_string()))?,
        None => {
            let input = table.file_io().new_input(&path);
            let input = input.map_err(|error| missing(error.to_string()))?;
            let found = input.exists().await;
            if !found.map_err(|error| failure::external(format!("{path} can't be read"), &error))? {
                return Err(missing("no such object".to_owned()));
            }
            let bytes = input.read().await;
            bytes
                .map_err(|error| failure::external(format!("{path} can't be read"), &error))?
                .to_vec()
        }
    };
    Savepoint::parse(&bytes, &path)
}

/// The path of a local file; none for an object.
fn local(path: &str) -> Option<PathBuf> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    path.starts_with('/').then(|| PathBuf::from(path))
}

/// Writes a file that is there afterwards, whole, or not at all, also after a power failure.
fn write_local(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("unfinished");
    let mut file = File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()?;
    // The folder itself is new, too.
    match folder.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
