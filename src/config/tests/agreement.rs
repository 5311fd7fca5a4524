//! The table of keys, `default.toml` and [`Settings`] agree.

use std::collections::BTreeSet;

use crate::config::flink;
use crate::config::keys::{FAMILIES, KEYS};
use crate::config::names::{self, Target};
use crate::config::settings::*;
use crate::config::words::words;
use crate::config::{DEFAULTS, Layers, Place, load};

/// Every key by the field that holds it. A new field does not compile until it is named here.
fn fields(settings: Settings) -> Vec<&'static str> {
    macro_rules! all {
        ($value:expr => $type:ident { $($field:ident: $key:literal),* $(,)? }) => {{
            let $type { $($field: _),* } = $value;
            vec![$($key),*]
        }};
    }
    let Settings {
        pipeline,
        parallelism: _,
        max_parallelism: _,
        kafka,
        catalog,
        warehouse: _,
        s3,
        table,
        input,
        stats,
        on_reject: _,
        on_rollback: _,
        on_topic_recreated: _,
        on_gap: _,
        on_orphans: _,
        batch,
        target_file_size: _,
        row_group_size: _,
        checkpoint,
        restart,
        marker,
        snapshots,
        memory,
        state,
        dedup,
        schema_registry,
        rest,
        metrics,
        log,
        own: _,
        sources: _,
    } = settings;
    [
        vec!["parallelism", "max-parallelism", "warehouse", "on-reject"],
        vec!["on-rollback", "on-topic-recreated", "on-gap", "on-orphans"],
        vec!["target-file-size", "row-group-size", "own."],
        all!(pipeline => Pipeline { name: "pipeline.name" }),
        all!(kafka => Kafka {
            brokers: "kafka.brokers",
            topics: "kafka.topic",
            group_id: "kafka.group-id",
            auto_offset_reset: "kafka.auto-offset-reset",
            partition_discovery_interval: "kafka.partition-discovery-interval",
            properties: "kafka.",
        }),
        all!(catalog => Catalog {
            kind: "catalog.type",
            uri: "catalog.uri",
            name: "catalog.name",
            token: "catalog.token",
            credential: "catalog.credential",
            oauth2_server_uri: "catalog.oauth2-server-uri",
            scope: "catalog.scope",
            headers: "catalog.header.",
        }),
        all!(s3 => S3 {
            endpoint: "s3.endpoint",
            access_key: "s3.access-key",
            secret_key: "s3.secret-key",
            session_token: "s3.session-token",
            region: "s3.region",
            path_style_access: "s3.path-style-access",
        }),
        all!(table => Table {
            database: "table.database",
            name: "table.name",
            errors: "table.errors",
            columns: "table.columns",
            provenance: "table.provenance",
            create: "table.create",
            properties: "table.properties.",
        }),
        all!(input => Input { columns: "input.columns" }),
        all!(stats => Stats {
            key: "stats.key",
            value: "stats.value",
            time: "stats.time",
            roll_ups: "stats.roll-ups",
        }),
        all!(batch => Batch { size: "batch.size", timeout: "batch.timeout" }),
        all!(checkpoint => Checkpoint {
            interval: "checkpoint.interval",
            mode: "checkpoint.mode",
            min_pause: "checkpoint.min-pause",
            timeout: "checkpoint.timeout",
            tolerable_failed: "checkpoint.tolerable-failed-checkpoints",
            max_concurrent: "checkpoint.max-concurrent",
            retention: "checkpoint.externalized-checkpoint-retention",
        }),
        all!(restart => Restart {
            strategy: "restart-strategy.type",
            fixed_attempts: "restart-strategy.fixed-delay.attempts",
            fixed_delay: "restart-strategy.fixed-delay.delay",
            initial_backoff: "restart-strategy.exponential-delay.initial-backoff",
            max_backoff: "restart-strategy.exponential-delay.max-backoff",
            backoff_multiplier: "restart-strategy.exponential-delay.backoff-multiplier",
            reset_backoff_threshold: "restart-strategy.exponential-delay.reset-backoff-threshold",
            jitter_factor: "restart-strategy.exponential-delay.jitter-factor",
            max_failures_per_interval: "restart-strategy.failure-rate.max-failures-per-interval",
            failure_rate_interval: "restart-strategy.failure-rate.failure-rate-interval",
            failure_rate_delay: "restart-strategy.failure-rate.delay",
        }),
        all!(marker => Marker { max_age: "marker.max-age" }),
        all!(snapshots => Snapshots {
            max_age: "snapshots.max-age",
            min_to_keep: "snapshots.min-to-keep",
        }),
        all!(memory => Memory { in_flight: "memory.in-flight", uncommitted: "memory.uncommitted" }),
        all!(state => State {
            backend: "state.backend.type",
            incremental: "state.backend.incremental",
            rocksdb_memory: "state.backend.rocksdb.memory",
            local_dir: "state.local-dir",
            checkpoints_dir: "state.checkpoints.dir",
            savepoints_dir: "state.savepoints.dir",
            checkpoints_retained: "state.checkpoints.num-retained",
        }),
        all!(dedup => Dedup { key: "dedup.key", ttl: "dedup.ttl" }),
        all!(schema_registry => SchemaRegistry { url: "schema-registry.url" }),
        all!(rest => Rest {
            port: "rest.port",
            bind_address: "rest.bind-address",
            token: "rest.token",
        }),
        all!(metrics => Metrics {
            prometheus_port: "metrics.prometheus-port",
            bind_address: "metrics.bind-address",
            flink_names: "metrics.flink-names",
        }),
        all!(log => Log { format: "log.format", level: "log.level" }),
    ]
    .concat()
}

fn defaults() -> Settings {
    load(&Layers::default()).unwrap()
}

#[test]
fn every_field_has_a_key_and_every_key_a_field() {
    let fields: BTreeSet<&str> = fields(defaults()).into_iter().collect();
    let keys = KEYS.iter().map(|key| key.name);
    let families = FAMILIES.iter().map(|family| family.prefix);
    assert_eq!(fields, keys.chain(families).collect());
}

#[test]
fn every_key_stands_in_the_defaults_and_nothing_else_does() {
    let documented: BTreeSet<&str> = words().keys().copied().collect();
    let keys = KEYS.iter().map(|key| key.name);
    let examples = FAMILIES.iter().map(|family| family.example);
    assert_eq!(documented, keys.chain(examples).collect());
    let settings = DEFAULTS.lines().filter(|line| line.contains(" = "));
    let settings = settings.filter(|line| !line.starts_with("# "));
    assert_eq!(
        settings.count(),
        documented.len(),
        "a key stands there twice"
    );
}

#[test]
fn what_has_no_default_is_optional() {
    let settings = defaults();
    for (key, words) in words() {
        assert_eq!(settings.layer(key).is_some(), words.default, "{key}");
    }
    // Whatever is not optional is set: a blank value would show as 0, "" or [].
    let debug = format!("{settings:?}");
    let typed = debug.split("sources:").next().unwrap();
    for blank in [
        "name: \"\"",
        "size: 0",
        "in_flight: 0",
        "uncommitted: 0",
        "timeout: 0ns",
        "interval: 0ns",
        "max_concurrent: 0",
        "rocksdb_memory: 0",
        "checkpoints_retained: 0",
        "parallelism: 0",
        "database: []",
        "level: \"\"",
        "bind_address: 0.0.0.0",
        "group_id: \"\"",
        "max_age: 0ns",
    ] {
        assert!(!typed.contains(blank), "{blank} in {typed}");
    }
}

#[test]
fn every_value_in_the_defaults_is_right_and_moves_its_own_field() {
    let typed = |settings: &Settings| {
        let debug = format!("{settings:#?}");
        debug.split("sources:").next().unwrap().to_owned()
    };
    let blank = typed(&Settings::blank());
    for (name, words) in words() {
        let target = names::by_key(name).unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(target.name(), *name);
        let mut settings = Settings::blank();
        let value = words.value.trim_matches('"');
        target
            .set(&mut settings, value)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        // Values whose default is what a blank field holds anyway.
        let unmoved = [
            "catalog.type",
            "checkpoint.mode",
            "checkpoint.tolerable-failed-checkpoints",
            "kafka.auto-offset-reset",
            "log.format",
            "on-gap",
            "on-reject",
            "on-rollback",
            "on-topic-recreated",
            "s3.path-style-access",
            "checkpoint.externalized-checkpoint-retention",
            "state.backend.type",
        ];
        assert_eq!(typed(&settings) == blank, unmoved.contains(name), "{name}");
    }
}

#[test]
fn every_key_is_explained_with_its_other_names() {
    let keys = KEYS.iter().map(Target::Key);
    let examples = FAMILIES.iter().map(|family| {
        let rest = family.example.strip_prefix(family.prefix).unwrap();
        Target::Member(family, rest.to_owned())
    });
    for target in keys.chain(examples) {
        let name = target.name();
        let words = &words()[&*name];
        assert!(
            words.summary().ends_with(['.', ',', ':']),
            "{name}: {}",
            words.summary()
        );
        match names_line(&target) {
            Some(line) => assert_eq!(words.lines.last(), Some(&&*line), "{name}"),
            None => assert!(
                words.lines.join(" ").contains("no environment name"),
                "{name}"
            ),
        }
    }
}

/// The line of `default.toml` that lists a key's other names.
fn names_line(target: &Target) -> Option<String> {
    let own = names::variable(&target.name());
    let key = match target {
        Target::Key(key) => key,
        Target::Member(family, _) => {
            family.underscore?;
            return Some(format!("Environment: {own}."));
        }
        Target::Flink(..) => return None,
    };
    let older: String = key
        .aliases()
        .map(|alias| match alias.unit {
            Some(unit) => format!("{} (in {}), ", alias.variable, unit.name),
            None => format!("{}, ", alias.variable),
        })
        .collect();
    let flink = flink::names_of(key.name).next();
    let flink = flink.map_or(String::new(), |(name, _)| format!(" Flink: {name}."));
    Some(format!("Environment: {older}{own}.{flink}"))
}

#[test]
fn every_number_says_its_unit() {
    for (name, words) in words() {
        let number = words
            .value
            .trim_matches('"')
            .starts_with(|c: char| c.is_ascii_digit());
        let unit = words.lines.iter().any(|line| line.starts_with("Unit: "));
        // A duration that needs no more words than its form.
        assert!(unit || !number || *name == "marker.max-age", "{name}");
    }
}

#[test]
fn no_two_keys_share_a_name() {
    let mut all = BTreeSet::new();
    for key in KEYS {
        assert!(all.insert(names::variable(key.name)), "{}", key.name);
        for alias in key.aliases() {
            assert!(all.insert(alias.variable.to_owned()), "{}", alias.variable);
        }
        assert!(all.insert(key.name.to_owned()), "{}", key.name);
        for (name, _) in flink::names_of(key.name) {
            assert!(name == key.name || all.insert(name.to_owned()), "{name}");
        }
    }
}

#[test]
fn every_variable_leads_to_its_key() {
    for key in KEYS {
        let own = names::variable(key.name);
        let older = key.aliases().map(|alias| alias.variable);
        for variable in older.chain([&*own]) {
            let (target, _) = names::by_variable(variable).unwrap().unwrap();
            assert_eq!(target.name(), key.name, "{variable}");
        }
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let s = defaults();
    assert_eq!(s.pipeline.name, "calve");
    assert_eq!(s.parallelism, 1);
    assert_eq!(s.kafka.group_id, "calve");
    assert_eq!(s.kafka.auto_offset_reset, OffsetReset::Earliest);
    assert_eq!(s.kafka.partition_discovery_interval.unwrap().as_secs(), 300);
    assert_eq!(s.catalog.kind, CatalogKind::Sql);
    assert_eq!(s.catalog.name, "default");
    assert!(!s.s3.path_style_access);
    assert_eq!(s.table.database, ["default"]);
    assert!(s.table.provenance && s.table.create);
    assert_eq!(s.stats.key, ["user_id", "data_type"]);
    assert_eq!(s.stats.value, "value");
    assert_eq!(s.stats.time, "start_time");
    assert_eq!(s.stats.roll_ups, [RollUp::Week, RollUp::Month]);
    assert_eq!(s.on_reject, OnReject::Halt);
    assert_eq!(s.on_rollback, OnRollback::Halt);
    assert_eq!(s.on_topic_recreated, OnTopicRecreated::Halt);
    assert_eq!(s.on_gap, OnGap::Halt);
    assert_eq!(s.batch.size, 8192);
    assert_eq!(s.batch.timeout.as_secs(), 10);
    assert_eq!(s.target_file_size, 256 << 20);
    assert_eq!(s.row_group_size, 12 << 20);
    assert_eq!(s.checkpoint.interval.as_secs(), 60);
    assert_eq!(s.checkpoint.min_pause, None);
    assert_eq!(s.checkpoint.min_pause().as_secs(), 30);
    assert_eq!(s.checkpoint.timeout.as_secs(), 600);
    assert_eq!(s.checkpoint.tolerable_failed, 0);
    assert_eq!(s.checkpoint.max_concurrent, 1);
    assert_eq!(s.restart.strategy, RestartStrategy::ExponentialDelay);
    assert_eq!(s.restart.fixed_attempts, 3);
    assert_eq!(s.restart.fixed_delay.as_secs(), 10);
    assert_eq!(s.restart.initial_backoff.as_secs(), 1);
    assert_eq!(s.restart.max_backoff.as_secs(), 60);
    assert_eq!(s.restart.backoff_multiplier, 1.5);
    assert_eq!(s.restart.reset_backoff_threshold.as_secs(), 3600);
    assert_eq!(s.restart.jitter_factor, 0.1);
    assert_eq!(s.restart.max_failures_per_interval, 1);
    assert_eq!(s.restart.failure_rate_interval.as_secs(), 60);
    assert_eq!(s.restart.failure_rate_delay.as_secs(), 1);
    assert_eq!(s.marker.max_age.as_secs(), 3600);
    assert_eq!(s.memory.in_flight, 8 << 20);
    assert_eq!(s.memory.uncommitted, 16 << 30);
    assert_eq!(s.state.backend, StateBackend::Rocksdb);
    assert_eq!(s.rest.port, Some(8081..=8081));
    assert!(s.rest.bind_address.is_loopback());
    assert!(s.state.incremental);
    assert_eq!(s.state.rocksdb_memory, 256 << 20);
    assert_eq!(s.state.local_dir, None);
    assert_eq!(s.state.checkpoints_retained, 3);
    assert_eq!(s.max_parallelism, 128);
    let retention = CheckpointRetention::RetainOnCancellation;
    assert_eq!(s.checkpoint.retention, retention);
    assert_eq!(s.metrics.prometheus_port, Some(9249..=9249));
    assert!(s.metrics.bind_address.is_loopback());
    assert!(s.metrics.flink_names);
    assert_eq!(s.log.format, LogFormat::Text);
    assert_eq!(s.log.level, "info");
    assert_eq!(s.layer("batch.size"), Some(&Place::Default));
}
