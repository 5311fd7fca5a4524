//! Writing and reading savepoints, beside the tables: on local disks and on S3.
//!
//! ```text
//!   <directory>/savepoint-<pipeline>-<8 hex digits>/savepoint.json
//!                                                  /state/…         a copy of the state that the marker names
//! ```
//!
//! The folder is new for each savepoint. The state comes first, if there is any. The file is written last and at once
//! (S3), or under another name, synced and renamed (local disks): a savepoint is whole or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::table::Table;

use super::StateSnapshots;
use super::failure;
use super::storage::local_path;
use crate::checkpoint::marker::{EMPTY_STATE, Marker};
use crate::checkpoint::savepoint::{FILE, Savepoint, VERSION};
use crate::control::{Durable, Savepoints, now_ms};
use crate::error::{Error, Result};
use crate::failpoint;

/// Written and removed to see whether anything can be written.
const PROBE: &str = "probe";
/// The folder of the state in a savepoint's.
const STATE: &str = "state";

/// Writes the savepoints of one pipeline and table.
#[derive(Debug)]
pub struct SavepointStore {
    files: FileIO,
    table: String,
    pipeline: String,
    /// There if its dataflow keeps state.
    states: Option<Arc<dyn StateSnapshots>>,
}

impl SavepointStore {
    /// Reaches files the way `table` does.
    pub fn beside(table: &Table, pipeline: &str, states: Option<Arc<dyn StateSnapshots>>) -> Self {
        Self {
            files: table.file_io().clone(),
            table: table.identifier().to_string(),
            pipeline: pipeline.to_owned(),
            states,
        }
    }

    async fn write(&self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let unwritable = |cause: String| {
            Error::external(format!("{path} can't be written"))
                .caused_by(cause)
                .advice("name a directory that calve may write to (--path, state.savepoints.dir)")
        };
        if let Some(local) = local_path(path) {
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
        let id = uuid::Uuid::new_v4().simple().to_string();
        let directory = directory.trim_end_matches('/');
        let location = format!("{directory}/savepoint-{}-{}", self.pipeline, &id[..8]);
        let probe = format!("{location}/{PROBE}");
        self.write(&probe, b"calve".to_vec()).await?;
        let removed = match local_path(&probe) {
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
            state: self.copy_state(&marker, location).await?,
            marker,
        };
        failpoint::pass("savepoint");
        self.write(&format!("{location}/{FILE}"), savepoint.to_json()?)
            .await
    }
}

impl SavepointStore {
    /// Copies the state that the marker names, and no other: it belongs to the marker's offsets. Returns where in the
    /// savepoint's folder it is.
    async fn copy_state(&self, marker: &Marker, location: &str) -> Result<Option<String>> {
        let named = marker.state_snapshot.as_deref();
        let named = named.filter(|state| *state != EMPTY_STATE);
        let (Some(named), Some(states)) = (named, &self.states) else {
            return Ok(None);
        };
        let copied = states.copy(named, &format!("{location}/{STATE}")).await;
        copied.map_err(|error| {
            Error::external("the savepoint's copy of the state failed")
                .caused_by(error)
                .advice(format!(
                    "the pipeline is not touched by it; {location} is no savepoint and can be deleted"
                ))
        })?;
        Ok(Some(STATE.to_owned()))
    }
}

/// Reads the savepoint at `location`, its folder or the file in it, the way `table` reaches files.
pub async fn read_savepoint(table: &Table, location: &str) -> Result<Savepoint> {
    let path = format!("{}/{FILE}", savepoint_folder(location));
    let missing = |cause: String| {
        Error::config(format!("there is no savepoint at {path}"))
            .caused_by(cause)
            .advice("nothing was started; name the folder that `calve savepoint` printed")
    };
    let bytes = match local_path(&path) {
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

/// The folder of a savepoint, by the name of the folder or of the file in it.
pub fn savepoint_folder(location: &str) -> &str {
    let folder = location.trim_end_matches('/');
    let folder = folder.strip_suffix(FILE).unwrap_or(folder);
    folder.trim_end_matches('/')
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
