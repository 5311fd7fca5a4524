//! `calve verify`: it passes on a pipeline that is as it should be, and each of its five checks fails on one that is not.
//! It leaves nothing behind, whatever it meets.

use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{
    Action, Calve, Catalog, Finished, Load, Pipeline, Producer, Proxy, Request, Services, Topic,
    Warehouse, run_script,
};

const ALL: [(Catalog, Warehouse); 3] = [
    (Catalog::Sqlite, Warehouse::Local),
    (Catalog::Postgres, Warehouse::Local),
    (Catalog::Rest, Warehouse::S3),
];

/// A topic whose records are in a table, by two runs.
fn loaded(hint: &str, catalog: Catalog, warehouse: Warehouse) -> (Topic, Pipeline) {
    let topic = Topic::create(hint, 3);
    let pipeline = Pipeline::with(&topic, catalog, warehouse);
    for _ in 0..2 {
        Producer::new(&topic).samples(300).finish();
        pipeline.run().workers(2).bounded().run().expect_code(0);
    }
    (topic, pipeline)
}

/// `calve verify --json`, with the settings of a pipeline that runs for years.
fn verify(pipeline: &Pipeline) -> Calve {
    pipeline
        .calve(&["verify", "--json"])
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "60000")
        .env("CALVE_RESTART_STRATEGY_TYPE", "exponential-delay")
}

/// What it found that does not pass: `(check, item, verdict)`.
fn exceptions(finished: &Finished) -> Vec<(String, String, String)> {
    let report: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON: {error}\n{}", finished.output()));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found = Vec::new();
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 5);
    for check in checks {
        for item in check["items"].as_array().expect("items") {
            if item["verdict"] != "pass" {
                let verdict = text(&item["verdict"]);
                let advised = item["advice"].is_string() || verdict == "unchecked";
                assert!(advised, "what to do is missing: {item:#}");
                found.push((text(&check["check"]), text(&item["title"]), verdict));
            }
        }
    }
    found
}

#[track_caller]
fn assert_exceptions(finished: &Finished, expected: &[(&str, &str, &str)]) {
    let found = exceptions(finished);
    let found: Vec<_> = found
        .iter()
        .map(|(check, title, verdict)| (check.as_str(), title.as_str(), verdict.as_str()))
        .collect();
    assert_eq!(found, expected, "{}", finished.output());
}

/// It fails by exactly this.
#[track_caller]
fn fails(calve: Calve, check: &str, title: &str) -> Finished {
    let finished = calve.run().expect_code(7);
    assert_exceptions(&finished, &[(check, title, "fail")]);
    finished
}

#[derive(Debug, Deserialize)]
struct Namespace {
    tables: Vec<String>,
    beside: Vec<String>,
}

/// By pyiceberg: the pipeline's table is the only one, and no folder of another one is left.
#[track_caller]
fn assert_clean(pipeline: &Pipeline) {
    let request = json!({
        "catalog": pipeline.reader_properties(),
        "table": pipeline.table_name(),
    });
    let namespace: Namespace = run_script("namespace.py", &request);
    assert_eq!(namespace.tables, [pipeline.table_name()]);
    let left = namespace
        .beside
        .iter()
        .find(|name| name.starts_with("calve_verify"));
    assert_eq!(left, None, "{namespace:?}");
}

/// A pipeline behind a catalog that does this with the probe's stale commits.
fn behind(
    hint: &str,
    with: impl Fn(&str, &Request) -> Action + Send + Sync + 'static,
) -> (Pipeline, Proxy) {
    let (_topic, mut pipeline) = loaded(hint, Catalog::Rest, Warehouse::S3);
    let upstream = pipeline.rest.clone();
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        match request.is_commit() && request.body_has("\"stale\"") {
            true => with(&upstream, request),
            false => Action::Pass,
        }
    });
    pipeline.rest = proxy.url();
    (pipeline, proxy)
}

#[test]
fn a_running_pipeline_passes_all_five_checks_and_notices_nothing() {
    for (catalog, warehouse) in ALL {
        let topic = Topic::create("verify_running", 6);
        let pipeline = Pipeline::with(&topic, catalog, warehouse);
        let load = Load::start(&topic, 2_000);
        let running = pipeline.run().workers(3).start();
        pipeline.wait_committed(&topic, 2_000);
        let directory = match warehouse {
            Warehouse::S3 => format!("{}/state", pipeline.warehouse_location()),
            // Nothing is there yet, as before a first start.
            Warehouse::Local => format!("file://{}/state", pipeline.dir().display()),
        };
        let verify = verify(&pipeline).env("FLINK_CHECKPOINT_DIR", &directory);
        let found = exceptions(&verify.run().expect_code(0));
        // The folder of a test may lie in memory.
        let durable = |(_, title, _): &&(String, String, String)| title == "directory";
        let others: Vec<_> = found.iter().filter(|item| !durable(item)).collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(
            warehouse == Warehouse::Local || found.is_empty(),
            "{found:?}"
        );
        assert_clean(&pipeline);
        assert!(!pipeline.dir().join("state").exists());

        let seen = running.committed_rows();
        sleep(Duration::from_secs(2));
        assert!(running.committed_rows() > seen, "it goes on");
        let produced = load.stop();
        running.drain();
        pipeline.run().workers(3).bounded().run().expect_code(0);
        pipeline.assert_exactly(&produced);
    }
}

#[test]
fn a_pipeline_at_rest_is_not_touched_and_the_report_is_for_people_too() {
    for (catalog, warehouse) in ALL {
        let (topic, pipeline) = loaded("verify_rest", catalog, warehouse);
        let before = pipeline.read().metadata_location;
        let text = pipeline.calve(&["verify", "--key", "sample_id"]);
        let text = text.run().expect_code(0).expect_output(&[
            "WARN  Checkpoint Configuration",
            "PASS  Kafka Source Configuration",
            "PASS  Iceberg Sink Configuration",
            "2 stale commits refused",
            "PASS  Exactly-Once Guarantee",
            "600 distinct offsets",
            "sample_id of 600 rows",
            "PASS  Configuration Summary",
            &topic.name,
        ]);
        assert!(!text.stdout.contains('\x1b'), "no colours in a pipe");
        // A checkpoint each second, and no restarts.
        let strict = pipeline.calve(&["verify", "--strict", "--no-probe"]);
        strict
            .run()
            .expect_code(7)
            .expect_output(&["--strict", "--no-probe)"]);
        assert_eq!(pipeline.read().metadata_location, before);
        assert_clean(&pipeline);
    }
}

#[test]
fn before_the_first_start_nothing_is_made_and_nothing_fails() {
    let topic = Topic::create("verify_before", 2);
    let pipeline = Pipeline::new(&topic);
    let finished = verify(&pipeline).run().expect_code(0);
    let found = exceptions(&finished);
    assert!(
        found.iter().all(|(.., verdict)| verdict != "fail"),
        "{found:?}"
    );
    assert!(!pipeline.dir().join("catalog.db").exists());
    let unset = verify(&pipeline).without_env("KAFKA_TOPIC");
    unset.run().expect_code(2).expect_output(&["kafka.topic"]);
}

#[test]
fn a_checkpoint_directory_that_can_not_be_written_to_fails() {
    let (_topic, pipeline) = loaded("verify_dir", Catalog::Rest, Warehouse::S3);
    let folder = pipeline.dir().join("state");
    std::fs::create_dir(&folder).expect("a folder");
    let at = |location: &str| verify(&pipeline).env("FLINK_CHECKPOINT_DIR", location);
    let location = format!("file://{}", folder.display());
    let run = fails(at(&location).read_only(&folder), "checkpoint", "directory");
    run.expect_output(&["read-only", "state.checkpoints.dir"]);
    // A disk of memory can be written to, and is gone with the machine.
    let run = at(&location).small_disk(&folder, 64).run().expect_code(0);
    assert_exceptions(&run, &[("checkpoint", "directory", "warn")]);
    run.expect_output(&["tmpfs"]);
    let bucket = "s3://no-such-bucket-of-calve/state";
    fails(at(bucket), "checkpoint", "directory").expect_output(&[bucket]);
    let savepoints = verify(&pipeline).env("CALVE_STATE_SAVEPOINTS_DIR", bucket);
    fails(savepoints, "checkpoint", "savepoints").expect_output(&["state.savepoints.dir"]);
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
    assert_clean(&pipeline);
}

#[test]
fn a_topic_that_keeps_its_records_for_a_second_fails() {
    let kafka = &Services::get().kafka;
    let settings = [("retention.ms", "1000"), ("segment.ms", "600000")];
    let topic = Topic::create_with(kafka, "verify_retention", 2, &settings);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().bounded().run().expect_code(0);
    let run = fails(verify(&pipeline), "kafka", "retention");
    run.expect_output(&["1 s; the longest outage", "23 min", "retention.ms"]);
}

#[test]
fn a_topic_without_its_records_or_without_itself_fails() {
    let (topic, pipeline) = loaded("verify_gone", Catalog::Sqlite, Warehouse::Local);
    Producer::new(&topic).samples(300).finish();
    let next = topic.watermarks()[&0].1;
    topic.delete_before(0, next);
    let run = verify(&pipeline).run().expect_code(7);
    assert!(exceptions(&run).contains(&(
        "kafka".to_owned(),
        "offsets still in Kafka".to_owned(),
        "fail".to_owned()
    )));
    run.expect_output(&[
        "[0] goes on at",
        &format!("the topic begins at {next}"),
        "on-gap",
    ]);
    topic.delete();
    let gone = || {
        let run = verify(&pipeline).run().expect_code(7);
        exceptions(&run)
            .iter()
            .any(|(_, title, verdict)| title == "brokers, topics" && verdict == "fail")
    };
    crate::support::eventually("the topic is gone", gone);
}

#[test]
fn brokers_that_are_not_there_fail_and_the_table_is_judged_all_the_same() {
    let (_topic, mut pipeline) = loaded("verify_brokers", Catalog::Sqlite, Warehouse::Local);
    pipeline.brokers = "127.0.0.1:1".to_owned();
    let run = verify(&pipeline).run().expect_code(7);
    let failed = |(_, _, verdict): &&(String, String, String)| verdict == "fail";
    let found = exceptions(&run);
    let failed: Vec<_> = found.iter().filter(failed).collect();
    assert_eq!(failed.len(), 1, "{found:?}");
    assert_eq!(failed[0].1, "brokers, topics");
    assert!(
        found
            .iter()
            .all(|(check, ..)| check != "exactly-once" && check != "iceberg")
    );
}

#[test]
fn a_catalog_that_swaps_without_comparing_fails() {
    // What a gateway does that takes the requirements out of a commit.
    let (pipeline, _proxy) = behind("verify_careless", |_, request| {
        let mut body: Value = serde_json::from_slice(&request.body).expect("a commit");
        body["requirements"] = json!([]);
        let mut other = request.clone();
        other.body = body.to_string().into_bytes();
        Action::PassInstead(other)
    });
    let run = fails(verify(&pipeline), "iceberg", "compare-and-swap");
    run.expect_output(&["built on an older table has landed"]);
    assert_clean(&pipeline);
}

#[test]
fn a_catalog_that_reports_success_for_what_it_refused_fails() {
    let (pipeline, _proxy) = behind("verify_liar", |upstream, request| {
        let load = Request {
            method: "GET".to_owned(),
            body: Vec::new(),
            ..request.clone()
        };
        let answer = load.ask(upstream);
        let (from, to) = (answer.find('{'), answer.rfind('}'));
        let table = &answer[from.expect("JSON")..=to.expect("JSON")];
        Action::PassThenAnswer(200, table.to_owned())
    });
    let run = fails(verify(&pipeline), "iceberg", "compare-and-swap");
    run.expect_output(&["success was reported for a commit that was refused"]);
    assert_clean(&pipeline);
}

#[test]
fn a_catalog_that_loses_the_commits_of_the_probe_fails_and_is_left_clean() {
    let (_topic, mut pipeline) = loaded("verify_loses", Catalog::Rest, Warehouse::S3);
    let error = r#"{"error":{"message":"out of order","type":"Oops","code":500}}"#;
    let proxy = Proxy::start(&pipeline.rest, move |request| {
        match request.is_commit() && request.body_has("calve.verify") {
            true => Action::Answer(500, error.to_owned()),
            false => Action::Pass,
        }
    });
    pipeline.rest = proxy.url();
    let run = fails(verify(&pipeline), "iceberg", "compare-and-swap");
    run.expect_output(&["a commit to it failed", "server-side problem"]);
    assert_clean(&pipeline);
}

#[test]
fn a_table_that_asks_for_upserts_fails() {
    let (_topic, pipeline) = loaded("verify_upsert", Catalog::Sqlite, Warehouse::Local);
    pipeline.change_table(json!({"set": {"write.upsert.enabled": "true"}}));
    fails(verify(&pipeline), "iceberg", "upsert").expect_output(&["write.upsert.enabled=true"]);
}

#[test]
fn a_catalog_that_is_away_fails() {
    let (_topic, mut pipeline) = loaded("verify_away", Catalog::Rest, Warehouse::S3);
    pipeline.rest = "http://127.0.0.1:1".to_owned();
    let run = verify(&pipeline).run().expect_code(7);
    let found = exceptions(&run);
    let failed = found.iter().filter(|(.., verdict)| verdict == "fail");
    let failed: Vec<_> = failed
        .map(|(check, title, _)| (check.as_str(), title.as_str()))
        .collect();
    assert_eq!(failed, [("iceberg", "catalog")]);
}

#[test]
fn rows_that_are_there_twice_or_not_at_all_fail_and_are_named() {
    let (_topic, pipeline) = loaded("verify_rows", Catalog::Rest, Warehouse::S3);
    pipeline.change_table(json!({ "copy": "_partition = 1 and _offset = 5" }));
    let run = fails(
        verify(&pipeline),
        "exactly-once",
        "no record is there twice",
    );
    run.expect_output(&["[1], offset 5", "calve explain"]);
    // Asked for by key, the same row is found without its offset.
    let keyed = verify(&pipeline).arg("--key").arg("sample_id").run();
    let keyed = keyed.expect_code(7);
    let expected = [
        ("exactly-once", "no record is there twice", "fail"),
        ("exactly-once", "no key is there twice", "fail"),
    ];
    assert_exceptions(&keyed, &expected);
    keyed.expect_output(&["1 key twice or more, 1 row too many", ": 2 rows"]);

    let (_topic, pipeline) = loaded("verify_gap", Catalog::Sqlite, Warehouse::Local);
    pipeline.change_table(json!({ "delete": "_partition = 0 and _offset = 7" }));
    let run = verify(&pipeline).run().expect_code(7);
    let expected = [
        ("iceberg", "append-only", "warn"),
        ("exactly-once", "every committed row is there", "fail"),
    ];
    assert_exceptions(&run, &expected);
    run.expect_output(&["[0], offset 7"]);
}

#[test]
fn a_topic_that_was_made_anew_does_not_belong_to_the_table() {
    let (topic, pipeline) = loaded("verify_anew", Catalog::Sqlite, Warehouse::Local);
    topic.recreate();
    Producer::new(&topic).samples(900).finish();
    let run = verify(&pipeline).run().expect_code(7);
    let found = exceptions(&run);
    let title = "table and topics belong together";
    assert!(
        found.contains(&("summary".to_owned(), title.to_owned(), "fail".to_owned())),
        "{found:?}"
    );
    run.expect_output(&["on-topic-recreated"]);
}
