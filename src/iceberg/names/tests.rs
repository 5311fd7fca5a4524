use super::*;

const TABLE: Uuid = Uuid::from_u128(0x17);

fn origin(pipeline: &str) -> FileOrigin {
    FileOrigin {
        pipeline: pipeline.into(),
        generation: Generation(3),
        epoch: Epoch(7),
        worker: 5,
    }
}

#[test]
fn a_data_file_name_carries_its_origin_and_is_never_the_same_twice() {
    let origin = origin("ingest");
    let (one, two) = (origin.data_file_name(TABLE), origin.data_file_name(TABLE));
    let start = "ingest-00000000000000000000000000000017-g3-e7-w5-";
    assert!(one.starts_with(start), "{one}");
    assert!(one.ends_with(".parquet"), "{one}");
    assert_ne!(one, two);
}

#[test]
fn a_data_file_name_tells_its_origin_again() {
    for name in ["ingest", "a-g1-e2-w3", "../x/y", "é %"] {
        let path = format!("s3://b/t/data/day=1/{}", origin(name).data_file_name(TABLE));
        assert_eq!(FileOrigin::of(&path), Some(origin(name)), "{path}");
    }
    let uuid = uuid::Uuid::new_v4();
    for path in [
        "",
        "é.parquet",
        &format!("{uuid}.parquet"),
        &format!("00000-0-{uuid}.parquet"),
        &format!("a-g1-e2-w-{uuid}.parquet"),
        &format!("a%2-g1-e2-w3-{uuid}.parquet"),
        &format!("a-g1-e2-w3-{uuid}.avro"),
        "a-g1-e2-w3-0123456789-0123456789-0123456789.parquet",
    ] {
        assert_eq!(FileOrigin::of(path), None, "{path}");
    }
}

#[test]
fn a_data_file_name_is_read_back_by_its_own_pipeline_and_table_only() {
    let other_table = Uuid::from_u128(0x18);
    let pipelines = [
        "ingest",
        "ingest-",
        "ingest-g3",
        "inges",
        "a.b",
        "a%2Eb",
        "é",
    ];
    for pipeline in pipelines {
        let name = origin(pipeline).data_file_name(TABLE);
        for reader in pipelines {
            let expected = (reader == pipeline).then_some((Generation(3), Epoch(7)));
            assert_eq!(
                generation_and_epoch(&name, reader, TABLE),
                expected,
                "{name}"
            );
            assert_eq!(generation_and_epoch(&name, reader, other_table), None);
        }
    }
    // A pipeline that is named like the beginning of another one's files.
    let name = origin("ingest").data_file_name(TABLE);
    let nested = origin(name.trim_end_matches(".parquet")).data_file_name(TABLE);
    assert!(nested.starts_with("ingest-00000000000000000000000000000017-g3-e7-w5-"));
    assert_eq!(generation_and_epoch(&nested, "ingest", TABLE), None);
}

#[test]
fn names_that_calve_does_not_make_are_not_read() {
    let unique = "9f2c1d6e-7a55-4b6e-8a53-0c1de2f3a4b5";
    let start = format!("ingest-{}", TABLE.simple());
    let read = |name: &str| generation_and_epoch(name, "ingest", TABLE);
    assert!(read(&format!("{start}-g1-e2-w3-{unique}.parquet")).is_some());
    for name in [
        "".to_owned(),
        "part-0000.parquet".to_owned(),
        format!("00000-0-{unique}-00001.parquet"),
        format!("ingest-g1-e2-w3-{unique}.parquet"),
        format!("{start}-g1-e2-w3-{unique}"),
        format!("{start}-g1-e2-w3-{unique}.parquet.bak"),
        format!("{start}-g1-e2-w3-{unique}-copy.parquet"),
        format!("{start}-g1-e2-w3-{}.parquet", unique.to_uppercase()),
        format!("{start}-g1-e2-w3-.parquet"),
        format!("{start}-g1-e2-w-{unique}.parquet"),
        format!("{start}-g01-e2-w3-{unique}.parquet"),
        format!("{start}-g1-e+2-w3-{unique}.parquet"),
        format!("{start}-g-1-e2-w3-{unique}.parquet"),
        format!("{start}-g1-e99999999999999999999-w3-{unique}.parquet"),
        format!("copy of {start}-g1-e2-w3-{unique}.parquet"),
    ] {
        assert_eq!(read(&name), None, "{name}");
    }
}

#[test]
fn a_pipeline_name_can_not_leave_the_data_folder() {
    let name = origin("../x/y").data_file_name(TABLE);
    assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
}

#[test]
fn a_partition_value_can_not_leave_its_folder() {
    assert_eq!(
        partition_folder("city", "../../etc"),
        "city=%2E.%2F..%2Fetc"
    );
    assert_eq!(partition_folder("day", "2026-01-02"), "day=2026-01-02");
    assert_eq!(partition_folder("n", "é ="), "n=%C3%A9%20%3D");
}

#[test]
fn a_long_partition_value_is_shortened_and_stays_distinct() {
    let one = partition_folder("n", &format!("{}1", "x".repeat(5_000)));
    let two = partition_folder("n", &format!("{}2", "x".repeat(5_000)));
    assert!(one.len() < 150, "{one}");
    assert_ne!(one, two);
}

#[test]
fn the_digest_is_stable_and_does_not_depend_on_the_order() {
    assert_eq!(files_digest(["a", "b"]), files_digest(["b", "a"]));
    assert_ne!(files_digest(["a", "b"]), files_digest(["ab"]));
    // Written down: a marker must mean the same to every later version.
    assert_eq!(files_digest([]), "cbf29ce484222325");
    assert_eq!(files_digest(["a"]), "089bdc07b544e7b2");
}

#[test]
fn a_marker_key_belongs_to_one_pipeline() {
    assert_eq!(marker_key("ingest"), "calve.marker.ingest");
}
