//! Where files lie, chosen by the scheme of each path.
//!
//! A REST catalog may hand out table locations on any scheme, whatever the warehouse setting
//! says, so the choice is made per path and not once at the start.
//!
//! | path | storage |
//! |---|---|
//! | `file:///…`, `file:/…`, `/…` | the local file system |
//! | `s3://…`, `s3a://…`, `s3n://…` | S3, through OpenDAL (retries and timeouts included) |
//! | anything else | refused |
//!
//! Local files are synced to the disk before their names are handed on, the table metadata
//! included: the catalog's own database syncs its commit, and it must never point to a file that a
//! power failure can empty.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, LocalFsStorage, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use iceberg_storage_opendal::OpenDalStorageFactory;
use serde::{Deserialize, Serialize};

/// Makes the storage of a catalog's tables.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct WarehouseStorageFactory;

#[typetag::serde]
impl StorageFactory for WarehouseStorageFactory {
    fn build(&self, config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(WarehouseStorage {
            props: config.props().clone(),
            local: LocalFsStorage::new(),
            s3: Arc::default(),
        }))
    }
}

/// Local files and S3 objects behind one interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WarehouseStorage {
    /// S3's settings; they hold secrets, so they never leave the process.
    #[serde(skip)]
    props: HashMap<String, String>,
    local: LocalFsStorage,
    /// Made when the first S3 path is met: a local warehouse needs no S3 settings.
    #[serde(skip)]
    s3: Arc<OnceLock<Arc<dyn Storage>>>,
}

impl WarehouseStorage {
    fn storage_of(&self, path: &str) -> Result<&dyn Storage> {
        match scheme(path) {
            "" | "file" => Ok(&self.local),
            "s3" | "s3a" | "s3n" => {
                if let Some(s3) = self.s3.get() {
                    return Ok(s3.as_ref());
                }
                let factory = OpenDalStorageFactory::S3 {
                    customized_credential_load: None,
                };
                let config = StorageConfig::new().with_props(self.props.clone());
                let built = factory.build(&config)?;
                Ok(self.s3.get_or_init(|| built).as_ref())
            }
            other => Err(Error::new(
                ErrorKind::FeatureUnsupported,
                format!(
                    "{other}:// storage is not supported ({path}): use file://, s3:// or s3a://"
                ),
            )),
        }
    }
}

/// `s3` of `s3://bucket/key`, `file` of `file:/path`, nothing of a plain path.
pub(super) fn scheme(path: &str) -> &str {
    match path.split_once(':') {
        Some((scheme, _)) if !scheme.contains('/') => scheme,
        _ => "",
    }
}

/// The path of a location on the local file system, without a slash at its end; `None` for all others, and for a path
/// that is not absolute.
pub(crate) fn local_path(location: &str) -> Option<PathBuf> {
    let path = location.strip_prefix("file:").unwrap_or(location);
    path.starts_with('/')
        .then(|| PathBuf::from(format!("/{}", path.trim_matches('/'))))
}

#[async_trait]
#[typetag::serde]
impl Storage for WarehouseStorage {
    async fn exists(&self, path: &str) -> Result<bool> {
        self.storage_of(path)?.exists(path).await
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        self.storage_of(path)?.metadata(path).await
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        self.storage_of(path)?.read(path).await
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        self.storage_of(path)?.reader(path).await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        match scheme(path) {
            "" | "file" => {
                // The local storage syncs what goes through a writer, and only that.
                let mut writer = self.local.writer(path).await?;
                writer.write(bytes).await?;
                writer.close().await
            }
            _ => self.storage_of(path)?.write(path, bytes).await,
        }
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        self.storage_of(path)?.writer(path).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.storage_of(path)?.delete(path).await
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        self.storage_of(path)?.delete_prefix(path).await
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        self.storage_of(path)?;
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        self.storage_of(path)?;
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

#[cfg(test)]
mod tests;
