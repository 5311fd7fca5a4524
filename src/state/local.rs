//! A snapshot on the worker's own disk, on its way to where it lasts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::backend::BackendKind;
use super::files;
use super::manifest::StateFile;
use super::store::Assignment;
use crate::time::Epoch;

/// Which local files lie in the checkpoint directory already, by their local names: what an incremental
/// upload leaves out.
///
/// Only files that are never written again and never have a name again are here (RocksDB numbers its
/// SSTs, and the number goes on in a store that was restored from them).
pub(super) type Uploaded = HashMap<String, StateFile>;

/// Files of one store at the end of an epoch. They are removed when this is dropped.
#[derive(Debug)]
pub struct LocalSnapshot {
    /// The epoch that ended.
    pub epoch: Epoch,
    /// Whose state it is.
    pub assignment: Assignment,
    pub(super) backend: BackendKind,
    pub(super) now_ms: u64,
    pub(super) folder: PathBuf,
    pub(super) uploaded: Arc<Mutex<Uploaded>>,
}

impl Drop for LocalSnapshot {
    fn drop(&mut self) {
        if let Err(error) = files::remove_folder(&self.folder) {
            tracing::warn!(%error, "a local snapshot is left behind until the next start");
        }
    }
}
