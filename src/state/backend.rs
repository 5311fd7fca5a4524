//! What a store of bytes must be able to do. Everything typed stands above it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::meanwhile::Written;
use crate::error::Result;

/// Takes a key and its value.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'v;

/// A sorted store of bytes, of one operator on one worker.
pub trait StateBackend: Send {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The values of many keys, in their order: cheaper than one by one, and cheaper still if they are `sorted`.
    fn get_many(&self, keys: &[&[u8]], sorted: bool) -> Result<Vec<Option<Vec<u8>>>>;

    /// Makes all the changes, or none.
    fn write(&mut self, changes: Changes) -> Result<()>;

    /// Visits all entries whose key begins with the prefix, in the order of their keys.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()>;

    /// Writes what is there now into files of a new folder, perhaps beside what comes next: the answer tells when
    /// they are there. Whatever is written later is not in them.
    fn snapshot(&mut self, folder: &Path) -> Result<Written>;
}

/// The time of a store, in milliseconds: what expires up to it may be dropped. Shared with the threads
/// that compact.
#[derive(Clone, Debug, Default)]
pub(super) struct Horizon(Arc<AtomicU64>);

impl Horizon {
    pub(super) fn new(now_ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(now_ms)))
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Never back: what was dropped can't come to life again.
    pub(super) fn advance_to(&self, now_ms: u64) {
        self.0.fetch_max(now_ms, Ordering::Relaxed);
    }
}

/// Which backend a store has; part of the snapshot's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// RocksDB: on disk, memory bounded by configuration.
    Rocksdb,
    /// A sorted map in memory.
    Memory,
}

/// Changes that are made together. A later one of the same key counts.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    ends: Vec<(usize, Option<usize>)>,
}

impl Changes {
    /// Sets a value.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(key.as_ref());
        let end = self.bytes.len();
        self.bytes.extend_from_slice(value.as_ref());
        self.ends.push((end, Some(self.bytes.len())));
    }

    /// Removes a key, if it is there.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(key.as_ref());
        self.ends.push((self.bytes.len(), None));
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How much memory keys and values take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Key by key; without a value it is to be removed.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut start = 0;
        self.ends.iter().map(move |&(key_end, value_end)| {
            let key = &self.bytes[start..key_end];
            start = value_end.unwrap_or(key_end);
            (key, value_end.map(|end| &self.bytes[key_end..end]))
        })
    }
}
