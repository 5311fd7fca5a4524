//! A Flink job moves: its configuration is read as it is, and its offsets become the first marker.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{
    Calve, Catalog, Pipeline, Produced, Producer, Services, Topic, Warehouse, run_script,
};

const JOB: &str = "77c0fbc0f9e857e6ce1cd19e6567389e";

/// Another engine writes what is in the topic now to the pipeline's table, as its checkpoint 42; afterwards the
/// table has no trace of calve.
fn leave_by_flink(pipeline: &mut Pipeline) {
    let table = std::mem::replace(&mut pipeline.table, "read_before".to_owned());
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let source = pipeline.table_name();
    pipeline.table = table;
    pipeline.columns = None;
    let request = json!({
        "catalog": pipeline.reader_properties(),
        "source": source,
        "table": pipeline.table_name(),
        "checkpoint": 42,
        "job": JOB,
    });
    let _: Value = run_script("flink_table.py", &request);
}

/// The offsets file of where the topic ends now.
fn offsets_file(pipeline: &Pipeline, topic: &Topic) -> PathBuf {
    let mut text = "topic,partition,offset\n".to_owned();
    for (partition, (_, end)) in topic.watermarks() {
        let _ = writeln!(text, "{},{partition},{end}", topic.name);
    }
    let path = pipeline.dir().join("offsets.csv");
    fs::write(&path, text).expect("a file");
    path
}

fn migrate(pipeline: &Pipeline, args: &[&str]) -> Calve {
    let migrate = ["migrate", "flink"];
    pipeline.calve(&[&migrate[..], args].concat())
}

/// Runs to the end, and counts: every record once, those that Flink wrote and those that came after it.
fn run_and_count(pipeline: &Pipeline, produced: &Produced) {
    pipeline.run().workers(3).bounded().run().expect_code(0);
    pipeline.assert_exactly(produced);
    let audit = pipeline.calve(&["audit"]).run().expect_code(0);
    assert!(!audit.stdout.contains("FAIL"), "{}", audit.stdout);
    pipeline.run().workers(1).bounded().run().expect_code(0);
    pipeline.assert_exactly(produced);
}

#[test]
fn a_table_that_flink_left_is_taken_over_at_the_offsets_of_a_file() {
    let topic = Topic::create("moved", 3);
    let mut producer = Producer::new(&topic);
    producer.samples(600).finish();
    let mut pipeline = Pipeline::new(&topic);
    leave_by_flink(&mut pipeline);
    let offsets = offsets_file(&pipeline, &topic);
    let offsets = ["--offsets", offsets.to_str().expect("a path")];
    let produced = producer.samples(900).finish();
    let left = pipeline.current_snapshot();

    let dry = [&offsets[..], &["--dry-run"]].concat();
    let dry = migrate(&pipeline, &dry).run().expect_code(0);
    let dry = dry.expect_output(&[
        &format!("Flink's job {JOB}"),
        "committed up to its checkpoint 42",
        "next to read",
        "200",
        "records will be there twice",
    ]);
    assert!(!dry.stdout.contains("Taken over"), "{}", dry.stdout);
    assert_eq!(
        pipeline.current_snapshot(),
        left,
        "a dry run writes nothing"
    );
    assert!(pipeline.markers().is_empty());

    let taken = migrate(&pipeline, &offsets).run().expect_code(0);
    taken.expect_output(&["Taken over", "epoch 0 of generation 1"]);
    let markers = pipeline.markers();
    assert_eq!(markers.len(), 1);
    let next = &markers[0]["moved"][&topic.name];
    assert_eq!(
        next,
        &json!({"0": [200, 200], "1": [200, 200], "2": [200, 200]})
    );
    run_and_count(&pipeline, &produced);

    migrate(&pipeline, &offsets)
        .run()
        .expect_code(2)
        .expect_output(&["has begun in this table already", "taken over once"]);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_table_on_s3_is_taken_over_at_the_offsets_of_a_consumer_group() {
    let mut topic = Topic::create("moved_group", 2);
    let mut producer = Producer::new(&topic);
    producer.samples(400).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    leave_by_flink(&mut pipeline);
    topic.commit("flink-job", &[(0, 200), (1, 200)]);
    // A partition that Flink has not seen.
    topic.grow_to(3);
    producer.use_partitions(3);
    let produced = producer.samples(600).finish();
    let left = pipeline.current_snapshot();
    let group = ["--from-group", "flink-job"];
    let with = |more: &[&str]| migrate(&pipeline, &[&group[..], more].concat());

    let partition = format!("no offset is given for {}[2]", topic.name);
    with(&[])
        .run()
        .expect_code(6)
        .expect_output(&[&partition, "--missing earliest"]);
    let earliest = ["--missing", "earliest"];
    for (checkpoint, what) in [("41", "would be there twice"), ("43", "would be missing")] {
        with(&[&earliest[..], &["--flink-checkpoint", checkpoint]].concat())
            .run()
            .expect_code(6)
            .expect_output(&["the table holds checkpoint 42", what]);
    }
    assert_eq!(pipeline.current_snapshot(), left, "nothing was written");

    let json = with(&[&earliest[..], &["--dry-run", "--json"]].concat())
        .run()
        .expect_code(0);
    let report: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(report["flink"][0]["checkpoint"], 42);
    assert_eq!(report["flink"][0]["snapshot-id"], left);
    assert_eq!(report["partitions"][1]["next"], 200);
    assert_eq!(report["partitions"][2]["given"], false);

    assert!(report["marker"].is_null(), "nothing was written: {report}");

    let taken = with(&[&earliest[..], &["--flink-checkpoint", "42", "--json"]].concat())
        .run()
        .expect_code(0);
    let report: Value = serde_json::from_str(&taken.stdout).expect("one JSON document");
    assert_eq!(report["dry-run"], false);
    let marker = report["marker"].as_str().expect("a marker");
    assert!(marker.contains("epoch 0 of generation 1"), "{marker}");
    run_and_count(&pipeline, &produced);
}

#[test]
fn offsets_that_can_not_be_right_are_refused_and_nothing_is_written() {
    let topic = Topic::create("moved_wrong", 2);
    Producer::new(&topic).samples(100).finish();
    let mut pipeline = Pipeline::new(&topic);
    leave_by_flink(&mut pipeline);
    topic.delete_before(0, 10);
    let left = pipeline.current_snapshot();
    let name = &topic.name;
    let path = pipeline.dir().join("offsets.csv");
    let file = path.to_str().expect("a path");
    for (text, code, expected) in [
        (
            format!("{name},0,51\n{name},1,50\n"),
            6,
            "holds offsets 10 to 50, the next one to read can't be 51",
        ),
        (
            format!("{name},0,9\n{name},1,50\n"),
            6,
            "holds offsets 10 to 50, the next one to read can't be 9",
        ),
        (
            format!("{name},0,50\n{name},1,50\n{name},0,50\n"),
            2,
            "line 3",
        ),
        (format!("{name},0,50\n"), 6, "no offset is given for"),
        (
            format!("{name},0,50\n{name},1,50\n{name},2,0\n"),
            6,
            "[2] is not there",
        ),
        (
            format!("{name},0,50\n{name},1,50\nother,0,1\n"),
            6,
            "other[0] is not there",
        ),
        (
            format!("{name};0;50\n"),
            2,
            "expected topic,partition,offset",
        ),
        (String::new(), 2, "there are no offsets to begin at"),
    ] {
        fs::write(&path, text).expect("a file");
        migrate(&pipeline, &["--offsets", file])
            .run()
            .expect_code(code)
            .expect_output(&[expected]);
    }
    migrate(
        &pipeline,
        &["--from-group", "nobody", "--missing", "earliest"],
    )
    .run()
    .expect_code(2)
    .expect_output(&["there are no offsets to begin at", "the name of the group"]);
    migrate(&pipeline, &[]).run().expect_output(&["--offsets"]);
    assert_eq!(pipeline.current_snapshot(), left);
    assert!(pipeline.markers().is_empty());
    // No table to take over: none is made.
    let mut elsewhere = Pipeline::new(&topic);
    elsewhere.columns = None;
    fs::write(&path, format!("{name},0,50\n{name},1,50\n")).expect("a file");
    migrate(&elsewhere, &["--offsets", file])
        .run()
        .expect_code(2);
}

#[test]
fn a_sample_job_moves_with_its_own_files() {
    let topic = Topic::create("sample_job", 6);
    let mut producer = Producer::new(&topic);
    producer.samples(600).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    leave_by_flink(&mut pipeline);
    topic.commit(
        "health-job",
        &[(0, 100), (1, 100), (2, 100), (3, 100), (4, 100), (5, 100)],
    );
    let produced = producer.samples(600).finish();

    // The files of tests/flink; only where the services are is another place.
    let services = Services::get();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/flink");
    let mut env = fs::read_to_string(folder.join("env.local")).expect("the fixture");
    for (line, here) in [
        (
            "KAFKA_BROKERS=kafka:9092",
            format!("KAFKA_BROKERS={}", topic.brokers),
        ),
        (
            "KAFKA_TOPIC=health-samples",
            format!("KAFKA_TOPIC={}", topic.name),
        ),
        (
            "ICEBERG_CATALOG_URI=http://catalog:8181",
            format!("ICEBERG_CATALOG_URI={}", services.rest),
        ),
        (
            "ICEBERG_WAREHOUSE=s3://warehouse",
            format!("ICEBERG_WAREHOUSE={}", pipeline.warehouse_location()),
        ),
        (
            "ICEBERG_DATABASE=health",
            format!("ICEBERG_DATABASE={}", pipeline.database),
        ),
        (
            "S3_ENDPOINT=http://minio:9000",
            format!("S3_ENDPOINT={}", services.s3_endpoint),
        ),
        (
            "S3_ACCESS_KEY=minio",
            format!("S3_ACCESS_KEY={}", services.s3_access_key),
        ),
        (
            "S3_SECRET_KEY=change-me",
            format!("S3_SECRET_KEY={}", services.s3_secret_key),
        ),
    ] {
        assert!(env.contains(&format!("{line}\n")), "{line}");
        env = env.replace(&format!("{line}\n"), &format!("{here}\n"));
    }
    fs::write(pipeline.dir().join(".env.local"), env).expect("a file");
    fs::copy(
        folder.join("config.yaml"),
        pipeline.dir().join("config.yaml"),
    )
    .expect("a file");
    let calve = |args: &[&str]| {
        let conf = [
            "--flink-conf",
            "config.yaml",
            "--set",
            "metrics.prometheus-port=0",
            "--set",
            "rest.port=off",
        ];
        Calve::new(&[args, &conf[..]].concat(), pipeline.dir())
    };

    let config = calve(&["config"]).run().expect_code(0);
    for (key, value, layer) in [
        ("parallelism", "6", ".env.local"),
        // The environment file is stronger than Flink's own.
        ("checkpoint.interval", "60 s", ".env.local"),
        ("checkpoint.min-pause", "30 s", "Flink's file config.yaml"),
        (
            "checkpoint.tolerable-failed-checkpoints",
            "3",
            "Flink's file config.yaml",
        ),
        (
            "restart-strategy.exponential-delay.max-backoff",
            "2 min",
            "Flink's file config.yaml",
        ),
        (
            "state.checkpoints.dir",
            "s3://warehouse/flink-checkpoints",
            "Flink's file config.yaml, line 64",
        ),
        ("s3.path-style-access", "true", "Flink's file config.yaml"),
        (
            "pipeline.name",
            "health-samples",
            "Flink's file config.yaml",
        ),
    ] {
        let mut lines = config.stdout.lines();
        let line = lines.find(|line| line.split_whitespace().next() == Some(key));
        let line = line.unwrap_or_else(|| panic!("{key} is not shown:\n{}", config.stdout));
        assert!(line.contains(value) && line.contains(layer), "{line}");
    }
    let config = config.expect_output(&[
        "there is no JVM",
        "env.java.opts.all  (Flink's file config.yaml, line 66)",
        "health.job.alert-mail",
    ]);
    assert!(
        !config.output().contains("oncall@example.com"),
        "values are not kept"
    );

    let group = [
        "migrate",
        "flink",
        "--from-group",
        "health-job",
        "--flink-checkpoint",
        "42",
    ];
    calve(&group)
        .run()
        .expect_code(0)
        .expect_output(&["Taken over"]);
    let run = calve(&["run", "--bounded"]).run().expect_code(0);
    run.expect_output(&[
        "not needed of Flink's file",
        "not used of Flink's file",
        "health.job.alert-mail",
    ]);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_flink_file_that_asks_for_less_stops_every_command_with_its_line() {
    let topic = Topic {
        name: "none".to_owned(),
        brokers: "broker.example:9092".to_owned(),
        partitions: 1,
    };
    let pipeline = Pipeline::new(&topic);
    let text = "parallelism.default: 2\nexecution.checkpointing.mode: AT_LEAST_ONCE\n";
    fs::write(pipeline.dir().join("config.yaml"), text).expect("a file");
    for command in ["config", "run", "audit"] {
        pipeline
            .calve(&[command, "--flink-conf", "config.yaml"])
            .run()
            .expect_code(2)
            .expect_output(&["Flink's file config.yaml, line 2", "always exactly once"]);
    }
    let explained = pipeline
        .calve(&["config", "--explain", "execution.checkpointing.interval"])
        .run()
        .expect_code(0);
    let explained = explained.expect_output(&[
        "checkpoint.interval",
        "unlike Flink",
        "said by",
        "← in force",
    ]);
    assert!(!explained.stdout.contains('\x1b'), "no colours in a pipe");
    let json = pipeline
        .calve(&["config", "--explain", "S3_SECRET_KEY", "--json"])
        .env("S3_SECRET_KEY", "hush")
        .env("S3_ACCESS_KEY", "key")
        .run()
        .expect_code(0);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["key"], "s3.secret-key");
    assert_eq!(json["value"], "***");
    assert_eq!(json["layers"][0]["in-force"], true);
}
