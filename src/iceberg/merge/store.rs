//! The storage that a transaction writes through: lists of manifests are shortened, all else passes.
//!
//! The library names a list after its snapshot, `metadata/snap-<snapshot>-<attempt>-<uuid>.avro`, as every engine
//! does. A list of another name passes unchanged.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use iceberg::spec::{FormatVersion, ManifestList, ManifestListWriter};
use iceberg::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::Commit;

/// See the module. It lives as long as one attempt at a commit; another process can't have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListStore {
    #[serde(skip)]
    commit: Option<Arc<Commit>>,
}

impl ListStore {
    pub(super) fn before(commit: Commit) -> Self {
        Self {
            commit: Some(Arc::new(commit)),
        }
    }

    fn commit(&self) -> Result<&Arc<Commit>> {
        self.commit.as_ref().ok_or_else(|| {
            let what = "a commit's storage is of this process only";
            Error::new(ErrorKind::FeatureUnsupported, what)
        })
    }

    fn files(&self) -> Result<&FileIO> {
        Ok(&self.commit()?.files)
    }
}

/// The snapshot that a path names as the one whose list it is.
fn snapshot_of(path: &str) -> Option<i64> {
    let (_, name) = path.rsplit_once("/metadata/")?;
    let (snapshot, _) = name.strip_prefix("snap-")?.split_once('-')?;
    snapshot.parse().ok()
}

/// Takes a whole list, and writes a shorter one.
struct ListWriter {
    commit: Arc<Commit>,
    path: String,
    snapshot: i64,
    list: Vec<u8>,
}

#[async_trait]
impl FileWrite for ListWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.list.extend_from_slice(&bytes);
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let list = std::mem::take(&mut self.list);
        let parsed = ManifestList::parse_with_version(&list, FormatVersion::V2)?;
        let shortened = self.commit.shortened(parsed, self.snapshot).await;
        let mut file = self.commit.files.new_output(&self.path)?.writer().await?;
        let Some(manifests) = shortened else {
            file.write(list.into()).await?;
            return file.close().await;
        };
        let metadata = &self.commit.metadata;
        let mut writer = ManifestListWriter::v2(
            file,
            self.snapshot,
            metadata.current_snapshot_id(),
            metadata.next_sequence_number(),
        );
        writer.add_manifests(manifests.into_iter())?;
        writer.close().await
    }
}

#[typetag::serde(name = "ManifestListStoreFactory")]
impl StorageFactory for ListStore {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "ManifestListStore")]
impl Storage for ListStore {
    async fn exists(&self, path: &str) -> Result<bool> {
        self.files()?.exists(path).await
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        self.files()?.new_input(path)?.metadata().await
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        self.files()?.new_input(path)?.read().await
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        self.files()?.new_input(path)?.reader().await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let mut writer = self.writer(path).await?;
        writer.write(bytes).await?;
        writer.close().await
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        match snapshot_of(path) {
            None => self.files()?.new_output(path)?.writer().await,
            Some(snapshot) => Ok(Box::new(ListWriter {
                commit: Arc::clone(self.commit()?),
                path: path.to_owned(),
                snapshot,
                list: Vec::new(),
            })),
        }
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.files()?.delete(path).await
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        self.files()?.delete_prefix(path).await
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        self.files()?.new_input(path)
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        match snapshot_of(path) {
            None => self.files()?.new_output(path),
            Some(_) => Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned())),
        }
    }
}
