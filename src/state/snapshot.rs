//! A snapshot that was found: what it holds, and the stores that are made of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};

use super::backends::Backends;
use super::files;
use super::folder::{Folder, Sharing, blocking};
use super::local::Uploaded;
use super::manifest::{Manifest, SnapshotHead, StateFile, StatePart};
use super::names::{self, SnapshotId};
use super::snapshots::{FILES_AT_ONCE, instead_of, is_final};
use super::store::{self, Assignment, StateStore};
use crate::error::{Error, Kind, Result};
use crate::iceberg::S3Options;

#[cfg(test)]
mod tests;

/// What can be done if a savepoint is not what it should be.
pub(super) const ANOTHER_SAVEPOINT: &str = "nothing was started; restore the file from a copy of the savepoint, or name \
                                            another one";

/// A snapshot, or the state of a savepoint.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) folder: Folder,
    /// Its name; `None` for a savepoint.
    pub(super) id: Option<SnapshotId>,
    pub(super) manifest: Manifest,
}

/// Whether the snapshots of a restored store may name files of the one it was restored from.
///
/// | restored from | a process of an older generation, should it still live, |
/// |---|---|
/// | the snapshot that the table's newest marker names | keeps it: [`Share::Newest`] |
/// | a savepoint, made a snapshot for the next marker | does not know it: [`Share::Newest`] |
/// | an older one | may be deleting it: [`Share::Nothing`] |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// It is the newest one: its files are named again.
    Newest,
    /// The first snapshot is uploaded whole.
    Nothing,
}

impl Snapshot {
    /// Opens what [`super::SnapshotStore::export`] has written to this location.
    pub async fn open_savepoint(location: &str, s3: &S3Options) -> Result<Self> {
        let folder = Folder::open(location, s3)?;
        let path = folder.path_of(names::SAVEPOINT_MANIFEST);
        let text = folder.get(names::SAVEPOINT_MANIFEST).await?;
        let text = text
            .ok_or_else(|| Error::diverged(format!("the state of a savepoint is missing: {path}")));
        let manifest = text.and_then(|text| Manifest::parse(&text, &path));
        Ok(Self {
            manifest: manifest.map_err(|error| error.or_advice(ANOTHER_SAVEPOINT))?,
            folder,
            id: None,
        })
    }

    /// What it says of itself.
    pub fn head(&self) -> &SnapshotHead {
        &self.manifest.head
    }

    /// The pipeline that made it.
    pub fn pipeline(&self) -> &str {
        &self.manifest.pipeline
    }

    /// The UUID of the table it belongs to.
    pub fn table(&self) -> uuid::Uuid {
        self.manifest.table
    }

    /// Its name; `None` for a savepoint.
    pub fn id(&self) -> Option<&SnapshotId> {
        self.id.as_ref()
    }

    /// What the workers added to it.
    pub fn parts(&self) -> &[StatePart] {
        &self.manifest.parts
    }

    /// The operators whose state it holds.
    pub fn operators(&self) -> BTreeSet<&str> {
        let operators = self.manifest.parts.iter();
        operators.map(|part| part.operator.as_str()).collect()
    }

    /// Makes the store of one worker, in its home. What lies there is removed first, so a restore that was
    /// interrupted is simply done again. Every file is checked before it is opened.
    ///
    /// | the worker's groups are | how |
    /// |---|---|
    /// | those of one part, which the same kind of backend wrote | its files are opened as they are |
    /// | in several parts, or in a larger one | the entries of its groups are read out of each |
    pub async fn restore(
        &self,
        assignment: Assignment,
        backends: &Backends,
        home: &Path,
        share: Share,
    ) -> Result<StateStore> {
        let restored = self.try_restore(assignment, backends, home, share).await;
        match restored {
            Err(error) if error.kind() == Kind::Diverged => {
                let others = instead_of(&self.folder, self.id.as_ref()).await;
                Err(error.or_advice(others))
            }
            restored => restored,
        }
    }

    async fn try_restore(
        &self,
        assignment: Assignment,
        backends: &Backends,
        home: &Path,
        share: Share,
    ) -> Result<StateStore> {
        let head = self.head();
        if head.max_parallelism != assignment.max_parallelism {
            return Err(store::max_parallelism_changed(
                head.max_parallelism,
                assignment.max_parallelism,
            ));
        }
        let parts = self.parts().iter();
        let parts: Vec<_> = parts
            .filter(|p| p.operator == assignment.operator)
            .collect();
        if parts.is_empty() {
            let operators: Vec<_> = self.operators().into_iter().collect();
            return Err(Error::diverged(format!(
                "the state snapshot has nothing of operator {}; it holds {}",
                assignment.operator,
                operators.join(", ")
            )));
        }
        let home = home.to_owned();
        let as_it_is = parts.iter().find(|part| {
            let whole = part.groups == assignment.groups && !part.groups.is_empty();
            whole && part.backend == backends.kind()
        });
        match as_it_is {
            Some(part) => {
                self.open_part(part, assignment, backends, home, share)
                    .await
            }
            None => self.join_parts(&parts, assignment, backends, home).await,
        }
    }

    async fn open_part(
        &self,
        part: &StatePart,
        assignment: Assignment,
        backends: &Backends,
        home: PathBuf,
        share: Share,
    ) -> Result<StateStore> {
        let to = home.clone();
        blocking(move || files::remove_folder(&to)).await?;
        self.fetch(part, &store::database(&home)).await?;
        let mut uploaded = Uploaded::default();
        if share == Share::Newest && self.id.is_some() {
            let files = part.files.iter();
            let shared = files.filter(|file| is_final(part.backend, &file.local));
            uploaded.replace(&self.folder, shared);
        }
        let (backends, now_ms) = (backends.clone(), part.now_ms);
        blocking(move || StateStore::open(assignment, &backends, &home, now_ms, uploaded)).await
    }

    async fn join_parts(
        &self,
        parts: &[&StatePart],
        assignment: Assignment,
        backends: &Backends,
        home: PathBuf,
    ) -> Result<StateStore> {
        let (for_store, to, groups) = (backends.clone(), home.clone(), assignment.groups);
        let create = move || StateStore::create(assignment, &for_store, &to);
        let mut store = blocking(create).await?;
        let mine = parts
            .iter()
            .filter(|part| !part.groups.intersection(groups).is_empty());
        let now_ms = mine.clone().map(|part| part.now_ms).min();
        for (number, part) in mine.enumerate() {
            let folder = home.join(format!("part-{number}"));
            self.fetch(part, &folder).await?;
            let (backends, kind, dead_ms) = (backends.clone(), part.backend, part.now_ms);
            store = blocking(move || {
                store.take_over(&*backends.read(kind, &folder)?, dead_ms)?;
                files::remove_folder(&folder)?;
                Ok(store)
            })
            .await?;
        }
        // The earliest of their times: by it, nothing is dead that lives in one of them, and what is dead
        // in one was left out.
        store.advance_to(now_ms.unwrap_or(0));
        Ok(store)
    }

    /// Brings the files of a part into a new folder, each checked.
    async fn fetch(&self, part: &StatePart, folder: &Path) -> Result<()> {
        let to = folder.to_owned();
        blocking(move || files::create_folder(&to)).await?;
        let fetches = part.files.iter().map(|file| async move {
            let sharing = match is_final(part.backend, &file.local) {
                true => Sharing::Link,
                false => Sharing::Copy,
            };
            let to = folder.join(&file.local);
            fetch_file(&self.folder, file, &to, sharing).await
        });
        let fetches = stream::iter(fetches).buffer_unordered(FILES_AT_ONCE);
        fetches.try_collect::<()>().await
    }
}

/// Brings one file of a snapshot to the local disk, checked.
pub(super) async fn fetch_file(
    from: &Folder,
    file: &StateFile,
    to: &Path,
    sharing: Sharing,
) -> Result<()> {
    let path = from.path_of(&file.name);
    match from.fetch(&file.name, to, sharing).await? {
        Some(found) => file.check(&found, &path),
        None => Err(file.missing(&path)),
    }
}
