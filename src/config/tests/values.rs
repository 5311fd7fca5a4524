use std::time::Duration;

use super::Setup;
use crate::config::values::*;
use crate::config::{CheckpointMode, CheckpointRetention, RestartStrategy, StateBackend};

/// What Flink 2.0.2 itself makes of each form (`TimeUtils.parseDuration`), in nanoseconds; `None` if it refuses.
const FLINK_DURATIONS: &[(&str, Option<u64>)] = &[
    ("500ms", Some(500_000_000)),
    ("60s", Some(60_000_000_000)),
    ("60 s", Some(60_000_000_000)),
    (" 60 s ", Some(60_000_000_000)),
    ("60  s", Some(60_000_000_000)),
    ("60\ts", Some(60_000_000_000)),
    ("10min", Some(600_000_000_000)),
    ("10 m", Some(600_000_000_000)),
    ("1 Min", Some(60_000_000_000)),
    ("1h", Some(3_600_000_000_000)),
    ("2 hours", Some(7_200_000_000_000)),
    ("2d", Some(172_800_000_000_000)),
    ("2 Days", Some(172_800_000_000_000)),
    ("1500", Some(1_500_000_000)),
    ("30000", Some(30_000_000_000)),
    ("0", Some(0)),
    ("0 s", Some(0)),
    ("365d", Some(31_536_000_000_000_000)),
    ("5µs", Some(5_000)),
    ("5 micros", Some(5_000)),
    ("7 ns", Some(7)),
    ("7 nanos", Some(7)),
    ("3 sec", Some(3_000_000_000)),
    ("3 secs", Some(3_000_000_000)),
    ("3 millis", Some(3_000_000)),
    ("3 milliseconds", Some(3_000_000)),
    ("PT1M", None),
    ("P1D", None),
    ("pt1m", None),
    ("PT1H30M", None),
    ("1.5s", None),
    ("-1s", None),
    ("+5s", None),
    ("s", None),
    ("", None),
    ("1 w", None),
    ("1 week", None),
    ("1_000 ms", None),
    ("9223372036854775808", None),
];

#[test]
fn durations_are_read_as_flink_reads_them() {
    for (text, nanoseconds) in FLINK_DURATIONS {
        let read = duration(text, Duration::ZERO).ok();
        assert_eq!(read, nanoseconds.map(Duration::from_nanos), "{text:?}");
    }
    // Flink would take more than a year.
    for text in ["366d", "99999999999999999999", "18446744073709551615d"] {
        assert!(duration(text, Duration::ZERO).is_err(), "{text}");
    }
    let error = duration("5ms", Duration::from_millis(10)).unwrap_err();
    assert!(error.contains("at least 10ms"), "{error}");
    assert_eq!(duration_or_off("0"), Ok(None));
    assert_eq!(duration_or_off("1s"), Ok(Some(Duration::from_secs(1))));
}

#[test]
fn durations_of_several_parts_are_read_the_larger_part_first() {
    for (text, milliseconds) in [
        ("1 h 30 min", 5_400_000),
        ("1h30min", 5_400_000),
        ("1h 30m", 5_400_000),
        ("1 d 2 h 3 min 4 s 5 ms", 93_784_005),
        ("1 s 2 ms", 1_002),
        ("10 mins", 600_000),
    ] {
        let expected = Duration::from_millis(milliseconds);
        assert_eq!(duration(text, Duration::ZERO), Ok(expected), "{text}");
    }
    for text in [
        "30 min 1 h",
        "1 h 1 h",
        "1 h 30",
        "1 h min",
        "1h,30min",
        "30000 1 ms",
    ] {
        assert!(duration(text, Duration::ZERO).is_err(), "{text}");
    }
}

/// The same of sizes (`MemorySize.parse`), in bytes.
const FLINK_SIZES: &[(&str, Option<u64>)] = &[
    ("256 mb", Some(256 << 20)),
    ("64kb", Some(64 << 10)),
    ("64 KB", Some(64 << 10)),
    ("64k", Some(64 << 10)),
    ("123", Some(123)),
    ("64 b", Some(64)),
    ("64 bytes", Some(64)),
    ("16 mebibytes", Some(16 << 20)),
    ("2 kibibytes", Some(2 << 10)),
    ("1gb", Some(1 << 30)),
    ("1 g", Some(1 << 30)),
    ("1 gibibytes", Some(1 << 30)),
    ("2TB", Some(2 << 40)),
    ("2t", Some(2 << 40)),
    ("3 tebibytes", Some(3 << 40)),
    ("0", Some(0)),
    (" 5 m ", Some(5 << 20)),
    ("9223372036854775807", Some(i64::MAX as u64)),
    ("1.5GB", None),
    ("-1", None),
    ("1PB", None),
    ("", None),
    ("MB", None),
    ("1 megabyte", None),
    ("9223372036854775807kb", None),
];

#[test]
fn sizes_are_read_as_flink_reads_them() {
    for (text, bytes) in FLINK_SIZES {
        assert_eq!(size(text, 0).ok(), *bytes, "{text:?}");
    }
    // Flink would not: it has no such unit.
    assert_eq!(size("16 MiB", 0), Ok(16 << 20));
    assert!(size("16777216TB", 0).is_err());
    assert!(size("+1", 0).is_err());
    assert!(size("1KB", 2048).unwrap_err().ends_with("at least 2KB"));
    assert!(size("1KB", 1 << 20).unwrap_err().ends_with("at least 1MB"));
}

#[test]
fn limits_hold_at_both_ends() {
    for size in ["1", "1048576"] {
        Setup::new().flag("batch.size", size).load();
    }
    for size in ["0", "1048577", "1.0", "1k"] {
        Setup::new().flag("batch.size", size).error();
    }
    Setup::new().flag("checkpoint.max-concurrent", "1").load();
    let error = Setup::new().flag("checkpoint.max-concurrent", "2").error();
    assert!(
        error.contains("expected 1: table commits form a chain"),
        "{error}"
    );
    for factor in ["1", "1.5", "1000"] {
        assert!(decimal(factor, 1.0..=1000.0).is_ok(), "{factor}");
    }
    for factor in ["0.9", "1000.1", "NaN", "inf", "1,5", ""] {
        assert!(decimal(factor, 1.0..=1000.0).is_err(), "{factor}");
    }
    let free = Setup::new().env("PROMETHEUS_PORT", "0").load();
    assert_eq!(free.metrics.prometheus_port, Some(0..=0));
    let off = Setup::new().env("PROMETHEUS_PORT", "off").load();
    assert_eq!(off.metrics.prometheus_port, None);
    for port in ["-1", "65536", "9260-9249"] {
        Setup::new().flag("metrics.prometheus-port", port).error();
    }
}

#[test]
fn the_pause_follows_the_interval_unless_it_is_set() {
    let pause = |setup: Setup| setup.load().checkpoint.min_pause();
    let interval = |text| Setup::new().flag("checkpoint.interval", text);
    assert_eq!(pause(interval("10min")), Duration::from_secs(30));
    assert_eq!(pause(interval("1s")), Duration::from_millis(500));
    let set = interval("1s").flag("checkpoint.min-pause", "0s");
    assert_eq!(pause(set), Duration::ZERO);
}

#[test]
fn there_is_no_weaker_mode_than_exactly_once() {
    for text in ["EXACTLY_ONCE", "exactly-once", "exactly_once"] {
        assert_eq!(checkpoint_mode(text), Ok(CheckpointMode::ExactlyOnce));
    }
    let error = Setup::new()
        .env("FLINK_CHECKPOINT_MODE", "AT_LEAST_ONCE")
        .error();
    assert!(error.contains("calve is always exactly once"), "{error}");
    assert!(checkpoint_mode("twice").is_err());
}

#[test]
fn words_are_taken_in_any_case_and_listed_if_wrong() {
    assert_eq!(truth("TRUE"), Ok(true));
    assert_eq!(truth("yes"), Err("true or false".into()));
    assert_eq!(state_backend("HashMap"), Ok(StateBackend::Memory));
    assert_eq!(state_backend("rocksdb"), Ok(StateBackend::Rocksdb));
    let error = Setup::new().flag("kafka.auto-offset-reset", "none").error();
    assert!(error.ends_with("expected earliest or latest"), "{error}");
    // The older of Flink's two names for it.
    let restarts = Setup::new().flag("restart-strategy", "Fixed-Delay").load();
    assert_eq!(restarts.restart.strategy, RestartStrategy::FixedDelay);
}

#[test]
fn what_becomes_of_checkpoints_is_said_in_flinks_words() {
    for word in ["RETAIN_ON_CANCELLATION", "retain-on-cancellation"] {
        let retained = CheckpointRetention::RetainOnCancellation;
        assert_eq!(checkpoint_retention(word), Ok(retained));
    }
    for word in ["DELETE_ON_CANCELLATION", "NO_EXTERNALIZED_CHECKPOINTS"] {
        let refused = checkpoint_retention(word).unwrap_err();
        assert!(
            refused.contains("the table names the snapshot"),
            "{refused}"
        );
    }
    assert!(checkpoint_retention("keep").is_err());
}

#[test]
fn the_folder_of_running_state_is_on_the_local_disk() {
    for folder in ["/var/lib/calve", "file:///var/lib/calve"] {
        assert_eq!(local_folder(folder), Ok("/var/lib/calve".into()));
    }
    for wrong in [
        "",
        "state",
        "s3://bucket/state",
        "file://host",
        "hdfs:///state",
    ] {
        assert!(local_folder(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn both_of_flinks_names_for_the_backend_are_taken_beside_its_options() {
    for name in ["state.backend", "state.backend.type"] {
        let settings = Setup::new()
            .flag(name, "hashmap")
            .flag("state.backend.incremental", "false")
            .load();
        assert_eq!(settings.state.backend, StateBackend::Memory);
        assert!(!settings.state.incremental);
    }
}

#[test]
fn pipeline_names_are_safe_in_file_names() {
    for name in ["calve", "a.b_c-1", "7"] {
        assert_eq!(pipeline_name(name).as_deref(), Ok(name));
    }
    for name in ["..", ".hidden", "_x", "a/b", "a b", "é", &"x".repeat(129)] {
        assert!(pipeline_name(name).is_err(), "{name}");
    }
}

#[test]
fn key_columns_are_a_list() {
    assert_eq!(columns("sample_id, Größe").unwrap(), ["sample_id", "Größe"]);
    for text in ["", "a,", "a,a", "a\nb"] {
        assert!(columns(text).is_err(), "{text}");
    }
}

#[test]
fn brokers_and_topics_are_lists() {
    let list = brokers("a:1, PLAINTEXT://b:2,[::1]:3,[::1],c").unwrap();
    assert_eq!(list, "a:1,PLAINTEXT://b:2,[::1]:3,[::1],c");
    for text in ["a:1,", "a:b", "a:70000", ":1", "a b:1"] {
        assert!(brokers(text).is_err(), "{text}");
    }
    assert_eq!(topics("a, b.c").unwrap(), ["a", "b.c"]);
    for text in ["a,", "^a", "a,a", "a b", &"t".repeat(250)] {
        assert!(topics(text).is_err(), "{text}");
    }
}

#[test]
fn databases_nest_and_tables_do_not() {
    assert_eq!(database("a.b").unwrap(), ["a", "b"]);
    for text in ["a..b", ".a", "a."] {
        assert!(database(text).is_err(), "{text}");
    }
    assert_eq!(table("raw").as_deref(), Ok("raw"));
    assert!(table("db.raw").unwrap_err().contains("table.database"));
}

#[test]
fn locations_are_absolute() {
    for text in ["file:///a", "/a", "s3://bucket", "s3a://bucket/a"] {
        assert!(location(text).is_ok(), "{text}");
        assert!(warehouse(text).is_ok(), "{text}");
    }
    for text in ["file://a", "a", "./a", "gs://bucket", "s3://", "s3:///a"] {
        assert!(location(text).is_err(), "{text}");
    }
    assert!(warehouse("lake").is_ok());
    for text in ["./lake", "gs://bucket", "two words"] {
        assert!(warehouse(text).is_err(), "{text}");
    }
}

#[test]
fn catalog_addresses_are_of_a_known_kind() {
    for text in [
        "sqlite:///a.db",
        "postgres://h/d",
        "postgresql://h",
        "http://h",
        "https://h",
    ] {
        assert!(catalog_uri(text).is_ok(), "{text}");
    }
    for text in [
        "sqlite://a.db",
        "sqlite:///",
        "mysql://h",
        "http://",
        "h:8181",
        "http://a b",
    ] {
        assert!(catalog_uri(text).is_err(), "{text}");
    }
    assert!(http("http://h").is_ok());
    assert!(http("postgres://h").is_err());
}

#[test]
fn header_names_and_values_are_those_http_allows() {
    assert_eq!(header_name("X-Tenant").as_deref(), Ok("x-tenant"));
    assert!(header_name("x tenant").is_err());
    assert!(header_value("a\r\nb").is_err());
    assert!(header_value("é").is_err());
}

#[test]
fn log_filters_are_those_of_tracing() {
    assert!(log_level("info,calve::iceberg=debug").is_ok());
    assert!(log_level("info,calve=loud").is_err());
}

#[test]
fn columns_may_stand_on_several_lines() {
    let text = "table.columns = '''\na string,\nb double\n'''\n";
    let settings = Setup::new().file(text).load();
    let columns = settings.table.columns.as_deref();
    assert_eq!(columns, Some("a string,\nb double"));
}
