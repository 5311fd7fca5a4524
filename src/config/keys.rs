//! The table of all keys: one declaration each, everything else follows from it.
//!
//! A declaration gives a key its parser and its place in [`Settings`], its names in the environment and its
//! secrecy. Its default and its words stand in `default.toml`, its names in Flink in `flink::table`. Whoever adds a setting adds three things, a
//! field, a line here and a paragraph there; tests fail until the three agree.

use std::time::Duration;

use super::librdkafka;
use super::own;
use super::secret::Secrecy;
use super::settings::{CatalogKind, LogFormat, OffsetReset, Settings};
use super::values::{self, Parsed};

/// One setting.
pub(super) struct Key {
    /// The dotted kebab-case name.
    pub name: &'static str,
    /// Second environment names, the one that wins first.
    pub aliases: [Option<Alias>; 2],
    /// How much of the value may be shown.
    pub secrecy: Secrecy,
    /// Parses a value and stores it, or says what was expected.
    pub set: fn(&mut Settings, &str) -> Parsed<()>,
}

/// A second environment name, from the deployments that calve replaces.
#[derive(Clone, Copy)]
pub(super) struct Alias {
    /// The variable.
    pub variable: &'static str,
    /// The unit its name promises: the value is a bare number then.
    pub unit: Option<Unit>,
}

/// A unit in the name of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// As it is said: "milliseconds".
    pub name: &'static str,
    /// As it is written behind a number: "ms".
    pub suffix: &'static str,
}

const MILLISECONDS: Unit = Unit {
    name: "milliseconds",
    suffix: "ms",
};
const SECONDS: Unit = Unit {
    name: "seconds",
    suffix: "s",
};
const MEGABYTES: Unit = Unit {
    name: "megabytes",
    suffix: "MB",
};

impl Key {
    const fn new(name: &'static str, set: fn(&mut Settings, &str) -> Parsed<()>) -> Self {
        Self {
            name,
            aliases: [None, None],
            secrecy: Secrecy::Open,
            set,
        }
    }

    const fn env(self, variable: &'static str) -> Self {
        self.alias(Alias {
            variable,
            unit: None,
        })
    }

    const fn env_in(self, unit: Unit, variable: &'static str) -> Self {
        self.alias(Alias {
            variable,
            unit: Some(unit),
        })
    }

    const fn alias(mut self, alias: Alias) -> Self {
        let free = if self.aliases[0].is_none() { 0 } else { 1 };
        self.aliases[free] = Some(alias);
        self
    }

    const fn secrecy(mut self, secrecy: Secrecy) -> Self {
        self.secrecy = secrecy;
        self
    }

    /// The second environment names, the one that wins first.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &Alias> {
        self.aliases.iter().flatten()
    }
}

/// Settings whose names go on freely behind a prefix.
pub(super) struct Family {
    /// The prefix, with its dot.
    pub prefix: &'static str,
    /// The example of it in `default.toml`.
    pub example: &'static str,
    /// What `_` stands for in the rest of an environment name; `None` if that is ambiguous.
    pub underscore: Option<char>,
    /// Brings the rest of the name into its one form, or says why there is no such setting.
    pub member: fn(&str) -> Result<String, Refusal>,
    /// How much of a member's value may be shown.
    pub secrecy: fn(&str) -> Secrecy,
    /// Parses a member's value and stores it, or says what was expected.
    pub set: fn(&mut Settings, &str, &str) -> Parsed<()>,
}

/// Why a family has no such member.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such thing.
    Unknown,
    /// There is, but not here, for this reason.
    Refused(String),
}

fn put<T>(field: &mut T, parsed: Parsed<T>) -> Parsed<()> {
    *field = parsed?;
    Ok(())
}

const MS: Duration = Duration::from_millis(1);
const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

/// Every key with a field of its own, in the order of `default.toml`.
pub(super) static KEYS: &[Key] = &[
    Key::new("pipeline.name", |s, v| {
        put(&mut s.pipeline.name, values::pipeline_name(v))
    }),
    Key::new("parallelism", |s, v| {
        put(&mut s.parallelism, values::whole(v, "threads", 1..=1024))
    })
    .env("FLINK_PARALLELISM"),
    Key::new("max-parallelism", |s, v| {
        let parsed = values::whole(v, "key groups", 1..=32_768);
        put(&mut s.max_parallelism, parsed)
    }),
    Key::new("kafka.brokers", |s, v| {
        put(&mut s.kafka.brokers, values::brokers(v).map(Some))
    })
    .env("KAFKA_BROKERS"),
    Key::new("kafka.topic", |s, v| {
        put(&mut s.kafka.topics, values::topics(v))
    })
    .env("KAFKA_TOPIC"),
    Key::new("kafka.group-id", |s, v| {
        put(&mut s.kafka.group_id, values::text(v))
    })
    .env("KAFKA_GROUP_ID"),
    Key::new("kafka.auto-offset-reset", |s, v| {
        let words = [
            ("earliest", OffsetReset::Earliest),
            ("latest", OffsetReset::Latest),
        ];
        put(&mut s.kafka.auto_offset_reset, values::one_of(v, &words))
    })
    .env("KAFKA_AUTO_OFFSET_RESET"),
    Key::new("kafka.partition-discovery-interval", |s, v| {
        let field = &mut s.kafka.partition_discovery_interval;
        put(field, values::duration_or_off(v))
    })
    .env_in(MILLISECONDS, "KAFKA_PARTITION_DISCOVERY_INTERVAL_MS"),
    Key::new("catalog.type", |s, v| {
        let words = [("sql", CatalogKind::Sql), ("rest", CatalogKind::Rest)];
        put(&mut s.catalog.kind, values::one_of(v, &words))
    })
    .env("ICEBERG_CATALOG_TYPE"),
    Key::new("catalog.uri", |s, v| {
        put(&mut s.catalog.uri, values::catalog_uri(v).map(Some))
    })
    .env("ICEBERG_CATALOG_URI")
    .secrecy(Secrecy::Uri),
    Key::new("catalog.name", |s, v| {
        put(&mut s.catalog.name, values::text(v))
    })
    .env("ICEBERG_CATALOG_NAME"),
    Key::new("catalog.token", |s, v| {
        put(&mut s.catalog.token, values::secret(v).map(Some))
    })
    .secrecy(Secrecy::Secret),
    Key::new("catalog.credential", |s, v| {
        put(&mut s.catalog.credential, values::secret(v).map(Some))
    })
    .secrecy(Secrecy::Secret),
    Key::new("catalog.oauth2-server-uri", |s, v| {
        put(&mut s.catalog.oauth2_server_uri, values::http(v).map(Some))
    })
    .secrecy(Secrecy::Uri),
    Key::new("catalog.scope", |s, v| {
        put(&mut s.catalog.scope, values::text(v).map(Some))
    }),
    Key::new("warehouse", |s, v| {
        put(&mut s.warehouse, values::warehouse(v).map(Some))
    })
    .env("ICEBERG_WAREHOUSE")
    .secrecy(Secrecy::Uri),
    Key::new("s3.endpoint", |s, v| {
        put(&mut s.s3.endpoint, values::http(v).map(Some))
    })
    .env("S3_ENDPOINT")
    .secrecy(Secrecy::Uri),
    Key::new("s3.access-key", |s, v| {
        put(&mut s.s3.access_key, values::text(v).map(Some))
    })
    .env("S3_ACCESS_KEY"),
    Key::new("s3.secret-key", |s, v| {
        put(&mut s.s3.secret_key, values::secret(v).map(Some))
    })
    .env("S3_SECRET_KEY")
    .secrecy(Secrecy::Secret),
    Key::new("s3.session-token", |s, v| {
        put(&mut s.s3.session_token, values::secret(v).map(Some))
    })
    .secrecy(Secrecy::Secret),
    Key::new("s3.region", |s, v| {
        put(&mut s.s3.region, values::text(v).map(Some))
    }),
    Key::new("s3.path-style-access", |s, v| {
        put(&mut s.s3.path_style_access, values::truth(v))
    })
    .env("S3_PATH_STYLE_ACCESS"),
    Key::new("table.database", |s, v| {
        put(&mut s.table.database, values::database(v))
    })
    .env("ICEBERG_DATABASE"),
    Key::new("table.name", |s, v| {
        put(&mut s.table.name, values::table(v).map(Some))
    })
    .env("ICEBERG_TABLE_RAW"),
    Key::new("table.errors", |s, v| {
        put(&mut s.table.errors, values::table(v).map(Some))
    })
    .env("ICEBERG_TABLE_ERRORS"),
    Key::new("table.columns", |s, v| {
        put(&mut s.table.columns, values::free_text(v).map(Some))
    }),
    Key::new("table.provenance", |s, v| {
        put(&mut s.table.provenance, values::truth(v))
    }),
    Key::new("table.create", |s, v| {
        put(&mut s.table.create, values::truth(v))
    }),
    Key::new("input.columns", |s, v| {
        put(&mut s.input.columns, values::free_text(v).map(Some))
    }),
    Key::new("on-reject", |s, v| {
        use super::settings::OnReject::{Halt, Skip};
        let words = [("halt", Halt), ("skip", Skip)];
        put(&mut s.on_reject, values::one_of(v, &words))
    }),
    Key::new("on-rollback", |s, v| {
        use super::settings::OnRollback::{Continue, Halt, Rewind};
        let words = [("halt", Halt), ("rewind", Rewind), ("continue", Continue)];
        put(&mut s.on_rollback, values::one_of(v, &words))
    }),
    Key::new("on-topic-recreated", |s, v| {
        use super::settings::OnTopicRecreated::{Halt, Restart};
        let words = [("halt", Halt), ("restart", Restart)];
        put(&mut s.on_topic_recreated, values::one_of(v, &words))
    }),
    Key::new("on-gap", |s, v| {
        use super::settings::OnGap::{Earliest, Halt, Latest, RecordGap};
        let words = [
            ("halt", Halt),
            ("earliest", Earliest),
            ("latest", Latest),
            ("record-gap", RecordGap),
        ];
        put(&mut s.on_gap, values::one_of(v, &words))
    }),
    Key::new("on-orphans", |s, v| {
        use super::settings::OnOrphans::{Delete, DryRun, Keep};
        let words = [("delete", Delete), ("dry-run", DryRun), ("keep", Keep)];
        put(&mut s.on_orphans, values::one_of(v, &words))
    }),
    Key::new("batch.size", |s, v| {
        put(&mut s.batch.size, values::whole(v, "rows", 1..=1_048_576))
    })
    .env("BATCH_SIZE"),
    Key::new("batch.timeout", |s, v| {
        put(&mut s.batch.timeout, values::duration(v, MS))
    })
    .env_in(SECONDS, "BATCH_TIMEOUT_SECONDS"),
    Key::new("target-file-size", |s, v| {
        put(&mut s.target_file_size, values::size(v, KB))
    })
    .env_in(MEGABYTES, "TARGET_FILE_SIZE_MB"),
    Key::new("row-group-size", |s, v| {
        put(&mut s.row_group_size, values::size(v, KB))
    }),
    Key::new("checkpoint.interval", |s, v| {
        put(&mut s.checkpoint.interval, values::duration(v, 10 * MS))
    })
    .env_in(MILLISECONDS, "FLINK_CHECKPOINT_INTERVAL_MS")
    .env("CHECKPOINT_INTERVAL"),
    Key::new("checkpoint.mode", |s, v| {
        put(&mut s.checkpoint.mode, values::checkpoint_mode(v))
    })
    .env("FLINK_CHECKPOINT_MODE"),
    Key::new("checkpoint.min-pause", |s, v| {
        let parsed = values::duration(v, Duration::ZERO);
        put(&mut s.checkpoint.min_pause, parsed.map(Some))
    }),
    Key::new("checkpoint.timeout", |s, v| {
        put(&mut s.checkpoint.timeout, values::duration(v, 10 * MS))
    }),
    Key::new("checkpoint.tolerable-failed-checkpoints", |s, v| {
        let parsed = values::whole(v, "checkpoints", 0..=1_000_000);
        put(&mut s.checkpoint.tolerable_failed, parsed)
    }),
    Key::new("checkpoint.max-concurrent", |s, v| {
        put(&mut s.checkpoint.max_concurrent, values::max_concurrent(v))
    }),
    Key::new("checkpoint.externalized-checkpoint-retention", |s, v| {
        let parsed = values::checkpoint_retention(v);
        put(&mut s.checkpoint.retention, parsed)
    }),
    Key::new("restart-strategy.type", |s, v| {
        put(&mut s.restart.strategy, values::restart_strategy(v))
    }),
    Key::new("restart-strategy.fixed-delay.attempts", |s, v| {
        let parsed = values::whole(v, "restarts", 1..=i32::MAX as u64);
        put(&mut s.restart.fixed_attempts, parsed)
    }),
    Key::new("restart-strategy.fixed-delay.delay", |s, v| {
        let parsed = values::duration(v, Duration::ZERO);
        put(&mut s.restart.fixed_delay, parsed)
    }),
    Key::new(
        "restart-strategy.exponential-delay.initial-backoff",
        |s, v| put(&mut s.restart.initial_backoff, values::duration(v, MS)),
    ),
    Key::new("restart-strategy.exponential-delay.max-backoff", |s, v| {
        put(&mut s.restart.max_backoff, values::duration(v, MS))
    }),
    Key::new(
        "restart-strategy.exponential-delay.backoff-multiplier",
        |s, v| {
            let parsed = values::decimal(v, 1.0..=1000.0);
            put(&mut s.restart.backoff_multiplier, parsed)
        },
    ),
    Key::new(
        "restart-strategy.exponential-delay.reset-backoff-threshold",
        |s, v| {
            let parsed = values::duration(v, MS);
            put(&mut s.restart.reset_backoff_threshold, parsed)
        },
    ),
    Key::new(
        "restart-strategy.exponential-delay.jitter-factor",
        |s, v| put(&mut s.restart.jitter_factor, values::decimal(v, 0.0..=1.0)),
    ),
    Key::new(
        "restart-strategy.failure-rate.max-failures-per-interval",
        |s, v| {
            let parsed = values::whole(v, "failures", 1..=1_000);
            put(&mut s.restart.max_failures_per_interval, parsed)
        },
    ),
    Key::new(
        "restart-strategy.failure-rate.failure-rate-interval",
        |s, v| {
            put(
                &mut s.restart.failure_rate_interval,
                values::duration(v, MS),
            )
        },
    ),
    Key::new("restart-strategy.failure-rate.delay", |s, v| {
        let parsed = values::duration(v, Duration::ZERO);
        put(&mut s.restart.failure_rate_delay, parsed)
    }),
    Key::new("marker.max-age", |s, v| {
        put(&mut s.marker.max_age, values::duration(v, 1000 * MS))
    }),
    Key::new("snapshots.max-age", |s, v| {
        let parsed = values::duration(v, 1000 * MS);
        put(&mut s.snapshots.max_age, parsed.map(Some))
    }),
    Key::new("snapshots.min-to-keep", |s, v| {
        let parsed = values::whole(v, "snapshots", 1..=1_000_000);
        put(&mut s.snapshots.min_to_keep, parsed)
    }),
    Key::new("memory.in-flight", |s, v| {
        put(&mut s.memory.in_flight, values::size(v, 64 * KB))
    }),
    Key::new("memory.uncommitted", |s, v| {
        put(&mut s.memory.uncommitted, values::size(v, MB))
    }),
    Key::new("state.backend.type", |s, v| {
        put(&mut s.state.backend, values::state_backend(v))
    })
    .env("FLINK_STATE_BACKEND"),
    Key::new("state.backend.incremental", |s, v| {
        put(&mut s.state.incremental, values::truth(v))
    }),
    Key::new("state.backend.rocksdb.memory", |s, v| {
        put(&mut s.state.rocksdb_memory, values::size(v, 32 * MB))
    }),
    Key::new("state.local-dir", |s, v| {
        put(&mut s.state.local_dir, values::local_folder(v).map(Some))
    }),
    Key::new("state.checkpoints.dir", |s, v| {
        put(&mut s.state.checkpoints_dir, values::location(v).map(Some))
    })
    .env("FLINK_CHECKPOINT_DIR")
    .secrecy(Secrecy::Uri),
    Key::new("state.savepoints.dir", |s, v| {
        put(&mut s.state.savepoints_dir, values::location(v).map(Some))
    })
    .secrecy(Secrecy::Uri),
    Key::new("state.checkpoints.num-retained", |s, v| {
        let parsed = values::whole(v, "snapshots", 1..=1_000);
        put(&mut s.state.checkpoints_retained, parsed)
    }),
    Key::new("dedup.key", |s, v| {
        put(&mut s.dedup.key, values::columns(v))
    }),
    Key::new("dedup.ttl", |s, v| {
        let parsed = values::duration(v, MS);
        put(&mut s.dedup.ttl, parsed.map(Some))
    }),
    Key::new("stats.key", |s, v| {
        put(&mut s.stats.key, values::columns(v))
    }),
    Key::new("stats.value", |s, v| {
        put(&mut s.stats.value, values::text(v))
    }),
    Key::new("stats.time", |s, v| put(&mut s.stats.time, values::text(v))),
    Key::new("stats.roll-ups", |s, v| {
        put(&mut s.stats.roll_ups, values::roll_ups(v))
    }),
    Key::new("schema-registry.url", |s, v| {
        put(&mut s.schema_registry.url, values::http(v).map(Some))
    })
    .env("SCHEMA_REGISTRY_URL")
    .secrecy(Secrecy::Uri),
    Key::new("rest.port", |s, v| {
        put(&mut s.rest.port, values::ports_or_off(v))
    }),
    Key::new("rest.bind-address", |s, v| {
        put(&mut s.rest.bind_address, values::address(v))
    }),
    Key::new("rest.token", |s, v| {
        put(&mut s.rest.token, values::secret(v).map(Some))
    })
    .secrecy(Secrecy::Secret),
    Key::new("metrics.prometheus-port", |s, v| {
        put(&mut s.metrics.prometheus_port, values::ports_or_off(v))
    })
    .env("PROMETHEUS_PORT"),
    Key::new("metrics.bind-address", |s, v| {
        put(&mut s.metrics.bind_address, values::address(v))
    }),
    Key::new("metrics.flink-names", |s, v| {
        put(&mut s.metrics.flink_names, values::truth(v))
    }),
    Key::new("log.format", |s, v| {
        let words = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        put(&mut s.log.format, values::one_of(v, &words))
    }),
    Key::new("log.level", |s, v| {
        put(&mut s.log.level, values::log_level(v))
    }),
];

/// The open-ended keys. They are asked after [`KEYS`].
pub(super) static FAMILIES: &[Family] = &[
    Family {
        prefix: "kafka.",
        example: "kafka.security.protocol",
        underscore: Some('.'),
        member: librdkafka::property,
        secrecy: Secrecy::of_kafka,
        set: |s, name, value| {
            librdkafka::accepts(name, value)?;
            s.kafka.properties.insert(name, value);
            Ok(())
        },
    },
    Family {
        prefix: "catalog.header.",
        example: "catalog.header.x-tenant",
        underscore: Some('-'),
        member: |name| {
            values::header_name(name)
                .map_err(|expected| Refusal::Refused(format!("expected {expected}")))
        },
        secrecy: |_| Secrecy::Secret,
        set: |s, name, value| {
            let value = values::header_value(value)?;
            s.catalog.headers.insert(name.to_owned(), value);
            Ok(())
        },
    },
    Family {
        prefix: "table.properties.",
        example: "table.properties.write.parquet.compression-codec",
        underscore: None,
        member: |name| Ok(name.to_owned()),
        secrecy: |_| Secrecy::Open,
        set: |s, name, value| {
            let value = values::text(value)?;
            s.table.properties.insert(name.to_owned(), value);
            Ok(())
        },
    },
    Family {
        prefix: own::PREFIX,
        example: "own.session-gap",
        underscore: Some('-'),
        member: |name| {
            own::member(name).map_err(|expected| Refusal::Refused(format!("expected {expected}")))
        },
        secrecy: |_| Secrecy::Open,
        set: |s, name, value| {
            s.own.insert(name.to_owned(), values::text(value)?);
            Ok(())
        },
    },
];
