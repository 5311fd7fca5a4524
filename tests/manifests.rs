//! Commits that merge manifests: what independent readers then find, and what the audit says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::support::{
    Calve, Catalog, Pipeline, Produced, Producer, Running, Topic, Warehouse, run_script,
};

/// See `tests/verify/manifests.py`.
#[derive(Debug, Deserialize)]
struct Manifests {
    manifests: usize,
    inspected: usize,
    entries: BTreeMap<String, (i64, i64)>,
    added: BTreeMap<String, (i64, i64)>,
}

fn manifests(pipeline: &Pipeline) -> Manifests {
    let request = json!({
        "catalog": pipeline.reader_properties(),
        "table": pipeline.table_name(),
    });
    run_script("manifests.py", &request)
}

/// So many commits of some records each, by one process.
fn commits(running: &Running, topic: &Topic, commits: usize) -> Produced {
    let mut produced = Produced::default();
    for _ in 0..commits {
        let before = running.committed_rows();
        produced = produced.and(&Producer::new(topic).samples(20).finish());
        running.wait_rows(before + 20);
    }
    produced
}

fn often(run: Calve) -> Calve {
    run.workers(2).env("FLINK_CHECKPOINT_INTERVAL_MS", "50")
}

fn audit_passes(pipeline: &Pipeline) {
    let audit = pipeline.calve(&["audit"]).run().expect_code(0);
    audit.expect_output(&[
        "PASS  files are those of their markers",
        "PASS  no record is there twice",
        "PASS  every committed row is there",
    ]);
}

fn few_manifests_and_every_file_where_it_belongs(catalog: Catalog, warehouse: Warehouse) {
    let topic = Topic::create("manifests", 2);
    let pipeline = Pipeline::with(&topic, catalog, warehouse);
    let merging = || {
        let five = ("table.properties.commit.manifest.min-count-to-merge", "5");
        often(pipeline.run().set(five.0, five.1))
    };
    let running = merging().start();
    let mut produced = commits(&running, &topic, 24);
    running.kill();
    // The next generation goes on in the merged table.
    let running = merging().start();
    produced = produced.and(&commits(&running, &topic, 6));
    running.drain().expect_code(0);

    pipeline.assert_exactly(&produced);
    let found = manifests(&pipeline);
    assert!(found.manifests <= 5, "{} manifests", found.manifests);
    assert!(found.entries.len() >= 30, "{} files", found.entries.len());
    assert_eq!(found.inspected, found.entries.len());
    assert_eq!(
        found.entries, found.added,
        "as an incremental read finds them"
    );
    audit_passes(&pipeline);

    // Snapshots expire, and with them most of those whose commits the audit asks about.
    let running = merging()
        .env("CALVE_SNAPSHOTS_MAX_AGE", "1s")
        .env("CALVE_SNAPSHOTS_MIN_TO_KEEP", "3")
        .start();
    produced = produced.and(&commits(&running, &topic, 12));
    running.drain().expect_code(0);
    pipeline.assert_exactly(&produced);
    let after = manifests(&pipeline);
    assert!(after.manifests <= 5, "{} manifests", after.manifests);
    assert_eq!(after.inspected, after.entries.len());
    for (file, told) in found.entries.iter().chain(&after.added) {
        assert_eq!(after.entries.get(file), Some(told), "{file}");
    }
    audit_passes(&pipeline);
}

#[test]
fn many_commits_leave_few_manifests_and_every_reader_finds_each_file_where_it_belongs() {
    few_manifests_and_every_file_where_it_belongs(Catalog::Sqlite, Warehouse::Local);
}

#[test]
fn many_commits_to_a_rest_catalog_leave_few_manifests_and_each_file_where_it_belongs() {
    few_manifests_and_every_file_where_it_belongs(Catalog::Rest, Warehouse::S3);
}

/// Two partition specs, and delete files of another engine: neither is mixed with anything.
#[test]
fn a_table_whose_rows_others_rewrite_is_merged_and_judged_as_before() {
    let topic = Topic::create("manifests_rewritten", 2);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let merging = || {
        let three = ("table.properties.commit.manifest.min-count-to-merge", "3");
        often(pipeline.run().set(three.0, three.1))
    };
    let running = merging().start();
    let mut produced = commits(&running, &topic, 7);
    running.drain().expect_code(0);
    pipeline.change_table(json!({ "rewrite": true }));
    let running = merging().start();
    produced = produced.and(&commits(&running, &topic, 7));
    running.drain().expect_code(0);
    pipeline.assert_exactly(&produced);
    assert!(manifests(&pipeline).manifests <= 4);
    audit_passes(&pipeline);

    pipeline.change_table(json!({ "delete": "_partition = 0 and _offset >= 5 and _offset < 8" }));
    let running = merging().start();
    commits(&running, &topic, 7);
    running.drain().expect_code(0);
    let audit = pipeline.calve(&["audit"]).run().expect_code(6);
    audit.expect_output(&["FAIL  every committed row is there", "3 offsets: 5–7"]);
}
