use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use iceberg::spec::{SnapshotReference, SnapshotRetention};

use super::*;
use crate::error::Kind;
use crate::iceberg::testing::*;
use crate::iceberg::{CommitFailure, Committer};
use crate::time::{Epoch, Generation};

const FIVE: Retention = Retention {
    max_age: Duration::ZERO,
    min_to_keep: 5,
};

async fn start(world: &World) -> Committer {
    let observation = world.observe().await.unwrap().with_retention(Some(FIVE));
    let claimed = Committer::claim(observation, None, at(0)).await;
    claimed.unwrap().0
}

/// Commits epochs of ten rows.
async fn commit(world: &World, committer: &mut Committer, epochs: std::ops::Range<u64>) {
    for epoch in epochs {
        let first = (epoch as i64 - 1) * 10;
        let staged = world.staged(epoch, first, first + 10).await;
        committer.commit(staged).await.unwrap();
    }
}

/// Files of the metadata folder with this ending.
async fn metadata_files(world: &World, ending: &str) -> usize {
    let location = world.table().await.metadata().location().to_owned();
    let folder = PathBuf::from(location.trim_start_matches("file://")).join("metadata");
    fs::read_dir(folder)
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.ends_with(ending) && (ending != ".avro" || name.starts_with("snap-"))
        })
        .count()
}

/// An operator tags the current snapshot; returns its id.
async fn tag_current(world: &World) -> i64 {
    let table = world.table().await;
    let id = table.metadata().current_snapshot_id().unwrap();
    let retention = SnapshotRetention::Tag {
        max_ref_age_ms: None,
    };
    let tag = SnapshotReference::new(id, retention);
    world
        .rewrite(|builder| builder.set_ref("audited", tag).unwrap())
        .await;
    id
}

#[tokio::test]
async fn old_snapshots_are_expired_and_every_row_stays() {
    let world = World::new().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..31).await;
    world.assert_holds(300).await;
    // The commit's own snapshot comes on top of those that are kept.
    assert_eq!(world.snapshots().await, 6);

    // A restart finds its marker, and goes on.
    let mut second = start(&world).await;
    assert_eq!(second.marker().rank(), (Generation(2), Epoch(30)));
    commit(&world, &mut second, 31..33).await;
    world.assert_holds(320).await;
    // And the older process is fenced, though its snapshots are gone.
    let staged = world.staged(31, 300, 310).await;
    let Err(CommitFailure::Fatal(error)) = committer.commit(staged).await else {
        panic!("the zombie committed");
    };
    assert_eq!(error.kind(), Kind::Fenced);
}

#[tokio::test]
async fn the_manifest_lists_of_expired_snapshots_go_and_old_metadata_if_the_table_says_so() {
    let world = World::without_table().await;
    let mut options = table_options();
    for (key, value) in [
        (DELETE_AFTER_COMMIT, "true"),
        ("write.metadata.previous-versions-max", "3"),
    ] {
        options.properties.insert(key.into(), value.into());
    }
    world.create(&options).await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..31).await;
    for _ in 0..100 {
        let found = (
            metadata_files(&world, ".avro").await,
            metadata_files(&world, ".metadata.json").await,
        );
        // One list for each snapshot; three versions and the current one.
        if found == (6, 4) {
            world.assert_holds(300).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("old metadata files are still there");
}

#[tokio::test]
async fn tags_keep_their_snapshots_and_without_garbage_collection_all_stay() {
    let world = World::new().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..3).await;
    let tagged = tag_current(&world).await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 3..20).await;
    assert_eq!(world.snapshots().await, 7, "six, and the tagged one");
    let table = world.table().await;
    assert!(table.metadata().snapshot_by_id(tagged).is_some());

    world
        .rewrite(|builder| {
            let keep = [("gc.enabled".to_owned(), "false".to_owned())];
            builder.set_properties(keep.into()).unwrap()
        })
        .await;
    let before = world.snapshots().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 20..25).await;
    assert_eq!(world.snapshots().await, before + 6);
    world.assert_holds(240).await;
}

#[tokio::test]
async fn a_rollback_is_still_detected_after_snapshots_were_expired() {
    let world = World::new().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..20).await;
    let parent = world.table().await;
    let parent = parent
        .metadata()
        .current_snapshot()
        .unwrap()
        .parent_snapshot_id();
    world.roll_back_to(parent.unwrap()).await;
    let staged = world.staged(20, 190, 200).await;
    let Err(CommitFailure::Fatal(error)) = committer.commit(staged).await else {
        panic!("it was committed on a table that was rolled back");
    };
    assert_eq!(error.kind(), Kind::Diverged);
    assert!(error.to_string().contains("rolled back"), "{error}");
}

/// Manifests in the metadata folder, by their names.
async fn manifest_names(world: &World) -> BTreeSet<String> {
    let location = world.table().await.metadata().location().to_owned();
    let folder = PathBuf::from(location.trim_start_matches("file://")).join("metadata");
    let names = fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".avro") && !name.starts_with("snap-"))
        .collect()
}

/// The manifests that some retained snapshot names.
async fn named_manifests(world: &World) -> BTreeSet<String> {
    let table = world.table().await;
    let mut named = BTreeSet::new();
    for snapshot in table.metadata().snapshots() {
        let list = table.manifest_list_reader(snapshot).load().await.unwrap();
        let paths = list.entries().iter().map(|m| &m.manifest_path);
        named.extend(paths.map(|path| path.rsplit('/').next().unwrap().to_owned()));
    }
    named
}

/// Waits until what no snapshot names is gone, and looks whether all that one names is there.
async fn only_named_manifests_are_left(world: &World) {
    let mut there = BTreeSet::new();
    for _ in 0..100 {
        there = manifest_names(world).await;
        if there == named_manifests(world).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let named = named_manifests(world).await;
    let lost: Vec<_> = named.difference(&there).collect();
    let left: Vec<_> = there.difference(&named).collect();
    panic!("deleted although named: {lost:?}; left although not named: {left:?}");
}

/// A table whose manifests are merged by threes.
async fn merging() -> World {
    let world = World::without_table().await;
    let mut options = table_options();
    let three = ("commit.manifest.min-count-to-merge", "3");
    options.properties.insert(three.0.into(), three.1.into());
    world.create(&options).await;
    world
}

#[tokio::test]
async fn manifests_that_were_merged_go_when_the_last_snapshot_that_names_them_expires() {
    let world = merging().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..6).await;
    // A tag keeps what it names.
    tag_current(&world).await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 6..31).await;
    only_named_manifests_are_left(&world).await;
    assert!(manifest_names(&world).await.len() < 15);
    world.assert_holds(300).await;
}

/// A snapshot that was rolled back and expires before the one that it was built on.
#[tokio::test]
async fn manifests_that_a_rolled_back_snapshot_shares_with_others_stay() {
    let world = merging().await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 1..10).await;
    let here = world
        .table()
        .await
        .metadata()
        .current_snapshot_id()
        .unwrap();
    // Others append, and take it back.
    world.foreign_append(500, 510).await;
    world.foreign_append(510, 520).await;
    world.roll_back_to(here).await;
    let mut committer = start(&world).await;
    commit(&world, &mut committer, 10..12).await;
    let table = world.table().await;
    let oldest = table
        .metadata()
        .snapshots()
        .map(|s| s.sequence_number())
        .min();
    assert!(oldest < Some(10), "what they were built on is retained");
    assert_eq!(world.snapshots().await, 6, "and they are not");
    only_named_manifests_are_left(&world).await;
    world.assert_holds(110).await;
    commit(&world, &mut committer, 12..30).await;
    only_named_manifests_are_left(&world).await;
    world.assert_holds(290).await;
}
