use super::Setup;
use crate::config::load;

#[test]
fn what_is_missing_is_named_all_at_once_with_its_variables() {
    let settings = Setup::new().load();
    let error = settings.require_ingest().unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Config);
    assert_eq!(
        error.to_string(),
        "5 settings are missing: kafka.brokers, kafka.topic, catalog.uri, warehouse, table.name
  → set them in the environment, in .env, with --set or in the --config file, for example:
    KAFKA_BROKERS=localhost:9092    (kafka.brokers)
    KAFKA_TOPIC=health    (kafka.topic)
    ICEBERG_CATALOG_URI=sqlite:///var/lib/calve/catalog.db    (catalog.uri)
    ICEBERG_WAREHOUSE=file:///var/lib/calve/warehouse    (warehouse)
    ICEBERG_TABLE_RAW=raw    (table.name)"
    );
    let error = settings.require_kafka().unwrap_err().to_string();
    assert!(error.starts_with("2 settings are missing: kafka.brokers, kafka.topic"));
    let error = settings.require(&["table.columns"]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("a setting is missing: table.columns")
    );
}

#[test]
fn nothing_is_missing_once_it_is_set() {
    let settings = Setup::new()
        .env("KAFKA_BROKERS", "localhost:9092")
        .env("KAFKA_TOPIC", "health")
        .env("ICEBERG_CATALOG_TYPE", "rest")
        .env("ICEBERG_CATALOG_URI", "http://localhost:8181")
        .env("ICEBERG_TABLE_RAW", "raw")
        .load();
    // A REST catalog may have a warehouse of its own.
    settings.require_ingest().unwrap();
    let settings = Setup::new().env("ICEBERG_TABLE_RAW", "raw").load();
    let error = settings.require_table().unwrap_err().to_string();
    assert!(
        error.starts_with("2 settings are missing: catalog.uri, warehouse\n"),
        "{error}"
    );
}

#[test]
fn catalog_type_and_address_have_to_agree() {
    let error = Setup::new()
        .dotenv("\nICEBERG_CATALOG_URI=http://localhost:8181\n")
        .error();
    assert_eq!(
        error,
        "catalog.uri (.env, line 2) is the address of a rest catalog, but catalog.type (default) \
         is sql\n  → set catalog.type (ICEBERG_CATALOG_TYPE) to rest, or the address of a sql \
         catalog"
    );
    for uri in ["sqlite:///a.db", "postgres://h/d", "postgresql://h/d"] {
        Setup::new().env("ICEBERG_CATALOG_URI", uri).load();
        let rest = Setup::new()
            .env("ICEBERG_CATALOG_URI", uri)
            .env("ICEBERG_CATALOG_TYPE", "rest");
        assert!(rest.error().contains("is the address of a sql catalog"));
    }
}

#[test]
fn a_warehouse_by_name_needs_a_rest_catalog() {
    let error = Setup::new().env("ICEBERG_WAREHOUSE", "lake").error();
    assert!(
        error.starts_with(
            "warehouse (environment variable ICEBERG_WAREHOUSE) can't be \"lake\" with a sql \
             catalog: expected file:///"
        ),
        "{error}"
    );
    Setup::new()
        .env("ICEBERG_WAREHOUSE", "lake")
        .env("ICEBERG_CATALOG_TYPE", "rest")
        .load();
}

#[test]
fn an_s3_key_needs_its_other_half() {
    let error = Setup::new().env("S3_ACCESS_KEY", "a").error();
    assert!(
        error.contains("is set, but s3.secret-key is not"),
        "{error}"
    );
    let error = Setup::new().env("S3_SECRET_KEY", "hidden").error();
    assert!(
        error.contains("is set, but s3.access-key is not"),
        "{error}"
    );
    assert!(!error.contains("hidden"));
}

#[test]
fn dead_letters_do_not_go_into_the_main_table() {
    let error = Setup::new()
        .env("ICEBERG_TABLE_RAW", "raw")
        .env("ICEBERG_TABLE_ERRORS", "raw")
        .error();
    assert!(error.contains("is the same table as table.name"), "{error}");
}

#[test]
fn a_value_that_is_not_utf8_is_refused_only_where_it_is_read() {
    Setup::new().env("OTHER", "a\u{FFFD}").load();
    let error = Setup::new().env("KAFKA_GROUP_ID", "a\u{FFFD}").error();
    assert!(error.ends_with("expected text in UTF-8"), "{error}");
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let error = Setup::new().flag("batch.size", &"é".repeat(5000)).error();
    assert!(error.len() < 400, "{error}");
}

#[test]
fn effective_settings_are_grouped_by_section_with_words_on_each() {
    let settings = Setup::new()
        .flag("kafka.client.id", "me")
        .flag("table.properties.a.b", "c")
        .load();
    let all = settings.effective();
    let keys: Vec<&str> = all.iter().map(|e| &*e.key).collect();
    let at = |key| keys.iter().position(|k| *k == key).unwrap();
    assert_eq!(at("kafka.client.id") + 1, at("catalog.type"));
    assert_eq!(at("table.properties.a.b") + 1, at("input.columns"));
    for one in &all {
        assert!(!one.doc.is_empty(), "{}", one.key);
    }
    let default = load(&Default::default()).unwrap().effective().len();
    assert_eq!(all.len(), default + 2);
}
