//! The rules: Flink 2.0's keys, the older spellings it still reads, and those of 1.x, each with what becomes of it.
//!
//! A setting that calve gains needs one line here: an alias. The page `docs/moving-from-flink.md` shows this table,
//! and a test holds it to every option that a Flink distribution declares.

use super::Rule;

/// The first port or range of a list such as `9250-9260,9270`.
fn first_range(ports: &str) -> Option<&str> {
    ports.split(',').next().map(str::trim)
}

/// A number that -1 leaves to another setting.
fn unless_minus_1(number: &str) -> Option<&str> {
    (number.trim() != "-1").then_some(number)
}

/// All rules. Of two aliases of the same setting the later one wins, as it does in Flink.
pub(in crate::config) static RULES: &[Rule] = &[
    // ---- The job ----
    Rule::alias("pipeline.name", &["pipeline.name"]).differs(
        "the table's marker is found by it, so it must stay the same; letters, digits, `.`, `_` and `-`",
    ),
    Rule::alias("parallelism", &["parallelism.default"])
        .differs("threads of one process; any number from one start to the next"),
    Rule::alias("parallelism", &["table.exec.resource.default-parallelism"])
        .differs("wins over `parallelism.default`, as in Flink; -1 says nothing")
        .read(unless_minus_1),
    Rule::only(
        &["STREAMING", "AUTOMATIC"],
        "a pipeline streams; `calve run --bounded` reads to the ends the topics have now and exits",
        &["execution.runtime-mode"],
    ),
    Rule::only(
        &[],
        "calve can't read Flink's savepoints: `calve migrate flink` takes over the offsets once, and from then on each \
         start resumes from the table",
        &["execution.state-recovery.path", "execution.savepoint.path"],
    ),
    // ---- Checkpoints ----
    Rule::alias("checkpoint.mode", &["execution.checkpointing.mode"])
        .differs("`AT_LEAST_ONCE` is refused: it would silently get something else than it says"),
    Rule::alias("checkpoint.interval", &["execution.checkpointing.interval"])
        .differs("unset: 60 s here, no checkpoints in Flink"),
    Rule::alias("checkpoint.min-pause", &["execution.checkpointing.min-pause"])
        .differs("unset: half of the interval, at most 30 s; 0 in Flink"),
    Rule::alias("checkpoint.timeout", &["execution.checkpointing.timeout"])
        .differs("files of a failed checkpoint ride with the next one: nothing is read again"),
    Rule::alias(
        "checkpoint.tolerable-failed-checkpoints",
        &["execution.checkpointing.tolerable-failed-checkpoints"],
    ),
    Rule::alias(
        "checkpoint.max-concurrent",
        &["execution.checkpointing.max-concurrent-checkpoints"],
    )
    .differs("more than 1 is refused: table commits form a chain"),
    Rule::only(
        &["false"],
        "with unaligned checkpoints barriers overtake records in flight; here a checkpoint is the table commit of all \
         records before its cut, so it waits for them, and `memory.in-flight` bounds how many those are",
        &[
            "execution.checkpointing.unaligned.enabled",
            "execution.checkpointing.unaligned",
            "execution.checkpointing.unaligned.forced",
        ],
    ),
    Rule::unused(
        "it belongs to unaligned checkpoints",
        &[
            "execution.checkpointing.aligned-checkpoint-timeout",
            "execution.checkpointing.alignment-timeout",
            "execution.checkpointing.unaligned.interruptible-timers.enabled",
            "execution.checkpointing.unaligned.max-subtasks-per-channel-state-file",
            "execution.state-recovery.without-channel-state.checkpoint-id",
            "execution.checkpointing.recover-without-channel-state.checkpoint-id",
        ],
    ),
    Rule::alias(
        "checkpoint.externalized-checkpoint-retention",
        &["execution.checkpointing.externalized-checkpoint-retention"],
    )
    .differs("of state only: what is in the table stays in it, whatever ends the process"),
    Rule::unused(
        "a bounded run always ends with a last checkpoint",
        &[
            "execution.checkpointing.checkpoints-after-tasks-finish",
            "execution.checkpointing.checkpoints-after-tasks-finish.enabled",
        ],
    ),
    Rule::unused(
        "there is one interval, with a backlog and without",
        &["execution.checkpointing.interval-during-backlog"],
    ),
    Rule::unused(
        "checkpoints are commits of the table, not files of the job manager",
        &[
            "execution.checkpointing.storage",
            "state.checkpoint-storage",
            "execution.checkpointing.create-subdir",
            "state.checkpoints.create-subdir",
            "execution.checkpointing.cleaner.parallel-mode",
            "state.checkpoint.cleaner.parallel-mode",
            "execution.checkpointing.data-inline-threshold",
            "state.storage.fs.memory-threshold",
            "state.backend.fs.memory-threshold",
            "execution.checkpointing.write-buffer-size",
            "state.storage.fs.write-buffer-size",
            "state.backend.fs.write-buffer-size",
            "execution.checkpointing.file-merging.*",
            "execution.checkpointing.snapshot-compression",
        ],
    ),
    Rule::unused(
        "a start reads offsets from the table, and there is no other copy to choose from",
        &[
            "execution.state-recovery.claim-mode",
            "execution.savepoint-restore-mode",
            "execution.state-recovery.ignore-unclaimed-state",
            "execution.savepoint.ignore-unclaimed-state",
            "execution.state-recovery.from-local",
            "state.backend.local-recovery",
            "execution.state-recovery.approximate-local-recovery",
            "execution.checkpointing.approximate-local-recovery",
            "execution.checkpointing.local-backup.*",
            "taskmanager.state.local.root-dirs",
        ],
    ),
    // ---- State ----
    Rule::alias("state.backend.type", &["state.backend.type", "state.backend"])
        .differs("only for dataflows that keep state; the main job keeps none"),
    Rule::alias(
        "state.checkpoints.dir",
        &[
            "execution.checkpointing.dir",
            "state.checkpoints.dir",
            "state.backend.fs.checkpointdir",
        ],
    )
    .differs("only for dataflows that keep state; the main job's checkpoints are in the table"),
    Rule::alias(
        "state.savepoints.dir",
        &[
            "execution.checkpointing.savepoint-dir",
            "state.savepoints.dir",
            "savepoints.state.backend.fs.dir",
        ],
    ),
    Rule::alias(
        "state.backend.incremental",
        &["execution.checkpointing.incremental", "state.backend.incremental"],
    )
    .differs("unset: true here, false in Flink"),
    Rule::alias(
        "state.checkpoints.num-retained",
        &["execution.checkpointing.num-retained", "state.checkpoints.num-retained"],
    )
    .differs("unset: 3 here, 1 in Flink; the snapshots of state that the table's last commits name"),
    Rule::alias(
        "state.backend.rocksdb.memory",
        &["state.backend.rocksdb.memory.fixed-per-tm"],
    )
    .differs("for all workers of a process together"),
    Rule::alias("state.local-dir", &["state.backend.rocksdb.localdir"])
        .differs("one folder; what is in it is lost with the process, as in Flink"),
    Rule::alias("max-parallelism", &["pipeline.max-parallelism"])
        .differs("unset: 128; fixed once there is state"),
    Rule::unused(
        "state expires by the settings of the dataflow that keeps it",
        &["table.exec.state.ttl"],
    ),
    Rule::unused(
        "it tunes a state backend of Flink's",
        &[
            "state.backend.rocksdb.*",
            "state.backend.forst.*",
            "state.backend.changelog.*",
            "state.changelog.*",
            "state.backend.latency-track.*",
            "state.latency-track.*",
            "statebackend.useManagedMemory",
            "dstl.dfs.*",
            "execution.async-state.*",
            "table.exec.async-state.enabled",
            "queryable-state.*",
            "query.*",
        ],
    ),
    // ---- Restarts ----
    Rule::alias("restart-strategy.type", &["restart-strategy.type", "restart-strategy"])
        .differs("restarts within the process, from the table's marker; what can't pass by itself ends it at once"),
    Rule::alias(
        "restart-strategy.fixed-delay.attempts",
        &["restart-strategy.fixed-delay.attempts"],
    )
    .differs("unset: 3; 1 in Flink"),
    Rule::alias(
        "restart-strategy.fixed-delay.delay",
        &["restart-strategy.fixed-delay.delay"],
    )
    .differs("unset: 10 s; 1 s in Flink"),
    Rule::alias(
        "restart-strategy.exponential-delay.initial-backoff",
        &["restart-strategy.exponential-delay.initial-backoff"],
    ),
    Rule::alias(
        "restart-strategy.exponential-delay.max-backoff",
        &["restart-strategy.exponential-delay.max-backoff"],
    ),
    Rule::alias(
        "restart-strategy.exponential-delay.backoff-multiplier",
        &["restart-strategy.exponential-delay.backoff-multiplier"],
    ),
    Rule::alias(
        "restart-strategy.exponential-delay.reset-backoff-threshold",
        &["restart-strategy.exponential-delay.reset-backoff-threshold"],
    ),
    Rule::alias(
        "restart-strategy.exponential-delay.jitter-factor",
        &["restart-strategy.exponential-delay.jitter-factor"],
    ),
    Rule::only(
        &["2147483647"],
        "exponential-delay goes on without end, as it does in Flink unless this is set; fixed-delay and failure-rate \
         have a limit",
        &["restart-strategy.exponential-delay.attempts-before-reset-backoff"],
    ),
    Rule::alias(
        "restart-strategy.failure-rate.max-failures-per-interval",
        &["restart-strategy.failure-rate.max-failures-per-interval"],
    ),
    Rule::alias(
        "restart-strategy.failure-rate.failure-rate-interval",
        &["restart-strategy.failure-rate.failure-rate-interval"],
    ),
    Rule::alias(
        "restart-strategy.failure-rate.delay",
        &["restart-strategy.failure-rate.delay"],
    ),
    Rule::unused(
        "a restart restarts the whole pipeline, which takes well below a second",
        &["jobmanager.execution.failover-strategy", "cleanup-strategy", "cleanup-strategy.*"],
    ),
    // ---- Object storage ----
    Rule::alias(
        "s3.endpoint",
        &["s3.endpoint", "s3a.endpoint", "fs.s3a.endpoint"],
    )
    .differs("with its scheme, `http://…` or `https://…`; for the table's files too"),
    Rule::alias(
        "s3.access-key",
        &[
            "s3.access-key",
            "s3.access.key",
            "s3a.access-key",
            "s3a.access.key",
            "fs.s3a.access-key",
            "fs.s3a.access.key",
        ],
    ),
    Rule::alias(
        "s3.secret-key",
        &[
            "s3.secret-key",
            "s3.secret.key",
            "s3a.secret-key",
            "s3a.secret.key",
            "fs.s3a.secret-key",
            "fs.s3a.secret.key",
        ],
    ),
    Rule::alias(
        "s3.session-token",
        &["s3.session-token", "s3.session.token", "fs.s3a.session.token"],
    ),
    Rule::alias(
        "s3.region",
        &["s3.region", "s3.endpoint.region", "fs.s3a.endpoint.region"],
    ),
    Rule::alias(
        "s3.path-style-access",
        &[
            "s3.path-style-access",
            "s3.path.style.access",
            "s3a.path-style-access",
            "s3a.path.style.access",
            "fs.s3a.path-style-access",
            "fs.s3a.path.style.access",
        ],
    ),
    Rule::unused(
        "it tunes a file system of Flink's or Hadoop's; calve reads and writes `file://`, `s3://` and `s3a://` itself",
        &[
            "fs.*",
            "s3.entropy.*",
            "s3.upload.*",
            "s3.multipart.*",
            "s3.bulk-copy.*",
            "s3.s5cmd.*",
            "s3.connection.*",
            "presto.s3.*",
            "hive.s3.*",
        ],
    ),
    // ---- Watching it ----
    Rule::alias(
        "metrics.prometheus-port",
        &["metrics.reporter.prom.port", "metrics.reporter.prometheus.port"],
    )
    .differs("on the loopback address, unless `metrics.bind-address` says otherwise; of a list the first port or range")
    .read(first_range),
    Rule::alias("log.level", &["env.log.level"]),
    Rule::unused(
        "Prometheus reads calve's metrics itself, under their own names: there is no other reporter",
        &["metrics.*", "scope.*", "events.*", "traces.*"],
    ),
    Rule::alias("rest.port", &["rest.port", "jobmanager.web.port"]),
    Rule::alias("rest.port", &["rest.bind-port"]).differs("wins over `rest.port`, as in Flink"),
    Rule::alias("rest.bind-address", &["rest.bind-address"])
        .differs("on another address than loopback changes need `rest.token`"),
    Rule::unused(
        "the REST API has a port, an address and a token, and nothing else to set up",
        &[
            "rest.*",
            "web.*",
            "jobmanager.web.*",
            "historyserver.*",
            "client.*",
        ],
    ),
    // ---- SQL ----
    Rule::only(
        &["ERROR"],
        "a null in a required column is a reject; `on-reject=skip` leaves such records out, and logs and counts each",
        &["table.exec.sink.not-null-enforcer"],
    ),
    Rule::only(
        &["AUTO", "NONE"],
        "rows are appended: a record never updates a row",
        &["table.exec.sink.upsert-materialize"],
    ),
    Rule::only(
        &["false"],
        "the main job does not look for change events that come twice",
        &["table.exec.source.cdc-events-duplicate"],
    ),
    Rule::unused(
        "a time without a zone is rejected for a `timestamptz` column, never guessed",
        &["table.local-time-zone"],
    ),
    Rule::unused(
        "there are no watermarks: a partition without records holds nothing back",
        &["table.exec.source.idle-timeout", "pipeline.auto-watermark-interval", "pipeline.watermark-alignment.*"],
    ),
    Rule::unused(
        "rows are decoded and written in batches anyway: `batch.size`, `batch.timeout`",
        &["table.exec.mini-batch.*"],
    ),
    Rule::unused(
        "there is no SQL here to plan or to compile",
        &["table", "table.*", "sql-client.*", "sql-gateway.*", "lookup.*", "materialized-table.*"],
    ),
    // ---- Processes, memory, network ----
    Rule::unused(
        "workers are threads of one process (`-w`), with nothing to schedule",
        &[
            "taskmanager.numberOfTaskSlots",
            "scheduler-mode",
            "jobmanager.scheduler",
            "jobmanager.adaptive-scheduler.*",
            "jobmanager.adaptive-batch-scheduler.*",
            "slotmanager.*",
            "slot.*",
            "cluster.*",
            "resourcemanager.*",
            "local.number-taskmanager",
            "minicluster.number-of-taskmanagers",
            "pipeline.jobvertex-parallelism-overrides",
        ],
    ),
    Rule::unused(
        "there is no JVM: memory is bounded by `memory.in-flight`, `row-group-size` and `memory.uncommitted`",
        &["taskmanager.memory.*", "jobmanager.memory.*", "jobmanager.heap.*", "taskmanager.heap.*", "env.java.*"],
    ),
    Rule::unused(
        "there is no job manager and no task manager: one process, or several that are started together (`-n`)",
        &[
            "jobmanager.*",
            "job-manager.*",
            "taskmanager.*",
            "task.*",
            "heartbeat.*",
            "akka.*",
            "pekko.*",
            "blob.*",
            "jobstore.*",
            "job-result-store.*",
            "job-event.*",
            "jmx.server.port",
            "process.*",
            "timerservice.*",
            "library-cache-manager.*",
            "slow-task-detector.*",
            "recovery.*",
        ],
    ),
    Rule::unused(
        "high availability is a supervisor that starts the process again: of two with one name the newer takes over",
        &["high-availability", "high-availability.*", "zookeeper.*"],
    ),
    Rule::unused(
        "it is for deployment: docs/operations.md says how calve is deployed",
        &[
            "kubernetes.*",
            "yarn.*",
            "containerized.*",
            "mesos.*",
            "external-resource.*",
            "external-resources",
            "env.*",
            "execution.target",
            "execution.attached",
            "execution.shutdown-on-attached-exit",
            "execution.shutdown-on-application-finish",
            "execution.submit-failed-job-on-application-error",
            "execution.program-config.*",
            "execution.allow-client-job-configurations",
            "execution.job-listeners",
            "execution.job-status-changed-listeners",
            "user.artifacts.*",
            "$internal.*",
            "io.tmp.dirs",
        ],
    ),
    Rule::unused(
        "records go from one operator to the next in batches, within a thread",
        &[
            "execution.buffer-timeout",
            "execution.buffer-timeout.*",
            "pipeline.operator-chaining",
            "pipeline.operator-chaining.*",
            "pipeline.object-reuse",
            "shuffle-service-factory.class",
        ],
    ),
    Rule::unused(
        "there are no user classes to load or to serialize",
        &[
            "classloader.*",
            "plugin.*",
            "python.*",
            "pipeline.auto-generate-uids",
            "pipeline.cached-files",
            "pipeline.classpaths",
            "pipeline.closure-cleaner-level",
            "pipeline.default-kryo-serializers",
            "pipeline.force-avro",
            "pipeline.force-kryo",
            "pipeline.force-kryo-avro",
            "pipeline.generic-types",
            "pipeline.global-job-parameters",
            "pipeline.jars",
            "pipeline.registered-kryo-types",
            "pipeline.registered-pojo-types",
            "pipeline.serialization-config",
            "pipeline.vertex-description-mode",
            "pipeline.vertex-name-include-index-prefix",
        ],
    ),
    Rule::unused(
        "it is for batch jobs",
        &[
            "execution.batch.*",
            "execution.batch-shuffle-mode",
            "execution.batch-state-backend.enabled",
            "execution.sorted-inputs.*",
            "execution.sort-partition.memory",
            "execution.sort-keyed-partition.memory",
            "compiler.*",
            "optimizer.*",
        ],
    ),
    // ---- Security ----
    Rule::only(
        &["false"],
        "calve serves no TLS itself: its ports are for the loopback address or for a proxy before them, and the \
         processes of a run with `-n` talk in the clear",
        &[
            "security.ssl.rest.enabled",
            "security.ssl.rest.authentication-enabled",
            "security.ssl.internal.enabled",
            "security.ssl.enabled",
        ],
    ),
    Rule::unused(
        "TLS and SASL towards Kafka are set by `kafka.security.protocol`, `kafka.sasl.*` and `kafka.ssl.*`, towards the \
         catalog by `catalog.*`",
        &["security.*"],
    ),
];
