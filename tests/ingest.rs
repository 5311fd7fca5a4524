//! The main path: every record of a topic is in the table once, whatever the numbers of workers and
//! partitions, the catalog and the warehouse.

use serde_json::{Value, json};

use crate::support::{Catalog, Pipeline, Produced, Producer, Topic, Warehouse};

/// A topic of so many partitions with so many samples.
fn filled(hint: &str, partitions: i32, count: usize) -> (Topic, Produced) {
    let topic = Topic::create(hint, partitions);
    let produced = Producer::new(&topic).samples(count).finish();
    (topic, produced)
}

#[test]
fn six_workers_move_every_record_of_six_partitions_once() {
    let (topic, produced) = filled("six", 6, 300_000);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    assert_eq!(table.distinct_ids, produced.count);
    assert_eq!(topic.committed_total(&pipeline.group), 300_000);
}

#[test]
fn six_workers_move_every_record_of_four_partitions_once() {
    let (topic, produced) = filled("four", 4, 20_000);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn six_workers_move_every_record_of_one_partition_once() {
    let (topic, produced) = filled("one", 1, 20_000);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn two_workers_move_every_record_of_nine_partitions_once() {
    let (topic, produced) = filled("nine", 9, 20_000);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn the_rest_catalog_and_an_s3_warehouse_hold_every_record_once() {
    let (topic, produced) = filled("rest", 6, 50_000);
    let pipeline = Pipeline::with(&topic, Catalog::Rest, Warehouse::S3);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    assert!(
        table.files.iter().all(|file| file.starts_with("s3://")),
        "{:?}",
        table.files
    );
}

#[test]
fn the_postgres_catalog_holds_every_record_once() {
    let (topic, produced) = filled("postgres", 6, 20_000);
    let pipeline = Pipeline::with(&topic, Catalog::Postgres, Warehouse::Local);
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn the_sqlite_catalog_works_with_an_s3_warehouse() {
    let (topic, produced) = filled("s3", 2, 5_000);
    let pipeline = Pipeline::with(&topic, Catalog::Sqlite, Warehouse::S3);
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_warehouse_may_be_named_s3a() {
    let (topic, produced) = filled("s3a", 2, 5_000);
    let pipeline = Pipeline::with(&topic, Catalog::Sqlite, Warehouse::S3);
    let s3a = pipeline.warehouse_location().replace("s3://", "s3a://");
    let run = pipeline.run().workers(2).bounded();
    run.env("ICEBERG_WAREHOUSE", &s3a).run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_bounded_run_ends_where_the_topic_ended_and_the_next_goes_on_from_there() {
    let topic = Topic::create("bounded", 3);
    let mut producer = Producer::new(&topic);
    let pipeline = Pipeline::new(&topic);
    for round in 1..=3 {
        let produced = producer.samples(3_000).finish();
        let run = pipeline.run().workers(round).bounded();
        run.run().expect_code(0);
        pipeline.assert_exactly(&produced);
    }
    // Nothing new: nothing to do.
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&producer.finish());
}

#[test]
fn a_profile_says_what_each_operator_took_on_each_worker() {
    let (topic, produced) = filled("profile", 2, 10_000);
    let pipeline = Pipeline::new(&topic);
    let file = pipeline.dir().join("profile.json");
    let run = pipeline.run().workers(2).bounded().set("rest.port", "off");
    let run = run.arg("--profile").arg(file.to_str().unwrap());
    run.run().expect_code(0);
    pipeline.assert_exactly(&produced);
    let profile: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(profile["workers"], json!([0, 1]), "{profile:#}");
    let operators = profile["operators"].as_array().unwrap();
    let operator = |name: &str| {
        let found = operators.iter().find(|operator| operator["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {profile:#}"))
    };
    for name in ["Kafka source", "Decode", "Stage"] {
        for worker in 0..2 {
            let busy = operator(name)["busy_s"][worker].as_f64().unwrap();
            assert!(busy > 0.0, "{name} on worker {worker}: {profile:#}");
        }
    }
    // Everything that was decoded came through the channel from the source.
    let source = &operator("Kafka source")["node"];
    let channels = profile["channels"].as_array().unwrap();
    let chunks = channels
        .iter()
        .find(|channel| channel["from"] == *source && channel["item"] == "Chunk");
    let chunks = chunks.unwrap_or_else(|| panic!("no chunks in {profile:#}"));
    assert!(chunks["items"].as_u64().unwrap() >= 2, "{profile:#}");
}

#[test]
fn sigterm_drains_what_was_read_and_commits_it() {
    let (topic, produced) = filled("drain", 6, 30_000);
    let pipeline = Pipeline::new(&topic);
    // No checkpoint but the last one.
    let run = pipeline.run().workers(6).set("checkpoint.interval", "1h");
    let running = run.env("FLINK_CHECKPOINT_INTERVAL_MS", "3600000").start();
    std::thread::sleep(std::time::Duration::from_secs(4));
    running.drain();
    let table = pipeline.read();
    assert!(
        table.count > 0,
        "four seconds were enough to read something"
    );
    // What was not read before the signal is read now: together it is everything, once.
    pipeline.run().workers(6).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn an_earliest_start_reads_what_was_there_and_a_latest_start_only_what_comes() {
    let topic = Topic::create("latest", 2);
    let mut producer = Producer::new(&topic);
    let before = producer.samples(1_000).finish();
    let pipeline = Pipeline::new(&topic);
    let latest = || {
        pipeline
            .run()
            .workers(2)
            .env("KAFKA_AUTO_OFFSET_RESET", "latest")
    };
    latest().bounded().run().expect_code(0);
    let mut producer = Producer::new(&topic);
    let after = producer.samples(1_000).finish();
    // The setting decides the very first start only: this one resumes.
    latest().bounded().run().expect_code(0);
    pipeline.assert_exactly(&after);
    let all = Pipeline::new(&topic);
    all.run().workers(2).bounded().run().expect_code(0);
    all.assert_exactly(&before.and(&after));
}

#[test]
fn provenance_says_where_each_row_comes_from() {
    let (topic, _) = filled("provenance", 2, 20);
    let pipeline = Pipeline::new(&topic);
    pipeline.run().bounded().run().expect_code(0);
    let table = pipeline.read();
    assert!(
        table
            .column("_topic")
            .iter()
            .all(|value| *value == json!(topic.name))
    );
    let places: Vec<(i64, i64)> = table
        .rows
        .iter()
        .map(|row| {
            (
                row["_partition"].as_i64().unwrap(),
                row["_offset"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(i64, i64)> = (0..2).flat_map(|p| (0..10).map(move |o| (p, o))).collect();
    assert_eq!(places, expected);
    let today = chrono::Utc::now().format("%Y-").to_string();
    assert!(
        table
            .column("_timestamp")
            .iter()
            .all(|v| v.as_str().is_some_and(|t| t.starts_with(&today))),
        "{:?}",
        table.column("_timestamp")
    );
}

#[test]
fn an_existing_table_keeps_its_schema_and_needs_no_declaration() {
    let (topic, produced) = filled("existing", 2, 500);
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    pipeline.create_table(json!([
        ["sample_id", "string", true],
        ["value", "double", false]
    ]));
    pipeline.run().workers(2).bounded().run().expect_code(0);
    let table = pipeline.read();
    assert_eq!(
        (table.count, table.id_sum),
        (produced.count, produced.id_sum)
    );
    assert_eq!(table.schema.len(), 2, "{:?}", table.schema);
    assert!(table.column("value").iter().all(Value::is_number));
}

#[test]
fn infer_proposes_columns_that_a_run_can_use() {
    let (topic, produced) = filled("infer", 2, 500);
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    let infer = || pipeline.calve(&["infer", "--not-null"]);
    let proposal = infer().run().expect_code(0);
    let line = proposal.stdout.lines().next().unwrap_or_default();
    let columns = line
        .trim_start_matches("CALVE_TABLE_COLUMNS=")
        .trim_matches('"');
    for column in ["value double", "start_time timestamptz", "user_id string"] {
        assert!(
            columns.contains(column),
            "{column} is missing in: {columns}"
        );
    }
    let proposed: Value = serde_json::from_str(&infer().arg("--json").run().expect_code(0).stdout)
        .expect("one JSON document and nothing else");
    assert_eq!(proposed["columns"], columns);
    assert_eq!(proposed["records"], 500);
    pipeline.columns = Some(columns.to_owned());
    pipeline.run().workers(2).bounded().run().expect_code(0);
    pipeline.assert_exactly(&produced);
}

#[test]
fn small_target_files_roll_and_large_ones_do_not() {
    let (topic, produced) = filled("rolling", 1, 100_000);
    let pipeline = Pipeline::new(&topic);
    let small = pipeline.run().bounded().set("row-group-size", "256KB");
    let small = small.env("FLINK_CHECKPOINT_INTERVAL_MS", "600000");
    small.set("target-file-size", "512KB").run().expect_code(0);
    let table = pipeline.assert_exactly(&produced);
    assert!(table.files.len() > 1, "one file: {:?}", table.files);
    let other = Pipeline::new(&topic);
    let large = other.run().bounded().env("TARGET_FILE_SIZE_MB", "256");
    large
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "600000")
        .run()
        .expect_code(0);
    assert_eq!(other.assert_exactly(&produced).files.len(), 1);
}
