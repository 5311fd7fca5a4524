use std::time::Duration;

use super::{Setup, shown};
use crate::config::{Place, load};

/// Sets `parallelism` in one layer, by number from the weakest.
fn set(setup: Setup, layer: usize, number: usize) -> Setup {
    match layer {
        0 => setup.yaml(&format!("parallelism.default: {number}\n")),
        1 => setup.file(&format!("parallelism = {number}")),
        2 => setup.dotenv(&format!("FLINK_PARALLELISM={number}")),
        3 => setup.dotenv_local(&format!("FLINK_PARALLELISM={number}")),
        4 => setup.env("FLINK_PARALLELISM", &number.to_string()),
        _ => setup.flag("parallelism", &number.to_string()),
    }
}

fn layer_of(place: &Place) -> usize {
    match place {
        Place::Default => usize::MAX,
        Place::Flink { .. } => 0,
        Place::File { .. } => 1,
        Place::Dotenv { file: ".env", .. } => 2,
        Place::Dotenv { .. } => 3,
        Place::Environment { .. } => 4,
        Place::Flag { .. } => 5,
    }
}

#[test]
fn every_layer_wins_over_the_defaults() {
    assert_eq!(Setup::new().load().parallelism, 1);
    for layer in 0..6 {
        let settings = set(Setup::new(), layer, 7).load();
        assert_eq!(settings.parallelism, 7, "layer {layer}");
        assert_eq!(layer_of(settings.layer("parallelism").unwrap()), layer);
    }
}

#[test]
fn of_every_pair_of_layers_the_stronger_one_wins() {
    for strong in 0..6 {
        for weak in 0..strong {
            let setup = set(set(Setup::new(), strong, 20), weak, 10);
            let settings = setup.load();
            assert_eq!(settings.parallelism, 20, "{strong} over {weak}");
            assert_eq!(layer_of(settings.layer("parallelism").unwrap()), strong);
        }
    }
}

#[test]
fn the_last_flag_wins() {
    let settings = Setup::new()
        .flag("parallelism", "2")
        .flag("parallelism", "6")
        .load();
    assert_eq!(settings.parallelism, 6);
}

#[test]
fn within_a_layer_the_calve_name_wins_over_the_older_one() {
    let both = Setup::new()
        .env("CALVE_BATCH_TIMEOUT", "3s")
        .env("BATCH_TIMEOUT_SECONDS", "5");
    assert_eq!(both.load().batch.timeout, Duration::from_secs(3));
    let both = Setup::new().dotenv("CALVE_BATCH_SIZE=3\nBATCH_SIZE=5\n");
    assert_eq!(both.load().batch.size, 3);
    let three = Setup::new()
        .env("CHECKPOINT_INTERVAL", "3 s")
        .env("FLINK_CHECKPOINT_INTERVAL_MS", "5000");
    assert_eq!(three.load().checkpoint.interval, Duration::from_secs(5));
    let three = three.env("CALVE_CHECKPOINT_INTERVAL", "7s");
    assert_eq!(three.load().checkpoint.interval, Duration::from_secs(7));
    // But not over a stronger layer.
    let layers = Setup::new()
        .dotenv("CALVE_BATCH_SIZE=3")
        .env("BATCH_SIZE", "5");
    assert_eq!(layers.load().batch.size, 5);
}

#[test]
fn the_last_line_of_a_dotenv_file_wins() {
    assert_eq!(
        Setup::new()
            .dotenv("BATCH_SIZE=3\nBATCH_SIZE=5\n")
            .load()
            .batch
            .size,
        5
    );
}

#[test]
fn an_empty_value_leads_back_to_the_default() {
    let settings = Setup::new()
        .dotenv("BATCH_SIZE=3\nS3_ENDPOINT=http://localhost:9000\n")
        .dotenv_local("BATCH_SIZE=\nS3_ENDPOINT=\n")
        .load();
    assert_eq!(settings.batch.size, 8192);
    assert_eq!(settings.layer("batch.size"), Some(&Place::Default));
    assert_eq!(settings.s3.endpoint, None);
    assert_eq!(shown(&settings, "s3.endpoint"), None);
    let settings = Setup::new()
        .file("kafka.client.id = 'a'")
        .flag("kafka.client.id", "")
        .load();
    assert!(settings.kafka.properties.is_empty());
}

#[test]
fn a_wrong_value_that_is_overruled_does_no_harm_and_a_wrong_name_does() {
    let overruled = Setup::new()
        .dotenv("FLINK_CHECKPOINT_MODE=AT_LEAST_ONCE")
        .flag("checkpoint.mode", "EXACTLY_ONCE");
    overruled.load();
    let setup = Setup::new().file("batch.sise = 1").flag("batch.size", "1");
    assert!(setup.error().contains("batch.sise"));
}

#[test]
fn without_layers_there_are_the_defaults_alone() {
    let settings = load(&Default::default()).unwrap();
    for effective in settings.effective() {
        assert_eq!(effective.layer, Place::Default, "{}", effective.key);
    }
}

#[test]
fn a_missing_or_foreign_dotenv_is_no_error() {
    let setup = Setup::new();
    std::fs::create_dir(setup.path().join(".env")).unwrap();
    setup.load();
}

#[test]
fn tables_dotted_keys_numbers_truths_and_lists_of_toml_are_taken() {
    let text = r#"
        parallelism = 0x6
        kafka.topic = ["a", "b"]
        kafka.brokers = ["one:9092", "two:9092"]
        table.provenance = false
        checkpoint.interval = 1_500
        [kafka.security]
        protocol = "SASL_SSL"
        [kafka.socket]
        "keepalive.enable" = true
        [table.properties]
        "write.format.default" = "parquet"
        write.metadata.delete-after-commit.enabled = true
    "#;
    let settings = Setup::new().file(text).load();
    assert_eq!(settings.parallelism, 6);
    assert_eq!(settings.kafka.topics, ["a", "b"]);
    assert_eq!(settings.kafka.brokers.as_deref(), Some("one:9092,two:9092"));
    assert!(!settings.table.provenance);
    assert_eq!(settings.checkpoint.interval, Duration::from_millis(1500));
    let properties = &settings.kafka.properties;
    assert_eq!(properties.get("security.protocol"), Some("SASL_SSL"));
    assert_eq!(properties.get("socket.keepalive.enable"), Some("true"));
    let properties = &settings.table.properties;
    assert_eq!(properties["write.format.default"], "parquet");
    let nested = "write.metadata.delete-after-commit.enabled";
    assert_eq!(properties[nested], "true");
}
