//! Orphans: files that a process staged and died with. No snapshot names them, no reader sees
//! them, and after the next claim none ever will; only the storage is paid for.
//!
//! A file is deleted only if that is proved. [`Sweep::verdict`] says of which names it can be:
//!
//! 1. A commit puts only files of its own generation into the table, of epochs up to its own. So
//!    the snapshot that brought a file in carries a marker of the file's generation and of the
//!    file's epoch or a later one. (A file of a failed epoch that rode with a later one has the
//!    older epoch in its name.)
//! 2. Along the history of `main` epochs never go back. When the claim was proved, no marker in the
//!    table was newer than epoch *E*: a file of a later epoch was brought in by none of these
//!    snapshots, be it retained or expired.
//! 3. It can't be brought in later either. The claim fences all older generations: their next
//!    commit finds the higher one, and a swap in flight names a snapshot that `main` has left.
//! 4. Snapshots that the history of `main` does not lead to (branches, what an operator rolled
//!    back) may have been made by other rules, by anybody. They are read, and what they name stays.
//!
//! All of it holds for *one* history of a table. Where there are two under one UUID (a catalog that was restored
//! from a backup, metadata that was registered a second time elsewhere) the files of the one look dead
//! to the other: such a table is to be started with `on-orphans=keep`.
//!
//! None of this can cease to be true, so the deletion may take its time while the pipeline runs, and
//! a process that is a zombie by then does no harm: files of its own generation, and of later ones,
//! are never touched.
//!
//! What is left alone, though it may be garbage: files of an epoch that was reached again meanwhile
//! (by name they could be committed), uploads to S3 that were never finished (the bucket's lifecycle
//! rule is for those), and the manifests of commits that did not land (the library's names do not
//! say whose they are).

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{ManifestFile, SnapshotRef};
use iceberg::table::Table;
use iceberg::writer::file_writer::location_generator::{
    DefaultLocationGenerator, LocationGenerator,
};
use uuid::Uuid;

use super::Committer;
use super::failure;
use super::lineage;
use super::listing::{self, Found, Listing};
use super::names;
use crate::error::Result;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

/// Requests to the storage at the same time: the pipeline has work to do.
const CONCURRENCY: usize = 8;

/// A sweep of the files that earlier generations of a pipeline left behind.
#[derive(Debug)]
pub struct Sweep {
    table: Table,
    pipeline: String,
    /// The generation that this process has claimed.
    claimed: Generation,
}

/// What a file's name says about its fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Not made by this pipeline for this table.
    Foreign,
    /// Of this process or of a newer one: not committed *yet*.
    Open,
    /// It may be committed.
    Settled,
    /// In no snapshot of `main`'s history, and never will be.
    Dead,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files found in the table's data location.
    pub seen: u64,
    /// Orphans among them; in a dry run they are still there.
    pub orphans: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Orphans that could not be deleted.
    pub failed: u64,
}

/// What a name has to be compared with.
#[derive(Clone, Debug)]
struct Facts {
    pipeline: String,
    table: Uuid,
    claimed: Generation,
    /// The newest epoch of any marker in the table.
    newest: Epoch,
}

impl Facts {
    /// Decides about a file by its name.
    ///
    /// | made by this pipeline for this table | generation | epoch | verdict |
    /// |---|---|---|---|
    /// | no | | | foreign |
    /// | yes | the claimed one, or a later one | | open |
    /// | yes | an earlier one | up to the newest marker's | settled |
    /// | yes | an earlier one | later than every marker's | dead |
    fn verdict(&self, file_name: &str) -> Verdict {
        match names::generation_and_epoch(file_name, &self.pipeline, self.table) {
            None => Verdict::Foreign,
            Some((generation, _)) if generation >= self.claimed => Verdict::Open,
            Some((_, epoch)) if epoch <= self.newest => Verdict::Settled,
            Some(_) => Verdict::Dead,
        }
    }
}

impl Sweep {
    /// The sweep that a claim allows. Call it before the first commit: only a claim that was proved
    /// makes a committer.
    pub fn after_claim(committer: &Committer) -> Self {
        let claim = committer.marker();
        Self {
            table: committer.table().clone(),
            pipeline: claim.pipeline.clone(),
            claimed: claim.generation,
        }
    }

    /// Deletes the orphans, or in a dry run names them in the log. Nothing depends on its success:
    /// what can't be done is logged and left.
    pub async fn run(self, dry_run: bool) {
        let started = Instant::now();
        match self.sweep(dry_run).await {
            Ok(swept) if swept.orphans == 0 => tracing::debug!(seen = swept.seen, "no orphans"),
            Ok(Swept {
                seen,
                orphans,
                bytes,
                failed,
            }) => tracing::info!(
                orphans,
                bytes,
                failed,
                seen,
                dry_run,
                duration_ms = started.elapsed().as_millis() as u64,
                "files of earlier runs that no snapshot names: {}",
                if dry_run { "kept" } else { "deleted" }
            ),
            Err(error) => tracing::warn!(
                %error,
                "files that earlier runs may have left behind are not deleted"
            ),
        }
    }

    async fn sweep(&self, dry_run: bool) -> Result<Swept> {
        // The first generation has none before it: no need to list anything.
        if self.claimed <= Generation(1) {
            return Ok(Swept::default());
        }
        let Listing { found, seen } = self.find().await?;
        let mut swept = Swept {
            seen,
            orphans: found.len() as u64,
            bytes: found.iter().map(|file| file.bytes).sum(),
            failed: 0,
        };
        if dry_run {
            for Found { path, bytes } in found {
                tracing::info!(path, bytes, "an orphan");
            }
            return Ok(swept);
        }
        let mut deletions = stream::iter(found)
            .map(|file| async move {
                let deleted = self.table.file_io().delete(&file.path).await;
                deleted.map_err(|error| (file.path, error))
            })
            .buffer_unordered(CONCURRENCY);
        while let Some(deleted) = deletions.next().await {
            if let Err((path, error)) = deleted {
                swept.failed += 1;
                let error = failure::describe(&error);
                tracing::warn!(path, error, "an orphan could not be deleted");
            }
        }
        Ok(swept)
    }

    /// The orphans.
    async fn find(&self) -> Result<Listing> {
        let metadata = self.table.metadata();
        let facts = Facts {
            pipeline: self.pipeline.clone(),
            table: metadata.uuid(),
            claimed: self.claimed,
            newest: lineage::newest_epoch(metadata, &self.pipeline)?.unwrap_or_default(),
        };
        let is_dead = move |name: &str| facts.verdict(name) == Verdict::Dead;
        let locations = DefaultLocationGenerator::new(metadata)
            .map_err(|error| failure::external("the table's data location is not known", &error))?;
        let location = locations.generate_location(None, "");
        let mut listing = listing::list(self.table.file_io(), &location, is_dead).await?;
        if !listing.found.is_empty() {
            let named = self.named_by_detached().await.map_err(|error| {
                failure::external("a snapshot outside of main's history can't be read", &error)
            })?;
            listing
                .found
                .retain(|file| !named.contains(names::file_name(&file.path)));
        }
        Ok(listing)
    }

    /// The names of the files in snapshots that the history of `main` does not lead to. What `main`
    /// itself names is no candidate, so manifests that are shared with it need not be read.
    async fn named_by_detached(&self) -> iceberg::Result<HashSet<String>> {
        let metadata = self.table.metadata();
        let mut manifests = self.manifests(lineage::detached(metadata)).await?;
        if !manifests.is_empty() {
            let current = metadata.current_snapshot().cloned();
            for path in self.manifests(current.into_iter().collect()).await?.keys() {
                manifests.remove(path);
            }
        }
        let files = manifests.into_values().map(|manifest| async move {
            let manifest = manifest.load_manifest(self.table.file_io()).await?;
            let names = manifest
                .entries()
                .iter()
                .map(|entry| names::file_name(entry.file_path()).to_owned());
            Ok(names.collect::<Vec<String>>())
        });
        stream::iter(files)
            .buffer_unordered(CONCURRENCY)
            .try_fold(HashSet::new(), |mut all, names| async move {
                all.extend(names);
                Ok(all)
            })
            .await
    }

    /// The manifests of these snapshots, by their paths.
    async fn manifests(
        &self,
        snapshots: Vec<SnapshotRef>,
    ) -> iceberg::Result<HashMap<String, ManifestFile>> {
        let lists = snapshots.into_iter().map(|snapshot| async move {
            let list = self.table.manifest_list_reader(&snapshot).load().await?;
            Ok(list.consume_entries().into_iter().collect::<Vec<_>>())
        });
        stream::iter(lists)
            .buffer_unordered(CONCURRENCY)
            .try_fold(HashMap::new(), |mut all, list| async move {
                all.extend(list.into_iter().map(|m| (m.manifest_path.clone(), m)));
                Ok(all)
            })
            .await
    }
}
