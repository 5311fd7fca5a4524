//! Settings before any layer is applied.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::effective::Sources;
use super::secret::Properties;
use super::settings::{
    Batch, Catalog, CatalogKind, Checkpoint, CheckpointMode, CheckpointRetention, Dedup, Input,
    Kafka, Log, LogFormat, Marker, Memory, Metrics, OffsetReset, OnGap, OnOrphans, OnReject,
    OnRollback, OnTopicRecreated, Pipeline, Rest, Restart, RestartStrategy, S3, SchemaRegistry,
    Settings, Snapshots, State, StateBackend, Stats, Table,
};

impl Settings {
    /// Nobody sees these values: `default.toml` sets every one that is not optional (a test holds it to that).
    pub(super) fn blank() -> Self {
        Self {
            pipeline: Pipeline {
                name: String::new(),
            },
            parallelism: 0,
            max_parallelism: 0,
            kafka: Kafka {
                brokers: None,
                topics: Vec::new(),
                group_id: String::new(),
                auto_offset_reset: OffsetReset::Earliest,
                partition_discovery_interval: None,
                properties: Properties::default(),
            },
            catalog: Catalog {
                kind: CatalogKind::Sql,
                uri: None,
                name: String::new(),
                token: None,
                credential: None,
                oauth2_server_uri: None,
                scope: None,
                headers: BTreeMap::new(),
            },
            warehouse: None,
            s3: S3 {
                endpoint: None,
                access_key: None,
                secret_key: None,
                session_token: None,
                region: None,
                path_style_access: false,
            },
            table: Table {
                database: Vec::new(),
                name: None,
                errors: None,
                columns: None,
                provenance: false,
                create: false,
                properties: BTreeMap::new(),
            },
            input: Input { columns: None },
            stats: Stats {
                key: Vec::new(),
                value: String::new(),
                time: String::new(),
                roll_ups: Vec::new(),
            },
            on_reject: OnReject::Halt,
            on_rollback: OnRollback::Halt,
            on_topic_recreated: OnTopicRecreated::Halt,
            on_gap: OnGap::Halt,
            on_orphans: OnOrphans::Keep,
            batch: Batch {
                size: 0,
                timeout: Duration::ZERO,
            },
            target_file_size: 0,
            row_group_size: 0,
            checkpoint: Checkpoint {
                interval: Duration::ZERO,
                mode: CheckpointMode::ExactlyOnce,
                min_pause: None,
                timeout: Duration::ZERO,
                tolerable_failed: 0,
                max_concurrent: 0,
                retention: CheckpointRetention::RetainOnCancellation,
            },
            restart: Restart {
                strategy: RestartStrategy::None,
                fixed_attempts: 0,
                fixed_delay: Duration::ZERO,
                initial_backoff: Duration::ZERO,
                max_backoff: Duration::ZERO,
                backoff_multiplier: 0.0,
                reset_backoff_threshold: Duration::ZERO,
                jitter_factor: 0.0,
                max_failures_per_interval: 0,
                failure_rate_interval: Duration::ZERO,
                failure_rate_delay: Duration::ZERO,
            },
            marker: Marker {
                max_age: Duration::ZERO,
            },
            snapshots: Snapshots {
                max_age: None,
                min_to_keep: 0,
            },
            memory: Memory {
                in_flight: 0,
                uncommitted: 0,
            },
            state: State {
                backend: StateBackend::Rocksdb,
                incremental: false,
                rocksdb_memory: 0,
                local_dir: None,
                checkpoints_dir: None,
                savepoints_dir: None,
                checkpoints_retained: 0,
            },
            dedup: Dedup {
                key: Vec::new(),
                ttl: None,
            },
            schema_registry: SchemaRegistry { url: None },
            rest: Rest {
                port: None,
                bind_address: IpAddr::from([0, 0, 0, 0]),
                token: None,
            },
            metrics: Metrics {
                prometheus_port: None,
                bind_address: IpAddr::from([0, 0, 0, 0]),
                flink_names: false,
            },
            log: Log {
                format: LogFormat::Text,
                level: String::new(),
            },
            own: BTreeMap::new(),
            sources: Sources::default(),
        }
    }
}
