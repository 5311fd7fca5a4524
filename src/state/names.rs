//! The one builder of every durable name this room writes. Below `state.checkpoints.dir`:
//!
//! ```text
//!  <pipeline>-<table's UUID>/                       everything of one owner, and of nobody else
//!      g3-e17-<uuid>.manifest.json                  a snapshot: it exists if and only if this file does
//!      g3-e17-w0-<uuid>-000042.sst                  a file that worker 0 uploaded for epoch 17
//! ```
//!
//! A savepoint is a folder elsewhere, with the files under the names that they had and one `manifest.json`.
//!
//! Every name ends in a fresh UUID (but for what people need to recognise a file): whatever two processes
//! do at once, neither overwrites what the other wrote. Generation and epoch say how old it is, and by
//! them alone [`super::garbage`] tells what a process may delete.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::error::{Error, Result};
pub(super) use crate::iceberg::names::encode;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// How the name of a manifest ends.
const MANIFEST_SUFFIX: &str = ".manifest.json";

/// The manifest in a savepoint's folder.
pub(super) const SAVEPOINT_MANIFEST: &str = "manifest.json";

/// Whose snapshots they are. Several pipelines, and several tables of one, can share a checkpoint
/// directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The pipeline's name.
    pub pipeline: String,
    /// The UUID of its main table: a table that was made anew begins with no state.
    pub table: Uuid,
}

impl Owner {
    /// The name of the folder that is this owner's.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}", encode(&self.pipeline), self.table.simple())
    }
}

/// When a file was made: by which incarnation of the pipeline, for which checkpoint. Their order is the
/// order in which one pipeline makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rank {
    pub(super) generation: Generation,
    pub(super) epoch: Epoch,
}

/// The name of a snapshot: what the marker in the table says of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotId {
    rank: Rank,
    unique: Uuid,
}

impl SnapshotId {
    /// A new one.
    pub(super) fn new(rank: Rank) -> Self {
        let unique = Uuid::new_v4();
        Self { rank, unique }
    }

    pub(super) fn rank(&self) -> Rank {
        self.rank
    }

    /// The incarnation that made the snapshot.
    pub fn generation(&self) -> Generation {
        self.rank.generation
    }

    /// The checkpoint that it belongs to.
    pub fn epoch(&self) -> Epoch {
        self.rank.epoch
    }

    /// The name of its manifest.
    pub(super) fn manifest(&self) -> String {
        format!("{self}{MANIFEST_SUFFIX}")
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rank { generation, epoch } = self.rank;
        write!(f, "g{generation}-e{epoch}-{}", self.unique.simple())
    }
}

impl FromStr for SnapshotId {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (generation, rest) = number_after(text, "g")?;
            let (epoch, rest) = number_after(rest, "-e")?;
            let unique = Uuid::try_parse(rest.strip_prefix('-')?).ok()?;
            let rank = rank(generation, epoch);
            // Only what is written here is read.
            let id = Self { rank, unique };
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| {
            Error::diverged(format!("`{text}` names no state snapshot"))
                .advice("a name looks like g3-e17-0f8fad5bd9cb469fa16570867728950e")
        })
    }
}

/// A new name for a file of a worker's snapshot.
pub(super) fn data_file(rank: Rank, worker: usize, local: &str) -> String {
    data_file_name(rank, worker, Uuid::new_v4(), local)
}

fn data_file_name(rank: Rank, worker: usize, unique: Uuid, local: &str) -> String {
    let Rank { generation, epoch } = rank;
    format!(
        "g{generation}-e{epoch}-w{worker}-{}-{local}",
        unique.simple()
    )
}

/// What a file in an owner's folder is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Manifest(SnapshotId),
    Data(Rank),
    /// Nothing that is written here.
    Unknown,
}

impl FileKind {
    pub(super) fn of(name: &str) -> Self {
        if let Some(id) = name.strip_suffix(MANIFEST_SUFFIX) {
            return id.parse().map_or(Self::Unknown, Self::Manifest);
        }
        Self::data(name).map_or(Self::Unknown, Self::Data)
    }

    fn data(name: &str) -> Option<Rank> {
        let (generation, rest) = number_after(name, "g")?;
        let (epoch, rest) = number_after(rest, "-e")?;
        let (worker, rest) = number_after(rest, "-w")?;
        let (unique, local) = rest.strip_prefix('-')?.split_once('-')?;
        let (rank, unique) = (rank(generation, epoch), Uuid::try_parse(unique).ok()?);
        let again = data_file_name(rank, usize::try_from(worker).ok()?, unique, local);
        (again == name && is_plain(local)).then_some(rank)
    }
}

/// True for a name that stays in its folder wherever it is put.
pub(super) fn is_plain(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(legal)
}

fn rank(generation: u64, epoch: u64) -> Rank {
    Rank {
        generation: Generation(generation),
        epoch: Epoch(epoch),
    }
}

/// `g17-rest` after `g`: 17 and `-rest`.
fn number_after<'t>(text: &'t str, before: &str) -> Option<(u64, &'t str)> {
    let text = text.strip_prefix(before)?;
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}
