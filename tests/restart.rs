//! Processes that end in the middle, in every way, with other numbers of workers after it: nothing is
//! lost and nothing is there twice.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::{Catalog, Load, Pipeline, Producer, Topic, Warehouse, eventually};

/// Ends in turn by SIGTERM and SIGKILL, workers in turn 6, 2, 6, at moments that vary.
fn restart_ten_times(pipeline: &Pipeline, topic: &Topic, rate: u64) {
    let load = Load::start(topic, rate);
    for round in 0..10_u64 {
        let workers = [6, 2, 6][round as usize % 3];
        let run = pipeline.run().workers(workers);
        let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300").start();
        sleep(Duration::from_millis(1_200 + round * 371 % 1_500));
        if round % 2 == 0 {
            running.kill();
        } else {
            running.drain();
        }
    }
    let produced = load.stop();
    assert!(
        produced.count > rate * 10,
        "the load went on: {}",
        produced.count
    );
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn ten_restarts_under_load_lose_nothing_and_double_nothing() {
    let topic = Topic::create("restarts", 6);
    restart_ten_times(&Pipeline::new(&topic), &topic, 20_000);
}

#[test]
fn ten_restarts_with_the_rest_catalog_and_s3_lose_nothing_and_double_nothing() {
    let topic = Topic::create("restarts_rest", 6);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    restart_ten_times(&pipeline, &topic, 5_000);
}

#[test]
fn a_backlog_may_be_killed_at_any_moment() {
    let topic = Topic::create("backlog", 6);
    let produced = Producer::new(&topic).samples(600_000).finish();
    let pipeline = Pipeline::new(&topic);
    for millis in [150, 400, 700, 1_100, 1_600, 2_200] {
        let run = pipeline.run().workers(6);
        let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "100").start();
        sleep(Duration::from_millis(millis));
        running.kill();
    }
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_second_signal_stops_at_once_and_nothing_is_lost() {
    let topic = Topic::create("second_signal", 6);
    let produced = Producer::new(&topic).samples(300_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(6);
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000").start();
    sleep(Duration::from_millis(1_500));
    running.sigterm();
    running.signal("INT");
    // Either the drain was faster than the second signal (0), or it was cut short.
    let ended = running.wait(Duration::from_secs(20));
    assert_ne!(ended.code, None, "it ended by itself");
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

/// A process that dies with staged files: killed at the swap of its first epoch, or of a later one.
fn die_before_swap(pipeline: &Pipeline, commits: u32) {
    // The first swap is the claim.
    let point = format!("before-swap={}*off->return(kill)", commits + 1);
    let run = pipeline.run().workers(2).bounded();
    let ended = run.env("FAILPOINTS", &point).run();
    assert_eq!(ended.code, None, "killed: {}", ended.output());
}

fn files_of_a_killed_process_do_not_stay(pipeline: &Pipeline, topic: &Topic) {
    let produced = Producer::new(topic).samples(5_000).finish();
    die_before_swap(pipeline, 0);
    die_before_swap(pipeline, 0);
    let orphans = pipeline.data_files();
    assert!(orphans.len() >= 2, "files were left behind: {orphans:?}");
    let dry_run = pipeline.run().workers(2).set("on-orphans", "dry-run");
    let dry_run = dry_run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000");
    let dry_run = dry_run.start();
    eventually("a dry run names the orphans", || {
        let output = dry_run.output();
        orphans.iter().all(|orphan| output.contains(orphan))
    });
    dry_run.kill();
    assert!(pipeline.data_files().is_superset(&orphans), "and kept");
    let last = pipeline.run().workers(2).bounded().run().expect_code(0);
    last.expect_output(&["files of earlier runs", "deleted"]);
    let table = pipeline.assert_exactly(&produced);
    let named: BTreeSet<String> = table.files.into_iter().collect();
    assert_eq!(pipeline.data_files(), named, "files there and in the table");
}

#[test]
fn files_of_a_killed_process_do_not_stay_in_the_warehouse() {
    let topic = Topic::create("sweep", 2);
    files_of_a_killed_process_do_not_stay(&Pipeline::new(&topic), &topic);
}

#[test]
fn files_of_a_killed_process_do_not_stay_on_s3() {
    let topic = Topic::create("sweep_s3", 2);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    files_of_a_killed_process_do_not_stay(&pipeline, &topic);
}

fn files_of_others_are_not_swept(pipeline: &Pipeline, topic: &Topic) {
    let produced = Producer::new(topic).samples(5_000).finish();
    die_before_swap(pipeline, 0);
    let orphans = pipeline.data_files();
    let mut neighbours = BTreeSet::new();
    let mut copies = Vec::new();
    for orphan in &orphans {
        let (folder, name) = orphan.rsplit_once('/').expect("a path");
        let other = |from: &str, to: &str| name.replacen(from, to, 1);
        let (group, shorter) = (&pipeline.group, &pipeline.group[..pipeline.group.len() - 1]);
        for neighbour in [
            // Pipelines whose names begin with ours, or ours with theirs.
            other(group, &format!("{group}-2")),
            other(group, &format!("{group}-g1-e1-w0")),
            other(group, shorter),
            // A table that lay here before, under its own UUID.
            other(
                &name[group.len()..group.len() + 9],
                &format!("-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]),
            ),
            // Of a process that is newer than the one that sweeps.
            other("-g1-", "-g1000-"),
            format!("{name}.bak"),
            format!("part-{}.parquet", &name[name.len() - 20..name.len() - 8]),
        ] {
            assert_ne!(neighbour, name);
            copies.push((orphan.clone(), neighbour.clone()));
            neighbours.insert(format!("{folder}/{neighbour}"));
        }
    }
    let before = pipeline.copy_data_files(&copies);
    assert_eq!(before.len(), orphans.len() + neighbours.len());
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    neighbours.extend(table.files);
    assert_eq!(pipeline.data_files(), neighbours);
}

#[test]
fn files_of_others_are_not_swept_from_the_warehouse() {
    let topic = Topic::create("neighbours", 2);
    files_of_others_are_not_swept(&Pipeline::new(&topic), &topic);
}

#[test]
fn files_of_others_are_not_swept_from_s3() {
    let topic = Topic::create("neighbours_s3", 2);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    files_of_others_are_not_swept(&pipeline, &topic);
}

#[test]
fn files_of_a_rolled_back_table_are_not_swept() {
    let topic = Topic::create("rolled_back", 2);
    let mut producer = Producer::new(&topic);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    producer.samples(1_000).finish();
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let produced = producer.samples(1_000).finish();
    pipeline.run().workers(2).bounded().run().expect_code(0);
    producer.samples(1_000).finish();
    die_before_swap(&pipeline, 0);
    let before = pipeline.data_files();
    pipeline.change_table(json!({ "roll_back": 1 }));
    // It stops, or goes on from the older snapshot: the files of the newer one stay.
    pipeline.run().workers(2).bounded().run();
    let after = pipeline.data_files();
    pipeline.change_table(json!({ "undo_roll_back": true }));
    let table = pipeline.assert_exactly(&produced);
    for file in table.files {
        assert!(before.contains(&file) && after.contains(&file), "{file}");
    }
}
