//! Savepoints: copies of a snapshot that need nothing else, and that no collection ever looks at.
//!
//! ```text
//!   <state.checkpoints.dir>/<owner>/                 a savepoint's folder
//!      g3-e17-….manifest.json ──── export ─────────▶    manifest.json
//!      g3-e12-w0-….sst, …                               g3-e12-w0-….sst, …
//!
//!      g4-e17-….manifest.json ◀─── import ──────────    the same, for any owner
//!      g4-e17-w0-….sst, …
//! ```
//!
//! Both copy, and neither links: what happens to one of the two does not touch the other. Every file is checked on the
//! way, and the manifest comes last, so what was interrupted is no savepoint, and no snapshot.
//!
//! A run does not work on a savepoint: its start makes a snapshot of it, which the claim names like any other. From then
//! on the savepoint may be deleted. The copies' names carry the generation that is about to be claimed, so a process of
//! an older one that is still there takes them for too new to be its business (see [`super::garbage`]). If the claim does
//! not land they are garbage of the next generation that does.

use futures::{StreamExt, TryStreamExt, stream};

use super::folder::{Folder, Sharing};
use super::manifest::{SnapshotHead, StateFile};
use super::names::{self, Rank, SnapshotId};
use super::snapshot::{ANOTHER_SAVEPOINT, Snapshot, fetch_file};
use super::snapshots::{FILES_AT_ONCE, SnapshotStore};
use crate::error::{Kind, Result};
use crate::iceberg::S3Options;
use crate::time::{Epoch, Generation};

#[cfg(test)]
mod tests;

impl SnapshotStore {
    /// Copies a snapshot to `location`, a folder that is new.
    ///
    /// The snapshot must be one that is kept until this is through.
    pub async fn export(&self, id: &SnapshotId, location: &str, s3: &S3Options) -> Result<()> {
        let manifest = self.read(id).await?.manifest;
        let folder = Folder::open(location, s3)?;
        let files = manifest.parts.iter().flat_map(|part| &part.files);
        let files = files.map(|file| (file, file.name.as_str())).collect();
        copy_all(&self.folder, files, &folder).await?;
        folder.sync().await?;
        let manifest = manifest.to_text()?;
        folder.put(names::SAVEPOINT_MANIFEST, manifest).await
    }

    /// Makes a snapshot of a savepoint, for the claim of `generation`, which goes on from `epoch`.
    pub async fn import(
        &self,
        savepoint: &Snapshot,
        generation: Generation,
        epoch: Epoch,
    ) -> Result<SnapshotId> {
        let rank = Rank { generation, epoch };
        let mut parts = savepoint.manifest.parts.clone();
        for part in &mut parts {
            part.uploaded_bytes = part.bytes();
            for file in &mut part.files {
                file.name = names::data_file(rank, part.worker, &file.local);
            }
        }
        let there = savepoint.manifest.parts.iter();
        let there = there.flat_map(|part| &part.files);
        let here = parts.iter().flat_map(|part| &part.files);
        let files = there.zip(here);
        let files = files.map(|(file, copy)| (file, copy.name.as_str()));
        let copied = copy_all(&savepoint.folder, files.collect(), &self.folder).await;
        copied.map_err(|error| match error.kind() {
            Kind::Diverged => error.or_advice(ANOTHER_SAVEPOINT),
            _ => error,
        })?;
        self.folder.sync().await?;
        let head = SnapshotHead {
            generation,
            epoch,
            ..savepoint.manifest.head.clone()
        };
        self.complete(head, parts).await
    }
}

/// Copies files of a snapshot to another folder, each under the name beside it.
async fn copy_all(from: &Folder, files: Vec<(&StateFile, &str)>, to: &Folder) -> Result<()> {
    let copies: Vec<_> = files
        .into_iter()
        .map(|(file, name)| copy(from, file, to, name))
        .collect();
    let copies = stream::iter(copies).buffer_unordered(FILES_AT_ONCE);
    copies.try_collect().await
}

/// Copies a file of a snapshot to another folder, under this name.
async fn copy(from: &Folder, file: &StateFile, to: &Folder, name: &str) -> Result<()> {
    if let Some(local) = from.local_path(&file.name) {
        let path = from.path_of(&file.name);
        return match to.put_file(&local, name, Sharing::Copy).await {
            Ok(copied) => file.check(&copied, &path),
            Err(_) if !local.exists() => Err(file.missing(&path)),
            Err(error) => Err(error),
        };
    }
    let scratch = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
    let copy = async {
        fetch_file(from, file, &scratch, Sharing::Copy).await?;
        to.put_file(&scratch, name, Sharing::Copy).await.map(drop)
    };
    let copied = copy.await;
    // It may never have been made.
    let _ = std::fs::remove_file(&scratch);
    copied
}
