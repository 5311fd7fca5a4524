//! State in memory: for small states and for tests. A snapshot writes all of it, while the dataflow
//! waits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Bound;
use std::path::Path;

use super::backend::{Changes, Horizon, StateBackend, Visit};
use super::encoding;
use super::files::failed;
use super::meanwhile::Written;
use crate::error::{Error, Result};

/// The only file of a snapshot: [`MAGIC`], then each entry in order: length of the key, key, length of
/// the value, value. Lengths have four bytes, little-endian.
const FILE: &str = "entries";
const MAGIC: &[u8; 8] = b"calve\0s\x01";

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// A sorted map.
#[derive(Debug)]
pub(super) struct MemoryBackend {
    entries: Entries,
    horizon: Horizon,
}

impl MemoryBackend {
    pub(super) fn new(horizon: Horizon) -> Self {
        Self {
            entries: Entries::new(),
            horizon,
        }
    }

    /// Reads a snapshot.
    pub(super) fn open(folder: &Path, horizon: Horizon) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
        let entries = parse(&bytes).ok_or_else(|| {
            Error::diverged(format!("{} is no snapshot of state", path.display()))
        })?;
        Ok(Self { entries, horizon })
    }

    fn write_to(&self, to: &mut impl Write) -> std::io::Result<()> {
        to.write_all(MAGIC)?;
        for bytes in self.entries.iter().flat_map(|(key, value)| [key, value]) {
            let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(bytes)?;
        }
        Ok(())
    }
}

fn parse(file: &[u8]) -> Option<Entries> {
    fn take<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (bytes, after) = after.split_at_checked(length)?;
        *rest = after;
        Some(bytes)
    }
    let mut rest = file.strip_prefix(MAGIC)?;
    let mut entries = Entries::new();
    while !rest.is_empty() {
        let key = take(&mut rest)?;
        entries.insert(key.to_vec(), take(&mut rest)?.to_vec());
    }
    Some(entries)
}

impl StateBackend for MemoryBackend {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.entries.get(key).cloned())
    }

    fn get_many(&self, keys: &[&[u8]], _sorted: bool) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn write(&mut self, changes: Changes) -> Result<()> {
        for (key, value) in changes.iter() {
            match value {
                Some(value) => self.entries.insert(key.to_vec(), value.to_vec()),
                None => self.entries.remove(key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let entries = self.entries.range::<[u8], _>(from);
        for (key, value) in entries.take_while(|(key, _)| key.starts_with(prefix)) {
            visit(key, value)?;
        }
        Ok(())
    }

    fn snapshot(&mut self, folder: &Path) -> Result<Written> {
        let now_ms = self.horizon.get();
        self.entries
            .retain(|key, entry| !encoding::is_dead(key, entry, now_ms));
        let path = folder.join(FILE);
        let write = || {
            fs::create_dir(folder)?;
            let mut file = BufWriter::new(File::create(&path)?);
            self.write_to(&mut file)?;
            file.into_inner().map_err(|e| e.into_error())?.sync_all()
        };
        write().map_err(|error: std::io::Error| failed("write", &path, error))?;
        Ok(Written::already())
    }
}
