//! Garbage: snapshots that nobody goes back to any more, and files that none of the others names.
//!
//! Everything is classified first, by pure functions over what was found; only then is anything deleted,
//! manifests before data, so that a snapshot that is there is whole.
//!
//! | a file in the owner's folder | its rank | verdict |
//! |---|---|---|
//! | is nothing that is written here | | [`Verdict::Unknown`]: never touched |
//! | is the manifest of a snapshot to keep | | [`Verdict::Kept`] |
//! | is any other manifest | above that of all to keep | [`Verdict::Open`]: not decided yet |
//! | | up to it | [`Verdict::Dropped`] |
//! | is data that a kept or open manifest names | | [`Verdict::Kept`] |
//! | is any other data | above that of all to keep | [`Verdict::Open`] |
//! | | up to it | [`Verdict::Dropped`] |
//!
//! The rank of a file is the generation and epoch in its name, and no clock has a say. If a manifest that
//! is kept or open can't be read, nothing at all is deleted.
//!
//! # Why a zombie does no harm
//!
//! Let a process of generation *g* live on while one of *g+1* works, and let *S* be the snapshot that the
//! table's newest marker named when *g+1* claimed the pipeline.
//!
//! 1. *Nothing is overwritten*: every name has a UUID of its own.
//! 2. *What g+1 makes is above everything that g keeps*: its names carry generation *g+1*, and *g* keeps
//!    only what its own commits named, none of which can follow the claim. So to *g* it is open.
//! 3. *What g+1 shares with earlier generations is named by S*: a store that was restored from *S* shares
//!    files of *S* and nothing else, and a store that was restored from anything else shares nothing
//!    ([`super::Share`]). What *g+1* has made of a savepoint for its claim is its own: 2 holds of it.
//! 4. *S is kept by g, or open to it*: it belongs to the last commit that landed. Either *g* knows of that
//!    commit, then it is the newest in *g*'s list and stays there, since no later one lands; or it does
//!    not (the answer was lost), then *S* is above everything in the list.
//!
//! So *g* deletes nothing that *g+1* has or will have. And *g+1* may delete whatever *g* left: what *g*
//! still uploads is for commits that do not land.
//!
//! For the same reason a snapshot that is still being uploaded is safe from its own process: its files are
//! above the newest commit, or named by it.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::manifest::Manifest;
use super::names::{FileKind, Rank, SnapshotId};
use super::snapshots::{FILES_AT_ONCE, SnapshotStore};
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Not made here.
    Unknown,
    /// A snapshot that is kept needs it.
    Kept,
    /// Made since the newest commit: it may yet be needed.
    Open,
    /// Nobody needs it.
    Dropped,
}

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Snapshots that were deleted.
    pub snapshots: u64,
    /// Data files that were deleted.
    pub files: u64,
    /// Files that could not be deleted: the next collection tries again.
    pub failed: u64,
}

/// What is to be kept.
#[derive(Debug)]
struct Keep {
    ids: BTreeSet<String>,
    newest: Rank,
}

impl Keep {
    fn manifest(&self, id: &SnapshotId) -> Verdict {
        match id.rank() {
            _ if self.ids.contains(&id.to_string()) => Verdict::Kept,
            rank if rank > self.newest => Verdict::Open,
            _ => Verdict::Dropped,
        }
    }

    fn data(&self, rank: Rank, is_named: bool) -> Verdict {
        match rank {
            _ if is_named => Verdict::Kept,
            rank if rank > self.newest => Verdict::Open,
            _ => Verdict::Dropped,
        }
    }

    /// The verdict on a file, given the names in all manifests that stay.
    fn verdict(&self, name: &str, named: &BTreeSet<String>) -> Verdict {
        match FileKind::of(name) {
            FileKind::Unknown => Verdict::Unknown,
            FileKind::Manifest(id) => self.manifest(&id),
            FileKind::Data(rank) => self.data(rank, named.contains(name)),
        }
    }
}

impl SnapshotStore {
    /// Deletes what is not needed any more if these snapshots are kept: those of the last commits, the
    /// newest among them. To be called after a commit was proved, by one worker; savepoints are elsewhere.
    pub async fn collect_garbage(&self, keep: &[SnapshotId]) -> Result<Collected> {
        let Some(newest) = keep.iter().map(SnapshotId::rank).max() else {
            return Ok(Collected::default());
        };
        let ids = keep.iter().map(SnapshotId::to_string).collect();
        let keep = Keep { ids, newest };
        let names = self.folder.names().await?;
        let named = self.named(&keep, &names).await?;
        let dropped = names
            .into_iter()
            .filter(|n| keep.verdict(n, &named) == Verdict::Dropped);
        let (manifests, data): (Vec<_>, Vec<_>) =
            dropped.partition(|name| matches!(FileKind::of(name), FileKind::Manifest(_)));
        let snapshots = self.delete(manifests).await;
        // A manifest that is still there must not be left without its files.
        let files = match snapshots {
            (_, 0) => self.delete(data).await,
            _ => (0, 0),
        };
        Ok(Collected {
            snapshots: snapshots.0,
            files: files.0,
            failed: snapshots.1 + files.1,
        })
    }

    /// The names of the data files in all manifests that stay.
    async fn named(&self, keep: &Keep, names: &[String]) -> Result<BTreeSet<String>> {
        let manifests = names.iter().filter_map(|name| match FileKind::of(name) {
            FileKind::Manifest(id) => Some(id),
            _ => None,
        });
        let staying: Vec<SnapshotId> = manifests
            .filter(|id| keep.manifest(id) != Verdict::Dropped)
            .collect();
        // Older ones may have gone before: a table that was rolled back leads to them again.
        let is_newest =
            |id: &SnapshotId| keep.manifest(id) == Verdict::Kept && id.rank() == keep.newest;
        if staying.iter().any(is_newest) {
            let manifests: Vec<_> = staying.iter().map(|id| self.manifest(id)).collect();
            let manifests = stream::iter(manifests).buffer_unordered(FILES_AT_ONCE);
            let add = |mut named: BTreeSet<String>, manifest: Manifest| async move {
                named.extend(manifest.files().into_iter().map(str::to_owned));
                Ok(named)
            };
            return manifests.try_fold(BTreeSet::new(), add).await;
        }
        let Rank { generation, epoch } = keep.newest;
        Err(Error::diverged(format!(
            "the newest state snapshot, of generation {generation} and epoch {epoch}, is not in {}",
            self.location()
        ))
        .advice("no state file was deleted; see whether something else deletes them"))
    }

    /// Deletes files; how many could be, and how many could not.
    async fn delete(&self, names: Vec<String>) -> (u64, u64) {
        let deletions = names.into_iter().map(|name| async move {
            let deleted = self.folder.delete(&name).await;
            if let Err(error) = &deleted {
                tracing::warn!(%error, "a state file that nobody needs could not be deleted");
            }
            deleted.is_ok()
        });
        let deletions = stream::iter(deletions).buffer_unordered(FILES_AT_ONCE);
        let count = |(done, failed), deleted| async move {
            match deleted {
                true => (done + 1, failed),
                false => (done, failed + 1),
            }
        };
        deletions.fold((0, 0), count).await
    }
}
