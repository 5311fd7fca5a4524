use std::fs;

use super::super::testing::*;
use super::super::{BackendKind, Share};
use super::*;
use crate::time::Epoch;

fn ssts(part: &StatePart) -> Vec<&StateFile> {
    part.files
        .iter()
        .filter(|f| f.local.ends_with(".sst"))
        .collect()
}

#[tokio::test]
async fn only_new_files_are_uploaded() {
    let world = World::new();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 5_000);
    let (_, first) = world.checkpoint(&mut store, 1, 1).await;
    put(&mut store, 5_000, 10);
    let before = world.files();
    let (id, second) = world.checkpoint(&mut store, 1, 2).await;

    let (old, new) = (ssts(&first), ssts(&second));
    assert!(
        old.iter().all(|file| new.contains(file)),
        "all that was there is shared"
    );
    assert_eq!(new.len(), old.len() + 1);
    let names: Vec<_> = world.files().difference(&before).cloned().collect();
    let sst = names.iter().filter(|name| name.ends_with(".sst"));
    assert_eq!(sst.count(), 1, "{names:?}");
    assert!(second.uploaded_bytes < first.uploaded_bytes / 2);
    assert!(second.bytes() > first.bytes());

    // Nothing new at all: no SST.
    let (_, third) = world.checkpoint(&mut store, 1, 3).await;
    assert_eq!(ssts(&third), ssts(&second));

    // Through a restart.
    drop(store);
    let mut store = world
        .restore(&id, BackendKind::Rocksdb, Share::Newest)
        .await
        .unwrap();
    let (_, fourth) = world.checkpoint(&mut store, 2, 4).await;
    assert_eq!(ssts(&fourth), ssts(&second));
    put(&mut store, 5_010, 10);
    let (id, fifth) = world.checkpoint(&mut store, 2, 5).await;
    assert_eq!(ssts(&fifth).len(), ssts(&second).len() + 1);

    // But not from a snapshot that somebody may be deleting.
    drop(store);
    let mut store = world
        .restore(&id, BackendKind::Rocksdb, Share::Nothing)
        .await
        .unwrap();
    let (id, sixth) = world.checkpoint(&mut store, 3, 6).await;
    assert_eq!(sixth.uploaded_bytes, sixth.bytes());
    let shared = ssts(&sixth)
        .into_iter()
        .any(|file| ssts(&fifth).contains(&file));
    assert!(!shared);
    drop(store);
    let mut store = world
        .restore(&id, BackendKind::Rocksdb, Share::Newest)
        .await
        .unwrap();
    assert_numbers(&mut store, 0..5_020);
}

#[tokio::test]
async fn without_incremental_every_snapshot_stands_for_itself() {
    let world = World::with(false);
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 100);
    let (_, first) = world.checkpoint(&mut store, 1, 1).await;
    let (_, second) = world.checkpoint(&mut store, 1, 2).await;
    assert_eq!(second.uploaded_bytes, second.bytes());
    let names = |part: &StatePart| {
        part.files
            .iter()
            .map(|f| f.name.clone())
            .collect::<Vec<_>>()
    };
    assert!(
        !names(&first)
            .iter()
            .any(|name| names(&second).contains(name))
    );
}

#[tokio::test]
async fn files_in_another_directory_are_not_taken_for_uploaded() {
    let (world, other) = (World::new(), World::new());
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 100);
    world.checkpoint(&mut store, 1, 1).await;
    let (_, part) = other.checkpoint(&mut store, 1, 2).await;
    assert_eq!(part.uploaded_bytes, part.bytes());
    assert!(
        part.files
            .iter()
            .all(|file| other.files().contains(&file.name))
    );
}

#[tokio::test]
async fn an_upload_that_failed_goes_on_where_it_was() {
    let world = World::new();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 1_000);
    let local = store.snapshot(Epoch(1)).unwrap();
    let generation = Generation(1);
    // A folder in the way of the checkpoint directory's own: nothing can be put there.
    fs::write(world.folder(), "").unwrap();
    world
        .snapshots
        .upload(generation, &local)
        .await
        .unwrap_err();
    fs::remove_file(world.folder()).unwrap();
    let part = world.snapshots.upload(generation, &local).await.unwrap();
    assert_eq!(part.uploaded_bytes, part.bytes());
    let again = world.snapshots.upload(generation, &local).await.unwrap();
    assert_eq!(
        ssts(&again),
        ssts(&part),
        "what is there is not uploaded again"
    );
}

#[tokio::test]
async fn snapshots_are_listed_by_age_and_say_what_they_are() {
    let world = World::new();
    assert!(world.snapshots.list().await.unwrap().is_empty());
    let mut store = world.create(BackendKind::Memory);
    let mut ids = Vec::new();
    for (generation, epoch) in [(9, 100), (10, 2), (10, 11)] {
        ids.push(world.checkpoint(&mut store, generation, epoch).await.0);
    }
    assert_eq!(world.snapshots.list().await.unwrap(), ids);
    let snapshot = world.snapshots.read(&ids[1]).await.unwrap();
    assert_eq!(snapshot.head(), &head(store.assignment(), 10, 2));
    assert_eq!(snapshot.id(), Some(&ids[1]));
    assert_eq!(snapshot.pipeline(), "ingest");
    assert_eq!(snapshot.table(), owner().table);
    assert_eq!(snapshot.operators().into_iter().collect::<Vec<_>>(), ["op"]);
}

#[tokio::test]
async fn a_snapshot_that_is_not_whole_is_not_there() {
    let world = World::new();
    let mut store = world.create(BackendKind::Memory);
    let local = store.snapshot(Epoch(1)).unwrap();
    let part = world.snapshots.upload(Generation(1), &local).await.unwrap();
    let mut half = part.clone();
    half.groups.end = 64;
    let of = head(store.assignment(), 1, 1);
    world.snapshots.complete(of, vec![half]).await.unwrap_err();
    assert!(world.snapshots.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_manifest_under_anothers_name_is_refused() {
    let world = World::new();
    let mut store = world.create(BackendKind::Memory);
    let (first, _) = world.checkpoint(&mut store, 1, 1).await;
    let (second, _) = world.checkpoint(&mut store, 1, 2).await;
    let path = |id: &SnapshotId| world.folder().join(id.manifest());
    fs::copy(path(&first), path(&second)).unwrap();
    let error = world.snapshots.read(&second).await.unwrap_err().to_string();
    assert!(
        error.contains("is that of generation 1, epoch 1"),
        "{error}"
    );
    assert!(
        error.contains(&first.to_string()),
        "what else there is: {error}"
    );
    fs::remove_file(path(&second)).unwrap();
    let error = world.snapshots.read(&second).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("there is no state snapshot {second}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_the_same_one_for_all_hosts_is_noticed_at_the_first_checkpoint() {
    let (one_host, other_host) = (World::new(), World::new());
    let mut store = one_host.create(BackendKind::Rocksdb);
    put(&mut store, 0, 500);
    let local = store.snapshot(Epoch(1)).unwrap();
    let upload = other_host.snapshots.upload(Generation(1), &local);
    let part = StatePart {
        worker: 3,
        ..upload.await.unwrap()
    };
    let complete = |world: &World| {
        let (snapshots, part) = (world.snapshots.clone(), part.clone());
        let head = head(store.assignment(), 1, 1);
        async move { snapshots.complete(head, vec![part]).await }
    };
    let error = complete(&one_host).await.unwrap_err().to_string();
    assert!(error.contains("what worker 3 has written"), "{error}");
    assert!(error.contains("all hosts share"), "{error}");
    assert_eq!(one_host.snapshots.list().await.unwrap(), []);
    complete(&other_host).await.unwrap();
}
