//! Settings: which layer wins, under which names, and what `calve config` shows of them.

use std::fs;

use crate::support::{Calve, Pipeline, Topic};

fn pipeline() -> Pipeline {
    Pipeline::new(&Topic {
        name: "health".to_owned(),
        brokers: "broker.example:9092".to_owned(),
        partitions: 1,
    })
}

/// The value and the layer of one key in the output of `calve config`.
#[track_caller]
fn shown(calve: Calve, key: &str) -> (String, String) {
    let output = calve.run().expect_code(0).stdout;
    let line = output
        .lines()
        .find(|line| line.split_whitespace().next() == Some(key));
    let line = line.unwrap_or_else(|| panic!("{key} is not shown:\n{output}"));
    let rest = line[key.len()..].trim();
    let (value, layer) = rest.rsplit_once("  (").unwrap_or((rest, ""));
    (
        value.trim().to_owned(),
        layer.trim_end_matches(')').to_owned(),
    )
}

#[test]
fn every_layer_wins_over_the_one_before_and_is_named() {
    let pipeline = pipeline();
    let file = pipeline.dir().join("calve.toml");
    let config = || pipeline.calve(&["config"]);
    let key = "batch.size";
    let (value, layer) = shown(config(), key);
    assert_eq!(value, "8192");
    assert!(layer.contains("default"), "{layer}");
    fs::write(&file, "batch.size = 1001\n").unwrap();
    let with_file = || config().arg("--config").arg(file.to_str().unwrap());
    assert_eq!(shown(with_file(), key).0, "1001");
    fs::write(pipeline.dir().join(".env"), "BATCH_SIZE=1002\n").unwrap();
    assert_eq!(shown(with_file(), key).0, "1002");
    fs::write(pipeline.dir().join(".env.local"), "BATCH_SIZE=1003\n").unwrap();
    let (value, layer) = shown(with_file(), key);
    assert_eq!(value, "1003");
    assert!(layer.contains(".env.local"), "{layer}");
    assert_eq!(shown(with_file().env("BATCH_SIZE", "1004"), key).0, "1004");
    let flag = with_file().env("BATCH_SIZE", "1004").set(key, "1005");
    let (value, layer) = shown(flag, key);
    assert_eq!(value, "1005");
    assert!(layer.contains("--set"), "{layer}");
}

#[test]
fn the_environment_names_of_flink_and_kafka_jobs_work_as_they_are() {
    let pipeline = pipeline();
    let names = [
        (
            "KAFKA_BROKERS",
            "a:9092,b:9092",
            "kafka.brokers",
            "a:9092,b:9092",
        ),
        ("KAFKA_TOPIC", "t", "kafka.topic", "t"),
        ("KAFKA_GROUP_ID", "g", "kafka.group-id", "g"),
        (
            "KAFKA_AUTO_OFFSET_RESET",
            "latest",
            "kafka.auto-offset-reset",
            "latest",
        ),
        (
            "KAFKA_PARTITION_DISCOVERY_INTERVAL_MS",
            "7000",
            "kafka.partition-discovery-interval",
            "7000ms",
        ),
        ("FLINK_PARALLELISM", "6", "parallelism", "6"),
        (
            "FLINK_CHECKPOINT_MODE",
            "EXACTLY_ONCE",
            "checkpoint.mode",
            "EXACTLY_ONCE",
        ),
        (
            "FLINK_CHECKPOINT_INTERVAL_MS",
            "7000",
            "checkpoint.interval",
            "7000ms",
        ),
        (
            "FLINK_STATE_BACKEND",
            "rocksdb",
            "state.backend.type",
            "rocksdb",
        ),
        (
            "FLINK_CHECKPOINT_DIR",
            "file:///tmp/c",
            "state.checkpoints.dir",
            "file:///tmp/c",
        ),
        ("ICEBERG_CATALOG_TYPE", "sql", "catalog.type", "sql"),
        (
            "ICEBERG_CATALOG_URI",
            "sqlite:///tmp/c.db",
            "catalog.uri",
            "sqlite:///tmp/c.db",
        ),
        ("ICEBERG_CATALOG_NAME", "main", "catalog.name", "main"),
        ("ICEBERG_WAREHOUSE", "s3://b/w", "warehouse", "s3://b/w"),
        ("ICEBERG_DATABASE", "d", "table.database", "d"),
        ("ICEBERG_TABLE_RAW", "r", "table.name", "r"),
        ("ICEBERG_TABLE_ERRORS", "e", "table.errors", "e"),
        (
            "S3_ENDPOINT",
            "http://s3:9000",
            "s3.endpoint",
            "http://s3:9000",
        ),
        ("S3_ACCESS_KEY", "key", "s3.access-key", "key"),
        (
            "S3_PATH_STYLE_ACCESS",
            "true",
            "s3.path-style-access",
            "true",
        ),
        ("BATCH_SIZE", "5000", "batch.size", "5000"),
        ("BATCH_TIMEOUT_SECONDS", "7", "batch.timeout", "7s"),
        ("TARGET_FILE_SIZE_MB", "64", "target-file-size", "64MB"),
        (
            "SCHEMA_REGISTRY_URL",
            "http://r:8081",
            "schema-registry.url",
            "http://r:8081",
        ),
        ("PROMETHEUS_PORT", "9249", "metrics.prometheus-port", "9249"),
        (
            "CALVE_TABLE_COLUMNS",
            "a string",
            "table.columns",
            "a string",
        ),
    ];
    let mut calve = pipeline.calve(&["config"]);
    for (name, value, _, _) in names {
        calve = calve.env(name, value);
    }
    // Half a pair of keys would be refused.
    calve = calve.env("S3_SECRET_KEY", "secret");
    let output = calve.run().expect_code(0).stdout;
    for (name, _, key, expected) in names {
        let line = output
            .lines()
            .find(|l| l.split_whitespace().next() == Some(key));
        let line = line.unwrap_or_else(|| panic!("{key} is not shown:\n{output}"));
        let value = line[key.len()..].trim();
        assert!(value.starts_with(expected), "{name}: {line}");
        assert!(line.contains(name), "the layer should name {name}: {line}");
    }
}

#[test]
fn secrets_are_masked() {
    let pipeline = pipeline();
    let calve = pipeline
        .calve(&["config"])
        .env("S3_ACCESS_KEY", "AKIA")
        .env("S3_SECRET_KEY", "hush-1")
        .env("CALVE_CATALOG_TOKEN", "hush-2")
        .env("CALVE_CATALOG_HEADER_X_API_KEY", "hush-4")
        .env("CALVE_KAFKA_SASL_PASSWORD", "hush-5")
        .env("ICEBERG_CATALOG_TYPE", "sql")
        .env("ICEBERG_CATALOG_URI", "postgres://user:hush-6@host/db");
    let ended = calve.run();
    let output = ended.output();
    assert!(!output.contains("hush"), "a secret is shown:\n{output}");
}

#[test]
fn an_error_in_a_file_is_said_with_its_line() {
    let pipeline = pipeline();
    let file = pipeline.dir().join("calve.toml");
    fs::write(&file, "# two lines\nbatch.size = 1000\nbatch.sise = 1000\n").unwrap();
    let calve = pipeline
        .calve(&["config"])
        .arg("--config")
        .arg(file.to_str().unwrap());
    calve
        .run()
        .expect_code(2)
        .expect_output(&["calve.toml", "3", "batch.sise", "batch.size"]);
}

#[test]
fn a_fault_in_the_declared_columns_is_said_with_the_place_of_the_declaration() {
    let pipeline = pipeline();
    let file = pipeline.dir().join("calve.toml");
    fs::write(
        &file,
        "# two lines\ntable.columns = \"id strin not null\"\n",
    )
    .unwrap();
    let calve = pipeline
        .calve(&["config"])
        .without_env("CALVE_TABLE_COLUMNS")
        .arg("--config")
        .arg(file.to_str().unwrap());
    calve.run().expect_code(2).expect_output(&[
        "calve.toml, line 2: table.columns: ",
        "strin",
        "string",
    ]);
    let calve = pipeline
        .calve(&["config"])
        .env("CALVE_TABLE_COLUMNS", "_offset string");
    calve.run().expect_code(2).expect_output(&[
        "environment variable CALVE_TABLE_COLUMNS: table.columns: ",
        "_offset",
        "provenance",
    ]);
    // A run says the same before it makes anything.
    let calve = pipeline
        .calve(&["run", "--bounded"])
        .env("CALVE_TABLE_COLUMNS", "id strin");
    calve.run().expect_code(2).expect_output(&[
        "environment variable CALVE_TABLE_COLUMNS: table.columns: ",
        "strin",
    ]);
}

#[test]
fn help_is_long_and_h_is_the_host_file() {
    let pipeline = pipeline();
    pipeline
        .calve(&["run", "--help"])
        .run()
        .expect_code(0)
        .expect_output(&["--bounded", "-w", "-h"]);
}
