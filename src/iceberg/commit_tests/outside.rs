//! What others do to the table: rollback, expiry, recreation, and worse.

use std::collections::HashMap;

use iceberg::spec::{NestedField, PrimitiveType, Transform, Type, UnboundPartitionSpec};

use crate::error::{Error, Kind};
use crate::iceberg::names::marker_key;
use crate::iceberg::testing::*;
use crate::iceberg::{CommitFailure, Committed, Committer};

fn fatal(result: Result<Committed, CommitFailure>) -> Error {
    match result {
        Err(CommitFailure::Fatal(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A table with two committed epochs of ten rows each, and its committer.
async fn two_epochs() -> (World, Committer, Committed) {
    let world = World::new().await;
    let mut committer = world.start().await;
    let first = committer
        .commit(world.staged(1, 0, 10).await)
        .await
        .unwrap();
    committer
        .commit(world.staged(2, 10, 20).await)
        .await
        .unwrap();
    (world, committer, first)
}

#[tokio::test]
async fn a_rollback_is_detected_at_the_next_commit_and_at_the_next_start() {
    let (world, mut committer, first) = two_epochs().await;
    world.roll_back_to(first.snapshot_id.unwrap()).await;
    world.assert_holds(10).await;

    let error = fatal(committer.commit(world.staged(3, 20, 30).await).await);
    assert_eq!(error.kind(), Kind::Diverged);
    assert!(error.to_string().contains("rolled back"), "{error}");
    let error = world.observe().await.unwrap_err();
    assert!(error.to_string().contains("rolled back"), "{error}");
    assert!(error.to_string().contains("epoch 2") && error.to_string().contains("epoch 1"));
    world.assert_holds(10).await;
}

#[tokio::test]
async fn a_rollback_is_detected_even_after_foreign_appends_and_the_expiry_of_what_was_cut_off() {
    let (world, mut committer, first) = two_epochs().await;
    world.roll_back_to(first.snapshot_id.unwrap()).await;
    world.foreign_append(100, 105).await;
    let table = world.table().await;
    let keep = [table.metadata().current_snapshot_id(), first.snapshot_id];
    let cut_off: Vec<i64> = table
        .metadata()
        .snapshots()
        .map(|s| s.snapshot_id())
        .filter(|id| !keep.contains(&Some(*id)))
        .collect();
    assert!(!cut_off.is_empty());
    world
        .rewrite(|builder| builder.remove_snapshots(&cut_off))
        .await;

    let error = fatal(committer.commit(world.staged(3, 20, 30).await).await);
    assert!(error.to_string().contains("rolled back"), "{error}");
    assert!(world.observe().await.is_err());
    assert_eq!(world.ids().await.len(), 15);
}

#[tokio::test]
async fn a_rollback_that_was_undone_is_forgotten() {
    let (world, mut committer, first) = two_epochs().await;
    let current = world
        .table()
        .await
        .metadata()
        .current_snapshot_id()
        .unwrap();
    world.roll_back_to(first.snapshot_id.unwrap()).await;
    world.roll_back_to(current).await;
    committer
        .commit(world.staged(3, 20, 30).await)
        .await
        .unwrap();
    world.assert_holds(30).await;
}

#[tokio::test]
async fn the_expiry_of_the_markers_snapshot_is_not_taken_for_a_rollback() {
    let (world, mut committer, _) = two_epochs().await;
    world.foreign_append(100, 105).await;
    world.expire().await;
    assert_eq!(world.snapshots().await, 1);
    let observation = world.observe().await.unwrap();
    assert_eq!(observation.marker().unwrap().next, offsets(20));
    committer
        .commit(world.staged(3, 20, 30).await)
        .await
        .unwrap();
    assert_eq!(world.ids().await.len(), 35);
    world.expire().await;
    let restarted = world.start().await;
    assert_eq!(restarted.marker().next, offsets(30));
}

#[tokio::test]
async fn a_table_that_was_dropped_or_recreated_is_never_written_to() {
    let (world, mut committer, _) = two_epochs().await;
    let in_hand = world.staged(3, 20, 30).await;
    world.catalog.drop_table(&world.ident).await.unwrap();
    let error = fatal(committer.commit(in_hand.clone()).await);
    assert_eq!(error.kind(), Kind::Diverged);
    assert!(error.to_string().contains("dropped"), "{error}");

    world.create(&table_options()).await;
    let error = fatal(committer.commit(in_hand).await);
    assert!(error.to_string().contains("replaced"), "{error}");
    world.assert_holds(0).await;
    assert!(world.observe().await.unwrap().marker().is_none());
}

#[tokio::test]
async fn properties_copied_from_another_table_are_not_resumed_from() {
    let (world, _, _) = two_epochs().await;
    let key = marker_key(PIPELINE);
    let marker = world.table().await.metadata().properties()[&key].clone();
    world.catalog.drop_table(&world.ident).await.unwrap();
    let mut options = table_options();
    options.properties.insert(key, marker);
    world.create(&options).await;
    let error = world.observe().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Diverged, "{error}");
}

#[tokio::test]
async fn a_marker_property_that_was_removed_or_set_back_stops_the_pipeline() {
    let (world, mut committer, _) = two_epochs().await;
    let key = marker_key(PIPELINE);
    let second = world.table().await.metadata().properties()[&key].clone();
    committer
        .commit(world.staged(3, 20, 30).await)
        .await
        .unwrap();

    let set = |value: String| HashMap::from([(key.clone(), value)]);
    world
        .rewrite(|b| b.set_properties(set(second)).unwrap())
        .await;
    let error = fatal(committer.commit(world.staged(4, 30, 40).await).await);
    assert!(error.to_string().contains("set back"), "{error}");
    assert!(world.observe().await.is_err());

    world
        .rewrite(|b| b.remove_properties(std::slice::from_ref(&key)).unwrap())
        .await;
    let error = fatal(committer.commit(world.staged(4, 30, 40).await).await);
    assert!(error.to_string().contains("removed"), "{error}");
    let error = world.observe().await.unwrap_err();
    assert!(error.to_string().contains("removed"), "{error}");

    world
        .rewrite(|b| b.set_properties(set("{".into())).unwrap())
        .await;
    let error = fatal(committer.commit(world.staged(4, 30, 40).await).await);
    assert!(error.to_string().contains("can't be read"), "{error}");
    world.assert_holds(30).await;
}

#[tokio::test]
async fn a_schema_change_in_between_does_no_harm() {
    let (world, mut committer, _) = two_epochs().await;
    let in_hand = world.staged(3, 20, 30).await;
    let wider = schema()
        .into_builder()
        .with_fields([
            NestedField::optional(3, "note", Type::Primitive(PrimitiveType::String)).into(),
        ])
        .build()
        .unwrap();
    world
        .rewrite(|b| b.add_current_schema(wider).unwrap())
        .await;
    committer.commit(in_hand).await.unwrap();
    world.assert_holds(30).await;
}

#[tokio::test]
async fn a_new_partition_spec_in_between_is_refused_by_name_and_a_restart_goes_on() {
    let (world, mut committer, _) = two_epochs().await;
    let in_hand = world.staged(3, 20, 30).await;
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(1, "id_bucket", Transform::Bucket(4))
        .unwrap()
        .build();
    world
        .rewrite(|b| b.add_default_partition_spec(spec).unwrap())
        .await;
    let error = fatal(committer.commit(in_hand).await);
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("spec 1"), "{error}");

    let mut restarted = world.start().await;
    restarted
        .commit(world.staged(3, 20, 30).await)
        .await
        .unwrap();
    world.assert_holds(30).await;
}
