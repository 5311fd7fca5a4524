//! Rolled-back tables, and the policies that go on in them.

use std::sync::Arc;

use crate::checkpoint::marker::Marker;
use crate::config::OnRollback::{self, Continue, Halt, Rewind};
use crate::error::Kind;
use crate::iceberg::names::marker_key;
use crate::iceberg::testing::*;
use crate::iceberg::{CommitFailure, Committer, Observation};
use crate::offsets::NextOffset;
use crate::time::{Epoch, Generation};

/// A table that was rolled back from its third epoch to its first, with the process that wrote it.
async fn rolled_back() -> (World, Committer) {
    let world = World::new().await;
    let mut committer = world.start().await;
    let mut first = None;
    for epoch in 1..=3 {
        let to = 10 * epoch as i64;
        let staged = world.staged(epoch, to - 10, to).await;
        let made = committer.commit(staged).await.unwrap();
        first = first.or(made.snapshot_id);
    }
    world.roll_back_to(first.unwrap()).await;
    world.assert_holds(10).await;
    (world, committer)
}

async fn observe(world: &World, policy: OnRollback) -> crate::Result<Observation> {
    let catalog = Arc::clone(&world.catalog);
    Committer::observe(catalog, world.ident.clone(), PIPELINE, policy).await
}

async fn start(world: &World, policy: OnRollback) -> Committer {
    let observation = observe(world, policy).await.unwrap();
    Committer::claim(observation, None, at(0)).await.unwrap().0
}

/// The summary's copy of the marker that `main` carries.
async fn newest_summary(world: &World) -> Marker {
    let table = world.table().await;
    let snapshot = table.metadata().current_snapshot().unwrap();
    let json = &snapshot.summary().additional_properties[&marker_key(PIPELINE)];
    Marker::parse(json, "test").unwrap()
}

#[tokio::test]
async fn the_default_halts_with_both_markers_and_what_to_type() {
    let (world, _) = rolled_back().await;
    let error = observe(&world, Halt).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Diverged);
    assert!(error.is_permanent());
    let text = error.to_string();
    for part in [
        "epoch 3 of generation 1",
        "epoch 1 of generation 1",
        "calve run --set on-rollback=rewind",
        "on-rollback=continue",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn rewind_reads_the_rolled_back_records_again_and_fences_who_wrote_them() {
    let (world, mut zombie) = rolled_back().await;
    let mut successor = start(&world, Rewind).await;
    let claim = successor.marker();
    assert_eq!(claim.next, offsets(10));
    // Behind everything that was ever written, so nothing of it can be taken for something newer.
    assert_eq!(claim.rank(), (Generation(2), Epoch(3)));
    assert_eq!(newest_summary(&world).await.moved.get("t", 0), {
        let ten = NextOffset(10);
        Some((ten, ten))
    });

    let in_hand = world.staged(4, 30, 40).await;
    let Err(CommitFailure::Fatal(error)) = zombie.commit(in_hand).await else {
        panic!("the zombie committed");
    };
    assert_eq!(error.kind(), Kind::Fenced, "{error}");

    successor
        .commit(world.staged(4, 10, 40).await)
        .await
        .unwrap();
    world.assert_holds(40).await;
    // Both marker places agree again: nobody else needs a policy.
    let restarted = world.start().await;
    assert_eq!(restarted.marker().next, offsets(40));
}

#[tokio::test]
async fn continue_leaves_the_rolled_back_rows_out_and_writes_down_which() {
    let (world, _) = rolled_back().await;
    let mut successor = start(&world, Continue).await;
    assert_eq!(successor.marker().next, offsets(30));
    let gap = Some((NextOffset(10), NextOffset(30)));
    assert_eq!(newest_summary(&world).await.gaps.get("t", 0), gap);
    successor
        .commit(world.staged(4, 30, 40).await)
        .await
        .unwrap();
    let expected: Vec<i64> = (0..10).chain(30..40).collect();
    assert_eq!(world.ids().await, expected);
    assert_eq!(world.start().await.marker().next, offsets(40));
}

#[tokio::test]
async fn a_table_that_was_rolled_back_to_before_the_first_commit_is_rewound_to_its_first_offsets() {
    let world = World::new().await;
    // Somebody else's snapshot came before ours.
    world.foreign_append(100, 105).await;
    let before = world.table().await.metadata().current_snapshot_id();
    let observation = observe(&world, Halt).await.unwrap();
    let (mut committer, _) = Committer::claim(observation, None, at(7)).await.unwrap();
    committer
        .commit(world.staged(1, 7, 20).await)
        .await
        .unwrap();
    world.roll_back_to(before.unwrap()).await;

    let mut successor = start(&world, Rewind).await;
    assert_eq!(successor.marker().next, offsets(7));
    assert_eq!(successor.marker().parent, None);
    successor
        .commit(world.staged(2, 7, 30).await)
        .await
        .unwrap();
    let expected: Vec<i64> = (7..30).chain(100..105).collect();
    assert_eq!(world.ids().await, expected);
}

#[tokio::test]
async fn rewind_works_from_the_lineage_when_what_was_cut_off_is_expired() {
    let (world, _) = rolled_back().await;
    expire_cut_off(&world, 0).await;
    let successor = start(&world, Rewind).await;
    assert_eq!(successor.marker().next, offsets(10));
}

#[tokio::test]
async fn rewind_halts_when_nothing_tells_where_the_records_begin() {
    let (world, _) = rolled_back().await;
    // The claim too, with which the lineage began.
    expire_cut_off(&world, 1).await;
    let error = observe(&world, Rewind).await.unwrap_err();
    assert!(
        error.to_string().contains("not all are retained"),
        "{error}"
    );
    assert!(
        error.to_string().contains("on-rollback=continue"),
        "{error}"
    );
    let successor = start(&world, Continue).await;
    assert_eq!(successor.marker().next, offsets(30));
    let claim = newest_summary(&world).await;
    assert!(claim.gaps.is_empty(), "what is left out can't be known");
    assert!(claim.moved.get("t", 0).is_some(), "where it goes on can");
}

/// Expires what the rollback cut off, and the `oldest` so many snapshots of the lineage.
async fn expire_cut_off(world: &World, oldest: usize) {
    let table = world.table().await;
    let metadata = table.metadata();
    let current = metadata.current_snapshot().unwrap();
    let mut lineage = vec![current.snapshot_id()];
    let mut parent = current.parent_snapshot_id();
    while let Some(id) = parent {
        lineage.push(id);
        parent = metadata.snapshot_by_id(id).unwrap().parent_snapshot_id();
    }
    let kept = &lineage[..lineage.len() - oldest];
    let expired: Vec<i64> = metadata
        .snapshots()
        .map(|snapshot| snapshot.snapshot_id())
        .filter(|id| !kept.contains(id))
        .collect();
    assert!(!expired.is_empty());
    world
        .rewrite(|builder| builder.remove_snapshots(&expired))
        .await;
}

#[tokio::test]
async fn a_rollback_while_running_ends_the_process_and_says_whether_a_restart_helps() {
    for (policy, permanent) in [(Halt, true), (Rewind, false), (Continue, false)] {
        let world = World::new().await;
        let mut committer = start(&world, policy).await;
        let first = committer
            .commit(world.staged(1, 0, 10).await)
            .await
            .unwrap();
        committer
            .commit(world.staged(2, 10, 20).await)
            .await
            .unwrap();
        world.roll_back_to(first.snapshot_id.unwrap()).await;
        let Err(CommitFailure::Fatal(error)) =
            committer.commit(world.staged(3, 20, 30).await).await
        else {
            panic!("it committed");
        };
        assert_eq!(error.kind(), Kind::Diverged);
        assert_eq!(error.is_permanent(), permanent, "{policy:?}: {error}");
        world.assert_holds(10).await;
    }
}

#[tokio::test]
async fn a_second_rollback_over_a_recovery_is_recovered_from_as_well() {
    let (world, _) = rolled_back().await;
    let rolled_back_to = world.table().await.metadata().current_snapshot_id();
    let mut second = start(&world, Rewind).await;
    second.commit(world.staged(4, 10, 25).await).await.unwrap();
    world.roll_back_to(rolled_back_to.unwrap()).await;
    world.assert_holds(10).await;

    let mut third = start(&world, Rewind).await;
    assert_eq!(third.marker().next, offsets(10));
    assert_eq!(third.marker().generation, Generation(3));
    third.commit(world.staged(5, 10, 40).await).await.unwrap();
    world.assert_holds(40).await;
}

#[tokio::test]
async fn of_two_starts_that_recover_at_once_the_second_goes_on_from_the_first() {
    let (world, _) = rolled_back().await;
    let one = observe(&world, Rewind).await.unwrap();
    let two = observe(&world, Rewind).await.unwrap();
    let (mut first, _) = Committer::claim(one, None, at(0)).await.unwrap();
    first.commit(world.staged(4, 10, 20).await).await.unwrap();
    let (second, claim) = Committer::claim(two, None, at(0)).await.unwrap();
    assert_eq!((claim.next, claim.generation), (offsets(20), Generation(3)));
    drop(second);
    world.assert_holds(20).await;
}

#[tokio::test]
async fn older_metadata_that_is_restored_is_told_from_a_rollback() {
    let world = World::new().await;
    let mut committer = start(&world, Continue).await;
    committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    let backup = world.table().await.metadata().clone();
    committer
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    let (old, key) = (backup.current_snapshot_id().unwrap(), marker_key(PIPELINE));
    let value = backup.properties()[&key].clone();
    world.roll_back_to(old).await;
    world
        .rewrite(|builder| builder.set_properties([(key, value)].into()).unwrap())
        .await;
    let Err(CommitFailure::Fatal(error)) = committer.commit(world.staged(3, 20, 30).await).await
    else {
        panic!("it committed");
    };
    assert!(
        error.to_string().contains("set back with its properties"),
        "{error}"
    );
    assert!(error.is_permanent(), "a restart would rewind, not continue");
    // The table agrees with itself, so a start goes on from what it says.
    assert_eq!(world.start().await.marker().next, offsets(10));
}
