//! Another engine changes the table, at the worst moment: between the manifests of a commit and its swap.
//! And what a start makes of a table that was changed while nothing ran.

use serde_json::{Value, json};

use super::{PATIENCE, Scene};
use crate::support::{Finished, Running};

/// A process stopped between manifests and swap, with its table changed since, and woken.
fn woken_after(scene: &Scene, changes: &[Value]) -> Running {
    let running = scene.run(6).failpoint("before-swap", 3, "stop").start();
    running.wait_stopped("before-swap");
    for change in changes {
        scene.pipeline.change_table(change.clone());
    }
    running.signal("CONT");
    running
}

/// The process goes on after the changes, and so does the next.
#[track_caller]
fn goes_on_after(hint: &str, changes: &[Value]) -> Scene {
    let mut scene = Scene::new(hint);
    let running = woken_after(&scene, changes);
    // From now on the table says which columns there are.
    scene.pipeline.columns = None;
    let committed = running.committed_rows();
    running.wait_rows(committed + 2_000);
    running.drain();
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain();
    scene
}

/// SIGTERM reaches the process together with the changes: it ends with this code.
#[track_caller]
fn drains_after(scene: &Scene, change: Value, code: i32) -> Finished {
    let running = scene.run(6).failpoint("before-swap", 3, "stop").start();
    running.wait_stopped("before-swap");
    scene.pipeline.change_table(change);
    running.sigterm();
    running.signal("CONT");
    let drained = running.wait(PATIENCE).expect_code(code);
    drained.expect_output(&["draining"])
}

/// The process ends after the changes, with this code.
#[track_caller]
fn ends_after(scene: &Scene, changes: &[Value], code: i32) -> Finished {
    woken_after(scene, changes).wait(PATIENCE).expect_code(code)
}

fn foreign_row() -> Value {
    json!({ "append": [{"sample_id": "foreign", "_partition": -1, "_offset": 0}] })
}

/// All is there once, beside the foreign row.
#[track_caller]
fn assert_exactly_once_beside_the_foreign_row(scene: Scene) {
    let mut produced = scene.load.stop();
    let last = scene.pipeline.run().workers(2).bounded();
    last.run().expect_code(0);
    produced.count += 1;
    produced.partitions.insert(-1, vec![0]);
    scene.pipeline.assert_exactly(&produced);
}

#[test]
fn an_append_of_another_engine_before_the_swap_stays_and_the_commit_follows_it() {
    let scene = goes_on_after("appended", &[foreign_row()]);
    assert_exactly_once_beside_the_foreign_row(scene);
}

#[test]
fn a_compaction_before_the_swap_keeps_every_row_and_the_commit_follows_it() {
    goes_on_after("compacted", &[json!({"rewrite": true})]).assert_exactly_once();
}

#[test]
fn sigterm_with_an_append_of_another_engine_before_the_swap_drains() {
    let scene = Scene::new("appended_term");
    let drained = drains_after(&scene, foreign_row(), 0);
    assert_eq!(scene.pipeline.read().count, drained.committed_rows() + 1);
    assert_exactly_once_beside_the_foreign_row(scene);
}

#[test]
fn sigterm_with_a_compaction_before_the_swap_drains() {
    let scene = Scene::new("compacted_term");
    let drained = drains_after(&scene, json!({"rewrite": true}), 0);
    assert_eq!(scene.pipeline.read().count, drained.committed_rows());
    scene.assert_exactly_once();
}

#[test]
fn sigterm_with_a_table_that_was_recreated_before_the_swap_ends_with_6() {
    let scene = Scene::new("recreated_term");
    drains_after(&scene, json!({"recreate": true}), 6);
    assert_eq!(
        scene.pipeline.read().count,
        0,
        "the other table was left alone"
    );
    scene.assert_exactly_once();
}

#[test]
fn the_expiry_of_the_markers_snapshot_before_the_swap_does_no_harm() {
    let changes = [foreign_row(), json!({"keep": 1})];
    let scene = goes_on_after("expired", &changes);
    assert_exactly_once_beside_the_foreign_row(scene);
}

#[test]
fn a_start_whose_markers_snapshot_was_expired_goes_on_from_the_table_property() {
    let scene = Scene::new("expired_at_rest");
    let running = scene.run(6).start();
    running.wait_rows(2_000);
    running.kill();
    // What a nightly maintenance does: compaction, then expiry.
    scene.pipeline.change_table(json!({"rewrite": true}));
    scene.pipeline.change_table(json!({"keep": 1}));
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain().expect_output(&["resumed=true"]);
    scene.assert_exactly_once();
}

#[test]
fn a_column_that_is_added_before_the_swap_does_no_harm() {
    let scene = goes_on_after("column_added", &[json!({"add_column": "note"})]);
    let schema = scene.pipeline.read().schema;
    assert_eq!(schema["note"], "string");
    scene.assert_exactly_once();
}

#[test]
fn a_column_that_is_dropped_before_the_swap_does_no_harm() {
    let scene = goes_on_after("column_dropped", &[json!({"drop_column": "unit"})]);
    assert!(!scene.pipeline.read().schema.contains_key("unit"));
    scene.assert_exactly_once();
}

#[test]
fn another_partitioning_before_the_swap_ends_with_3_and_a_restart_writes_by_it() {
    let scene = Scene::new("partitioned");
    let changes = [json!({"partition_by": "data_type"})];
    let ended = ends_after(&scene, &changes, 3);
    ended.expect_output(&["partitioned by spec 1", "restart"]);
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain();
    let files = scene.pipeline.read().files;
    assert!(
        files
            .iter()
            .any(|file| file.contains("data_type=StepCount"))
    );
    scene.assert_exactly_once();
}

#[test]
fn a_table_that_is_dropped_before_the_swap_ends_with_6() {
    let scene = Scene::new("dropped");
    let ended = ends_after(&scene, &[json!({"drop": true})], 6);
    ended.expect_output(&[&scene.pipeline.table]);
    // The marker went with the table: the next start makes another, and reads all records again into it.
    scene.assert_exactly_once();
}

#[test]
fn a_table_that_is_recreated_before_the_swap_ends_with_6_and_stays_as_it_is() {
    let scene = Scene::new("recreated");
    let ended = ends_after(&scene, &[json!({"recreate": true})], 6);
    ended.expect_output(&[&scene.pipeline.table]);
    assert_eq!(
        scene.pipeline.read().count,
        0,
        "the other table was left alone"
    );
    scene.assert_exactly_once();
}

#[test]
fn a_start_on_a_table_that_was_recreated_at_rest_reads_all_records_into_it() {
    let scene = Scene::new("recreated_at_rest");
    let running = scene.run(6).start();
    running.wait_rows(2_000);
    running.kill();
    scene.pipeline.change_table(json!({"recreate": true}));
    let next = scene.run(3).start();
    next.wait_rows(1_000);
    next.drain()
        .expect_output(&["generation=1 ", "resumed=false"]);
    scene.assert_exactly_once();
}
