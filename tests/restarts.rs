//! Failures that may pass: the dataflow starts again within the same process, from the table's marker.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use crate::support::{
    Calve, Catalog, Load, Pipeline, Producer, Running, Topic, Warehouse, eventually, switchable,
};

/// With a restart after a moment, as often as it takes.
fn restarting(run: Calve) -> Calve {
    run.set("restart-strategy.type", "exponential-delay")
        .set(
            "restart-strategy.exponential-delay.initial-backoff",
            "300ms",
        )
        .set("restart-strategy.exponential-delay.max-backoff", "1s")
        .set("metrics.prometheus-port", "0")
}

fn restarts(running: &Running) -> u64 {
    running.metric("calve_restarts_total")
}

fn wait_restarts(running: &Running, count: u64) {
    eventually(&format!("{count} restarts"), || restarts(running) >= count);
}

#[test]
fn a_panic_in_a_worker_restarts_the_dataflow_and_nothing_is_lost_or_doubled() {
    let topic = Topic::create("panic", 6);
    let load = Load::start(&topic, 5_000);
    let pipeline = Pipeline::new(&topic);
    let run = restarting(pipeline.run().workers(6)).env("FAILPOINTS", "write=20*off->1*panic");
    let mut running = run.start();
    wait_restarts(&running, 1);
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 20_000);
    let produced = load.stop();
    assert!(running.is_running());
    let committed = running.metric("calve_records_committed_total");
    assert!(committed >= 20_000, "the figures go on: {committed}");
    let ended = running.drain();
    ended.expect_output(&[
        "panicked: failpoint write",
        "started again in",
        "(restart 1)",
    ]);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn many_restarts_leave_no_threads_behind() {
    let topic = Topic::create("threads", 6);
    let load = Load::start(&topic, 5_000);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let once = "20*off->1*panic->20*off->1*return(error)";
    let points = format!("write={once}->{once}->{once}");
    let run = restarting(pipeline.run().workers(6)).env("FAILPOINTS", &points);
    let running = run.start();
    pipeline.wait_committed(&topic, 1);
    let threads = running.threads();
    wait_restarts(&running, 6);
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 10_000);
    println!(
        "threads: {threads}, after six restarts {}",
        running.threads()
    );
    // Threads of the runtime that make blocking calls come and go.
    eventually("the threads are those of the beginning", || {
        running.threads() <= threads + 2
    });
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_checkpoint_that_fails_beyond_tolerance_restarts_until_the_catalog_is_back() {
    let topic = Topic::create("until_back", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let (proxy, away) = switchable(&pipeline.rest);
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 3_000);
    let run = restarting(pipeline.run().workers(6)).set("checkpoint.timeout", "2s");
    let mut running = run.start();
    pipeline.wait_committed(&topic, 3_000);
    away.store(true, Ordering::Relaxed);
    // The first after the failed checkpoint, the others after starts that failed.
    wait_restarts(&running, 3);
    away.store(false, Ordering::Relaxed);
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 15_000);
    let produced = load.stop();
    assert!(running.is_running());
    running.drain().expect_output(&[
        "checkpoint.tolerable-failed-checkpoints is 0",
        "started again in",
    ]);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_fixed_number_of_restarts_is_used_up_and_the_error_ends_the_process() {
    let topic = Topic::create("used_up", 2);
    let produced = Producer::new(&topic).samples(2_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline
        .run()
        .workers(2)
        .set("restart-strategy.type", "fixed-delay")
        .set("restart-strategy.fixed-delay.attempts", "2")
        .set("restart-strategy.fixed-delay.delay", "200ms")
        .env("FAILPOINTS", "write=return(error)");
    let ended = run.run().expect_code(4).expect_output(&[
        "(restart 1)",
        "(restart 2)",
        "restart-strategy.fixed-delay.attempts are used up",
    ]);
    assert!(!ended.output().contains("(restart 3)"));
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn without_a_strategy_the_first_failure_ends_the_process() {
    let topic = Topic::create("no_strategy", 2);
    let produced = Producer::new(&topic).samples(2_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline
        .run()
        .workers(2)
        .set("restart-strategy.type", "none")
        .env("FAILPOINTS", "write=1*return(error)");
    let ended = run.run().expect_code(4);
    ended.expect_output(&["restart-strategy.type is none", "failpoint write"]);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_bounded_run_restarts_and_reads_to_its_end() {
    let topic = Topic::create("bounded_restart", 6);
    let produced = Producer::new(&topic).samples(60_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = restarting(pipeline.run().workers(6)).bounded();
    let run = run.env("FAILPOINTS", "write=2*off->1*return(error)");
    run.run()
        .expect_code(0)
        .expect_output(&["(restart 1)", "failpoint write"]);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_drain_while_waiting_for_the_restart_ends_at_once_and_well() {
    let topic = Topic::create("drain_waiting", 2);
    let produced = Producer::new(&topic).samples(2_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline
        .run()
        .workers(2)
        .set("restart-strategy.type", "fixed-delay")
        .set("restart-strategy.fixed-delay.delay", "10min")
        .env("FAILPOINTS", "write=1*return(error)");
    let running = run.start();
    eventually("it waits", || running.output().contains("started again in"));
    running.sigterm();
    running.wait(Duration::from_secs(5)).expect_code(0);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_restart_never_takes_the_pipeline_over_from_a_process_that_was_started_meanwhile() {
    let topic = Topic::create("overtaken", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let direct = pipeline.rest.clone();
    let (proxy, away) = switchable(&direct);
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 3_000);
    let run = restarting(pipeline.run().workers(6)).set("checkpoint.timeout", "2s");
    let older = run.start();
    pipeline.wait_committed(&topic, 3_000);
    away.store(true, Ordering::Relaxed);
    wait_restarts(&older, 1);
    pipeline.rest = direct;
    let mut newer = pipeline.run().workers(2).start();
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 3_000);
    away.store(false, Ordering::Relaxed);
    let fenced = older.wait(Duration::from_secs(60)).expect_code(5);
    fenced.expect_output(&["has taken over", "not started again"]);
    sleep(Duration::from_secs(2));
    assert!(newer.is_running(), "it goes on:\n{}", newer.output());
    let produced = load.stop();
    newer.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_process_that_is_fenced_is_not_started_again_whatever_the_strategy() {
    let topic = Topic::create("fenced_once", 6);
    let load = Load::start(&topic, 3_000);
    let pipeline = Pipeline::new(&topic);
    let older = restarting(pipeline.run().workers(6)).start();
    pipeline.wait_committed(&topic, 3_000);
    let newer = pipeline.run().workers(6).start();
    let fenced = older.wait(Duration::from_secs(60)).expect_code(5);
    assert!(!fenced.output().contains("started again in"));
    let produced = load.stop();
    newer.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn data_that_can_not_be_decoded_is_not_tried_again_whatever_the_strategy() {
    let topic = Topic::create("bad_once", 1);
    Producer::new(&topic).raw(0, b"no JSON").finish();
    let pipeline = Pipeline::new(&topic);
    let ended = restarting(pipeline.run()).run().expect_code(3);
    assert!(!ended.output().contains("started again in"));
}
