use super::*;

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
    let (one, two) = (origin.data_file_name(), origin.data_file_name());
    assert!(one.starts_with("ingest-g3-e7-w5-"), "{one}");
    assert!(one.ends_with(".parquet"), "{one}");
    assert_ne!(one, two);
}

#[test]
fn a_data_file_name_tells_its_origin_again() {
    for name in ["ingest", "a-g1-e2-w3", "../x/y", "é %"] {
        let path = format!("s3://b/t/data/day=1/{}", origin(name).data_file_name());
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
fn a_pipeline_name_can_not_leave_the_data_folder() {
    let name = origin("../x/y").data_file_name();
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
