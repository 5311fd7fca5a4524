use std::time::Duration;

use super::{Setup, shown};
use crate::config::{CatalogKind, CheckpointMode, OffsetReset, StateBackend};

#[test]
fn the_older_environment_names_work_each_in_its_unit() {
    let variables = [
        ("KAFKA_BROKERS", "kafka:9092"),
        ("KAFKA_TOPIC", "health"),
        ("KAFKA_GROUP_ID", "group"),
        ("KAFKA_AUTO_OFFSET_RESET", "latest"),
        ("KAFKA_PARTITION_DISCOVERY_INTERVAL_MS", "45000"),
        ("FLINK_PARALLELISM", "6"),
        ("FLINK_CHECKPOINT_MODE", "EXACTLY_ONCE"),
        ("FLINK_CHECKPOINT_INTERVAL_MS", "30000"),
        ("FLINK_STATE_BACKEND", "hashmap"),
        ("FLINK_CHECKPOINT_DIR", "s3://bucket/checkpoints"),
        ("ICEBERG_CATALOG_TYPE", "rest"),
        ("ICEBERG_CATALOG_URI", "http://catalog:8181"),
        ("ICEBERG_CATALOG_NAME", "lake"),
        ("ICEBERG_WAREHOUSE", "s3a://bucket/warehouse"),
        ("ICEBERG_DATABASE", "lake.health"),
        ("ICEBERG_TABLE_RAW", "raw"),
        ("ICEBERG_TABLE_ERRORS", "errors"),
        ("S3_ENDPOINT", "http://minio:9000"),
        ("S3_ACCESS_KEY", "access"),
        ("S3_SECRET_KEY", "hidden"),
        ("S3_PATH_STYLE_ACCESS", "true"),
        ("BATCH_SIZE", "1000"),
        ("BATCH_TIMEOUT_SECONDS", "5"),
        ("TARGET_FILE_SIZE_MB", "128"),
        ("SCHEMA_REGISTRY_URL", "http://registry:8081"),
        ("PROMETHEUS_PORT", "9249"),
    ];
    let mut setup = Setup::new();
    for (name, value) in variables {
        setup = setup.env(name, value);
    }
    let s = setup.load();
    assert_eq!(s.kafka.brokers.as_deref(), Some("kafka:9092"));
    assert_eq!(s.kafka.topics, ["health"]);
    assert_eq!(s.kafka.group_id, "group");
    assert_eq!(s.kafka.auto_offset_reset, OffsetReset::Latest);
    let interval = s.kafka.partition_discovery_interval;
    assert_eq!(interval, Some(Duration::from_secs(45)));
    assert_eq!(s.parallelism, 6);
    assert_eq!(s.checkpoint.mode, CheckpointMode::ExactlyOnce);
    assert_eq!(s.checkpoint.interval, Duration::from_secs(30));
    assert_eq!(s.state.backend, StateBackend::Memory);
    let directory = s.state.checkpoints_dir.as_deref();
    assert_eq!(directory, Some("s3://bucket/checkpoints"));
    assert_eq!(s.catalog.kind, CatalogKind::Rest);
    assert_eq!(
        s.catalog.uri.as_ref().unwrap().reveal(),
        "http://catalog:8181"
    );
    assert_eq!(s.catalog.name, "lake");
    assert_eq!(s.warehouse.as_deref(), Some("s3a://bucket/warehouse"));
    assert_eq!(s.table.database, ["lake", "health"]);
    assert_eq!(s.table.name.as_deref(), Some("raw"));
    assert_eq!(s.table.errors.as_deref(), Some("errors"));
    assert_eq!(
        s.s3.endpoint.as_ref().unwrap().reveal(),
        "http://minio:9000"
    );
    assert_eq!(s.s3.access_key.as_deref(), Some("access"));
    assert_eq!(s.s3.secret_key.as_ref().unwrap().reveal(), "hidden");
    assert!(s.s3.path_style_access);
    assert_eq!(s.batch.size, 1000);
    assert_eq!(s.batch.timeout, Duration::from_secs(5));
    assert_eq!(s.target_file_size, 128 << 20);
    let registry = s.schema_registry.url.as_ref().unwrap();
    assert_eq!(registry.reveal(), "http://registry:8081");
    assert_eq!(s.metrics.prometheus_port, Some(9249..=9249));
    // `calve config` shows the value in the unit of the key.
    assert_eq!(shown(&s, "batch.timeout").as_deref(), Some("5s"));
    let all = s.effective();
    let timeout = all.iter().find(|e| e.key == "batch.timeout").unwrap();
    assert_eq!(timeout.variable.as_deref(), Some("BATCH_TIMEOUT_SECONDS"));
    assert_eq!(
        timeout.layer.to_string(),
        "environment variable BATCH_TIMEOUT_SECONDS"
    );
}

#[test]
fn a_name_with_a_unit_takes_a_bare_number_only() {
    let error = Setup::new().env("BATCH_TIMEOUT_SECONDS", "5s").error();
    assert_eq!(
        error,
        "environment variable BATCH_TIMEOUT_SECONDS: batch.timeout can't be \"5s\": expected a \
         whole number of seconds"
    );
    let error = Setup::new().env("TARGET_FILE_SIZE_MB", "1GB").error();
    assert!(error.contains("a whole number of megabytes"), "{error}");
    let name = "KAFKA_PARTITION_DISCOVERY_INTERVAL_MS";
    let error = Setup::new().env(name, "x").error();
    assert!(error.contains("a whole number of milliseconds"), "{error}");
}

#[test]
fn every_key_has_a_calve_name() {
    let s = Setup::new()
        .env("CALVE_CHECKPOINT_MIN_PAUSE", "5s")
        .env("CALVE_TABLE_COLUMNS", "a string not null, b double")
        .env("CALVE_BATCH_TIMEOUT", "250ms")
        .env("CALVE_KAFKA_GROUP_ID", "group")
        .env("CALVE_S3_SESSION_TOKEN", "hidden")
        .env("CALVE_CATALOG_OAUTH2_SERVER_URI", "https://idp/tokens")
        .env("CALVE_ON_REJECT", "skip")
        .load();
    assert_eq!(s.checkpoint.min_pause(), Duration::from_secs(5));
    let columns = s.table.columns.as_deref();
    assert_eq!(columns, Some("a string not null, b double"));
    assert_eq!(s.batch.timeout, Duration::from_millis(250));
    assert_eq!(s.kafka.group_id, "group");
    assert_eq!(s.s3.session_token.as_ref().unwrap().reveal(), "hidden");
    assert!(s.catalog.oauth2_server_uri.is_some());
    assert_eq!(s.on_reject, crate::config::OnReject::Skip);
}

#[test]
fn free_names_work_in_the_environment_where_they_can() {
    let s = Setup::new()
        .env("CALVE_KAFKA_SASL_USERNAME", "me")
        .env("CALVE_CATALOG_HEADER_X_TENANT", "health")
        .load();
    assert_eq!(s.kafka.properties.get("sasl.username"), Some("me"));
    assert_eq!(s.catalog.headers["x-tenant"].reveal(), "health");
    let error = Setup::new()
        .env("CALVE_TABLE_PROPERTIES_WRITE_FORMAT", "parquet")
        .error();
    assert!(error.contains("use a file or --set"), "{error}");
}

#[test]
fn header_names_meet_whatever_their_case() {
    let s = Setup::new()
        .file("catalog.header.X-Tenant = 'a'")
        .env("CALVE_CATALOG_HEADER_X_TENANT", "b")
        .load();
    let headers: Vec<_> = s.catalog.headers.keys().collect();
    assert_eq!(headers, ["x-tenant"]);
    assert_eq!(s.catalog.headers["x-tenant"].reveal(), "b");
}

#[test]
fn flink_names_are_accepted_as_keys() {
    let s = Setup::new()
        .file("execution.checkpointing.interval = 5000\nparallelism.default = 3\n")
        .flag("execution.checkpointing.min-pause", "2 s")
        .load();
    assert_eq!(s.checkpoint.interval, Duration::from_secs(5));
    assert_eq!(s.checkpoint.min_pause(), Duration::from_secs(2));
    assert_eq!(s.parallelism, 3);
}

#[test]
fn foreign_variables_are_ignored_and_unknown_calve_ones_are_not() {
    let foreign = "PATH=/bin\nDATABASE_URL=postgres://u:p@h/d\nBATCH=3\nBAD = a b c\n";
    Setup::new()
        .dotenv(foreign)
        .env("KAFKA_HEAP_OPTS", "-Xmx1g")
        .env("FLINK_PROPERTIES", "x")
        .load();
    let error = Setup::new().env("CALVE_BATCH_SIEZ", "3").error();
    assert!(
        error.starts_with(
            "environment variable CALVE_BATCH_SIEZ: unknown setting `CALVE_BATCH_SIEZ`"
        ),
        "{error}"
    );
    assert!(
        error.contains("did you mean `CALVE_BATCH_SIZE`?"),
        "{error}"
    );
    let error = Setup::new().dotenv("A=1\nCALVE_S3_SECRET=x\n").error();
    assert!(
        error.starts_with(".env, line 2: unknown setting `CALVE_S3_SECRET`"),
        "{error}"
    );
}

#[test]
fn the_nearest_name_is_proposed() {
    let cases = [
        ("kafka.broker", "kafka.brokers"),
        ("brokers", "kafka.brokers"),
        ("group-id", "kafka.group-id"),
        ("kafka.group_id", "kafka.group-id"),
        ("batchsize", "batch.size"),
        ("Batch.Size", "batch.size"),
        ("checkpoint.intervall", "checkpoint.interval"),
        ("checkpoint.min_pause", "checkpoint.min-pause"),
        ("s3.secret_key", "s3.secret-key"),
        ("catalog.url", "catalog.uri"),
        ("catalog.headers.x-tenant", "catalog.header.x-tenant"),
        ("KAFKA_TOPIC", "kafka.topic"),
        ("TARGET_FILE_SIZE_MB", "target-file-size"),
        ("execution.checkpointing.intervall", "checkpoint.interval"),
        ("kafka.sasl.user", "kafka.sasl.username"),
        ("kafka.security.protokol", "kafka.security.protocol"),
        ("kafka.fetch.min.byte", "kafka.fetch.min.bytes"),
        ("table.column", "table.columns"),
    ];
    for (wrong, right) in cases {
        let error = Setup::new().flag(wrong, "1").error();
        let expected = format!("did you mean `{right}`?");
        assert!(error.contains(&expected), "{wrong}: {error}");
    }
    let cases = [
        ("CALVE_KAFKA_BROKER", "CALVE_KAFKA_BROKERS"),
        ("CALVE_KAFKA_SASL_PASSWRD", "CALVE_KAFKA_SASL_PASSWORD"),
        ("CALVE_CHECKPOINT_MINPAUSE", "CALVE_CHECKPOINT_MIN_PAUSE"),
    ];
    for (wrong, right) in cases {
        let error = Setup::new().env(wrong, "1").error();
        let expected = format!("did you mean `{right}`?");
        assert!(error.contains(&expected), "{wrong}: {error}");
    }
}

#[test]
fn nothing_is_proposed_for_what_is_like_nothing() {
    let error = Setup::new().flag("frobnicate.the.thing", "1").error();
    assert!(!error.contains("did you mean"), "{error}");
    assert!(
        error.contains("`calve config` lists every setting"),
        "{error}"
    );
}
