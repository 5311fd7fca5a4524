"""How each pipeline is started, started again after a kill, and known to be done.

Every one gets the same topic, the same table (made beforehand, in the same REST catalog) and the same interval, and what
its own documentation has best for this job.  A peer without a setting of its own for something has its default.
"""

import pathlib
import sys

from process import free_ports

# What Java 17 must open for Flink: https://nightlies.apache.org/flink/flink-docs-release-2.0/docs/deployment/java_compatibility/
OPENS = [
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in ("java.lang", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util")
    + ("java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.net.util", "sun.nio.ch")
]


class Pipeline:
    """One run of a pipeline.  `job` says what all have in common; see bench.py."""

    # Whether the process ends by itself at the ends that the topic has.
    ends = True

    def __init__(self, job):
        self.job = job

    def command(self):
        """What to start; asked again after a kill, when it may look at what was left behind."""
        raise NotImplementedError

    def env(self):
        return {}


class Calve(Pipeline):
    """`calve run -w 6 --bounded`, everything else as it comes."""

    table_is_made = True

    def command(self):
        return [self.job.calve, "run", "-w", "6", "--bounded"]

    def env(self):
        catalog, database = self.job.catalog, self.job.table.split(".")[0]
        return {
            "KAFKA_BROKERS": self.job.brokers,
            "KAFKA_TOPIC": self.job.topic,
            "ICEBERG_CATALOG_TYPE": "rest",
            "ICEBERG_CATALOG_URI": catalog.uri,
            "ICEBERG_WAREHOUSE": catalog.warehouse,
            "ICEBERG_DATABASE": database,
            "ICEBERG_TABLE_RAW": self.job.table.split(".")[1],
            "CALVE_PIPELINE_NAME": self.job.name,
            "KAFKA_GROUP_ID": self.job.name,
            "CALVE_CHECKPOINT_INTERVAL": f"{round(self.job.interval * 1000)}ms",
            "CALVE_REST_PORT": "off",
        }


class CalveWithProvenance(Calve):
    """The same into the table that calve makes itself: twelve columns, with the offset of every row."""

    table_is_made = False

    def env(self):
        return super().env() | {"CALVE_TABLE_COLUMNS": self.job.columns}


class Flink(Pipeline):
    """Flink SQL in a local cluster; its settings stand in flink/Job.java.

    After a kill it is started from its newest complete checkpoint, as a supervisor without high availability would:
    https://nightlies.apache.org/flink/flink-docs-release-2.0/docs/ops/state/checkpoints/#resuming-from-a-retained-checkpoint
    The JVM has the collector of Flink's own scripts (bin/taskmanager.sh) and a heap that is never full.
    """

    table_is_made = True
    parallelism = 6

    def command(self):
        job, peers = self.job, self.job.peers
        checkpoints = job.folder / "checkpoints"
        arguments = {
            "brokers": job.brokers,
            "topic": job.topic,
            "catalog": job.catalog.uri,
            "table": job.table,
            "parallelism": self.parallelism,
            "interval_ms": round(job.interval * 1000),
            "checkpoints": checkpoints,
        }
        complete = sorted(checkpoints.glob("*/chk-*/_metadata"), key=lambda path: path.stat().st_mtime)
        if complete:
            arguments["restore"] = f"file://{complete[-1].parent}"
        java = ["java", "-Xmx2g", "-XX:+UseG1GC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", *OPENS]
        return java + ["-cp", f"{peers}/flink-job:{peers}/flink/*", "Job"] + [f"{k}={v}" for k, v in arguments.items()]


class FlinkP1(Flink):
    """The same with one subtask, which needs the least CPU."""

    parallelism = 1


class Connect(Pipeline):
    """Kafka Connect, one standalone worker with Iceberg's sink.

    https://iceberg.apache.org/docs/1.9.2/kafka-connect/ : a control topic of its own, a commit of all tasks together every
    interval, one task for each partition.  Reads are made larger (`fetch.min.bytes`, `max.poll.records`), as
    https://kafka.apache.org/documentation/#consumerconfigs says; members that died are noticed after the shortest time that
    brokers allow.  The JVM has the collector and heap of Kafka's own scripts (bin/connect-standalone.sh).
    """

    table_is_made = True
    ends = False

    def command(self):
        job = self.job
        (port,) = free_ports(1)
        worker = {
            "bootstrap.servers": job.brokers,
            "listeners": f"http://127.0.0.1:{port}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "offset.storage.file.filename": job.folder / "offsets",
            "plugin.discovery": "service_load",
            # A task answers a commit's call when it is woken: by records, or this often. By default once a minute.
            "offset.flush.interval.ms": 1000,
        }
        sink = {
            "name": job.name,
            "connector.class": "org.apache.iceberg.connect.IcebergSinkConnector",
            "tasks.max": 6,
            "topics": job.topic,
            "iceberg.tables": job.table,
            "iceberg.catalog.type": "rest",
            "iceberg.catalog.uri": job.catalog.uri,
            "iceberg.control.topic": job.control_topic(),
            "iceberg.control.commit.interval-ms": round(job.interval * 1000),
            "consumer.override.auto.offset.reset": "earliest",
            "consumer.override.max.poll.records": 5000,
            "consumer.override.fetch.min.bytes": 1 << 20,
            "consumer.override.session.timeout.ms": 6000,
            "consumer.override.heartbeat.interval.ms": 2000,
        }
        for name, properties in (("worker", worker), ("sink", sink)):
            text = "".join(f"{key}={value}\n" for key, value in properties.items())
            (job.folder / f"{name}.properties").write_text(text)
        java = ["java", "-Xms256M", "-Xmx2G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]
        java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{job.peers}/connect/*"]
        main = "org.apache.kafka.connect.cli.ConnectStandalone"
        return java + [main, job.folder / "worker.properties", job.folder / "sink.properties"]


class PythonLoop(Pipeline):
    """One process with confluent-kafka, pyarrow and pyiceberg; see python/loop.py."""

    table_is_made = True

    def command(self):
        job = self.job
        loop = pathlib.Path(__file__).resolve().parent / "python" / "loop.py"
        return [sys.executable, loop, "--brokers", job.brokers, "--topic", job.topic, "--catalog", job.catalog.uri] + [
            "--table", job.table, "--interval", job.interval
        ]


PIPELINES = {
    "calve": ("calve run -w 6", Calve),
    "provenance": ("the same, twelve columns", CalveWithProvenance),
    "flink": ("Flink 2.0.2 -p 6", Flink),
    "flink-1": ("Flink 2.0.2 -p 1", FlinkP1),
    "connect": ("Kafka Connect 4.3.1, Iceberg sink", Connect),
    "python": ("Python loop", PythonLoop),
}
