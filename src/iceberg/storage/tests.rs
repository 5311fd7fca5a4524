use std::path::Path;

use iceberg::io::FileIOBuilder;

use super::*;

fn io() -> iceberg::io::FileIO {
    FileIOBuilder::new(Arc::new(WarehouseStorageFactory))
        .with_prop(iceberg::io::S3_REGION, "us-east-1")
        .build()
}

#[test]
fn the_scheme_of_a_path_is_what_stands_before_the_first_colon() {
    for (path, expected) in [
        ("s3a://bucket/key", "s3a"),
        ("file:///tmp/x", "file"),
        ("file:/tmp/x", "file"),
        ("/tmp/x", ""),
        ("/tmp/a:b", ""),
        ("gs://bucket/key", "gs"),
    ] {
        assert_eq!(scheme(path), expected, "{path}");
    }
}

#[tokio::test]
async fn a_local_file_is_written_and_read_back_under_each_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let plain = format!("{}/made/on/the/way", dir.path().display());
    let io = io();
    io.new_output(format!("file://{plain}"))
        .unwrap()
        .write(Bytes::from_static(b"rows"))
        .await
        .unwrap();
    for spelling in [
        plain.clone(),
        format!("file:{plain}"),
        format!("file://{plain}"),
    ] {
        let read = io.new_input(&spelling).unwrap().read().await.unwrap();
        assert_eq!(read, Bytes::from_static(b"rows"), "{spelling}");
    }
}

#[test]
fn s3_paths_of_either_scheme_are_accepted_and_others_are_refused_with_advice() {
    let io = io();
    assert!(io.new_output("s3://bucket/key").is_ok());
    assert!(io.new_output("s3a://bucket/key").is_ok());
    let error = io.new_output("gs://bucket/key").unwrap_err().to_string();
    assert!(
        error.contains("gs://") && error.contains("s3a://"),
        "{error}"
    );
}

#[test]
fn the_s3_settings_are_not_part_of_what_is_serialized() {
    let storage = WarehouseStorageFactory
        .build(&StorageConfig::new().with_prop("s3.secret-access-key", "hunter2"))
        .unwrap();
    let json = serde_json::to_string(&storage).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
}

#[test]
fn a_local_location_has_a_path_in_each_of_its_forms_and_no_other_has_one() {
    for location in ["/a/b", "/a/b/", "file:/a/b", "file:///a/b", "file:///a/b//"] {
        let path = local_path(location);
        assert_eq!(path.as_deref(), Some(Path::new("/a/b")), "{location}");
    }
    for location in ["a/b", "file:a", "s3://bucket/a", "", "hdfs:///a"] {
        assert_eq!(local_path(location), None, "{location}");
    }
}
