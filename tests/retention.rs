//! Commits that expire the snapshots before them.

use std::thread::sleep;
use std::time::Duration;

use crate::support::{Calve, Catalog, Load, Pipeline, Topic, Warehouse};

fn expire_under_load(pipeline: &Pipeline, topic: &Topic) {
    let often = |run: Calve| {
        run.workers(2)
            .env("FLINK_CHECKPOINT_INTERVAL_MS", "20")
            .env("CALVE_SNAPSHOTS_MAX_AGE", "1s")
            .env("CALVE_SNAPSHOTS_MIN_TO_KEEP", "10")
    };
    let load = Load::start(topic, 2_000);
    let mut commits = 0;
    for _ in 0..3 {
        let running = often(pipeline.run()).start();
        sleep(Duration::from_secs(5));
        let output = running.kill().output();
        commits += output.matches("checkpoint committed").count();
    }
    let produced = load.stop();
    often(pipeline.run()).bounded().run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    // Those of the last second, or the last ten, the claims among them.
    let kept = table.snapshots;
    assert!(commits > 60, "{commits} commits");
    assert!((10..50).contains(&kept), "{kept} snapshots");
}

#[test]
fn commits_that_expire_snapshots_lose_nothing_and_double_nothing() {
    let topic = Topic::create("retention", 4);
    expire_under_load(&Pipeline::new(&topic), &topic);
}

#[test]
fn commits_that_expire_snapshots_of_a_rest_catalog_lose_nothing_and_double_nothing() {
    let topic = Topic::create("retention_rest", 4);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    expire_under_load(&pipeline, &topic);
}
