//! What the JSON decoder accepts, what it makes of it, and what it refuses.

mod alignment;
mod allocations;
mod differential;
mod nested;
mod numbers;
mod shortcuts;
mod support;
mod syntax;
mod types;

use iceberg::arrow::schema_to_arrow_schema;

use super::*;
use support::{decode, decoder, messages, reason};

const HEALTH: &str = "sample_id string not null, user_id string, device_id string, data_type string, \
     value double, unit string, start_time timestamptz, end_time timestamptz, source_bundle string";

const SAMPLE: &str = r#"{"sample_id":"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11","user_id":"user-004217","device_id":"watch-0311","data_type":"heart_rate","value":72.53,"unit":"count/min","start_time":"2026-03-01T12:34:56.789Z","end_time":"2026-03-01T12:35:56.789Z","source_bundle":"com.example.health.watch"}"#;

#[test]
fn the_health_sample_becomes_one_row_with_its_provenance() {
    let schema = super::super::columns::with_provenance(&support::schema(HEALTH)).unwrap();
    let mut decoder = JsonDecoder::new(&schema).unwrap();
    let mut arena = Messages::new(Arc::from([Arc::from("a"), Arc::from("health.samples")]));
    arena.push(
        1,
        3,
        17,
        Some(1_772_368_500_123),
        None,
        Some(SAMPLE.as_bytes()),
    );
    let decoded = decoder.decode(&[arena]).unwrap();
    assert_eq!(decoded.rejects, []);
    assert_eq!(
        support::rows(&decoded.rows),
        [
            "{sample_id: \"0b9c0b1e-6a57-4f0e-9d8e-2f6f3f1a7c11\", user_id: \"user-004217\", device_id: \"watch-0311\", \
              data_type: \"heart_rate\", value: 72.53, unit: \"count/min\", start_time: 1772368496789000, \
              end_time: 1772368556789000, source_bundle: \"com.example.health.watch\", _topic: \"health.samples\", \
              _partition: 3, _offset: 17, _timestamp: 1772368500123000}"
        ]
    );
}

#[test]
fn rows_have_the_arrow_schema_of_the_table_with_its_field_ids() {
    let schema = support::schema(
        "a long not null, b list<struct<c: uuid>>, d map<string, decimal(5, 2) not null>",
    );
    let decoded = decode(&schema, &[r#"{"a": 1}"#]);
    assert_eq!(
        *decoded.rows.schema(),
        schema_to_arrow_schema(&schema).unwrap()
    );
    let ids: Vec<_> = decoded
        .rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.metadata()["PARQUET:field_id"].clone())
        .collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[test]
fn provenance_is_filled_wherever_it_stands_and_never_from_the_payload() {
    let schema = support::schema("_offset long, v long, _topic string not null, _partition int");
    let decoded = decode(
        &schema,
        &[r#"{"_offset": 99, "v": 5, "_topic": 3, "_partition": 4}"#],
    );
    assert_eq!(
        support::rows(&decoded.rows),
        ["{_offset: 0, v: 5, _topic: \"t\", _partition: 7}"]
    );
}

#[test]
fn a_column_with_a_provenance_name_but_another_type_comes_from_the_payload() {
    let schema = support::schema("_offset string, _partition long");
    let decoded = decode(&schema, &[r#"{"_offset": "x", "_partition": 12}"#]);
    assert_eq!(
        support::rows(&decoded.rows),
        ["{_offset: \"x\", _partition: 12}"]
    );
}

#[test]
fn a_message_without_a_time_has_a_null_time_or_is_rejected_if_it_must_have_one() {
    for (columns, expected) in [
        (
            "v long, _timestamp timestamptz",
            Ok("{v: 1, _timestamp: null}"),
        ),
        (
            "v long, _timestamp timestamptz not null",
            Err("column \"_timestamp\": the message has no timestamp, which is required"),
        ),
    ] {
        let mut decoder = decoder(&support::schema(columns));
        let mut arena = Messages::new(Arc::from([Arc::from("t")]));
        arena.push(0, 0, 0, None, None, Some(br#"{"v": 1}"#));
        let decoded = decoder.decode(&[arena]).unwrap();
        match expected {
            Ok(row) => assert_eq!(support::rows(&decoded.rows), [row]),
            Err(reason) => assert_eq!(decoded.rejects[0].reason, reason),
        }
    }
}

#[test]
fn a_reject_carries_all_of_its_message() {
    let mut decoder = decoder(&support::schema("v long not null"));
    let mut arena = Messages::new(Arc::from([Arc::from("t")]));
    arena.push(0, 4, 11, Some(5), Some(b"key"), Some(b"{\"v\": \"x\"}"));
    arena.push(0, 4, 12, None, Some(b"tomb"), None);
    let decoded = decoder.decode(&[arena]).unwrap();
    assert_eq!(decoded.rows.num_rows(), 0);
    assert_eq!(
        decoded.rejects,
        [
            Reject {
                topic: "t".to_owned(),
                partition: 4,
                offset: 11,
                timestamp_ms: Some(5),
                reason: "column \"v\": expected long, found string \"x\"".to_owned(),
                payload: Some(b"{\"v\": \"x\"}".to_vec()),
                key: Some(b"key".to_vec()),
            },
            Reject {
                topic: "t".to_owned(),
                partition: 4,
                offset: 12,
                timestamp_ms: None,
                reason: "it has no payload (a tombstone), so there is no row in it".to_owned(),
                payload: None,
                key: Some(b"tomb".to_vec()),
            },
        ]
    );
    assert_eq!(
        decoded.rejects[0].to_string(),
        "topic \"t\", partition 4, offset 11: column \"v\": expected long, found string \"x\"; payload: {\"v\": \"x\"}"
    );
    assert!(decoded.rejects[1].to_string().ends_with("payload: null"));
    let bytes = serde_json::to_vec(&decoded.rejects).unwrap();
    assert_eq!(
        serde_json::from_slice::<Vec<Reject>>(&bytes).unwrap(),
        decoded.rejects
    );
}

#[test]
fn a_long_or_binary_payload_is_shown_as_a_short_printable_line() {
    let mut decoder = decoder(&support::schema("v long"));
    let long = format!("{{\"v\": \"{}\"}}", "é".repeat(5_000));
    let arena = messages(&[long.as_bytes(), b"\x00\xff\n"]);
    let shown: Vec<_> = decoder
        .decode(&[arena])
        .unwrap()
        .rejects
        .iter()
        .map(Reject::to_string)
        .collect();
    assert!(
        shown[0].chars().count() < 300 && shown[0].ends_with("é…"),
        "{}",
        shown[0]
    );
    assert!(
        shown[1].ends_with("payload: \\u{0}\u{fffd}\\n"),
        "{}",
        shown[1]
    );
}

#[test]
fn faults_name_the_full_path_of_the_column() {
    let columns = "device struct<id: string not null, tags: list<struct<n: int not null>>>, attrs map<string, long>, r string not null";
    for (payload, expected) in [
        (
            r#"{"r":"x","device":{}}"#,
            "column \"device.id\": it is required, but missing",
        ),
        (
            r#"{"r":"x","device":{"id":null}}"#,
            "column \"device.id\": it is required, but null",
        ),
        (
            r#"{"r":"x","device":{"id":"a","tags":[{"n":1},{"n":"b"}]}}"#,
            "column \"device.tags[1].n\": expected int, found string \"b\"",
        ),
        (
            r#"{"r":"x","device":{"id":"a","tags":[null,{}]}}"#,
            "column \"device.tags[1].n\": it is required, but missing",
        ),
        (
            r#"{"r":"x","device":[1]}"#,
            "column \"device\": expected struct (an object), found an array",
        ),
        (
            r#"{"r":"x","attrs":{"a b":true}}"#,
            "column \"attrs[\"a b\"]\": expected long, found true",
        ),
        (
            r#"{"r":"x","attrs":{"a":1,"b":2,"a":3}}"#,
            "column \"attrs\": entries 0 and 2 of the map have the same key",
        ),
        (r#"{"r":null}"#, "column \"r\": it is required, but null"),
        (r#"{}"#, "column \"r\": it is required, but missing"),
        (
            r#"{"r":"x","device":null,"r":"y"}"#,
            "column \"r\": its key stands twice in the object",
        ),
        (
            r#"{"r":"x","device":{"id":"a","id":"a"}}"#,
            "column \"device.id\": its key stands twice in the object",
        ),
    ] {
        assert_eq!(reason(columns, payload), expected, "{payload}");
    }
}

#[test]
fn a_key_with_escapes_is_the_same_key() {
    let decoded = decode(
        &support::schema("name string, \"ü\" long"),
        &[
            r#"{"n\u0061me": "x", "\u00fc": 1}"#,
            r#"{"n\u0061me": "y", "ü": 2}"#,
        ],
    );
    assert_eq!(
        support::rows(&decoded.rows),
        ["{name: \"x\", ü: 1}", "{name: \"y\", ü: 2}"]
    );
    assert_eq!(
        reason("name string", r#"{"n\u0061me": "x", "name": "y"}"#),
        "column \"name\": its key stands twice in the object"
    );
}

#[test]
fn a_batch_of_no_messages_has_no_rows_but_the_schema() {
    let mut decoder = decoder(&support::schema("v long"));
    let decoded = decoder.decode(&[]).unwrap();
    assert_eq!(
        (decoded.rows.num_rows(), decoded.rows.num_columns()),
        (0, 1)
    );
    assert_eq!(decoded.rows.schema(), *decoder.schema());
}

#[test]
fn a_table_without_payload_columns_still_has_a_row_a_message() {
    let decoded = decode(
        &support::schema("_offset long"),
        &["{}", "[]", r#"{"a": 1}"#],
    );
    assert_eq!(
        support::rows(&decoded.rows),
        ["{_offset: 0}", "{_offset: 2}"]
    );
    assert_eq!(decoded.rejects.len(), 1);
}

#[test]
fn several_arenas_are_decoded_in_order() {
    let mut decoder = decoder(&support::schema("v long"));
    let arenas = [
        messages(&[b"{\"v\":1}".as_slice()]),
        messages(&[b"{\"v\":2}".as_slice(), b"{\"v\":3}"]),
    ];
    let decoded = decoder.decode(&arenas).unwrap();
    assert_eq!(support::rows(&decoded.rows), ["{v: 1}", "{v: 2}", "{v: 3}"]);
}
