//! Services that are down, slow or full, at the start and while calve runs: a clear error or patience, and
//! nothing lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::support::{
    Action, Broker, Catalog, Load, Pipeline, Producer, Proxy, Services, Topic, Warehouse, free_port,
};

#[test]
fn no_broker_at_the_start_is_said_and_ends_with_4() {
    let topic = Topic::create("no_broker", 1);
    let pipeline = Pipeline::new(&topic);
    let nobody = format!("127.0.0.1:{}", free_port());
    let run = pipeline.run().workers(6).env("KAFKA_BROKERS", &nobody);
    run.run().expect_code(4).expect_output(&[&nobody, "→"]);
}

#[test]
fn a_broker_that_goes_away_and_comes_back_loses_nothing() {
    let mut broker = Broker::start();
    let topic = Topic::create_with(&broker.address(), "away", 6, &[]);
    let mut producer = Producer::new(&topic);
    let first = producer.samples(6_000).finish();
    let pipeline = Pipeline::new(&topic);
    let mut running = pipeline.run().workers(6).start();
    pipeline.wait_committed(&topic, 6_000);
    broker.kill();
    sleep(Duration::from_secs(5));
    assert!(
        running.is_running(),
        "librdkafka reconnects: no reason to end\n{}",
        running.output()
    );
    broker.restart();
    let produced = first.and(&Producer::new(&topic).samples(6_000).finish());
    pipeline.wait_committed(&topic, 12_000);
    running.drain();
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_broker_that_is_killed_under_load_loses_nothing() {
    let mut broker = Broker::start();
    let topic = Topic::create_with(&broker.address(), "load", 6, &[]);
    let load = Load::start(&topic, 3_000);
    let pipeline = Pipeline::new(&topic);
    let running = pipeline.run().workers(6).start();
    pipeline.wait_committed(&topic, 3_000);
    broker.kill();
    broker.restart();
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 3_000);
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn no_catalog_at_the_start_is_said_and_ends_with_4() {
    let topic = Topic::create("no_catalog", 1);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    pipeline.rest = format!("http://127.0.0.1:{}", free_port());
    let ended = pipeline.run().workers(6).run().expect_code(4);
    ended.expect_output(&["catalog", &pipeline.rest, "→"]);
    let pipeline = Pipeline::with(&topic, Catalog::Postgres, Warehouse::Local);
    let nobody = format!("postgres://calve@127.0.0.1:{}/calve", free_port());
    let run = pipeline
        .run()
        .workers(6)
        .env("ICEBERG_CATALOG_URI", &nobody);
    run.run().expect_code(4).expect_output(&["catalog", "→"]);
}

#[test]
fn a_catalog_that_is_away_for_a_while_loses_nothing_and_ends_nothing() {
    let topic = Topic::create("catalog_away", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let proxy = Proxy::start(&pipeline.rest, move |_| {
        if is_down.load(Ordering::Relaxed) {
            Action::Refuse
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 3_000);
    let mut running = pipeline.run().workers(6).start();
    pipeline.wait_committed(&topic, 6_000);
    down.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(10));
    assert!(
        running.is_running(),
        "it waits for the catalog:\n{}",
        running.output()
    );
    down.store(false, Ordering::Relaxed);
    let committed = topic.committed_total(&pipeline.group);
    pipeline.wait_committed(&topic, committed + 9_000);
    let produced = load.stop();
    running.drain();
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_catalog_that_stays_away_ends_the_pipeline_and_loses_nothing() {
    let topic = Topic::create("catalog_gone", 6);
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let direct = pipeline.rest.clone();
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let proxy = Proxy::start(&pipeline.rest, move |_| {
        if is_down.load(Ordering::Relaxed) {
            Action::Refuse
        } else {
            Action::Pass
        }
    });
    pipeline.rest = proxy.url();
    let load = Load::start(&topic, 3_000);
    let running = pipeline
        .run()
        .workers(6)
        .set("checkpoint.timeout", "5s")
        .start();
    pipeline.wait_committed(&topic, 3_000);
    down.store(true, Ordering::Relaxed);
    let ended = running.wait(Duration::from_secs(90)).expect_code(4);
    ended.expect_output(&["catalog", "→"]);
    let produced = load.stop();
    pipeline.rest = direct;
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn an_object_store_that_is_busy_for_a_moment_is_tried_again() {
    let topic = Topic::create("busy", 6);
    let pipeline = Pipeline::with(&topic, Catalog::Sqlite, Warehouse::S3);
    let writes = AtomicUsize::new(0);
    let proxy = Proxy::start(&Services::get().s3_endpoint, move |request| {
        let data = request.method == "PUT" && request.path.contains(".parquet");
        if data && writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) {
            let slow = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>";
            Action::Answer(503, slow.to_owned())
        } else {
            Action::Pass
        }
    });
    let produced = Producer::new(&topic).samples(20_000).finish();
    let run = pipeline
        .run()
        .workers(6)
        .bounded()
        .env("S3_ENDPOINT", &proxy.url());
    run.run().expect_code(0);
    pipeline.assert_exactly(&produced);
    let failed = proxy
        .requests()
        .iter()
        .filter(|r| r.path.contains(".parquet"))
        .count();
    assert!(failed > 6, "the fault was reached: {failed}");
}

#[test]
fn an_object_store_that_is_not_there_is_said_and_ends_with_4() {
    let topic = Topic::create("no_store", 2);
    let pipeline = Pipeline::with(&topic, Catalog::Sqlite, Warehouse::S3);
    let produced = Producer::new(&topic).samples(500).finish();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let run = pipeline.run().bounded().env("S3_ENDPOINT", &nobody);
    run.run().expect_code(4).expect_output(&["→"]);
    let run = pipeline
        .run()
        .bounded()
        .env("S3_SECRET_KEY", "wrong-secret");
    let refused = run.run().expect_code(4);
    assert!(
        !refused.output().contains("wrong-secret"),
        "a secret in the log"
    );
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_full_disk_is_said_ends_with_4_and_loses_nothing() {
    let topic = Topic::create("full", 2);
    let produced = Producer::new(&topic).samples(50_000).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().workers(2).bounded().file_size_limit(200);
    run.run().expect_code(4).expect_output(&["→"]);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_warehouse_that_can_not_be_written_to_is_said_ends_with_4_and_loses_nothing() {
    let topic = Topic::create("read_only", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(500).finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let produced = producer.samples(500).finish();
    let warehouse = pipeline.dir().join("warehouse");
    let run = pipeline.run().workers(2).bounded().read_only(&warehouse);
    // An unknown outcome is tried again for this long.
    let run = run.set("checkpoint.timeout", "5s");
    run.run().expect_code(4).expect_output(&["→"]);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}
