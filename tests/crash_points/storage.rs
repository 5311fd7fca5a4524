//! An object store that is slow, busy, broken or gone, and a disk that fills up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{PATIENCE, Scene};
use crate::support::{Action, Pipeline, Producer, Proxy, Request, Services, Topic};

fn busy() -> Action {
    let answer = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";
    Action::Answer(503, answer.to_owned())
}

fn writes_data(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains(".parquet")
}

fn writes_manifests(request: &Request) -> bool {
    request.method == "PUT" && request.path.contains(".avro")
}

/// A store that does this with those of the matching requests whose number, from 0, is in question.
fn store(
    matches: fn(&Request) -> bool,
    numbers: impl Fn(usize) -> bool + Send + Sync + 'static,
    fault: Action,
) -> Proxy {
    let matched = AtomicUsize::new(0);
    Proxy::start(&Services::get().s3_endpoint, move |request| {
        if matches(request) && numbers(matched.fetch_add(1, Ordering::Relaxed)) {
            fault.clone()
        } else {
            Action::Pass
        }
    })
}

/// The process goes on in spite of the store's faults.
#[track_caller]
fn goes_on_with(hint: &str, proxy: &Proxy, matches: fn(&Request) -> bool) {
    let scene = Scene::new(hint);
    let run = scene.run(6).env("S3_ENDPOINT", &proxy.url());
    let running = run.start();
    running.wait_rows(4_000);
    running.drain();
    let reached = proxy.requests().iter().filter(|r| matches(r)).count();
    assert!(reached > 6, "the fault was reached: {reached}");
    scene.assert_exactly_once();
}

#[test]
fn a_slow_object_store_is_waited_for() {
    let fault = Action::Delay(Duration::from_millis(400));
    goes_on_with("slow", &store(|_| true, |_| true, fault), |_| true);
}

#[test]
fn a_reset_connection_to_the_object_store_is_tried_again() {
    let proxy = store(writes_data, |n| n % 3 == 0, Action::Reset);
    goes_on_with("reset", &proxy, writes_data);
}

#[test]
fn a_lost_answer_of_the_object_store_is_tried_again() {
    let proxy = store(writes_data, |n| n % 3 == 0, Action::LoseAnswer);
    goes_on_with("put_answer_lost", &proxy, writes_data);
}

#[test]
fn manifests_that_can_not_be_written_for_a_while_only_delay_the_commit() {
    // More failures than the store's client tries again by itself: the attempt fails, and the next one begins.
    let proxy = store(writes_manifests, |n| (4..10).contains(&n), busy());
    goes_on_with("manifests", &proxy, writes_manifests);
}

#[test]
fn an_object_store_that_stays_away_ends_with_4() {
    let scene = Scene::new("store_gone");
    let proxy = store(writes_data, |n| n >= 12, Action::Reset);
    let run = scene.run(6).env("S3_ENDPOINT", &proxy.url());
    let ended = run.start().wait(PATIENCE).expect_code(4);
    assert!(ended.committed_rows() > 0, "it had done some work before");
    ended.expect_output(&[".parquet", "→"]);
    scene.assert_exactly_once();
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_file_ends_with_4() {
    let topic = Topic::create("disk_full", 6);
    let produced = Producer::new(&topic).samples(30_000).finish();
    let pipeline = Pipeline::new(&topic);
    let data = pipeline
        .dir()
        .join("warehouse")
        .join(&pipeline.database)
        .join(&pipeline.table)
        .join("data");
    let run = pipeline.run().workers(6).bounded().small_disk(&data, 200);
    run.run()
        .expect_code(4)
        .expect_output(&["No space left on device", "→"]);
    pipeline.run().workers(3).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}
