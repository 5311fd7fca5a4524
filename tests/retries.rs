//! The table's own `commit.retry.*` properties.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{Action, Catalog, Pipeline, Producer, Proxy, Topic, Warehouse};

/// A pipeline whose commits of files all get this answer, and when they were asked for.
fn answered(hint: &str, answer: Action) -> (Pipeline, Proxy, Arc<Mutex<Vec<Instant>>>) {
    let topic = Topic::create(hint, 2);
    Producer::new(&topic).samples(1_000).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Arc::clone(&asked);
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        if request.adds_files() {
            times.lock().expect("no panic").push(Instant::now());
            answer.clone()
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    (pipeline, proxy, asked)
}

fn conflict() -> Action {
    let body =
        r#"{"error":{"message":"main has changed","type":"CommitFailedException","code":409}}"#;
    Action::Answer(409, body.to_owned())
}

#[test]
fn the_tables_retry_properties_say_how_often_and_how_fast_a_conflict_is_retried() {
    let (pipeline, _proxy, asked) = answered("retry_num", conflict());
    let run = pipeline.run().workers(2).bounded();
    let run = run
        .set("table.properties.commit.retry.num-retries", "3")
        .set("table.properties.commit.retry.min-wait-ms", "400")
        .set("table.properties.commit.retry.max-wait-ms", "800");
    let ended = run.run().expect_code(4);
    ended.expect_output(&["did not land", "commit.retry.num-retries", "→"]);
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked.len(), 4, "once, and three times more: {asked:?}");
    let waits: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, least) in waits.iter().zip([400, 800, 800]) {
        // Loading the table and writing the manifest takes its own time.
        assert!(wait.as_millis() >= least, "{waits:?}");
    }
}

#[test]
fn the_tables_total_timeout_ends_a_commit_that_does_not_land() {
    let (pipeline, _proxy, asked) = answered("retry_total", Action::Refuse);
    let run = pipeline.run().workers(2).bounded();
    let run = run.set("table.properties.commit.retry.total-timeout-ms", "3000");
    let ended = run.run().expect_code(4);
    ended.expect_output(&["did not land within", "→"]);
    let asked = asked.lock().expect("no panic").clone();
    let (first, last) = (asked[0], asked[asked.len() - 1]);
    assert!(asked.len() > 2, "it was tried again: {asked:?}");
    assert!(last - first <= Duration::from_secs(3), "{asked:?}");
}

#[test]
fn conflicts_end_in_a_commit_while_the_table_does_not_limit_them() {
    let topic = Topic::create("retry_many", 2);
    let produced = Producer::new(&topic).samples(1_000).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let left = Mutex::new(8);
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        let mut left = left.lock().expect("no panic");
        if request.adds_files() && *left > 0 {
            *left -= 1;
            return conflict();
        }
        Action::Pass
    });
    pipeline.rest = proxy.url();
    // More conflicts than the four retries that Iceberg makes unless it is told otherwise.
    let run = pipeline.run().workers(2).bounded();
    run.set("table.properties.commit.retry.min-wait-ms", "10")
        .run()
        .expect_code(0);
    pipeline.assert_exactly(&produced);
}
