//! Savepoints: copies of a snapshot that need nothing else, and that no collection ever looks at.

use futures::{StreamExt, TryStreamExt, stream};

use super::folder::{Folder, Sharing};
use super::manifest::StateFile;
use super::names::{self, SnapshotId};
use super::snapshots::{FILES_AT_ONCE, SnapshotStore};
use crate::error::{Error, Result};
use crate::iceberg::S3Options;

#[cfg(test)]
mod tests;

impl SnapshotStore {
    /// Copies a snapshot to a folder of its own below `location`, and returns where that is. Every file
    /// is checked on the way; the manifest comes last, so a copy that was interrupted is no savepoint.
    ///
    /// The snapshot must be one that is kept until this is through.
    pub async fn export(&self, id: &SnapshotId, location: &str, s3: &S3Options) -> Result<String> {
        let manifest = self.read(id).await?.manifest;
        let folder = Folder::open(location, s3)?.join(&self.owner.savepoint(id));
        let files = manifest.parts.iter().flat_map(|part| &part.files);
        let copies = files.map(|file| self.copy(file, &folder));
        let copies = stream::iter(copies).buffer_unordered(FILES_AT_ONCE);
        copies.try_collect::<()>().await?;
        folder.sync().await?;
        folder
            .put(names::SAVEPOINT_MANIFEST, manifest.to_text()?)
            .await?;
        Ok(folder.location().to_owned())
    }

    async fn copy(&self, file: &StateFile, to: &Folder) -> Result<()> {
        let path = self.folder.path_of(&file.name);
        if let Some(local) = self.folder.local_path(&file.name) {
            let copied = to.put_file(&local, &file.name, Sharing::Copy).await?;
            return file.check(&copied, &path);
        }
        let scratch = std::env::temp_dir().join(uuid::Uuid::new_v4().to_string());
        let copy = async {
            let fetched = self
                .folder
                .fetch(&file.name, &scratch, Sharing::Copy)
                .await?;
            let fetched = fetched
                .ok_or_else(|| Error::diverged(format!("the state file {path} is missing")))?;
            file.check(&fetched, &path)?;
            to.put_file(&scratch, &file.name, Sharing::Copy).await?;
            Ok(())
        };
        let copied = copy.await;
        // It may never have been made.
        let _ = std::fs::remove_file(&scratch);
        copied
    }
}
