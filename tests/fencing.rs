//! The guard of the commit: replies that lie or are lost, other writers, two processes of one pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::support::{Action, Catalog, Load, Pipeline, Producer, Proxy, Request, Topic, Warehouse};

/// Runs a pipeline whose catalog does this with the first request that matches, and says how many did match.
fn with_one_fault(hint: &str, matches: fn(&Request) -> bool, fault: Action) -> usize {
    let topic = Topic::create(hint, 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        if matches(request) && counter.fetch_add(1, Ordering::SeqCst) == 0 {
            fault.clone()
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 5_000);
    let running = pipeline.run().workers(6).start();
    // Several commits after the fault.
    pipeline.wait_committed(&topic, 20_000);
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    seen.load(Ordering::SeqCst)
}

fn conflict() -> String {
    r#"{"error":{"message":"Requirement failed: branch main has changed","type":"CommitFailedException","code":409}}"#.to_owned()
}

fn server_error(code: u16) -> String {
    format!(
        r#"{{"error":{{"message":"try later","type":"ServiceFailureException","code":{code}}}}}"#
    )
}

#[test]
fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    let commits = with_one_fault("lost_answer", Request::adds_files, Action::LoseAnswer);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_409_that_our_own_success_caused_does_not_append_again() {
    let fault = Action::PassThenAnswer(409, conflict());
    let commits = with_one_fault("own_409", Request::adds_files, fault);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_500_after_the_swap_does_not_append_again() {
    let fault = Action::PassThenAnswer(500, server_error(500));
    let commits = with_one_fault("late_500", Request::adds_files, fault);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_504_before_the_swap_is_tried_again() {
    let fault = Action::Answer(504, server_error(504));
    let commits = with_one_fault("early_504", Request::adds_files, fault);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_503_before_the_swap_is_tried_again() {
    let fault = Action::Answer(503, server_error(503));
    let commits = with_one_fault("early_503", Request::adds_files, fault);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_conflict_before_the_swap_is_tried_again() {
    let fault = Action::Answer(409, conflict());
    let commits = with_one_fault("conflict", Request::adds_files, fault);
    assert!(commits >= 2, "the fault was reached: {commits}");
}

#[test]
fn a_lost_answer_to_the_claim_of_the_generation_does_no_harm() {
    // The first commit of a process is its claim.
    with_one_fault("lost_claim", Request::is_commit, Action::LoseAnswer);
}

#[test]
fn a_commit_that_arrives_late_is_not_made_twice() {
    // The gateway gives up, but the request is still on its way: it lands while the next attempt is made.
    let topic = Topic::create("late", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let upstream = pipeline.rest.clone();
    let first = AtomicUsize::new(0);
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        if request.adds_files() && first.fetch_add(1, Ordering::SeqCst) == 0 {
            request.send_later(&upstream, Duration::from_millis(1_500));
            Action::Answer(504, server_error(504))
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 5_000);
    let running = pipeline.run().workers(6).start();
    pipeline.wait_committed(&topic, 20_000);
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn rows_that_others_append_in_between_stay_and_do_no_harm() {
    for (catalog, warehouse) in [
        (Catalog::Sqlite, Warehouse::Local),
        (Catalog::Rest, Warehouse::S3),
    ] {
        let topic = Topic::create("foreign", 6);
        let pipeline = Pipeline::with(&topic, catalog, warehouse);
        let load = Load::start(&topic, 2_000);
        let run = pipeline.run().workers(6);
        // Slow enough for the other writer, which needs about a second, to win a swap now and then.
        let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3000").start();
        pipeline.wait_committed(&topic, 1_000);
        for n in 0..3 {
            let row = json!({"sample_id": format!("foreign-{n}"), "_partition": -1, "_offset": n});
            pipeline.change_table(json!({ "append": [row] }));
        }
        let mut produced = load.stop();
        running.drain();
        pipeline.run().workers(6).bounded().run().expect_code(0);
        produced.count += 3;
        produced.partitions.insert(-1, vec![0, 1, 2]);
        pipeline.assert_exactly(&produced);
    }
}

#[test]
fn a_newer_process_of_the_same_pipeline_fences_the_older_one() {
    for (catalog, warehouse) in [
        (Catalog::Sqlite, Warehouse::Local),
        (Catalog::Postgres, Warehouse::Local),
        (Catalog::Rest, Warehouse::S3),
    ] {
        let topic = Topic::create("fenced", 6);
        let pipeline = Pipeline::with(&topic, catalog, warehouse);
        let load = Load::start(&topic, 3_000);
        let older = pipeline.run().workers(2).start();
        pipeline.wait_committed(&topic, 3_000);
        let newer = pipeline.run().workers(6).start();
        let fenced = older.wait(Duration::from_secs(60)).expect_code(5);
        fenced.expect_output(&["generation", &pipeline.group]);
        sleep(Duration::from_secs(2));
        let produced = load.stop();
        newer.drain();
        pipeline.run().workers(6).bounded().run().expect_code(0);
        pipeline.assert_exactly(&produced);
    }
}

#[test]
fn a_process_that_slept_through_a_takeover_is_fenced() {
    let topic = Topic::create("zombie", 6);
    let pipeline = Pipeline::new(&topic);
    let load = Load::start(&topic, 3_000);
    let zombie = pipeline.run().workers(2).start();
    pipeline.wait_committed(&topic, 3_000);
    zombie.signal("STOP");
    let newer = pipeline.run().workers(6).start();
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 6_000);
    zombie.signal("CONT");
    zombie.wait(Duration::from_secs(60)).expect_code(5);
    let produced = load.stop();
    newer.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn of_processes_that_start_at_once_one_survives_and_nothing_is_there_twice() {
    let topic = Topic::create("at_once", 6);
    let produced = Producer::new(&topic).samples(50_000).finish();
    let pipeline = Pipeline::new(&topic);
    let started: Vec<_> = (0..3)
        .map(|_| pipeline.run().workers(2).bounded().start())
        .collect();
    let codes: Vec<_> = started
        .into_iter()
        .map(|running| running.wait(Duration::from_secs(90)).code)
        .collect();
    // 0: it came to the end, before a later one took over or after it; 5: fenced.
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 5))),
        "{codes:?}"
    );
    assert!(codes.contains(&Some(0)), "{codes:?}");
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn two_pipelines_of_different_names_write_to_one_table_side_by_side() {
    let (one, two) = (Topic::create("side", 2), Topic::create("by_side", 2));
    let (first, second) = (Load::start(&one, 1_000), Load::start(&two, 1_000));
    let pipeline = Pipeline::new(&one);
    let other = format!("{}-other", pipeline.group);
    let other_run = |run: crate::support::Calve| {
        let run = run
            .env("KAFKA_TOPIC", &two.name)
            .env("KAFKA_GROUP_ID", &other);
        run.env("CALVE_PIPELINE_NAME", &other)
    };
    let often = |run: crate::support::Calve| run.env("FLINK_CHECKPOINT_INTERVAL_MS", "200");
    let left = often(pipeline.run().workers(2)).start();
    pipeline.wait_committed(&one, 100);
    let right = often(other_run(pipeline.run().workers(2))).start();
    sleep(Duration::from_secs(6));
    let (first, second) = (first.stop(), second.stop());
    left.drain();
    right.drain();
    pipeline.run().workers(2).bounded().run().expect_code(0);
    other_run(pipeline.run().workers(2).bounded())
        .run()
        .expect_code(0);
    let table = pipeline.read();
    let both = first.and(&second);
    assert_eq!((table.count, table.id_sum), (both.count, both.id_sum));
    assert_eq!(table.distinct_ids, both.count);
}

#[test]
fn a_table_that_was_dropped_and_made_anew_stops_the_pipeline() {
    let topic = Topic::create("dropped", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(500).finish();
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.run().workers(2).start();
    pipeline.wait_committed(&topic, 500);
    pipeline.change_table(json!({ "recreate": true }));
    producer.samples(500).finish();
    let ended = running.wait(Duration::from_secs(60)).expect_code(6);
    ended.expect_output(&[&pipeline.table]);
    assert_eq!(pipeline.read().count, 0, "the other table was left alone");
}
