//! The manifest of a snapshot: which files hold what.
//!
//! It is JSON, and says everything that a restore needs to know before it reads a single file. Fields
//! this program does not know are ignored, so a newer program may add some; a newer *version* means that
//! the old meaning no longer holds, and is refused. The manifest carries the checksum of its own text:
//! not one byte of it can change unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::backend::BackendKind;
use super::folder::{Content, checksum};
use super::key_group::{KeyGroups, MaxParallelism};
use super::names::{self, Owner};
use crate::error::{Error, Result};
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// The newest format this program reads, and the one it writes.
const VERSION: u32 = 1;

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StateFile {
    /// What it is called in the store's own folder.
    pub local: String,
    /// What it is called beside the manifest.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its checksum, and of which kind.
    pub checksum: String,
}

impl StateFile {
    /// Compares with what was found.
    pub(super) fn check(&self, found: &Content, path: &str) -> Result<()> {
        if (found.bytes, &found.checksum) == (self.bytes, &self.checksum) {
            return Ok(());
        }
        Err(Error::diverged(format!(
            "the state file {path} is damaged: expected {} bytes with {}, found {} bytes with {}",
            self.bytes, self.checksum, found.bytes, found.checksum
        )))
    }

    /// It is not there.
    pub(super) fn missing(&self, path: &str) -> Error {
        Error::diverged(format!(
            "the state file {path} is missing: expected {} bytes with {}",
            self.bytes, self.checksum
        ))
    }
}

/// What one worker adds to a snapshot: the state of one operator, in some key groups. It is small, and
/// goes to the worker that completes the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StatePart {
    /// The operator.
    pub operator: String,
    /// The worker that held it.
    pub worker: usize,
    /// The key groups.
    pub groups: KeyGroups,
    /// What wrote the files.
    pub backend: BackendKind,
    /// The store's time.
    pub now_ms: u64,
    /// How many bytes were uploaded for this snapshot; what it shares with earlier ones is not counted.
    pub uploaded_bytes: u64,
    /// The files.
    pub files: Vec<StateFile>,
}

impl StatePart {
    /// The length of all its files, shared or not.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What a snapshot says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SnapshotHead {
    /// The incarnation that made it.
    pub generation: Generation,
    /// The checkpoint it belongs to.
    pub epoch: Epoch,
    /// The number of key groups of all its operators.
    pub max_parallelism: MaxParallelism,
    /// What whoever made it wants to find again, such as the offsets that belong to it.
    pub about: serde_json::Value,
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Manifest {
    pub(super) pipeline: String,
    pub(super) table: Uuid,
    #[serde(flatten)]
    pub(super) head: SnapshotHead,
    /// For people.
    pub(super) calve_version: String,
    pub(super) parts: Vec<StatePart>,
}

/// Around the manifest proper.
#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    checksum: String,
    snapshot: Box<RawValue>,
}

/// Only as much as every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Manifest {
    pub(super) fn new(owner: &Owner, head: SnapshotHead, parts: Vec<StatePart>) -> Result<Self> {
        check_complete(head.max_parallelism, &parts)?;
        Ok(Self {
            pipeline: owner.pipeline.clone(),
            table: owner.table,
            head,
            calve_version: env!("CARGO_PKG_VERSION").to_owned(),
            parts,
        })
    }

    pub(super) fn to_text(&self) -> Result<Vec<u8>> {
        let seal = || {
            let snapshot = serde_json::value::to_raw_value(self)?;
            seal(&Sealed {
                version: VERSION,
                checksum: checksum(snapshot.get().as_bytes()),
                snapshot,
            })
        };
        seal().map_err(|error: serde_json::Error| {
            Error::internal("a state manifest can't be written as JSON").caused_by(error)
        })
    }

    /// Reads a manifest; `path` names it in errors.
    pub(super) fn parse(text: &[u8], path: &str) -> Result<Self> {
        let damaged =
            |what: String| Error::diverged(format!("the state manifest {path} is damaged: {what}"));
        let unreadable = |error: serde_json::Error| damaged(format!("it can't be read: {error}"));
        let Versioned { version } = serde_json::from_slice(text).map_err(unreadable)?;
        if version > VERSION {
            return Err(Error::diverged(format!(
                "the state manifest {path} has format {version}, this program reads up to {VERSION}"
            ))
            .advice("nothing was changed; a newer calve has written it: run that version"));
        }
        if version == 0 {
            return Err(damaged("there is no format 0".to_owned()));
        }
        let sealed: Sealed = serde_json::from_slice(text).map_err(unreadable)?;
        let found = checksum(sealed.snapshot.get().as_bytes());
        if found != sealed.checksum {
            let expected = &sealed.checksum;
            return Err(damaged(format!("expected {expected}, found {found}")));
        }
        // What stands around the sealed part is in nobody's checksum, so it has one form only.
        if seal(&sealed).map_err(unreadable)? != text {
            return Err(damaged(
                "it is not in the form in which it was written".to_owned(),
            ));
        }
        let manifest: Self = serde_json::from_str(sealed.snapshot.get()).map_err(unreadable)?;
        let files = manifest.parts.iter().flat_map(|part| &part.files);
        let names = files.flat_map(|file| [&file.local, &file.name]);
        if let Some(name) = names.into_iter().find(|name| !names::is_plain(name)) {
            return Err(damaged(format!("`{name}` is no name of a file")));
        }
        Ok(manifest)
    }

    /// The names of all files beside it.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        let files = self.parts.iter().flat_map(|part| &part.files);
        files.map(|file| file.name.as_str()).collect()
    }
}

fn seal(sealed: &Sealed) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(sealed)?;
    text.push(b'\n');
    Ok(text)
}

/// Checks that the parts of each operator hold every key group once.
fn check_complete(max: MaxParallelism, parts: &[StatePart]) -> Result<()> {
    let mut ranges = BTreeMap::<&str, Vec<KeyGroups>>::new();
    for part in parts {
        let ranges = ranges.entry(&part.operator).or_default();
        if !part.groups.is_empty() {
            ranges.push(part.groups);
        }
    }
    for (operator, mut ranges) in ranges {
        ranges.sort_by_key(|groups| groups.start);
        let mut next = 0;
        for groups in ranges {
            if groups.start != next {
                next = u16::MAX;
                break;
            }
            next = groups.end;
        }
        if next != max.get() {
            return Err(Error::internal(format!(
                "the parts of operator {operator} do not hold each of its {max} key groups once"
            ))
            .advice("the snapshot was not made; the one before it is complete"));
        }
    }
    Ok(())
}
