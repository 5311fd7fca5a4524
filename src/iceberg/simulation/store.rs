//! The simulated object store: memory, and requests that fail or take their time.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, MemoryStorage, OutputFile,
    Storage, StorageConfig, StorageFactory,
};
use iceberg::spec::ManifestListWriter;
use iceberg::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::world::{Asked, Sim, reset};

/// The store as one process sees it; without a process, nothing fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Store {
    memory: MemoryStorage,
    #[serde(skip)]
    of: Option<(Sim, usize)>,
}

/// Where the list of no files lies.
pub(super) const NOTHING: &str = "memory:/table/metadata/nothing.avro";

/// A store that holds only [`NOTHING`].
pub(super) fn new_memory() -> MemoryStorage {
    static LIST: OnceLock<Bytes> = OnceLock::new();
    let memory = MemoryStorage::new();
    let list = LIST.get_or_init(|| {
        let written = async {
            let writer = memory.writer(NOTHING).await?;
            ManifestListWriter::v2(writer, 0, None, 0).close().await?;
            memory.read(NOTHING).await
        };
        written.now_or_never().expect("memory is at hand").unwrap()
    });
    let written = memory.write(NOTHING, list.clone()).now_or_never();
    written.expect("memory is at hand").unwrap();
    memory
}

/// What happens to one request.
pub(super) enum Fate {
    Done,
    Fails,
    Slow,
}

impl Store {
    /// All of the store, for whoever checks.
    pub(super) fn unfailing(memory: &MemoryStorage) -> FileIO {
        Self::open(memory, None)
    }

    /// The store of a process.
    pub(super) fn of(memory: &MemoryStorage, sim: &Sim, process: usize) -> FileIO {
        Self::open(memory, Some((sim.clone(), process)))
    }

    fn open(memory: &MemoryStorage, of: Option<(Sim, usize)>) -> FileIO {
        let store = Self {
            memory: memory.clone(),
            of,
        };
        FileIOBuilder::new(Arc::new(Factory { store })).build()
    }

    async fn pass(&self) -> Result<()> {
        let Some((sim, process)) = &self.of else {
            return Ok(());
        };
        let asked = {
            let mut world = sim.lock();
            match world.store_fate() {
                Fate::Done => return Ok(()),
                Fate::Fails => return Err(reset()),
                Fate::Slow => world.ask(*process, Asked::File),
            }
        };
        asked.await.unwrap_or_else(|_| Err(reset())).map(|_| ())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Factory {
    store: Store,
}

#[typetag::serde(name = "SimulatedStoreFactory")]
impl StorageFactory for Factory {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.store.clone()))
    }
}

#[async_trait]
#[typetag::serde(name = "SimulatedStore")]
impl Storage for Store {
    async fn exists(&self, path: &str) -> Result<bool> {
        self.pass().await?;
        self.memory.exists(path).await
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        self.pass().await?;
        self.memory.metadata(path).await
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        self.pass().await?;
        self.memory.read(path).await
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        self.pass().await?;
        self.memory.reader(path).await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.pass().await?;
        self.memory.write(path, bytes).await
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        self.pass().await?;
        self.memory.writer(path).await
    }

    async fn delete(&self, path: &str) -> Result<()> {
        self.pass().await?;
        // Every table may begin with it.
        if path == NOTHING {
            return Ok(());
        }
        self.memory.delete(path).await
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        Err(not_file_by_file(path))
    }

    async fn delete_stream(&self, _: BoxStream<'static, String>) -> Result<()> {
        Err(not_file_by_file("several files"))
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

fn not_file_by_file(path: &str) -> Error {
    Error::new(
        ErrorKind::FeatureUnsupported,
        format!("a commit deletes file by file: {path}"),
    )
}
