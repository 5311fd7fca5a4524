use std::time::Duration;

use super::{Setup, shown};

#[test]
fn librdkafka_properties_pass_through_from_every_layer() {
    let s = Setup::new()
        .file("kafka.security.protocol = 'SASL_SSL'\nkafka.fetch.min.bytes = 1000\n")
        .dotenv("CALVE_KAFKA_SASL_MECHANISM=PLAIN\n")
        .env("CALVE_KAFKA_SSL_CA_LOCATION", "/etc/ca.pem")
        .flag("kafka.client.rack", "r1")
        .load();
    let all: Vec<_> = s.kafka.properties.iter().collect();
    let expected = [
        ("client.rack", "r1"),
        ("fetch.min.bytes", "1000"),
        ("sasl.mechanism", "PLAIN"),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", "/etc/ca.pem"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn properties_that_would_break_exactly_once_are_refused_with_the_reason() {
    let cases = [
        (
            "enable.auto.commit",
            "calve commits the group's offsets itself",
        ),
        (
            "auto.commit.enable",
            "calve commits the group's offsets itself",
        ),
        (
            "topic.auto.commit.enable",
            "calve commits the group's offsets itself",
        ),
        ("isolation.level", "calve reads committed records only"),
        (
            "enable.auto.offset.store",
            "calve commits the group's offsets itself",
        ),
        ("auto.offset.reset", "kafka.auto-offset-reset"),
        ("topic.auto.offset.reset", "kafka.auto-offset-reset"),
        ("group.id", "it is the setting kafka.group-id"),
        ("bootstrap.servers", "it is the setting kafka.brokers"),
        ("metadata.broker.list", "it is the setting kafka.brokers"),
        (
            "partition.assignment.strategy",
            "no member of a consumer group",
        ),
    ];
    for (property, reason) in cases {
        let key = format!("kafka.{property}");
        // Also with the value that would do no harm: a later calve may need another one.
        let error = Setup::new().flag(&key, "false").error();
        let start = format!("--set {key}: `{key}` can't be set: ");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains(reason), "{error}");
    }
    let error = Setup::new()
        .env("CALVE_KAFKA_ENABLE_AUTO_COMMIT", "true")
        .error();
    assert!(error.contains("can't be set: calve commits"), "{error}");
}

#[test]
fn librdkafka_judges_names() {
    let error = Setup::new().file("\nkafka.fetch.min.bites = 1\n").error();
    assert_eq!(
        error,
        "file calve.toml, line 2: unknown setting `kafka.fetch.min.bites`\n  → did you mean \
         `kafka.fetch.min.bytes`? `calve config` lists every setting"
    );
    // Names that librdkafka knows and this room does not.
    Setup::new()
        .flag("kafka.sasl.kerberos.min.time.before.relogin", "1")
        .load();
    Setup::new().flag("kafka.acks", "1").load();
}

#[test]
fn hooks_for_programs_cannot_be_set_from_text() {
    for name in [
        "rebalance_cb",
        "ssl_key",
        "ut_handle_ProduceResponse",
        "log_level",
        "interceptors",
        "opaque",
        "",
    ] {
        Setup::new().flag(&format!("kafka.{name}"), "x").error();
    }
}

#[test]
fn librdkafka_judges_values() {
    let error = Setup::new().file("kafka.fetch.min.bytes = 'few'\n").error();
    assert!(
        error.starts_with(
            "file calve.toml, line 1: kafka.fetch.min.bytes can't be \"few\": expected a value \
             that librdkafka takes; it says: "
        ),
        "{error}"
    );
    let error = Setup::new()
        .flag("kafka.security.protocol", "carrier-pigeon")
        .error();
    assert!(error.contains("can't be \"carrier-pigeon\""), "{error}");
    let error = Setup::new().flag("kafka.client.id", "a\0b").error();
    assert!(
        error.contains("expected a value that librdkafka takes"),
        "{error}"
    );
    // Java's way of saying it, with librdkafka's own hint.
    let error = Setup::new()
        .flag("kafka.ssl.truststore.location", "/x")
        .error();
    assert!(error.contains("ssl.ca.location"), "{error}");
}

#[test]
fn settings_of_ones_own_come_from_every_layer_and_are_read_as_what_they_are() {
    let setup = Setup::new()
        .file("own.session-gap = '10min'\nown.least = 3\n")
        .env("CALVE_OWN_SESSION_GAP", "1h 30min");
    let settings = setup.load();
    let gap = settings.own("session-gap").duration().unwrap();
    assert_eq!(gap, Some(Duration::from_secs(5_400)));
    assert_eq!(settings.own("least").number::<u8>().unwrap(), Some(3));
    assert_eq!(settings.own("other").text(), None);
    assert_eq!(
        shown(&settings, "own.session-gap").as_deref(),
        Some("1h 30min")
    );
    let wrong = settings.own("session-gap").number::<u8>().unwrap_err();
    let wrong = wrong.to_string();
    assert!(wrong.contains("CALVE_OWN_SESSION_GAP"), "{wrong}");
    assert!(
        wrong.contains("own.session-gap can't be \"1h 30min\""),
        "{wrong}"
    );
    let upper = Setup::new().flag("own.Gap", "1").error();
    assert!(upper.contains("lower-case letters"), "{upper}");
}

#[test]
fn a_setting_of_ones_own_that_nobody_reads_is_refused() {
    let settings = Setup::new().flag("own.session-gab", "1h").load();
    let refused = |read: &[&str]| settings.check_own(read).unwrap_err().to_string();
    assert!(refused(&["session-gap"]).contains("did you mean `own.session-gap`?"));
    assert!(refused(&["key", "ttl"]).contains("they read: own.key, own.ttl"));
    assert!(refused(&[]).contains("they read none"));
    assert!(settings.check_own(&["session-gab"]).is_ok());
}
