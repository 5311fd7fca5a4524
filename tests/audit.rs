//! `calve audit` and `calve explain`: what they say must be what pyiceberg, pyarrow and DuckDB see, and what others
//! do to a table must not escape them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{
    Calve, Catalog, Finished, Load, Pipeline, Produced, Producer, Topic, Warehouse, run_script,
};

const BOTH: [(Catalog, Warehouse); 2] = [
    (Catalog::Sqlite, Warehouse::Local),
    (Catalog::Rest, Warehouse::S3),
];

/// A topic whose records are in a table: by two runs, half of them each, of several commits.
fn loaded(hint: &str, catalog: Catalog, warehouse: Warehouse) -> (Topic, Produced, Pipeline) {
    let topic = Topic::create(hint, 3);
    let pipeline = Pipeline::with(&topic, catalog, warehouse);
    let mut produced = Produced::default();
    for _ in 0..2 {
        produced = produced.and(&Producer::new(&topic).samples(900).finish());
        pipeline.run().workers(2).bounded().run().expect_code(0);
    }
    pipeline.assert_exactly(&produced);
    (topic, produced, pipeline)
}

/// A command that must not need Kafka.
fn offline(pipeline: &Pipeline, args: &[&str]) -> Calve {
    let calve = pipeline.calve(args);
    ["KAFKA_BROKERS", "KAFKA_TOPIC"]
        .into_iter()
        .fold(calve, Calve::without_env)
}

#[track_caller]
fn parse(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| {
        panic!("no JSON: {error}\n{}", finished.output());
    })
}

#[track_caller]
fn audit(pipeline: &Pipeline, code: i32) -> Value {
    parse(
        &offline(pipeline, &["audit", "--json"])
            .run()
            .expect_code(code),
    )
}

/// The checks that ended so.
fn checks<'a>(report: &'a Value, verdict: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().expect("checks").iter();
    let some = checks.filter(|check| check["verdict"] == verdict);
    some.map(|check| check["check"].as_str().expect("a name"))
        .collect()
}

/// All checks pass.
#[track_caller]
fn audit_passes(pipeline: &Pipeline) -> Value {
    let report = audit(pipeline, 0);
    assert_eq!(checks(&report, "pass").len(), 8, "{report:#}");
    report
}

/// The one check that fails, and where: partition and ranges of offsets.
#[track_caller]
fn audit_fails(pipeline: &Pipeline) -> (String, Vec<(i64, Value)>) {
    let report = audit(pipeline, 6);
    let failed = checks(&report, "fail");
    assert_eq!(failed.len(), 1, "{report:#}");
    let findings = report["findings"].as_array().expect("findings").iter();
    let places = findings.map(|finding| {
        let partition = finding["partition"].as_i64().expect("a partition");
        (partition, finding["offsets"]["ranges"].clone())
    });
    (failed[0].to_owned(), places.collect())
}

fn explain(pipeline: &Pipeline, partition: i32, offset: i64, code: i32) -> Value {
    let record = format!("{}/{partition}/{offset}", pipeline.topic);
    let run = offline(pipeline, &["explain", "--json", &record]).run();
    parse(&run.expect_code(code))
}

/// `(file, snapshot)` of each file that holds a record, as calve says.
fn held_by(answer: &Value) -> BTreeSet<(String, i64)> {
    let holders = answer["held-by"].as_array().expect("files").iter();
    let pairs = holders.map(|holder| {
        let file = holder["file"].as_str().expect("a path").to_owned();
        (file, holder["snapshot"].as_i64().expect("a snapshot"))
    });
    pairs.collect()
}

/// The same, as pyiceberg and pyarrow say.
fn where_is(pipeline: &Pipeline, partition: i32, offset: i64) -> BTreeSet<(String, i64)> {
    let request = json!({
        "catalog": pipeline.reader_properties(),
        "table": pipeline.table_name(),
        "partition": partition,
        "offset": offset,
    });
    let found: Vec<Value> = run_script("where_is.py", &request);
    let pairs = found.iter().map(|place| {
        assert_eq!(place["rows"], 1, "{place}");
        let file = place["file"].as_str().expect("a path").to_owned();
        (file, place["snapshot"].as_i64().expect("a snapshot"))
    });
    pairs.collect()
}

#[test]
fn a_pipeline_that_was_killed_and_restarted_passes_its_audit_without_kafka() {
    for (catalog, warehouse) in BOTH {
        let topic = Topic::create("audit_restarts", 6);
        let pipeline = Pipeline::with(&topic, catalog, warehouse);
        let load = Load::start(&topic, 3_000);
        for round in 0..4 {
            let run = pipeline.run().workers([6, 2][round % 2]);
            let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "300").start();
            std::thread::sleep(std::time::Duration::from_millis(1_900));
            if round % 2 == 0 {
                running.kill();
            } else {
                running.drain();
            }
        }
        let produced = load.stop();
        pipeline.run().workers(6).bounded().run().expect_code(0);
        let before = pipeline.assert_exactly(&produced);

        let report = audit_passes(&pipeline);
        assert_eq!(report["marker"]["generation"], 5);
        let partitions = report["partitions"].as_array().expect("partitions");
        assert_eq!(partitions.len(), 6);
        for partition in partitions {
            let number = partition["partition"].as_i64().expect("a number") as i32;
            let seen = &before.partitions[&number];
            let next = topic.watermarks()[&number].1;
            assert_eq!(partition["rows"], seen.count);
            assert_eq!(partition["distinct"], seen.distinct);
            assert_eq!(
                (&partition["min"], &partition["max"]),
                (&json!(seen.first), &json!(seen.last))
            );
            assert_eq!(
                (&partition["first"], &partition["next"]),
                (&json!(0), &json!(next))
            );
            assert_eq!(partition["without-row"]["count"], 0);
        }
        // It has looked, and nothing else.
        assert_eq!(pipeline.read().metadata_location, before.metadata_location);
        let text = offline(&pipeline, &["audit"]).run().expect_code(0);
        text.expect_output(&["PASS  no record is there twice", &topic.name]);
    }
}

#[test]
fn rows_that_another_program_copied_are_named_and_explained() {
    for (catalog, warehouse) in BOTH {
        let (_topic, _, pipeline) = loaded("audit_copy", catalog, warehouse);
        pipeline
            .change_table(json!({ "copy": "_partition = 1 and _offset >= 298 and _offset < 302" }));
        let (check, places) = audit_fails(&pipeline);
        assert_eq!(check, "duplicates");
        assert_eq!(places, [(1, json!([[298, 302]]))]);
        let text = offline(&pipeline, &["audit"]).run().expect_code(6);
        text.expect_output(&[
            "FAIL  no record is there twice",
            "[1], 4 offsets: 298–301",
            "calve explain",
        ]);

        let twice = explain(&pipeline, 1, 300, 6);
        let found = held_by(&twice);
        assert_eq!(found.len(), 2, "{twice:#}");
        assert_eq!(found, where_is(&pipeline, 1, 300));
        // The others are as they were.
        assert_eq!(
            held_by(&explain(&pipeline, 1, 302, 0)),
            where_is(&pipeline, 1, 302)
        );
    }
}

#[test]
fn rows_that_another_program_deleted_are_named_and_the_snapshot_that_did_it() {
    for (catalog, warehouse) in BOTH {
        let (_topic, _, pipeline) = loaded("audit_delete", catalog, warehouse);
        let committed = explain(&pipeline, 0, 7, 0);
        let (file, snapshot) = held_by(&committed).into_iter().next().expect("a file");
        pipeline
            .change_table(json!({ "delete": "_partition = 0 and _offset >= 5 and _offset < 8" }));
        let (check, places) = audit_fails(&pipeline);
        assert_eq!(check, "completeness");
        assert_eq!(places, [(0, json!([[5, 8]]))]);

        let gone = explain(&pipeline, 0, 7, 6);
        assert_eq!(held_by(&gone), BTreeSet::new());
        assert_eq!(
            (&gone["was-in"], &gone["snapshot"]),
            (&json!(file), &json!(snapshot))
        );
        assert_eq!(gone["removed-by"], pipeline.current_snapshot(), "{gone:#}");
        explain(&pipeline, 0, 8, 0);
        // A whole file, and with it the last rows of a commit.
        pipeline.change_table(json!({ "delete": "_offset >= 300" }));
        let report = audit(&pipeline, 6);
        assert_eq!(checks(&report, "fail"), ["completeness"]);
    }
}

#[test]
fn after_a_rewrite_by_another_engine_the_rows_are_judged_as_before() {
    for (catalog, warehouse) in BOTH {
        let (topic, mut produced, pipeline) = loaded("audit_rewrite", catalog, warehouse);
        pipeline.change_table(json!({ "rewrite": true }));
        audit_passes(&pipeline);
        // The commit is known by its range, the file by its rows.
        let answer = explain(&pipeline, 2, 17, 0);
        assert_eq!(held_by(&answer), where_is(&pipeline, 2, 17));
        assert_eq!(
            (&answer["standing"], &answer["marker"]["generation"]),
            (&json!("covered"), &json!(1))
        );
        assert_eq!(answer["held-by"][0]["generation"], Value::Null);

        // And the pipeline goes on.
        produced = produced.and(&Producer::new(&topic).samples(300).finish());
        pipeline.run().bounded().run().expect_code(0);
        pipeline.assert_exactly(&produced);
        audit_passes(&pipeline);
        pipeline.change_table(json!({ "copy": "_partition = 0 and _offset = 3" }));
        assert_eq!(
            audit_fails(&pipeline),
            ("duplicates".to_owned(), vec![(0, json!([[3, 4]]))])
        );
    }
}

#[test]
fn rows_of_offsets_that_were_not_read_yet_are_found_with_their_file() {
    let (_topic, _, pipeline) = loaded("audit_stray", Catalog::Rest, Warehouse::S3);
    let row = json!({"sample_id": "x", "_topic": pipeline.topic, "_partition": 1, "_offset": 600});
    pipeline.change_table(json!({ "append": [row] }));
    assert_eq!(
        audit_fails(&pipeline),
        ("placement".to_owned(), vec![(1, json!([[600, 601]]))])
    );
    explain(&pipeline, 1, 600, 6);
    // Rows without provenance are nobody's business.
    let (_topic, _, pipeline) = loaded("audit_foreign", Catalog::Sqlite, Warehouse::Local);
    pipeline.change_table(json!({ "append": [{"sample_id": "x"}] }));
    let report = audit_passes(&pipeline);
    assert!(
        report["notes"][0]
            .as_str()
            .expect("a note")
            .starts_with("1 row without")
    );
}

#[test]
fn explain_finds_the_file_that_pyarrow_finds_and_says_why_a_record_is_not_there() {
    let topic = Topic::create("explain", 3);
    let mut producer = Producer::new(&topic);
    producer
        .samples(300)
        .raw(0, b"no JSON")
        .samples(300)
        .finish();
    // What was there before the pipeline began.
    topic.delete_before(1, 40);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let run = pipeline.run().workers(2).bounded();
    run.set("on-reject", "skip").run().expect_code(0);
    producer.samples(30).finish();

    for (partition, offset) in [(0, 0), (0, 101), (1, 40), (2, 199)] {
        let answer = explain(&pipeline, partition, offset, 0);
        assert_eq!(answer["standing"], "covered", "{answer:#}");
        let found = held_by(&answer);
        assert_eq!(found.len(), 1);
        assert_eq!(found, where_is(&pipeline, partition, offset));
        assert_eq!(answer["held-by"][0]["generation"], 1);
    }
    let says = |partition, offset, standing: &str, text: &str| {
        let answer = explain(&pipeline, partition, offset, 0);
        assert_eq!(answer["standing"], standing, "{answer:#}");
        assert_eq!(held_by(&answer), BTreeSet::new());
        assert!(
            answer["says"].as_str().expect("words").contains(text),
            "{answer:#}"
        );
    };
    says(0, 100, "covered", "a reject that was skipped");
    says(0, 201, "not-read", "goes on at offset 201");
    says(2, 200, "not-read", "goes on at offset 200");
    says(1, 39, "before-first", "began behind it, at offset 40");
    says(7, 0, "unknown-partition", "never read this partition");
    let other = offline(&pipeline, &["explain", "other/0/0"]).run();
    other
        .expect_code(0)
        .expect_output(&["never read this topic"]);
    let wrong = offline(&pipeline, &["explain", "other/0"]).run();
    wrong
        .expect_code(2)
        .expect_output(&["TOPIC/PARTITION/OFFSET"]);

    // The reject is listed, and no failure.
    let report = audit_passes(&pipeline);
    let without = &report["partitions"][0]["without-row"];
    assert_eq!(without["ranges"], json!([[100, 101]]));
}

#[test]
fn what_transactions_leave_in_the_log_is_listed_and_no_failure() {
    let topic = Topic::create("audit_tx", 2);
    let mut producer = Producer::transactional(&topic, &topic.name);
    let produced = producer
        .transaction(20, true)
        .transaction(20, false)
        .transaction(20, true)
        .finish();
    let pipeline = Pipeline::new(&topic);
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    let report = audit_passes(&pipeline);
    // A marker behind the first ten, eleven offsets of the aborted transaction, a marker at the end.
    let without = &report["partitions"][1]["without-row"];
    assert_eq!(without["ranges"], json!([[10, 22], [32, 33]]));
    let aborted = explain(&pipeline, 1, 15, 0);
    assert!(aborted["says"].as_str().expect("words").contains("aborted"));
}

#[test]
fn of_expired_snapshots_the_rows_are_checked_and_the_report_says_how_far() {
    for (catalog, warehouse) in BOTH {
        let (_topic, _, pipeline) = loaded("audit_expired", catalog, warehouse);
        // The last commit with its claim stay, or nothing but what is current.
        for keep in [2, 1] {
            pipeline.change_table(json!({ "keep": keep }));
            let report = audit_passes(&pipeline);
            let note = report["notes"][0].as_str().expect("a note");
            assert!(note.contains("have expired"), "{note}");
            let rows = report["partitions"][0]["rows"].as_i64();
            assert_eq!(rows, Some(600), "all rows are read");
        }
        // The file's name still tells where its rows come from.
        let answer = explain(&pipeline, 0, 1, 0);
        assert_eq!(answer["standing"], "expired", "{answer:#}");
        assert_eq!(answer["held-by"][0]["generation"], 1);
        assert_eq!(held_by(&answer), where_is(&pipeline, 0, 1));
        pipeline.change_table(json!({ "copy": "_partition = 0 and _offset = 1" }));
        assert_eq!(
            audit_fails(&pipeline),
            ("duplicates".to_owned(), vec![(0, json!([[1, 2]]))])
        );
    }
}

#[test]
fn a_rolled_back_table_fails_until_a_policy_goes_on_from_it() {
    for policy in ["rewind", "continue"] {
        let (_topic, _, pipeline) = loaded("audit_rollback", Catalog::Rest, Warehouse::S3);
        pipeline.change_table(json!({ "roll_back": 1 }));
        let report = audit(&pipeline, 6);
        assert!(checks(&report, "fail").contains(&"places"), "{report:#}");
        let run = pipeline.run().workers(2).bounded();
        run.set("on-rollback", policy).run().expect_code(0);
        let report = audit_passes(&pipeline);
        let gap = &report["partitions"][0]["gaps"]["ranges"];
        let expected = match policy {
            "rewind" => Value::Null,
            _ => json!([[300, 600]]),
        };
        assert_eq!(*gap, expected, "{report:#}");
        let standing = match policy {
            "rewind" => "covered",
            _ => "gap",
        };
        assert_eq!(explain(&pipeline, 0, 599, 0)["standing"], standing);
    }
}

#[test]
fn a_recorded_gap_is_accepted_and_a_topic_made_anew_begins_again() {
    let (topic, _, pipeline) = loaded("audit_gap", Catalog::Rest, Warehouse::S3);
    Producer::new(&topic).samples(300).finish();
    topic.delete_before(0, 650);
    let run = pipeline.run().workers(2).bounded();
    run.set("on-gap", "record-gap").run().expect_code(0);
    let report = audit_passes(&pipeline);
    assert_eq!(
        report["partitions"][0]["gaps"]["ranges"],
        json!([[600, 650]])
    );
    assert_eq!(explain(&pipeline, 0, 620, 0)["standing"], "gap");
    assert_eq!(explain(&pipeline, 0, 650, 0)["standing"], "covered");

    topic.recreate();
    Producer::new(&topic).samples(90).finish();
    let run = pipeline.run().workers(2).bounded();
    run.set("on-topic-recreated", "restart")
        .run()
        .expect_code(0);
    let report = audit_passes(&pipeline);
    assert_eq!(
        report["partitions"].as_array().expect("partitions").len(),
        6,
        "{report:#}"
    );
    let both = explain(&pipeline, 0, 3, 0);
    assert_eq!(
        (&both["topics"], held_by(&both).len()),
        (&json!(2), 2),
        "{both:#}"
    );
    assert_eq!(held_by(&both), where_is(&pipeline, 0, 3));
    // Once another program has mixed the rows of both topics, nothing is claimed of them.
    pipeline.change_table(json!({ "rewrite": true }));
    let report = audit(&pipeline, 0);
    let unchecked = checks(&report, "unchecked");
    assert_eq!(unchecked, ["placement", "duplicates", "completeness"]);
}

#[test]
fn without_provenance_columns_the_audit_says_what_it_could_not_check() {
    let topic = Topic::create("audit_bare", 2);
    Producer::new(&topic).samples(400).finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline.run().bounded().set("table.provenance", "false");
    run.run().expect_code(0);
    let report = audit(&pipeline, 0);
    assert_eq!(checks(&report, "unchecked"), ["placement", "duplicates"]);
    let answer = explain(&pipeline, 0, 3, 0);
    assert_eq!(answer["standing"], "covered");
    assert!(
        answer["says"]
            .as_str()
            .expect("words")
            .contains("no provenance columns")
    );
    pipeline.change_table(json!({ "copy": "true" }));
    let report = audit(&pipeline, 0);
    assert_eq!(checks(&report, "unchecked").len(), 3, "{report:#}");
}

#[test]
fn a_table_that_is_partitioned_by_its_provenance_can_be_audited() {
    let topic = Topic::create("audit_parts", 3);
    let produced = Producer::new(&topic).samples(600).finish();
    let mut pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    pipeline.columns = None;
    let columns = json!([
        ["sample_id", "string", false],
        ["_topic", "string", false],
        ["_partition", "int", false],
        ["_offset", "long", false],
    ]);
    pipeline.create_partitioned_table(columns, &["_topic", "_partition"]);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    let report = audit_passes(&pipeline);
    assert_eq!(report["partitions"][2]["rows"], 200);
    assert_eq!(
        held_by(&explain(&pipeline, 2, 5, 0)),
        where_is(&pipeline, 2, 5)
    );
    pipeline.change_table(json!({ "copy": "_partition = 2 and _offset = 5" }));
    assert_eq!(
        audit_fails(&pipeline),
        ("duplicates".to_owned(), vec![(2, json!([[5, 6]]))])
    );
}

#[test]
fn a_table_of_one_topic_needs_no_topic_column() {
    let topic = Topic::create("audit_one_topic", 2);
    let produced = Producer::new(&topic).samples(200).finish();
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    pipeline.create_table(json!([
        ["_offset", "long", false],
        ["sample_id", "string", false],
        ["_partition", "int", false],
    ]));
    pipeline.run().bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
    audit_passes(&pipeline);
    assert_eq!(
        held_by(&explain(&pipeline, 1, 5, 0)),
        where_is(&pipeline, 1, 5)
    );
    pipeline.change_table(json!({ "copy": "_partition = 1 and _offset = 5" }));
    let (check, places) = audit_fails(&pipeline);
    assert_eq!(
        (check.as_str(), places),
        ("duplicates", vec![(1, json!([[5, 6]]))])
    );
}

#[test]
fn two_pipelines_of_one_table_are_audited_one_by_one() {
    let (topic, _, pipeline) = loaded("audit_two", Catalog::Sqlite, Warehouse::Local);
    // The same topic again under another name: each record is there twice, once for each.
    let other = format!("{}-other", pipeline.group);
    let run = pipeline.run().bounded().env("CALVE_PIPELINE_NAME", &other);
    run.env("KAFKA_GROUP_ID", &other).run().expect_code(0);
    let report = audit_passes(&pipeline);
    let note = report["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("1,800 rows of other pipelines"), "{note}");
    let theirs = offline(&pipeline, &["audit", "--json"]).env("CALVE_PIPELINE_NAME", &other);
    assert_eq!(
        checks(&parse(&theirs.run().expect_code(0)), "pass").len(),
        8
    );
    let unknown = offline(&pipeline, &["audit"]).env("CALVE_PIPELINE_NAME", "typo");
    unknown
        .run()
        .expect_code(2)
        .expect_output(&["typo", &other, "pipeline.name"]);
    drop(topic);
}

#[test]
fn what_is_not_there_is_not_made() {
    let topic = Topic::create("audit_nothing", 1);
    let pipeline = Pipeline::new(&topic);
    let run = offline(&pipeline, &["audit"]).run().expect_code(2);
    run.expect_output(&["catalog.db"]);
    assert!(!pipeline.dir().join("catalog.db").exists());
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    let run = offline(&pipeline, &["audit"]).run().expect_code(2);
    run.expect_output(&[&pipeline.table, "does not exist"]);
    let again = offline(&pipeline, &["explain", "t/0/0"]).run();
    again.expect_code(2).expect_output(&["does not exist"]);
}
