use std::fs;
use std::path::Path;

use uuid::Uuid;

use super::super::testing::*;
use super::super::{
    Assignment, BackendKind, MaxParallelism, Owner, Share, Snapshot, StatePart, StateStore,
};
use super::*;

/// A disk on which a savepoint is.
struct Elsewhere(tempfile::TempDir);

impl Elsewhere {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn location(&self) -> String {
        format!("{}/savepoint/state", self.0.path().display())
    }

    async fn export(&self, world: &World, id: &SnapshotId) -> Result<()> {
        let s3 = S3Options::default();
        world.snapshots.export(id, &self.location(), &s3).await
    }

    async fn open(&self) -> Result<Snapshot> {
        Snapshot::open_savepoint(&self.location(), &S3Options::default()).await
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.location())
    }
}

/// A store with 500 numbers, and its snapshot.
async fn checkpointed(world: &World) -> (StateStore, SnapshotId, StatePart) {
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 500);
    let (id, part) = world.checkpoint(&mut store, 1, 1).await;
    (store, id, part)
}

fn flip(path: impl AsRef<Path>) {
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 0x80;
    fs::write(&path, bytes).unwrap();
}

#[tokio::test]
async fn a_savepoint_needs_nothing_else_and_what_is_made_of_it_does_not_need_the_savepoint() {
    let (world, elsewhere) = (World::new(), Elsewhere::new());
    let (mut store, ..) = checkpointed(&world).await;
    put(&mut store, 500, 500);
    let (id, _) = world.checkpoint(&mut store, 1, 2).await;
    elsewhere.export(&world, &id).await.unwrap();
    fs::remove_dir_all(world.folder()).unwrap();
    let savepoint = elsewhere.open().await.unwrap();
    assert_eq!(savepoint.head(), &head(store.assignment(), 1, 2));
    assert_eq!(savepoint.id(), None);
    drop(store);

    // Another table's pipeline, with another number of workers.
    let owner = Owner {
        table: Uuid::from_u128(0x18),
        ..owner()
    };
    let location = world.checkpoints.path().to_str().unwrap();
    let s3 = S3Options::default();
    let snapshots = SnapshotStore::open(location, &s3, owner, true).unwrap();
    let import = snapshots.import(&savepoint, Generation(1), Epoch(0));
    let id = import.await.unwrap();
    assert_eq!((id.generation(), id.epoch()), (Generation(1), Epoch(0)));
    fs::remove_dir_all(elsewhere.0.path()).unwrap();
    let snapshot = snapshots.read(&id).await.unwrap();
    assert_eq!(snapshot.head().about, savepoint.head().about);
    let mut found = 0;
    for worker in 0..3 {
        let assignment = Assignment::new("op", MaxParallelism::default(), worker, 3);
        let (backends, home) = (backends(BackendKind::Rocksdb), world.home(9, worker));
        let restored = snapshot.restore(assignment, &backends, &home, Share::Newest);
        let mut store = restored.await.unwrap();
        let state = numbers(&mut store);
        let count = |_, _| {
            found += 1;
            Ok(())
        };
        state.for_each(&mut store, count).unwrap();
    }
    assert_eq!(found, 1_000);
}

#[tokio::test]
async fn snapshots_of_a_restored_savepoint_share_its_imported_files_and_no_zombie_deletes_them() {
    let (world, elsewhere) = (World::new(), Elsewhere::new());
    let (mut store, first, _) = checkpointed(&world).await;
    elsewhere.export(&world, &first).await.unwrap();
    put(&mut store, 500, 50_000);
    let (second, _) = world.checkpoint(&mut store, 1, 2).await;
    let savepoint = elsewhere.open().await.unwrap();
    let import = world.snapshots.import(&savepoint, Generation(2), Epoch(1));
    let imported = import.await.unwrap();
    // The process of generation 1 still tidies up.
    world.snapshots.collect_garbage(&[second]).await.unwrap();
    drop(store);
    let restored = world.restore(&imported, BackendKind::Rocksdb, Share::Newest);
    let mut store = restored.await.unwrap();
    assert_numbers(&mut store, 0..500);
    let (third, part) = world.checkpoint(&mut store, 2, 3).await;
    assert!(part.uploaded_bytes < part.bytes(), "{part:?}");
    let keep = [third.clone()];
    world.snapshots.collect_garbage(&keep).await.unwrap();
    let read = world.snapshots.read(&imported).await;
    read.expect_err("what nobody names any more is deleted");
    drop(store);
    let restored = world.restore(&third, BackendKind::Rocksdb, Share::Newest);
    assert_numbers(&mut restored.await.unwrap(), 0..500);
}

#[tokio::test]
async fn a_savepoint_in_the_checkpoint_directory_is_no_garbage() {
    let (world, s3) = (World::new(), S3Options::default());
    let (mut store, first, _) = checkpointed(&world).await;
    let mut savepoints = Vec::new();
    for folder in [world.checkpoints.path(), &world.folder()] {
        let location = folder.join("savepoint/state").display().to_string();
        let export = world.snapshots.export(&first, &location, &s3);
        export.await.unwrap();
        savepoints.push(location);
    }
    put(&mut store, 500, 50_000);
    let (second, _) = world.checkpoint(&mut store, 1, 2).await;
    world.snapshots.collect_garbage(&[second]).await.unwrap();
    world.snapshots.read(&first).await.unwrap_err();
    drop(store);
    for savepoint in savepoints {
        let savepoint = Snapshot::open_savepoint(&savepoint, &s3).await.unwrap();
        let import = world.snapshots.import(&savepoint, Generation(2), Epoch(2));
        let id = import.await.unwrap();
        let restored = world.restore(&id, BackendKind::Rocksdb, Share::Newest);
        assert_numbers(&mut restored.await.unwrap(), 0..500);
    }
}

#[tokio::test]
async fn damage_is_noticed_before_a_snapshot_is_made_of_it() {
    let (world, elsewhere) = (World::new(), Elsewhere::new());
    let (_store, id, part) = checkpointed(&world).await;
    let before = world.files();
    let sst = part.files.iter().find(|f| f.local.ends_with(".sst"));
    let sst = elsewhere.path(&sst.unwrap().name);
    elsewhere.export(&world, &id).await.unwrap();
    let import = async || {
        let savepoint = elsewhere.open().await?;
        let import = world.snapshots.import(&savepoint, Generation(2), Epoch(1));
        import.await
    };
    let refused = async |texts: &[&str]| {
        let error = import().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Diverged);
        let error = error.to_string();
        assert!(texts.iter().all(|text| error.contains(text)), "{error}");
    };

    let whole = fs::read(&sst).unwrap();
    flip(&sst);
    refused(&["damaged", &sst, "name another one"]).await;
    fs::remove_file(&sst).unwrap();
    refused(&["is missing", &sst, "name another one"]).await;
    fs::write(&sst, whole).unwrap();
    let manifest = elsewhere.path(names::SAVEPOINT_MANIFEST);
    let whole = fs::read(&manifest).unwrap();
    flip(&manifest);
    refused(&[&manifest, "name another one"]).await;
    fs::remove_file(&manifest).unwrap();
    refused(&["is missing", &manifest, "name another one"]).await;
    fs::write(&manifest, whole).unwrap();
    assert_eq!(world.snapshots.list().await.unwrap(), [id]);

    import().await.unwrap();
    assert!(world.files().is_superset(&before));
    assert_eq!(world.snapshots.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_damaged_is_not_exported() {
    let (world, elsewhere) = (World::new(), Elsewhere::new());
    let (_store, id, part) = checkpointed(&world).await;
    let sst = part.files.iter().find(|f| f.local.ends_with(".sst"));
    let sst = world.folder().join(&sst.unwrap().name);
    // The store's own file is the same one under another name.
    let bytes = fs::read(&sst).unwrap();
    fs::remove_file(&sst).unwrap();
    let missing = elsewhere.export(&world, &id).await.unwrap_err().to_string();
    assert!(missing.contains("is missing"), "{missing}");
    fs::write(&sst, &bytes[1..]).unwrap();
    let again = Elsewhere::new();
    let damaged = again.export(&world, &id).await.unwrap_err().to_string();
    let name = sst.file_name().unwrap().to_str().unwrap();
    assert!(damaged.contains(name), "{damaged}");
    for half in [elsewhere, again] {
        half.open().await.expect_err("half a savepoint is none");
    }
}
