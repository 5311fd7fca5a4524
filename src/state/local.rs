//! A snapshot on the worker's own disk, on its way to where it lasts.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backend::BackendKind;
use super::files;
use super::folder::Folder;
use super::manifest::StateFile;
use super::meanwhile::Written;
use super::names::{self, Owner};
use super::store::Assignment;
use crate::error::Result;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// The file in an incarnation's folder that tells that somebody lives there: whoever does shares a lock on it.
const IN_USE: &str = "in-use";

/// Where the stores of one process have their homes.
///
/// ```text
///  <root>/<pipeline>-<table's UUID>/g3/<operator>-w0/
/// ```
#[derive(Clone, Debug)]
pub struct LocalFolder {
    folder: PathBuf,
    /// The lock goes with the last copy, or with the process.
    _in_use: Arc<File>,
}

impl LocalFolder {
    /// The homes of one incarnation of a pipeline. Those of earlier ones are removed, unless somebody still lives
    /// there: what was to last of them was uploaded.
    pub fn prepare(root: &Path, owner: &Owner, generation: Generation) -> Result<Self> {
        let folder = root.join(owner.folder());
        files::create_folder(&folder)?;
        for (name, _) in files::list(&folder)? {
            let of = name
                .strip_prefix('g')
                .and_then(|number| number.parse().ok());
            if of.is_some_and(|earlier| Generation(earlier) < generation) {
                remove_if_left(&folder.join(name));
            }
        }
        let folder = folder.join(format!("g{generation}"));
        files::create_folder(&folder)?;
        let in_use = folder.join(IN_USE);
        let locked = File::create(&in_use).and_then(|file| file.lock_shared().map(|()| file));
        let locked = locked.map_err(|error| {
            files::failed("lock", &in_use, error)
                .advice("state.local-dir must be a folder on a local disk")
        })?;
        Ok(Self {
            folder,
            _in_use: Arc::new(locked),
        })
    }

    /// The home of one store.
    pub fn home(&self, operator: &str, worker: usize) -> PathBuf {
        self.folder
            .join(format!("{}-w{worker}", names::encode(operator)))
    }
}

/// Removes the homes of an earlier incarnation. A zombie keeps its own, and finds out from the table that it is one.
/// Nothing depends on it, so a start goes on if it can't be done.
fn remove_if_left(folder: &Path) {
    let lock = File::open(folder.join(IN_USE)).map(|file| (file.try_lock(), file));
    if let Ok((Err(TryLockError::WouldBlock), _)) = lock {
        return;
    }
    if let Err(error) = files::remove_folder(folder) {
        tracing::warn!(%error, "the state of an earlier run is left behind until the next start");
    }
}

/// Which local files lie in a checkpoint directory already, by their local names: what an incremental
/// upload leaves out.
///
/// Only files that are never written again and never have a name again are here (RocksDB numbers its
/// SSTs, and the number goes on in a store that was restored from them).
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    location: String,
    files: HashMap<String, StateFile>,
}

impl Uploaded {
    /// Those that lie in `folder`. What lies elsewhere is forgotten.
    pub(super) fn of(&mut self, folder: &Folder) -> &mut HashMap<String, StateFile> {
        if self.location != folder.location() {
            folder.location().clone_into(&mut self.location);
            self.files.clear();
        }
        &mut self.files
    }

    pub(super) fn add(&mut self, folder: &Folder, file: &StateFile) {
        self.of(folder).insert(file.local.clone(), file.clone());
    }

    /// Forgets all others: what a store once had not any more it never has again.
    pub(super) fn replace<'f>(
        &mut self,
        folder: &Folder,
        files: impl Iterator<Item = &'f StateFile>,
    ) {
        let files = files.map(|file| (file.local.clone(), file.clone()));
        *self.of(folder) = files.collect();
    }
}

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
    /// Whether its files are there yet.
    pub(super) written: Written,
    pub(super) uploaded: Arc<Mutex<Uploaded>>,
}

impl LocalSnapshot {
    /// Returns when its files are there, which the store does not wait for; fails if they can't be written.
    pub async fn written(&self) -> Result<()> {
        self.written.wait().await
    }

    pub(super) fn uploaded(&self) -> MutexGuard<'_, Uploaded> {
        self.uploaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalSnapshot {
    fn drop(&mut self) {
        if let Err(error) = files::remove_folder(&self.folder) {
            tracing::warn!(%error, "a local snapshot is left behind until the next start");
        }
    }
}
