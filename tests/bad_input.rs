//! Bad input: each case ends with a clear error that says where and why, loses nothing, and panics never.

use serde_json::{Value, json};

use crate::support::{Finished, Pipeline, Producer, Topic};

/// Puts one bad record between good ones: the pipeline must stop, say so with these words, and, told to skip
/// it, bring all the others.
#[track_caller]
fn rejected(hint: &str, payload: &[u8], words: &[&str]) {
    let topic = Topic::create(hint, 2);
    let mut producer = Producer::new(&topic);
    producer.samples(500).finish();
    // Partition 1 holds the offsets 0 to 249: this one becomes 250.
    Producer::new(&topic).raw(1, payload).finish();
    let produced = producer.samples(500).finish();
    let pipeline = Pipeline::new(&topic);
    let place: Vec<&str> = vec![&topic.name, "250", "→"];
    let stopped = pipeline.run().workers(2).bounded().run().expect_code(3);
    stopped.expect_output(&place).expect_output(words);
    // It stops again: the record is not skipped by having been seen.
    pipeline.run().workers(2).bounded().run().expect_code(3);
    let skip = pipeline.run().workers(6).bounded().set("on-reject", "skip");
    let skipped = skip.run().expect_code(0);
    skipped
        .expect_output(&[&topic.name, "250"])
        .expect_output(words);
    pipeline.assert_exactly(&produced);
}

const ID: &str = r#""sample_id":"00000000-0000-4000-8000-000000000000""#;

fn with_id(rest: &str) -> Vec<u8> {
    format!("{{{ID},{rest}}}").into_bytes()
}

#[test]
fn what_is_not_json_is_rejected() {
    rejected("not_json", b"\x00\x01 hello", &["json"]);
}

#[test]
fn half_a_record_is_rejected() {
    rejected(
        "half",
        br#"{"sample_id":"00000000-0000-4000-8000-000000000000","val"#,
        &["json"],
    );
}

#[test]
fn an_empty_payload_is_rejected() {
    rejected("no_payload", b"", &[]);
}

#[test]
fn a_missing_required_field_is_rejected() {
    rejected("required", br#"{"value": 1.0}"#, &["sample_id"]);
}

#[test]
fn a_null_in_a_required_field_is_rejected() {
    rejected("null", br#"{"sample_id": null}"#, &["sample_id"]);
}

#[test]
fn a_wrong_type_is_rejected() {
    rejected(
        "wrong_type",
        &with_id(r#""value":"many""#),
        &["value", "double"],
    );
}

#[test]
fn a_number_beyond_its_type_is_rejected() {
    rejected("overflow", &with_id(r#""value":1e999"#), &["value"]);
}

#[test]
fn a_date_that_does_not_exist_is_rejected() {
    rejected(
        "date",
        &with_id(r#""start_time":"2026-02-30T00:00:00Z""#),
        &["start_time"],
    );
}

#[test]
fn invalid_utf8_is_rejected() {
    let payload = [b"{".as_slice(), ID.as_bytes(), b",\"unit\":\"\xff\xfe\"}"].concat();
    rejected("utf8", &payload, &[]);
}

#[test]
fn an_integer_beyond_its_type_is_rejected() {
    let topic = Topic::create("integers", 1);
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = Some("n int not null".to_owned());
    let mut producer = Producer::new(&topic);
    producer
        .raw(0, br#"{"n":2147483647}"#)
        .raw(0, br#"{"n":2147483648}"#)
        .finish();
    let stopped = pipeline.run().bounded().run().expect_code(3);
    stopped.expect_output(&[&topic.name, "2147483648", "n"]);
    pipeline
        .run()
        .bounded()
        .set("on-reject", "skip")
        .run()
        .expect_code(0);
    assert_eq!(pipeline.read().column("n"), [json!(2_147_483_647)]);
}

#[test]
fn many_bad_records_are_skipped_and_the_rest_is_there() {
    let topic = Topic::create("many_bad", 3);
    let mut producer = Producer::new(&topic);
    let mut bad = Producer::new(&topic);
    for _ in 0..20 {
        producer.samples(300).finish();
        for partition in 0..3 {
            bad.raw(partition, b"bad").raw(partition, b"{}");
        }
        bad.finish();
    }
    let produced = producer.finish();
    let pipeline = Pipeline::new(&topic);
    let skip = pipeline
        .run()
        .workers(6)
        .bounded()
        .env("CALVE_ON_REJECT", "skip");
    skip.run().expect_code(0).expect_output(&["120"]);
    pipeline.assert_exactly(&produced);
}

#[test]
fn a_topic_of_nothing_but_bad_records_comes_to_its_end() {
    let topic = Topic::create("all_bad", 2);
    let mut bad = Producer::new(&topic);
    bad.raw(0, b"bad").raw(1, b"bad").finish();
    let pipeline = Pipeline::new(&topic);
    let skip = || {
        pipeline
            .run()
            .workers(6)
            .bounded()
            .set("on-reject", "skip")
            .run()
    };
    skip().expect_code(0);
    assert_eq!(pipeline.read().count, 0);
    skip().expect_code(0);
}

#[test]
fn an_unknown_topic_is_said_by_name() {
    let topic = Topic::create("known", 1);
    let pipeline = Pipeline::new(&topic);
    let run = pipeline
        .run()
        .workers(6)
        .env("KAFKA_TOPIC", "calve_no_such_topic");
    let ended = run.run();
    assert!(matches!(ended.code, Some(2 | 4)), "{ended:?}");
    ended.expect_output(&["calve_no_such_topic", "→"]);
}

#[test]
fn a_table_whose_schema_does_not_fit_the_records_is_said_by_column() {
    let topic = Topic::create("unfit", 2);
    Producer::new(&topic).samples(100).finish();
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    // The records' sample_id is a text.
    pipeline.create_table(json!([["sample_id", "long", true]]));
    let stopped = pipeline.run().workers(2).bounded().run().expect_code(3);
    stopped.expect_output(&["sample_id", "long", &topic.name]);
    assert_eq!(pipeline.read().count, 0);
}

#[test]
fn a_table_with_a_required_column_that_no_record_has_is_said_by_column() {
    let topic = Topic::create("lacking", 2);
    Producer::new(&topic).samples(100).finish();
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    pipeline.create_table(json!([
        ["sample_id", "string", true],
        ["price", "double", true]
    ]));
    let stopped = pipeline.run().workers(2).bounded().run().expect_code(3);
    stopped.expect_output(&["price"]);
}

#[test]
fn a_missing_table_without_declared_columns_is_said_with_a_way_out() {
    let topic = Topic::create("undeclared", 1);
    let mut pipeline = Pipeline::new(&topic);
    pipeline.columns = None;
    let ended = pipeline.run().bounded().run().expect_code(2);
    ended.expect_output(&["samples", "columns", "calve infer"]);
    let declared = Pipeline::new(&topic);
    let ended = declared.run().bounded().set("table.create", "false").run();
    ended
        .expect_code(2)
        .expect_output(&["samples", "table.create"]);
}

#[track_caller]
fn setting_refused(change: impl Fn(crate::support::Calve) -> crate::support::Calve) -> Finished {
    let topic = Topic {
        name: "unused".to_owned(),
        brokers: "127.0.0.1:1".to_owned(),
        partitions: 1,
    };
    let pipeline = Pipeline::new(&topic);
    change(pipeline.run()).run().expect_code(2)
}

#[test]
fn an_unknown_setting_is_said_with_the_nearest_name() {
    let refused = setting_refused(|run| run.set("checkpoint.intervall", "1s"));
    refused.expect_output(&["checkpoint.intervall", "checkpoint.interval", "--set"]);
}

#[test]
fn a_bad_value_is_said_with_its_setting_and_layer() {
    let refused = setting_refused(|run| run.env("BATCH_SIZE", "plenty"));
    refused.expect_output(&["BATCH_SIZE", "plenty", "environment"]);
    let refused = setting_refused(|run| run.env("ICEBERG_CATALOG_TYPE", "hive"));
    refused.expect_output(&["hive", "sql", "rest"]);
    let refused = setting_refused(|run| run.env("ICEBERG_CATALOG_URI", "mysql://nowhere/db"));
    refused.expect_output(&["mysql", "sqlite"]);
    setting_refused(|run| run.env("KAFKA_AUTO_OFFSET_RESET", "none")).expect_output(&["earliest"]);
    setting_refused(|run| run.env("FLINK_CHECKPOINT_MODE", "AT_LEAST_ONCE"))
        .expect_output(&["EXACTLY_ONCE"]);
    setting_refused(|run| run.set("kafka.enable.auto.commit", "true"))
        .expect_output(&["enable.auto.commit"]);
}

#[test]
fn a_missing_setting_is_said_by_all_its_names() {
    let refused = setting_refused(|run| run.without_env("KAFKA_BROKERS"));
    refused.expect_output(&["kafka.brokers", "KAFKA_BROKERS"]);
    let refused = setting_refused(|run| run.without_env("ICEBERG_TABLE_RAW"));
    refused.expect_output(&["table.name", "ICEBERG_TABLE_RAW"]);
}

#[test]
fn a_record_nested_without_end_is_rejected_and_overflows_no_stack() {
    let mut deep = with_id("\"x\":");
    deep.truncate(deep.len() - 1);
    deep.extend(vec![b'['; 200_000]);
    rejected("deep", &deep, &[]);
}

#[test]
fn the_reject_log_is_json_when_asked() {
    let topic = Topic::create("json_log", 1);
    Producer::new(&topic).raw(0, b"bad").finish();
    let pipeline = Pipeline::new(&topic);
    let run = pipeline
        .run()
        .bounded()
        .set("on-reject", "skip")
        .set("log.format", "json");
    let ended = run.run().expect_code(0);
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.to_string().contains(&topic.name)),
        "{lines:?}"
    );
}
