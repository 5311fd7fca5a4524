//! The settings as typed values: what the rest of the program sees.
//!
//! What each one means stands once, in `default.toml`; here stands its type and what the type adds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::effective::Sources;
use super::secret::{Properties, Secret, Uri};

/// All settings of one process, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `pipeline.*`
    pub pipeline: Pipeline,
    /// `parallelism`: worker threads in this process.
    pub parallelism: usize,
    /// `max-parallelism`: key groups of every operator with state, 1 to 32768.
    pub max_parallelism: u32,
    /// `kafka.*`
    pub kafka: Kafka,
    /// `catalog.*`
    pub catalog: Catalog,
    /// `warehouse`: a location (`file:///…`, an absolute path, `s3://…`, `s3a://…`), or with a REST
    /// catalog perhaps a name.
    pub warehouse: Option<String>,
    /// `s3.*`
    pub s3: S3,
    /// `table.*`
    pub table: Table,
    /// `input.*`
    pub input: Input,
    /// `stats.*`
    pub stats: Stats,
    /// `on-reject`
    pub on_reject: OnReject,
    /// `on-rollback`
    pub on_rollback: OnRollback,
    /// `on-topic-recreated`
    pub on_topic_recreated: OnTopicRecreated,
    /// `on-gap`
    pub on_gap: OnGap,
    /// `on-orphans`
    pub on_orphans: OnOrphans,
    /// `batch.*`
    pub batch: Batch,
    /// `target-file-size`, in bytes.
    pub target_file_size: u64,
    /// `row-group-size`, in bytes.
    pub row_group_size: u64,
    /// `checkpoint.*`
    pub checkpoint: Checkpoint,
    /// `restart-strategy.*`
    pub restart: Restart,
    /// `marker.*`
    pub marker: Marker,
    /// `snapshots.*`
    pub snapshots: Snapshots,
    /// `memory.*`
    pub memory: Memory,
    /// `state.*`
    pub state: State,
    /// `dedup.*`
    pub dedup: Dedup,
    /// `schema-registry.*`
    pub schema_registry: SchemaRegistry,
    /// `rest.*`
    pub rest: Rest,
    /// `metrics.*`
    pub metrics: Metrics,
    /// `log.*`
    pub log: Log,
    /// `own.*` by the rest of the name: of dataflows that are no part of calve, see [`Settings::own`].
    pub own: BTreeMap<String, String>,
    /// Where each value came from.
    pub(super) sources: Sources,
}

/// `pipeline.*`
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `pipeline.name`: letters, digits, `.`, `_`, `-`; safe in file names and property names.
    pub name: String,
}

/// `kafka.*`
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `kafka.brokers`: `host:port`, separated by commas; librdkafka's `bootstrap.servers`.
    pub brokers: Option<String>,
    /// `kafka.topic`: distinct names; empty if not set.
    pub topics: Vec<String>,
    /// `kafka.group-id`
    pub group_id: String,
    /// `kafka.auto-offset-reset`: for the very first start only.
    pub auto_offset_reset: OffsetReset,
    /// `kafka.partition-discovery-interval`: `None` is off.
    pub partition_discovery_interval: Option<Duration>,
    /// Every other `kafka.*`, each accepted by librdkafka, none of those that calve sets itself.
    pub properties: Properties,
}

/// `kafka.auto-offset-reset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// From the first record there is.
    Earliest,
    /// From what comes after the start.
    Latest,
}

/// `catalog.*`
#[derive(Clone, Debug)]
pub struct Catalog {
    /// `catalog.type`
    pub kind: CatalogKind,
    /// `catalog.uri`: agrees with the kind.
    pub uri: Option<Uri>,
    /// `catalog.name`
    pub name: String,
    /// `catalog.token`
    pub token: Option<Secret>,
    /// `catalog.credential`
    pub credential: Option<Secret>,
    /// `catalog.oauth2-server-uri`
    pub oauth2_server_uri: Option<Uri>,
    /// `catalog.scope`
    pub scope: Option<String>,
    /// `catalog.header.*` by name in lower case.
    pub headers: BTreeMap<String, Secret>,
}

/// `catalog.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// Tables in SQLite or PostgreSQL.
    Sql,
    /// The Iceberg REST protocol.
    Rest,
}

/// `s3.*`
#[derive(Clone, Debug)]
pub struct S3 {
    /// `s3.endpoint`: `None` is AWS.
    pub endpoint: Option<Uri>,
    /// `s3.access-key`: set only together with the secret key.
    pub access_key: Option<String>,
    /// `s3.secret-key`
    pub secret_key: Option<Secret>,
    /// `s3.session-token`
    pub session_token: Option<Secret>,
    /// `s3.region`: `None` leaves it to the usual chain.
    pub region: Option<String>,
    /// `s3.path-style-access`
    pub path_style_access: bool,
}

/// `table.*`
#[derive(Clone, Debug)]
pub struct Table {
    /// `table.database`: one entry for each level of the namespace, at least one.
    pub database: Vec<String>,
    /// `table.name`
    pub name: Option<String>,
    /// `table.errors`: never the name of the main table.
    pub errors: Option<String>,
    /// `table.columns`: the declaration as it was written.
    pub columns: Option<String>,
    /// `table.provenance`
    pub provenance: bool,
    /// `table.create`
    pub create: bool,
    /// `table.properties.*`
    pub properties: BTreeMap<String, String>,
}

/// `input.*`
#[derive(Clone, Debug)]
pub struct Input {
    /// `input.columns`: the declaration as it was written.
    pub columns: Option<String>,
}

/// `stats.*`: what the dataflow `daily_stats` computes.
#[derive(Clone, Debug)]
pub struct Stats {
    /// `stats.key`: distinct names, at least one.
    pub key: Vec<String>,
    /// `stats.value`
    pub value: String,
    /// `stats.time`
    pub time: String,
    /// `stats.roll-ups`: each once.
    pub roll_ups: Vec<RollUp>,
}

/// One of `stats.roll-ups`: a longer period that days are added up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RollUp {
    /// Seven days from a Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

/// `on-reject`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReject {
    /// Stop the pipeline.
    Halt,
    /// Count it, log it, go on.
    Skip,
}

/// `on-rollback`: what becomes of rows that somebody took out of the table again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRollback {
    /// Stop: a person decides.
    Halt,
    /// Read their records again.
    Rewind,
    /// Go on behind them, and leave them out.
    Continue,
}

/// `on-topic-recreated`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTopicRecreated {
    /// Stop: a person decides.
    Halt,
    /// Read the new topic from its beginning.
    Restart,
}

/// `on-gap`: what happens when Kafka has deleted records before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// Stop: a person decides.
    Halt,
    /// Go on with the first record that is still there.
    Earliest,
    /// Go on with what comes after the start.
    Latest,
    /// Like earliest, and the table's marker says what is missing.
    RecordGap,
}

/// `on-orphans`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOrphans {
    /// Delete them.
    Delete,
    /// Name them in the log.
    DryRun,
    /// Don't look for them.
    Keep,
}

/// `batch.*`
#[derive(Clone, Debug)]
pub struct Batch {
    /// `batch.size`, in rows, at least 1.
    pub size: usize,
    /// `batch.timeout`
    pub timeout: Duration,
}

/// `checkpoint.*`
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// `checkpoint.interval`
    pub interval: Duration,
    /// `checkpoint.mode`
    pub mode: CheckpointMode,
    /// `checkpoint.min-pause`, if it is set; see [`Checkpoint::min_pause`].
    pub min_pause: Option<Duration>,
    /// `checkpoint.timeout`
    pub timeout: Duration,
    /// `checkpoint.tolerable-failed-checkpoints`
    pub tolerable_failed: u32,
    /// `checkpoint.max-concurrent`: 1.
    pub max_concurrent: usize,
    /// `checkpoint.externalized-checkpoint-retention`
    pub retention: CheckpointRetention,
}

impl Checkpoint {
    /// The pause in force: without a setting it leaves half of each interval to the pipeline, but
    /// asks for no more than this.
    pub fn min_pause(&self) -> Duration {
        const MIN_PAUSE_MAX: Duration = Duration::from_secs(30);
        self.min_pause
            .unwrap_or_else(|| MIN_PAUSE_MAX.min(self.interval / 2))
    }
}

/// `restart-strategy.*`: what is set for all strategies; which of it counts, the type says.
#[derive(Clone, Debug)]
pub struct Restart {
    /// `restart-strategy.type`
    pub strategy: RestartStrategy,
    /// `restart-strategy.fixed-delay.attempts`
    pub fixed_attempts: u32,
    /// `restart-strategy.fixed-delay.delay`
    pub fixed_delay: Duration,
    /// `restart-strategy.exponential-delay.initial-backoff`
    pub initial_backoff: Duration,
    /// `restart-strategy.exponential-delay.max-backoff`
    pub max_backoff: Duration,
    /// `restart-strategy.exponential-delay.backoff-multiplier`, at least 1.
    pub backoff_multiplier: f64,
    /// `restart-strategy.exponential-delay.reset-backoff-threshold`
    pub reset_backoff_threshold: Duration,
    /// `restart-strategy.exponential-delay.jitter-factor`, from 0 to 1.
    pub jitter_factor: f64,
    /// `restart-strategy.failure-rate.max-failures-per-interval`
    pub max_failures_per_interval: u32,
    /// `restart-strategy.failure-rate.failure-rate-interval`
    pub failure_rate_interval: Duration,
    /// `restart-strategy.failure-rate.delay`
    pub failure_rate_delay: Duration,
}

/// `restart-strategy.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartStrategy {
    /// A failure ends the process.
    None,
    /// So many times, each after the same delay.
    FixedDelay,
    /// Without end, after delays that grow.
    ExponentialDelay,
    /// As long as failures are rare.
    FailureRate,
}

/// `checkpoint.mode`: there is only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointMode {
    /// Each record once.
    ExactlyOnce,
}

/// `marker.*`
#[derive(Clone, Debug)]
pub struct Marker {
    /// `marker.max-age`
    pub max_age: Duration,
}

/// `snapshots.*`
#[derive(Clone, Debug)]
pub struct Snapshots {
    /// `snapshots.max-age`: `None` expires none.
    pub max_age: Option<Duration>,
    /// `snapshots.min-to-keep`: at least 1.
    pub min_to_keep: usize,
}

/// `memory.*`
#[derive(Clone, Debug)]
pub struct Memory {
    /// `memory.in-flight`, in bytes, for each worker.
    pub in_flight: u64,
    /// `memory.uncommitted`, in bytes, for all workers of this process together.
    pub uncommitted: u64,
}

/// `state.*`
#[derive(Clone, Debug)]
pub struct State {
    /// `state.backend.type`
    pub backend: StateBackend,
    /// `state.backend.incremental`
    pub incremental: bool,
    /// `state.backend.rocksdb.memory`, in bytes, for all workers of this process together.
    pub rocksdb_memory: u64,
    /// `state.local-dir`: `None` is the system's folder for temporary files.
    pub local_dir: Option<PathBuf>,
    /// `state.checkpoints.dir`: a location, as for the warehouse.
    pub checkpoints_dir: Option<String>,
    /// `state.savepoints.dir`: a location; where savepoints go that name none.
    pub savepoints_dir: Option<String>,
    /// `state.checkpoints.num-retained`: at least 1.
    pub checkpoints_retained: usize,
}

/// `checkpoint.externalized-checkpoint-retention`: there is only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointRetention {
    /// Snapshots stay, to be started from again.
    RetainOnCancellation,
}

/// `state.backend.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateBackend {
    /// On disk.
    Rocksdb,
    /// In memory.
    Memory,
}

/// `dedup.*`
#[derive(Clone, Debug)]
pub struct Dedup {
    /// `dedup.key`: distinct columns; empty if not set.
    pub key: Vec<String>,
    /// `dedup.ttl`: `None` is for ever.
    pub ttl: Option<Duration>,
}

/// `schema-registry.*`
#[derive(Clone, Debug)]
pub struct SchemaRegistry {
    /// `schema-registry.url`
    pub url: Option<Uri>,
}

/// `rest.*`
#[derive(Clone, Debug)]
pub struct Rest {
    /// `rest.port`: the first free one of these; `None` serves nothing.
    pub port: Option<RangeInclusive<u16>>,
    /// `rest.bind-address`
    pub bind_address: IpAddr,
    /// `rest.token`
    pub token: Option<Secret>,
}

/// `metrics.*`
#[derive(Clone, Debug)]
pub struct Metrics {
    /// `metrics.prometheus-port`: the first free one of these; `None` is no endpoint.
    pub prometheus_port: Option<RangeInclusive<u16>>,
    /// `metrics.bind-address`
    pub bind_address: IpAddr,
    /// `metrics.flink-names`
    pub flink_names: bool,
}

/// `log.*`
#[derive(Clone, Debug)]
pub struct Log {
    /// `log.format`
    pub format: LogFormat,
    /// `log.level`: a filter that `tracing_subscriber::EnvFilter` has parsed once.
    pub level: String,
}

/// `log.format`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
