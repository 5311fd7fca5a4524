//! `calve run dedup`: of records with the same key one is in the table, whatever happens to the processes.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{
    Action, Calve, Catalog, Load, Pipeline, Produced, Producer, Proxy, Request, Services, Topic,
    Warehouse, eventually,
};

/// To the end of the topic, with so many workers, in one commit.
fn finish(pipeline: &Pipeline, workers: usize) -> crate::support::Finished {
    let run = pipeline.dedup().workers(workers).bounded();
    let run = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000");
    run.run().expect_code(0)
}

/// Samples, every third of which was sent before.
fn repeating(topic: &Topic, count: usize) -> (Producer, Produced) {
    let mut producer = Producer::new(topic);
    let produced = producer.repeating_samples(count, 3).finish();
    assert!(
        produced.repeated as usize > count / 5,
        "{}",
        produced.repeated
    );
    (producer, produced)
}

#[test]
fn of_records_that_were_sent_again_one_is_in_the_table_across_restarts_with_other_workers() {
    let topic = Topic::create("dedup", 6);
    let pipeline = Pipeline::new(&topic);
    let (mut producer, produced) = repeating(&topic, 20_000);
    let first = finish(&pipeline, 6);
    pipeline.read().assert_deduplicated(&produced);
    assert_eq!(first.committed_rows(), produced.count - produced.repeated);

    // Everything once more: it is in the state, not in the table.
    let produced = producer.repeat_all().finish();
    let second = finish(&pipeline, 4);
    assert_eq!(second.committed_rows(), 0);
    pipeline.read().assert_deduplicated(&produced);

    // The table says of itself that it is right: dropped records are no lost ones.
    pipeline.calve(&["audit"]).run().expect_code(0);
}

#[test]
fn six_workers_then_four_then_nine_then_two_processes_make_the_table_of_one_uninterrupted_run() {
    let topic = Topic::create("rescale", 6);
    let pipeline = Pipeline::new(&topic);
    let uninterrupted = Pipeline::new(&topic);
    let mut producer = Producer::new(&topic);
    for workers in [6, 4, 9] {
        producer.repeating_samples(6_000, 3).finish();
        finish(&pipeline, workers);
    }
    producer.repeating_samples(6_000, 3).finish();
    let produced = producer.repeat_all().finish();
    for process in two(&pipeline).map(Calve::start) {
        process.wait(Duration::from_secs(90)).expect_code(0);
    }
    finish(&uninterrupted, 3);
    let (table, expected) = (pipeline.read(), uninterrupted.read());
    table.assert_deduplicated(&produced);
    assert_eq!(
        (table.count, table.distinct_ids, table.id_sum),
        (expected.count, expected.distinct_ids, expected.id_sum)
    );
    // And back into one process, which knows what the two have seen.
    let produced = producer.repeat_all().finish();
    finish(&pipeline, 2);
    pipeline.read().assert_deduplicated(&produced);
}

/// Both processes of a bounded run.
fn two(pipeline: &Pipeline) -> [Calve; 2] {
    pipeline.two(|| pipeline.dedup().workers(3).bounded())
}

#[test]
fn a_workers_death_at_any_moment_under_load_makes_no_duplicate_on_s3() {
    let topic = Topic::create("dedup_s3", 6);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let load = Load::repeating(&topic, 3_000, 3, 11);
    for (workers, rows) in [(6, 2_000), (2, 3_000), (5, 1_000)] {
        let run = pipeline.dedup().workers(workers);
        let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "200").start();
        running.wait_rows(rows);
        running.kill();
    }
    let produced = load.stop();
    finish(&pipeline, 3);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn the_state_in_memory_does_the_same() {
    let topic = Topic::create("dedup_memory", 3);
    let pipeline = Pipeline::new(&topic);
    let (mut producer, _) = repeating(&topic, 5_000);
    let in_memory = |workers| {
        let run = pipeline.dedup().workers(workers).bounded();
        run.env("FLINK_STATE_BACKEND", "hashmap")
            .run()
            .expect_code(0)
    };
    in_memory(3);
    let produced = producer.repeat_all().finish();
    in_memory(2);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn a_key_comes_again_when_its_time_to_live_is_over_by_the_records_own_time() {
    let topic = Topic::create("dedup_ttl", 1);
    let pipeline = Pipeline::new(&topic);
    let at = |minute: i64| 1_700_000_000_000 + minute * 60_000;
    let mut producer = Producer::new(&topic);
    for (key, minute) in [
        ("a", 0),
        ("a", 9),
        ("b", 9),
        ("a", 10),
        ("a", 19),
        ("b", 18),
    ] {
        let payload = format!(r#"{{"sample_id":"{key}","unit":"{minute}"}}"#);
        producer.raw_at(0, at(minute), payload.as_bytes());
    }
    producer.finish();
    let bounded = || {
        let run = pipeline.dedup().workers(2).bounded();
        run.env("CALVE_DEDUP_TTL", "10min").run().expect_code(0)
    };
    bounded();
    let minutes = || pipeline.read().column("unit");
    assert_eq!(minutes(), [json!("0"), json!("9"), json!("10")]);
    // The state has them after a restart, too: b was seen at 9, a at 10.
    for (key, minute) in [("b", 18), ("a", 19), ("b", 19), ("a", 20)] {
        let payload = format!(r#"{{"sample_id":"{key}","unit":"{minute}"}}"#);
        producer.raw_at(0, at(minute), payload.as_bytes());
    }
    producer.finish();
    bounded();
    let expected = ["0", "9", "10", "19", "20"].map(|minute| json!(minute));
    assert_eq!(minutes(), expected);
}

#[test]
fn a_partition_that_is_far_ahead_makes_the_others_forget_nothing() {
    let topic = Topic::create("dedup_apart", 2);
    let pipeline = Pipeline::new(&topic);
    let mut producer = Producer::new(&topic);
    let mut send = |records: &[(i32, &str, i64)]| {
        for (partition, key, minute) in records {
            let payload = format!(r#"{{"sample_id":"{key}","unit":"{minute}"}}"#);
            let at = 1_700_000_000_000 + minute * 60_000;
            producer.raw_at(*partition, at, payload.as_bytes());
        }
        producer.finish();
        let run = pipeline.dedup().workers(2).bounded();
        run.env("CALVE_DEDUP_TTL", "10min").run().expect_code(0);
        let mut seen: Vec<_> = pipeline.read().rows;
        seen.sort_by_key(|row| (row["_partition"].as_i64(), row["_offset"].as_i64()));
        let text = |row: &std::collections::BTreeMap<String, serde_json::Value>| {
            let text = |name: &str| row[name].as_str().expect("a text").to_owned();
            (text("sample_id"), text("unit"))
        };
        seen.iter().map(text).collect::<Vec<_>>()
    };
    let pair = |key: &str, minute: &str| (key.to_owned(), minute.to_owned());
    send(&[
        (0, "ahead", 5_000),
        (0, "early", 0),
        (1, "a", 0),
        (1, "b", 1),
    ]);
    // A day and more behind, and repeated within ten minutes of its own time.
    let seen = send(&[(0, "ahead", 5_009), (1, "a", 9), (1, "b", 11)]);
    let first = [
        pair("ahead", "5000"),
        pair("early", "0"),
        pair("a", "0"),
        pair("b", "1"),
    ];
    assert_eq!(seen, [&first[..], &[pair("b", "11")]].concat());
}

#[test]
fn records_without_a_key_are_all_kept() {
    let topic = Topic::create("dedup_null", 2);
    let pipeline = Pipeline::new(&topic);
    let mut producer = Producer::new(&topic);
    for n in 0..6 {
        let payload = match n % 3 {
            0 => r#"{"sample_id":"a","user_id":"u"}"#,
            _ => r#"{"sample_id":"a"}"#,
        };
        producer.raw(n % 2, payload.as_bytes());
    }
    producer.finish();
    let run = pipeline.dedup().workers(2).bounded();
    run.env("CALVE_DEDUP_KEY", "sample_id,user_id")
        .run()
        .expect_code(0);
    assert_eq!(pipeline.read().count, 5);
}

#[test]
fn a_pipeline_with_state_and_one_without_are_not_the_same_and_say_so() {
    let topic = Topic::create("dedup_mixed", 3);
    let (mut producer, produced) = repeating(&topic, 1_000);
    // State, then none; then another key, and another number of groups.
    let pipeline = Pipeline::new(&topic);
    finish(&pipeline, 2);
    producer.repeat_all().finish();
    let refused = |run: Calve, code, texts: &[&str]| {
        let ended = run.bounded().run().expect_code(code);
        ended.expect_output(texts);
        pipeline.read().assert_deduplicated(&produced);
    };
    refused(
        pipeline.run(),
        2,
        &[
            "dataflow ingest keeps no state",
            "use another pipeline.name",
        ],
    );
    refused(
        pipeline.dedup().env("CALVE_DEDUP_KEY", "user_id"),
        2,
        &["dedup by sample_id", "dedup by user_id"],
    );
    refused(
        pipeline.dedup().set("max-parallelism", "64"),
        2,
        &["max-parallelism", "128"],
    );
    // None, then state.
    let pipeline = Pipeline::new(&topic);
    pipeline.run().bounded().run().expect_code(0);
    let refused = pipeline.dedup().bounded().run().expect_code(2);
    refused.expect_output(&["dataflow dedup keeps state, and this pipeline has none"]);
}

#[test]
fn what_dedup_needs_is_asked_for() {
    let topic = Topic::create("dedup_settings", 1);
    let pipeline = Pipeline::new(&topic);
    let refused = |run: Calve, text: &str| {
        run.bounded().run().expect_code(2).expect_output(&[text]);
    };
    let run = pipeline.dedup();
    refused(run.clone().without_env("CALVE_DEDUP_KEY"), "set dedup.key");
    refused(
        run.clone().env("CALVE_DEDUP_KEY", "nothing"),
        "the table has:",
    );
    refused(
        run.clone().env("CALVE_DEDUP_KEY", "value"),
        "can't be a key",
    );
    let refused_dir = run.without_env("FLINK_CHECKPOINT_DIR");
    refused(refused_dir, "state.checkpoints.dir");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path.display().to_string()],
        })
        .collect()
}

#[test]
fn state_that_nothing_can_go_back_to_is_deleted_and_the_last_checkpoints_are_kept() {
    let topic = Topic::create("dedup_tidy", 3);
    let pipeline = Pipeline::new(&topic);
    let load = Load::repeating(&topic, 1_000, 3, 3);
    let run = pipeline
        .dedup()
        .workers(3)
        .set("state.checkpoints.num-retained", "2");
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "200").start();
    eventually("there were ten checkpoints", || {
        running.output().matches("checkpoint committed").count() >= 10
    });
    running.drain();
    let produced = load.stop();
    let manifests = files(&pipeline.dir().join("checkpoints"));
    let manifests: Vec<_> = manifests
        .iter()
        .filter(|file| file.ends_with(".json"))
        .collect();
    // The tidying of the last commit is not waited for when a process drains.
    assert!((1..=4).contains(&manifests.len()), "{manifests:#?}");
    finish(&pipeline, 2);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn a_rewound_table_goes_on_with_the_state_of_its_own_marker() {
    let topic = Topic::create("dedup_rewind", 3);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let (mut producer, first) = repeating(&topic, 1_000);
    finish(&pipeline, 2);
    producer.repeating_samples(1_000, 3).finish();
    finish(&pipeline, 3);
    pipeline.change_table(json!({ "roll_back": 1 }));
    pipeline.read().assert_deduplicated(&first);
    let produced = producer.repeat_all().finish();
    let run = pipeline.dedup().workers(2).bounded();
    run.set("on-rollback", "rewind").run().expect_code(0);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn records_that_a_rollback_left_out_stay_out_although_they_are_sent_again() {
    let topic = Topic::create("dedup_continue", 3);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let (mut producer, first) = repeating(&topic, 1_000);
    finish(&pipeline, 2);
    producer.repeating_samples(1_000, 3).finish();
    finish(&pipeline, 3);
    pipeline.change_table(json!({ "roll_back": 1 }));
    producer.repeat_all().finish();
    let run = pipeline.dedup().workers(2).bounded();
    run.set("on-rollback", "continue").run().expect_code(0);
    pipeline.read().assert_deduplicated(&first);
}

#[test]
fn a_checkpoint_whose_state_can_not_be_uploaded_fails_and_its_files_ride_with_the_next() {
    let topic = Topic::create("dedup_upload", 3);
    let pipeline = Pipeline::new(&topic);
    let load = Load::repeating(&topic, 1_000, 3, 5);
    let run = pipeline.dedup().workers(3);
    let run = run
        .set("checkpoint.timeout", "1s")
        .set("checkpoint.tolerable-failed-checkpoints", "100")
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "300");
    // The first uploads succeed, then none for a while.
    let faults = "state-upload=6*off->40*return(error)->off";
    let running = run.env("FAILPOINTS", faults).start();
    eventually("a checkpoint has failed", || {
        running.output().contains("files ride with the next")
    });
    eventually("the files have landed", || {
        let output = running.output();
        let (_, later) = output
            .rsplit_once("files ride with the next")
            .expect("it has failed");
        later.contains("checkpoint committed")
    });
    running.drain();
    let produced = load.stop();
    finish(&pipeline, 2);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn a_signal_to_end_does_not_wait_for_an_upload_that_hangs() {
    let topic = Topic::create("dedup_hang", 3);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let hangs = Arc::new(AtomicBool::new(false));
    let (asked, hanging) = (Arc::new(AtomicBool::new(false)), Arc::clone(&hangs));
    let has_hung = Arc::clone(&asked);
    let proxy = Proxy::start(&Services::get().s3_endpoint, move |request: &Request| {
        if !hanging.load(Ordering::Relaxed) || !request.path.contains("/checkpoints/") {
            return Action::Pass;
        }
        asked.store(true, Ordering::Relaxed);
        Action::Delay(Duration::from_secs(300))
    });
    let load = Load::repeating(&topic, 1_000, 3, 9);
    let run = pipeline.dedup().workers(2).env("S3_ENDPOINT", &proxy.url());
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300").start();
    running.wait_rows(1_000);
    hangs.store(true, Ordering::Relaxed);
    eventually("an upload hangs", || has_hung.load(Ordering::Relaxed));
    running.sigterm();
    // A supervisor kills after half a minute.
    let ended = running.wait(Duration::from_secs(29)).expect_code(4);
    ended.expect_output(&["was not uploaded within 12s of draining"]);
    let produced = load.stop();
    finish(&pipeline, 3);
    pipeline.read().assert_deduplicated(&produced);
}

#[test]
fn a_manifest_of_the_state_that_can_not_be_written_at_once_is_written_again() {
    let topic = Topic::create("dedup_manifest", 2);
    let pipeline = Pipeline::new(&topic);
    let (_, produced) = repeating(&topic, 2_000);
    let run = pipeline.dedup().workers(2).bounded();
    let run = run
        .env("FAILPOINTS", "state-manifest=3*return(error)")
        .run();
    run.expect_code(0).expect_output(&["is tried again"]);
    pipeline.read().assert_deduplicated(&produced);
}
