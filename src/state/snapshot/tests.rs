use std::fs;

use super::super::testing::*;
use super::super::{BackendKind, MaxParallelism};
use super::*;

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // Another file of the same name: the old one may be linked into a home.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_torn_or_missing_file_is_named_with_what_to_do() {
    for kind in BOTH {
        let world = World::new();
        let mut store = world.create(kind);
        put(&mut store, 0, 500);
        let (older, _) = world.checkpoint(&mut store, 1, 1).await;
        put(&mut store, 500, 500);
        let (id, part) = world.checkpoint(&mut store, 1, 2).await;
        drop(store);
        for file in &part.files {
            let path = world.folder().join(&file.name);
            let kept = fs::read(&path).unwrap();
            for damage in ["flipped", "torn", "missing"] {
                match damage {
                    "flipped" => flip(&path),
                    "torn" => {
                        fs::remove_file(&path).unwrap();
                        fs::write(&path, &kept[..kept.len() - 1]).unwrap();
                    }
                    _ => fs::remove_file(&path).unwrap(),
                }
                let error = world.restore(&id, kind, Share::Newest).await.unwrap_err();
                assert_eq!(error.kind(), Kind::Diverged, "{damage}: {error}");
                let error = error.to_string();
                assert!(error.contains(&file.name), "{damage}: {error}");
                assert!(error.contains(&file.checksum), "{damage}: {error}");
                assert!(error.contains("nothing was changed"), "{damage}: {error}");
                assert!(error.contains(&older.to_string()), "{damage}: {error}");
                // By way of the other backend, too.
                let other = BOTH.into_iter().find(|other| *other != kind).unwrap();
                let error = world.restore(&id, other, Share::Newest).await.unwrap_err();
                assert!(error.to_string().contains(&file.name), "{damage}: {error}");
                let _ = fs::remove_file(&path);
                fs::write(&path, &kept).unwrap();
            }
        }
        let mut store = world.restore(&id, kind, Share::Newest).await.unwrap();
        assert_numbers(&mut store, 0..1_000);
        drop(store);
        let mut store = world.restore(&older, kind, Share::Nothing).await.unwrap();
        assert_numbers(&mut store, 0..500);
    }
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_done_again() {
    let world = World::new();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 2_000);
    let (id, part) = world.checkpoint(&mut store, 1, 1).await;
    drop(store);
    let home = world.home(2, 0);
    // Half of it is there, one file torn, and a database of other contents besides.
    let database = store::database(&home);
    fs::create_dir_all(&database).unwrap();
    fs::write(database.join(&part.files[0].local), "torn").unwrap();
    fs::create_dir_all(home.join("part-0")).unwrap();
    fs::write(home.join("part-0/000001.sst"), "torn").unwrap();
    let mut store = world
        .restore(&id, BackendKind::Rocksdb, Share::Newest)
        .await
        .unwrap();
    assert_numbers(&mut store, 0..2_000);
}

#[tokio::test]
async fn a_running_store_does_not_touch_the_files_it_came_from() {
    let world = World::new();
    let mut store = world.create(BackendKind::Rocksdb);
    put(&mut store, 0, 2_000);
    let (id, _) = world.checkpoint(&mut store, 1, 1).await;
    drop(store);
    for round in 0..3 {
        let mut store = world
            .restore(&id, BackendKind::Rocksdb, Share::Newest)
            .await
            .unwrap();
        assert_numbers(&mut store, 0..2_000);
        put(&mut store, 2_000, 20_000 + round);
        store.snapshot(crate::time::Epoch(2)).unwrap();
    }
}

#[tokio::test]
async fn other_groups_and_other_operators_are_refused() {
    let world = World::new();
    let mut store = world.create(BackendKind::Memory);
    let (id, _) = world.checkpoint(&mut store, 1, 1).await;
    let snapshot = world.snapshots.read(&id).await.unwrap();
    let restore = |operator: &str, groups| {
        let max = MaxParallelism::new(groups).unwrap();
        let assignment = Assignment::new(operator, max, 0, 1);
        let (snapshot, home) = (snapshot.clone(), world.home(2, 0));
        async move {
            let backends = backends(BackendKind::Memory);
            snapshot
                .restore(assignment, &backends, &home, Share::Newest)
                .await
        }
    };
    restore("op", 128).await.unwrap();
    let error = restore("op", 64).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error
            .to_string()
            .contains("max-parallelism is 64, but the state was made with 128")
    );
    let error = restore("other", 128).await.unwrap_err().to_string();
    assert!(
        error.contains("has nothing of operator other; it holds op"),
        "{error}"
    );
}

#[tokio::test]
async fn what_has_expired_in_one_part_stays_dead_when_parts_are_joined() {
    for kind in BOTH {
        let world = World::new();
        let max = MaxParallelism::new(2).unwrap();
        let hour = Some(std::time::Duration::from_secs(3_600));
        let mut parts = Vec::new();
        // Worker 1 is an hour ahead of worker 0.
        for worker in 0..2 {
            let assignment = Assignment::new("op", max, worker, 2);
            let home = world.home(1, worker);
            let mut store = StateStore::create(assignment, &backends(kind), &home).unwrap();
            let state = store.value::<u64, ()>("seen", hour).unwrap();
            for key in 0..20_u64 {
                if max.worker_of(max.group_of_key(&key).unwrap(), 2) == worker {
                    state.put(&mut store, &key, &()).unwrap();
                }
            }
            store.advance_to(worker as u64 * 3_600_000 + 5);
            let local = store.snapshot(crate::time::Epoch(1)).unwrap();
            let generation = crate::time::Generation(1);
            parts.push(world.snapshots.upload(generation, &local).await.unwrap());
        }
        let of = head(&Assignment::new("op", max, 0, 1), 1, 1);
        let id = world.snapshots.complete(of, parts).await.unwrap();
        let snapshot = world.snapshots.read(&id).await.unwrap();
        let (assignment, home) = (Assignment::new("op", max, 0, 1), world.home(2, 0));
        let backends = backends(kind);
        let restored = snapshot.restore(assignment, &backends, &home, Share::Newest);
        let mut store = restored.await.unwrap();
        assert_eq!(store.now_ms(), 5);
        let state = store.value::<u64, ()>("seen", hour).unwrap();
        for key in 0..20_u64 {
            let lives = max.group_of_key(&key).unwrap() == super::super::KeyGroup(0);
            assert_eq!(state.get(&store, &key).unwrap().is_some(), lives, "{key}");
        }
    }
}
