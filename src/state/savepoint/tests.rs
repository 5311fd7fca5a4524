use std::fs;

use super::super::testing::*;
use super::super::{Assignment, BackendKind, MaxParallelism, Share, Snapshot, StateStore};
use super::*;

async fn restore(savepoint: &Snapshot, world: &World) -> crate::Result<StateStore> {
    let assignment = Assignment::new("op", MaxParallelism::default(), 0, 1);
    let (backends, home) = (backends(BackendKind::Rocksdb), world.home(9, 0));
    savepoint
        .restore(assignment, &backends, &home, Share::Newest)
        .await
}

#[tokio::test]
async fn a_savepoint_needs_nothing_else() {
    let (world, s3) = (World::new(), S3Options::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let location = elsewhere.path().to_str().unwrap();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 500);
    world.checkpoint(&mut store, 1, 1).await;
    put(&mut store, 500, 500);
    let (id, _) = world.checkpoint(&mut store, 1, 2).await;
    let savepoint = world.snapshots.export(&id, location, &s3).await.unwrap();
    let again = world.snapshots.export(&id, location, &s3).await.unwrap();
    assert_ne!(savepoint, again, "no export overwrites another");
    fs::remove_dir_all(world.folder()).unwrap();

    let savepoint = Snapshot::open_savepoint(&savepoint, &s3).await.unwrap();
    assert_eq!(savepoint.head(), &head(store.assignment(), 1, 2));
    assert_eq!(savepoint.id(), None);
    drop(store);
    let mut store = restore(&savepoint, &world).await.unwrap();
    assert_numbers(&mut store, 0..1_000);
    // Snapshots of it share nothing with a folder that somebody may delete at any time.
    let (id, part) = world.checkpoint(&mut store, 2, 3).await;
    assert_eq!(part.uploaded_bytes, part.bytes());
    fs::remove_dir_all(elsewhere.path()).unwrap();
    drop(store);
    let mut store = world
        .restore(&id, BackendKind::Rocksdb, Share::Newest)
        .await
        .unwrap();
    assert_numbers(&mut store, 0..1_000);
}

#[tokio::test]
async fn a_savepoint_in_the_checkpoint_directory_is_no_garbage() {
    let (world, s3) = (World::new(), S3Options::default());
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 500);
    let (first, _) = world.checkpoint(&mut store, 1, 1).await;
    let mut savepoints = Vec::new();
    for location in [world.checkpoints.path().to_owned(), world.folder()] {
        let location = location.to_str().unwrap();
        savepoints.push(world.snapshots.export(&first, location, &s3).await.unwrap());
    }
    put(&mut store, 500, 50_000);
    let (second, _) = world.checkpoint(&mut store, 1, 2).await;
    world.snapshots.collect_garbage(&[second]).await.unwrap();
    world.snapshots.read(&first).await.unwrap_err();
    drop(store);
    for savepoint in savepoints {
        let savepoint = Snapshot::open_savepoint(&savepoint, &s3).await.unwrap();
        assert_numbers(&mut restore(&savepoint, &world).await.unwrap(), 0..500);
    }
}

#[tokio::test]
async fn half_a_savepoint_is_none_and_damage_is_noticed() {
    let (world, s3) = (World::new(), S3Options::default());
    let elsewhere = tempfile::tempdir().unwrap();
    let location = elsewhere.path().to_str().unwrap();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 500);
    let (id, part) = world.checkpoint(&mut store, 1, 1).await;
    let savepoint = world.snapshots.export(&id, location, &s3).await.unwrap();
    let sst = part
        .files
        .iter()
        .find(|f| f.local.ends_with(".sst"))
        .unwrap();

    let copy = format!("{savepoint}/{}", sst.name);
    let mut bytes = fs::read(&copy).unwrap();
    bytes[20] ^= 0x80;
    fs::write(&copy, bytes).unwrap();
    let opened = Snapshot::open_savepoint(&savepoint, &s3).await.unwrap();
    let error = restore(&opened, &world).await.unwrap_err().to_string();
    assert!(error.contains(&copy), "{error}");

    // What is damaged is not exported either; what is left of the attempt is no savepoint.
    let original = world.folder().join(&sst.name);
    let bytes = fs::read(&original).unwrap();
    fs::remove_file(&original).unwrap();
    fs::write(&original, &bytes[1..]).unwrap();
    let other = elsewhere.path().join("other");
    let error = world
        .snapshots
        .export(&id, other.to_str().unwrap(), &s3)
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&sst.name), "{error}");
    let half = fs::read_dir(other).unwrap().next().unwrap().unwrap().path();
    let error = Snapshot::open_savepoint(half.to_str().unwrap(), &s3)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is no savepoint"), "{error}");
}
