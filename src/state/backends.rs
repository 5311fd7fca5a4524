//! Opening backends: what all stores of a process share.

use std::path::Path;

use super::backend::{BackendKind, Horizon, StateBackend};
use super::memory::MemoryBackend;
use super::rocks::{Rocks, RocksBackend};
use crate::error::Result;

/// Makes the backends of all stores of one process, which share the memory that is configured.
#[derive(Clone)]
pub struct Backends {
    kind: BackendKind,
    rocks: Rocks,
}

impl Backends {
    /// Stores of this kind; RocksDB keeps its caches and write buffers together within
    /// `rocksdb_memory_bytes`.
    pub fn new(kind: BackendKind, rocksdb_memory_bytes: u64) -> Self {
        let rocks = Rocks::new(rocksdb_memory_bytes);
        Self { kind, rocks }
    }

    /// What stores are made.
    pub fn kind(&self) -> BackendKind {
        self.kind
    }

    pub(super) fn create(&self, folder: &Path, horizon: &Horizon) -> Result<Box<dyn StateBackend>> {
        let horizon = horizon.clone();
        Ok(match self.kind {
            BackendKind::Rocksdb => Box::new(RocksBackend::create(&self.rocks, folder, horizon)?),
            BackendKind::Memory => Box::new(MemoryBackend::new(horizon)),
        })
    }

    /// Opens the files of a snapshot, which become this backend's own.
    pub(super) fn open(&self, folder: &Path, horizon: &Horizon) -> Result<Box<dyn StateBackend>> {
        let horizon = horizon.clone();
        Ok(match self.kind {
            BackendKind::Rocksdb => Box::new(RocksBackend::open(&self.rocks, folder, horizon)?),
            BackendKind::Memory => Box::new(MemoryBackend::open(folder, horizon)?),
        })
    }

    /// Opens the files of a snapshot of either kind, to read them.
    pub(super) fn read(&self, kind: BackendKind, folder: &Path) -> Result<Box<dyn StateBackend>> {
        Ok(match kind {
            BackendKind::Rocksdb => Box::new(RocksBackend::read(&self.rocks, folder)?),
            BackendKind::Memory => Box::new(MemoryBackend::open(folder, Horizon::default())?),
        })
    }
}

impl std::fmt::Debug for Backends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backends")
            .field("kind", &self.kind)
            .finish()
    }
}
