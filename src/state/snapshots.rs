//! Where snapshots last: uploading them, naming them, finding them again.

use std::collections::{BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::backend::BackendKind;
use super::files;
use super::folder::{Folder, Sharing, blocking};
use super::local::LocalSnapshot;
use super::manifest::{Manifest, SnapshotHead, StateFile, StatePart};
use super::names::{self, FileKind, Owner, Rank, SnapshotId};
use super::snapshot::Snapshot;
use crate::error::{Error, Kind, Result};
use crate::iceberg::S3Options;
use crate::time::Generation;

#[cfg(test)]
mod tests;

/// Files under way at once, for each worker.
pub(super) const FILES_AT_ONCE: usize = 4;

/// The snapshots of one owner in a checkpoint directory.
///
/// The order of things is what makes a snapshot durable before anybody names it: each worker's files and
/// their names, then the manifest, then (by others) the table commit. A snapshot exists if and only if
/// its manifest does.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    pub(super) folder: Folder,
    pub(super) owner: Owner,
    incremental: bool,
}

impl SnapshotStore {
    /// The snapshots of `owner` below `location`: a path, `file:///…`, `s3://…` or `s3a://…`.
    ///
    /// If `incremental`, files that lie there already are named again and not uploaded again.
    pub fn open(location: &str, s3: &S3Options, owner: Owner, incremental: bool) -> Result<Self> {
        let folder = Folder::open(location, s3)?.join(&owner.folder());
        Ok(Self {
            folder,
            owner,
            incremental,
        })
    }

    /// Where they are.
    pub fn location(&self) -> &str {
        self.folder.location()
    }

    /// Uploads one worker's files, each with its checksum. When this returns they and their names are
    /// durable. After a failure it can be asked again: what is there already stays.
    ///
    /// Snapshots of one store are to be uploaded one after the other, in the order in which they were taken.
    pub async fn upload(&self, generation: Generation, local: &LocalSnapshot) -> Result<StatePart> {
        let rank = Rank {
            generation,
            epoch: local.epoch,
        };
        local.written().await?;
        let folder = local.folder.clone();
        let names = blocking(move || files::list(&folder)).await?;
        let known = match self.incremental {
            true => local.uploaded().of(&self.folder).clone(),
            false => Default::default(),
        };
        let (mut shared, mut fresh) = (Vec::new(), Vec::new());
        for (name, bytes) in names {
            match known.get(&name).filter(|known| known.bytes == bytes) {
                Some(known) => shared.push(known.clone()),
                None => fresh.push(name),
            }
        }
        let uploads = fresh
            .into_iter()
            .map(|name| self.upload_file(rank, local, name));
        let uploads = stream::iter(uploads).buffer_unordered(FILES_AT_ONCE);
        let fresh: Vec<StateFile> = uploads.try_collect().await?;
        self.folder.sync().await?;

        let uploaded_bytes = fresh.iter().map(|file| file.bytes).sum();
        let mut files = [shared, fresh].concat();
        files.sort_by(|a, b| a.local.cmp(&b.local));
        let kept = files
            .iter()
            .filter(|file| is_final(local.backend, &file.local));
        local.uploaded().replace(&self.folder, kept);
        Ok(StatePart {
            operator: local.assignment.operator.clone(),
            worker: local.assignment.worker,
            groups: local.assignment.groups,
            backend: local.backend,
            now_ms: local.now_ms,
            uploaded_bytes,
            files,
        })
    }

    async fn upload_file(
        &self,
        rank: Rank,
        local: &LocalSnapshot,
        name: String,
    ) -> Result<StateFile> {
        let is_final = is_final(local.backend, &name);
        let sharing = match is_final {
            true => Sharing::Link,
            false => Sharing::Copy,
        };
        let remote = names::data_file(rank, local.assignment.worker, &name);
        let path = local.folder.join(&name);
        let content = self.folder.put_file(&path, &remote, sharing).await?;
        let file = StateFile {
            local: name,
            name: remote,
            bytes: content.bytes,
            checksum: content.checksum,
        };
        if is_final {
            local.uploaded().add(&self.folder, &file);
        }
        Ok(file)
    }

    /// Makes a snapshot of the parts of all workers: writes its manifest. When this returns the snapshot
    /// is durable, and may be named by a commit.
    ///
    /// Fails if the folder does not have all the files: with hosts that each have a folder of their own under the same
    /// name, a start would find out too late.
    pub async fn complete(&self, head: SnapshotHead, parts: Vec<StatePart>) -> Result<SnapshotId> {
        let id = SnapshotId::new(Rank {
            generation: head.generation,
            epoch: head.epoch,
        });
        let manifest = Manifest::new(&self.owner, head, parts)?;
        self.check_shared(&manifest).await?;
        self.folder.put(&id.manifest(), manifest.to_text()?).await?;
        Ok(id)
    }

    /// An object store is the same from everywhere.
    async fn check_shared(&self, manifest: &Manifest) -> Result<()> {
        if !self.folder.is_local() {
            return Ok(());
        }
        let there: HashSet<String> = self.folder.names().await?.into_iter().collect();
        let parts = manifest.parts.iter();
        let lacking = parts.filter(|part| part.files.iter().any(|f| !there.contains(&f.name)));
        let workers: BTreeSet<usize> = lacking.map(|part| part.worker).collect();
        if workers.is_empty() {
            return Ok(());
        }
        let workers: Vec<String> = workers.iter().map(usize::to_string).collect();
        Err(Error::config(format!(
            "{} does not have what worker {} has written to it: it is not the same folder for all processes of the run",
            self.location(),
            workers.join(", ")
        ))
        .advice(
            "nothing is lost, the checkpoint before this one stands; set state.checkpoints.dir to a folder that all hosts \
             share, or to s3://…",
        ))
    }

    /// All snapshots that are there, the oldest first.
    pub async fn list(&self) -> Result<Vec<SnapshotId>> {
        list(&self.folder).await
    }

    /// Reads a snapshot's manifest.
    pub async fn read(&self, id: &SnapshotId) -> Result<Snapshot> {
        match self.manifest(id).await {
            Ok(manifest) => Ok(Snapshot {
                folder: self.folder.clone(),
                id: Some(id.clone()),
                manifest,
            }),
            Err(error) if error.kind() == Kind::Diverged => {
                Err(error.or_advice(instead_of(&self.folder, Some(id)).await))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn manifest(&self, id: &SnapshotId) -> Result<Manifest> {
        let (name, folder) = (id.manifest(), &self.folder);
        let path = folder.path_of(&name);
        let Some(text) = folder.get(&name).await? else {
            return Err(Error::diverged(format!(
                "there is no state snapshot {id}: {path} is missing"
            )));
        };
        let manifest = Manifest::parse(&text, &path)?;
        let found = (
            manifest.table,
            manifest.head.generation,
            manifest.head.epoch,
        );
        if found != (self.owner.table, id.generation(), id.epoch()) {
            return Err(Error::diverged(format!(
                "the state manifest {path} is that of generation {}, epoch {} of table {}",
                manifest.head.generation, manifest.head.epoch, manifest.table
            )));
        }
        Ok(manifest)
    }
}

/// The snapshots in a folder, the oldest first.
async fn list(folder: &Folder) -> Result<Vec<SnapshotId>> {
    let mut ids = Vec::new();
    for name in folder.names().await? {
        if let FileKind::Manifest(id) = FileKind::of(&name) {
            ids.push(id);
        }
    }
    ids.sort_by_key(SnapshotId::rank);
    Ok(ids)
}

/// What can be done if a snapshot is not what it should be.
pub(super) async fn instead_of(folder: &Folder, id: Option<&SnapshotId>) -> String {
    let others = list(folder).await.unwrap_or_default();
    let others = others.iter().filter(|other| Some(*other) != id);
    let others: Vec<String> = others.map(SnapshotId::to_string).collect();
    match &others[..] {
        [] => "nothing was changed; there is no other snapshot beside it: restore the file from a backup, \
               or start from a savepoint"
            .to_owned(),
        others => format!(
            "nothing was changed; restore the file from a backup, start from a savepoint, or roll the table back to the \
             commit that names an older snapshot and start from that: {}",
            others.join(", ")
        ),
    }
}

/// True for files that are written once, under a name that no other file of the store ever has.
pub(super) fn is_final(backend: BackendKind, local: &str) -> bool {
    backend == BackendKind::Rocksdb && local.ends_with(".sst")
}
