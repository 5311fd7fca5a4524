//! Merging manifests along the way, as the default append of Iceberg's Java library does.
//!
//! The library's append puts its files into one manifest of their own and writes a list that names that
//! manifest and all that were there before. After ten thousand checkpoints each further one would read and
//! write a list of ten thousand, and so would every reader. It can't merge, and its actions are closed to us.
//! So the list is caught on its way to the storage, before anybody knows of it:
//!
//! ```text
//!   Transaction ── new manifest ──────────────────────────────────────▶ storage
//!        │                                                                ▲ ▲
//!        └─ list of all manifests ─▶ ListStore ─▶ plan ─▶ merge ─ merged ─┘ │
//!                                       └──────── the shorter list ─────────┘
//! ```
//!
//! What holds of a merged manifest:
//!
//! * every entry keeps the snapshot that added its file, and both its sequence numbers, and is an existing one:
//!   whoever reads what a snapshot added still finds it in that snapshot's own manifest, or by the entry;
//! * only data files of one partition spec are in it; manifests of delete files are left to those who write them;
//! * entries of deleted files are left out: they tell what an earlier snapshot did, and stay in its manifest;
//! * this commit's own manifest is never merged, so nothing that the library has written becomes rubbish.
//!
//! A merge is no part of the commit's meaning. What can't be merged (a manifest that can't be read) stays in the
//! list as it was; an attempt that does not land leaves a file that nothing names, as the library's own do.
//! The manifests that were merged belong to older snapshots still; when those expire, [`super::retention`]
//! deletes them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::{FileIO, FileIOBuilder};
use iceberg::spec::{
    FormatVersion, Manifest, ManifestFile, ManifestList, ManifestWriterBuilder, PartitionSpecRef,
    StructType, TableMetadataRef,
};
use iceberg::table::Table;
use iceberg::{Error, ErrorKind, Result, Runtime};
use uuid::Uuid;

use self::plan::Rule;
use self::store::ListStore;
use super::failure;

mod plan;
mod store;
#[cfg(test)]
mod tests;

/// Manifests read at a time.
const READS: usize = 8;

/// What a committer remembers of its merges.
#[derive(Clone, Debug, Default)]
pub(super) struct Merges(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// What was merged for a commit that is not proved yet, by the paths of what went into it: its next attempt
    /// need not do it again.
    merged: HashMap<Vec<String>, ManifestFile>,
    /// Manifests whose partition values have another type than the spec gives them today.
    unfit: HashSet<String>,
}

impl Merges {
    /// The table as a transaction shall see it: lists of manifests that are written through it name merged ones.
    pub(super) fn within(&self, table: &Table) -> Result<Table> {
        let metadata = table.metadata();
        let rule = match Rule::of(metadata.properties())? {
            Some(rule) if metadata.format_version() == FormatVersion::V2 => rule,
            _ => return Ok(table.clone()),
        };
        let commit = Commit {
            files: table.file_io().clone(),
            metadata: table.metadata_ref(),
            rule,
            merges: self.clone(),
        };
        let files = FileIOBuilder::new(Arc::new(ListStore::before(commit)))
            .with_props(table.file_io().config().props().clone())
            .build();
        let mut within = Table::builder()
            .identifier(table.identifier().clone())
            .metadata(table.metadata_ref())
            .file_io(files)
            .runtime(Runtime::try_current()?)
            .readonly(table.readonly())
            .disable_cache();
        if let Some(location) = table.metadata_location() {
            within = within.metadata_location(location);
        }
        within.build()
    }

    /// The commit is proved: the next one merges other manifests.
    pub(super) fn proved(&self) {
        self.memory().merged.clear();
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Plain values: a panic elsewhere can't have left them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One commit as a list of its manifests passes by.
#[derive(Debug)]
struct Commit {
    files: FileIO,
    /// The table that the commit builds on.
    metadata: TableMetadataRef,
    rule: Rule,
    merges: Merges,
}

impl Commit {
    /// The manifests that the list shall name instead; none if it is right as it is.
    async fn shortened(&self, list: ManifestList, snapshot: i64) -> Option<Vec<ManifestFile>> {
        let list: Vec<ManifestFile> = list.consume_entries().into_iter().collect();
        let bins = {
            let memory = self.merges.memory();
            let is_fit = |manifest: &ManifestFile| {
                manifest.added_snapshot_id != snapshot
                    && !memory.unfit.contains(&manifest.manifest_path)
            };
            self.rule.bins(&list, is_fit)
        };
        let mut shortened: Vec<Option<ManifestFile>> = list.into_iter().map(Some).collect();
        let mut merged_any = false;
        for bin in bins {
            let parts: Vec<_> = bin.iter().filter_map(|i| shortened[*i].clone()).collect();
            match self.merged(&parts, snapshot).await {
                Ok(merged) => {
                    // It stands where the oldest of them stood.
                    bin.iter().for_each(|index| shortened[*index] = None);
                    shortened[bin[0]] = merged;
                    merged_any = true;
                }
                Err(error) => {
                    let (error, manifests) = (failure::describe(&error), parts.len());
                    tracing::warn!(
                        manifests,
                        error,
                        "manifests can't be merged and stay as they are"
                    );
                }
            }
        }
        merged_any.then(|| shortened.into_iter().flatten().collect())
    }

    /// One manifest in place of several; none if nothing is left in them.
    async fn merged(&self, parts: &[ManifestFile], snapshot: i64) -> Result<Option<ManifestFile>> {
        let paths: Vec<String> = parts.iter().map(|m| m.manifest_path.clone()).collect();
        if let Some(known) = self.merges.memory().merged.get(&paths) {
            return Ok(Some(ManifestFile {
                added_snapshot_id: snapshot,
                ..known.clone()
            }));
        }
        let spec = self.spec(parts[0].partition_spec_id)?;
        let read = parts.iter().cloned().map(|part| {
            let files = self.files.clone();
            async move { part.load_manifest(&files).await }
        });
        let read: Vec<Manifest> = stream::iter(read).buffered(READS).try_collect().await?;
        self.check_fit(&spec, parts, &read)?;
        let path = format!(
            "{}/metadata/{}-m0.avro",
            self.metadata.location(),
            Uuid::new_v4()
        );
        let mut writer = ManifestWriterBuilder::new(
            self.files.new_output(path)?,
            Some(snapshot),
            self.metadata.current_schema().clone(),
            spec.as_ref().clone(),
        )
        .build_v2_data();
        let mut live = 0;
        for entry in read.iter().flat_map(Manifest::entries) {
            if !entry.is_alive() {
                continue;
            }
            let (Some(added_by), Some(sequence)) = (entry.snapshot_id(), entry.sequence_number())
            else {
                return Err(invalid("an entry does not tell which snapshot added it"));
            };
            let file = entry.data_file().clone();
            writer.add_existing_file(file, added_by, sequence, entry.file_sequence_number)?;
            live += 1;
        }
        if live == 0 {
            return Ok(None);
        }
        let merged = writer.write_manifest_file().await?;
        tracing::debug!(
            manifests = parts.len(),
            files = live,
            bytes = merged.manifest_length,
            "manifests merged"
        );
        self.merges.memory().merged.insert(paths, merged.clone());
        Ok(Some(merged))
    }

    fn spec(&self, id: i32) -> Result<PartitionSpecRef> {
        let spec = self.metadata.partition_spec_by_id(id).cloned();
        spec.ok_or_else(|| {
            invalid("a manifest names a partition spec that the table does not have")
        })
    }

    /// A column that was made wider, or dropped, gives partition values another type than they were written
    /// with: such manifests are remembered and left alone.
    fn check_fit(
        &self,
        spec: &PartitionSpecRef,
        parts: &[ManifestFile],
        read: &[Manifest],
    ) -> Result<()> {
        let wanted: Result<StructType> = spec.partition_type(self.metadata.current_schema());
        let wanted = wanted.ok();
        let is_unfit = |manifest: &Manifest| {
            let metadata = manifest.metadata();
            let found = metadata.partition_spec.partition_type(&metadata.schema);
            wanted.is_none() || found.ok() != wanted
        };
        let mut unfit = std::iter::zip(parts, read)
            .filter(|(_, manifest)| is_unfit(manifest))
            .map(|(part, _)| part.manifest_path.clone())
            .peekable();
        if unfit.peek().is_none() {
            return Ok(());
        }
        self.merges.memory().unfit.extend(unfit);
        Err(invalid(
            "partition values have another type than the spec gives them today",
        ))
    }
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::DataInvalid, what)
}
