//! What the tests of this room share.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tempfile::TempDir;
use uuid::Uuid;

use super::{
    Assignment, BackendKind, Backends, MaxParallelism, Owner, Share, SnapshotHead, SnapshotId,
    SnapshotStore, StatePart, StateStore, ValueState,
};
use crate::iceberg::S3Options;
use crate::time::{Epoch, Generation};

/// Both kinds of backend.
pub(super) const BOTH: [BackendKind; 2] = [BackendKind::Rocksdb, BackendKind::Memory];

/// Backends with little memory.
pub(super) fn backends(kind: BackendKind) -> Backends {
    Backends::new(kind, 8 << 20)
}

/// Runs a test on an empty store of each kind, which holds all groups.
pub(super) fn for_both(test: impl Fn(&mut StateStore)) {
    for kind in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let assignment = Assignment::new("op", MaxParallelism::default(), 0, 1);
        test(&mut StateStore::create(assignment, &backends(kind), folder.path()).unwrap());
    }
}

/// A checkpoint directory, and a disk for the homes of stores.
pub(super) struct World {
    pub(super) disk: TempDir,
    pub(super) checkpoints: TempDir,
    pub(super) snapshots: SnapshotStore,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(true)
    }

    pub(super) fn with(incremental: bool) -> Self {
        let checkpoints = tempfile::tempdir().unwrap();
        let location = format!("file://{}", checkpoints.path().display());
        let s3 = S3Options::default();
        let snapshots = SnapshotStore::open(&location, &s3, owner(), incremental).unwrap();
        Self {
            disk: tempfile::tempdir().unwrap(),
            checkpoints,
            snapshots,
        }
    }

    /// The home of a worker of a generation.
    pub(super) fn home(&self, generation: u64, worker: usize) -> PathBuf {
        self.disk.path().join(format!("g{generation}-w{worker}"))
    }

    /// The owner's folder in the checkpoint directory.
    pub(super) fn folder(&self) -> PathBuf {
        self.checkpoints.path().join(owner().folder())
    }

    /// The names of all files there.
    pub(super) fn files(&self) -> BTreeSet<String> {
        let files = super::files::list(&self.folder()).unwrap();
        files.into_iter().map(|(name, _)| name).collect()
    }

    /// An empty store, of a single worker.
    pub(super) fn create(&self, kind: BackendKind) -> StateStore {
        let assignment = Assignment::new("op", MaxParallelism::default(), 0, 1);
        StateStore::create(assignment, &backends(kind), &self.home(0, 0)).unwrap()
    }

    /// Snapshot, upload, manifest.
    pub(super) async fn checkpoint(
        &self,
        store: &mut StateStore,
        generation: u64,
        epoch: u64,
    ) -> (SnapshotId, StatePart) {
        let local = store.snapshot(Epoch(epoch)).unwrap();
        let part = self.snapshots.upload(Generation(generation), &local);
        let part = part.await.unwrap();
        let head = head(store.assignment(), generation, epoch);
        let id = self.snapshots.complete(head, vec![part.clone()]);
        (id.await.unwrap(), part)
    }

    /// The store of a single worker, from a snapshot.
    pub(super) async fn restore(
        &self,
        id: &SnapshotId,
        kind: BackendKind,
        share: Share,
    ) -> crate::Result<StateStore> {
        let assignment = Assignment::new("op", MaxParallelism::default(), 0, 1);
        let (backends, home) = (backends(kind), self.home(id.generation().0 + 1, 0));
        let snapshot = self.snapshots.read(id).await?;
        snapshot.restore(assignment, &backends, &home, share).await
    }
}

pub(super) fn owner() -> Owner {
    Owner {
        pipeline: "ingest".to_owned(),
        table: Uuid::from_u128(0x17),
    }
}

pub(super) fn head(of: &Assignment, generation: u64, epoch: u64) -> SnapshotHead {
    SnapshotHead {
        generation: Generation(generation),
        epoch: Epoch(epoch),
        max_parallelism: of.max_parallelism,
        about: serde_json::json!({ "offset": epoch }),
    }
}

/// What comes of it, without a runtime around the test.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// A state that many tests fill.
pub(super) fn numbers(store: &mut StateStore) -> ValueState<u64, u64> {
    store.value("numbers", None).unwrap()
}

/// Puts as many numbers, from `first` on.
pub(super) fn put(store: &mut StateStore, first: u64, count: u64) {
    let values: Vec<(u64, u64)> = (first..first + count).map(|n| (n, n * n)).collect();
    let state = numbers(store);
    let values = values.iter().map(|(key, value)| (key, value));
    state.put_many(store, values).unwrap();
}

/// Asserts that exactly these numbers are there.
#[track_caller]
pub(super) fn assert_numbers(store: &mut StateStore, expected: std::ops::Range<u64>) {
    let mut found = Vec::new();
    let state = numbers(store);
    let note = |key, value| {
        found.push((key, value));
        Ok(())
    };
    state.for_each(store, note).unwrap();
    found.sort_unstable();
    let expected: Vec<(u64, u64)> = expected.map(|n| (n, n * n)).collect();
    assert!(found == expected, "{} of {}", found.len(), expected.len());
}
