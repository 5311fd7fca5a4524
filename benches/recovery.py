"""Latency and recovery: `benches/recovery` calls this with the services' addresses in the environment.

For each catalog: a steady load from Kafka's own perf tool; epochs of half a second, as somebody in a hurry would have
them; epochs as short as they can be, one commit after the other, until the table holds many snapshots; then kill -9
and restart, again and again.  Two clocks are read, both from outside of the measured thing:

* close to visible: `duration_ms` of calve's log line "checkpoint committed", from the first cut of an epoch to the
  proof by a reload that the table holds it;
* restart to first record: from the start of the process until its metrics endpoint tells of a record that was read.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from ingest import build, settings
from process import free_ports, machine

HURRIED = "500ms"
SHORTEST = "10ms"


def sample(number):
    """One record, as `calve generate` writes them."""
    return json.dumps(
        {
            "sample_id": f"00000000-0000-4000-8000-{number:012d}",
            "user_id": f"user-{number % 1000:06d}",
            "device_id": f"watch-{number % 500:05d}",
            "data_type": "HeartRate",
            "value": 60 + number % 90,
            "unit": "count/min",
            "start_time": "2026-01-01T00:00:00.000Z",
            "end_time": "2026-01-01T00:01:00.000Z",
            "source_bundle": "com.example.health.watch",
        }
    )


class Load:
    """Records at a steady rate, from the producer that Apache Kafka comes with."""

    def __init__(self, calve, topic, rate, scratch):
        env = settings(os.environ["CALVE_TEST_KAFKA"], topic, scratch)
        create = [calve, "generate", "--records", "1", "--partitions", "6"]
        subprocess.run(create, env=env, check=True, stderr=subprocess.DEVNULL)
        payload = scratch / "payload"
        payload.write_text("\n".join(sample(number) for number in range(1000)))
        self.process = subprocess.Popen(
            ["java", "-Xmx128m", "-XX:+UseSerialGC", "-cp", os.environ["CALVE_TEST_KAFKA_JARS"] + "/*"]
            + ["org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--num-records", "1000000000"]
            + ["--throughput", str(rate), "--payload-file", str(payload)]
            + ["--producer-props", f"bootstrap.servers={os.environ['CALVE_TEST_KAFKA']}", "linger.ms=5", "batch.size=2000"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self):
        self.process.kill()
        self.process.wait()


class Pipeline:
    """A table in one of the catalogs, and the calve that fills it."""

    def __init__(self, calve, catalog, topic, folder):
        self.calve, self.folder = calve, folder
        folder.mkdir()
        self.env = settings(os.environ["CALVE_TEST_KAFKA"], topic, folder)
        self.env |= {"CALVE_LOG_FORMAT": "json", "CALVE_PIPELINE_NAME": folder.name, "KAFKA_GROUP_ID": folder.name}
        if catalog == "rest":
            self.env |= {
                "ICEBERG_CATALOG_TYPE": "rest",
                "ICEBERG_CATALOG_URI": os.environ["CALVE_TEST_REST"],
                "ICEBERG_WAREHOUSE": f"s3://{os.environ['CALVE_TEST_S3_BUCKET']}/{folder.name}",
                "ICEBERG_DATABASE": folder.name.replace("-", "_"),
                "S3_ENDPOINT": os.environ["CALVE_TEST_S3_ENDPOINT"],
                "S3_ACCESS_KEY": os.environ["CALVE_TEST_S3_ACCESS_KEY"],
                "S3_SECRET_KEY": os.environ["CALVE_TEST_S3_SECRET_KEY"],
                "S3_PATH_STYLE_ACCESS": "true",
            }

    def start(self, log, *more):
        command = [self.calve, "run", "-w", "6", *(f"--set={setting}" for setting in more)]
        with open(self.folder / log, "w") as out:
            return subprocess.Popen(command, env=self.env, stdout=out, stderr=out, cwd=self.folder)

    def drop_old_metadata(self):
        """A SQL catalog keeps every version of a table's metadata; a REST catalog tidies up by itself."""
        for table in (self.folder / "warehouse").glob("*/*/metadata"):
            for old in sorted(table.glob("*.metadata.json"))[:-20]:
                old.unlink()

    def commit(self, epochs, *more, interval=SHORTEST):
        """Runs until so many epochs with records are committed; returns how many milliseconds each took."""
        process = self.start("commit.log", f"checkpoint.interval={interval}", *more)
        took = []
        with open(self.folder / "commit.log") as log:
            line = ""
            while len(took) < epochs:
                line += log.readline()
                if not line.endswith("\n"):
                    if process.poll() is not None:
                        sys.exit(f"calve ended:\n{(self.folder / 'commit.log').read_text()[-4000:]}")
                    time.sleep(0.05)
                    continue
                fields = json.loads(line) if line.startswith("{") else {}
                if fields.get("message") == "checkpoint committed" and fields["records"] > 0:
                    took.append(fields["duration_ms"])
                    if len(took) % 500 == 0:
                        self.drop_old_metadata()
                line = ""
        process.kill()
        process.wait()
        return took

    def first_record(self):
        """Seconds from the start of a process to the first record it has read."""
        (port,) = free_ports(1)
        begin = time.monotonic()
        process = self.start("restart.log", f"metrics.prometheus-port={port}")
        try:
            while time.monotonic() - begin < 60:
                try:
                    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1).read().decode()
                    read = next(line for line in text.splitlines() if line.startswith("calve_records_read_total"))
                    if int(read.split()[-1]) > 0:
                        return time.monotonic() - begin
                except OSError:
                    pass
                time.sleep(0.005)
            sys.exit(f"no record was read:\n{(self.folder / 'restart.log').read_text()[-4000:]}")
        finally:
            process.kill()
            process.wait()


def p99(values):
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def around(took, epoch):
    """The epochs around one: enough of them that one in which manifests are merged is among them."""
    width = max(5, min(epoch // 2, 200))
    return took[max(0, epoch - width) : epoch + width]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--snapshots", type=int, default=1000, help="snapshots in the table that is restarted from")
    parser.add_argument("--epochs", type=int, default=10_000, help="epochs of the run with snapshot retention")
    parser.add_argument("--hurried", type=int, default=300, help=f"epochs of {HURRIED}")
    parser.add_argument("--restarts", type=int, default=9)
    parser.add_argument("--rate", type=int, default=5000, help="records a second")
    parser.add_argument("--unmerged", action="store_true", help="also with commit.manifest-merge.enabled=false")
    parser.add_argument("--calve", help="a binary, instead of one that is built now")
    arguments = parser.parse_args()
    calve = arguments.calve or build()[0]
    print(f"{machine()}, -w 6, {arguments.rate} records/s\n")
    many = f"{arguments.snapshots:,}"
    print(
        f"| | close → visible at an interval of {HURRIED}: median, p99 | of {SHORTEST}, epochs 10–210 | the last 200 of {many} "
        f"| restart → first record, {many} snapshots: median, worst |"
    )
    print("|---|---|---|---|---|", flush=True)
    run = f"recovery-{int(time.time())}"
    scratch = pathlib.Path(tempfile.mkdtemp())
    load = Load(calve, run, arguments.rate, scratch)
    slopes = []
    try:
        for catalog, name in [("sqlite", "SQLite, local files"), ("rest", "REST, S3")]:
            hurried = Pipeline(calve, catalog, run, scratch / f"{run}-{catalog}-hurried")
            # The first epochs move the backlog.
            usual = hurried.commit(10 + arguments.hurried, interval=HURRIED)[10:]
            pipeline = Pipeline(calve, catalog, run, scratch / f"{run}-{catalog}")
            took = pipeline.commit(arguments.snapshots)
            early, late = took[10:210], took[-200:]
            restarts = [pipeline.first_record() for _ in range(arguments.restarts)]
            cells = [f"{statistics.median(some):.0f}, {p99(some):.0f} ms" for some in (usual, early, late)]
            cells.append(f"{statistics.median(restarts) * 1000:.0f}, {max(restarts) * 1000:.0f} ms")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            slopes.append((f"{name}, all snapshots kept", took))
            retention = ["snapshots.max-age=1s", "snapshots.min-to-keep=100"]
            kept = Pipeline(calve, catalog, run, scratch / f"{run}-{catalog}-kept")
            slopes.append((f"{name}, 100 snapshots kept", kept.commit(arguments.epochs, *retention)))
            if arguments.unmerged:
                retention.append("table.properties.commit.manifest-merge.enabled=false")
                kept = Pipeline(calve, catalog, run, scratch / f"{run}-{catalog}-unmerged")
                slopes.append((f"{name}, the same, manifests not merged", kept.commit(arguments.epochs, *retention)))
    finally:
        load.stop()
        shutil.rmtree(scratch)
    marks = [mark for mark in (10, 100, 1_000, 10_000) if mark <= max(len(took) for _, took in slopes)]
    print(f"\nClose → visible around epoch …: median, p99\n\n| | {' | '.join(f'{mark:,}' for mark in marks)} |")
    print("|---|" + "---|" * len(marks))
    for name, took in slopes:
        near = [around(took, mark) if mark <= len(took) else [] for mark in marks]
        cells = [f"{statistics.median(some):.0f}, {p99(some):.0f} ms" if some else "" for some in near]
        print(f"| {name} | {' | '.join(cells)} |")


main()
