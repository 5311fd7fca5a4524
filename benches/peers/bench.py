"""calve beside its peers: `benches/peers/run` calls this with the services' addresses in the environment.

All pipelines in turn, as often as asked, each from a table without rows to the ends of the topic; then each once more
with a short interval, killed with SIGKILL between two commits and started again.  DuckDB counts every table.

* records/s is by the clock, from the start of the process to its end.  Kafka Connect never ends: its clock runs while it
  uses more than a fifth of a core, so that waiting for the next commit does not count against it.
* CPU is user and system time of the process and its children (wait4), as a whole, and without what the same command
  needs for a topic of a few hundred records: JVM and interpreter starts, class loading, the first compilations.
* The broker and the catalog are not counted; they run on the same machine.
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
from typing import NamedTuple

from confluent_kafka.admin import AdminClient, NewTopic
from lake import Lake
from pipelines import PIPELINES

from ingest import COLUMNS, build, settings
from process import Running, Usage, machine, tidy_when_told_to_stop

# Enough that every partition has some.
FEW = 600
# A pipeline that uses less than this part of a core waits.
BUSY = 0.2
# Nothing new in the table for so many intervals, and so many seconds on top: it will not get there any more.
PATIENCE_INTERVALS, PATIENCE_S = 3, 90


class Job(NamedTuple):
    """What a pipeline is told."""

    name: str
    table: str
    topic: str
    records: int
    interval: float
    folder: pathlib.Path
    catalog: Lake
    brokers: str
    calve: str
    peers: str
    columns: str

    def control_topic(self):
        """Kafka Connect's commits are coordinated over a topic, which must be there."""
        topic = f"control-{self.name}"
        admin = AdminClient({"bootstrap.servers": self.brokers})
        if topic not in admin.list_topics(timeout=10).topics:
            for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
                made.result()
        return topic


class Watch:
    """A running pipeline, looked at ten times a second."""

    def __init__(self, pipeline):
        self.job = pipeline.job
        self.ends = pipeline.ends
        env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.process = Running(pipeline.command(), env | pipeline.env(), self.job.folder / "log")
        self.busy = 0.0
        self.cpu, self.at = 0.0, self.process.begin

    def look(self):
        """Waits a moment; returns the usage once the process has ended."""
        usage = self.process.wait(0.1)
        if usage is None:
            now, cpu = time.monotonic(), self.process.cpu()
            if cpu - self.cpu > BUSY * (now - self.at):
                self.busy += now - self.at
            self.cpu, self.at = cpu, now
        return usage

    def until_rows(self, rows):
        """Until the table holds some rows, or the process has ended."""
        while self.look() is None:
            if self.job.catalog.rows(self.job.table) >= rows:
                return

    def to_the_end(self, settle=0.0):
        """Until everything is in the table, and so long after; returns what it used and the seconds until then."""
        if self.ends and not settle:
            return self.ended(self.process.wait())
        rows, since, asked = 0, time.monotonic(), 0.0
        patience = PATIENCE_INTERVALS * self.job.interval + PATIENCE_S
        while (waited := time.monotonic() - since) < patience:
            if rows >= self.job.records and waited >= settle:
                break
            if (usage := self.look()) is not None:
                return self.ended(usage)
            if time.monotonic() - asked > 0.5:
                before, rows, asked = rows, self.job.catalog.rows(self.job.table), time.monotonic()
                if rows > before:
                    since = asked
        return End(self.process.end(), self.busy, since - self.process.begin)

    def ended(self, usage):
        if usage.status != 0 or not self.ends:
            sys.exit(f"{self.job.name} ended with {usage.status}:\n{self.process.tail()}")
        return End(usage, usage.wall, usage.wall)


class End(NamedTuple):
    """How a run ended: what was used, the seconds that count, and those until the table was whole."""

    usage: Usage
    seconds: float
    whole: float


def run(pipeline):
    """One run from nothing."""
    return Watch(pipeline).to_the_end()


def crash(pipeline):
    """Killed between two commits and started again; returns the seconds until the table was whole, and what it had."""
    interval = pipeline.job.interval
    first = Watch(pipeline)
    first.until_rows(1)
    first.process.wait(interval / 2)
    first.process.end()
    left = pipeline.job.catalog.rows(pipeline.job.table)
    if left >= pipeline.job.records:
        sys.exit(f"{pipeline.job.name} was done before it could be killed: more records or a shorter --crash-interval")
    # Longer than is needed to be whole: what comes twice may come late.  (And a bounded job of Flink's was seen not to
    # end by itself after a restore, with the whole topic in its table.)
    return Watch(pipeline).to_the_end(settle=2 * interval).whole, left


class Bench:
    def __init__(self, arguments, calve, scratch):
        self.arguments, self.calve, self.scratch = arguments, calve, scratch
        self.brokers = os.environ["CALVE_TEST_KAFKA"]
        self.lake = Lake(scratch)
        self.number = 0

    def fill(self, records):
        """A topic with so many samples."""
        topic = f"peers-{records}-{int(time.time())}"
        generate = [self.calve, "generate", "--records", str(records), "--partitions", "6"]
        subprocess.run(generate, env=settings(self.brokers, topic, self.scratch), check=True)
        return topic

    def play(self, key, topic, records, how, interval):
        """Plays one pipeline into a table of its own; returns what `how` returned and what is in the table."""
        self.number += 1
        name = f"{key}-{self.number}"
        table = f"bench.{name.replace('-', '_')}"
        folder = self.scratch / name
        folder.mkdir()
        _, kind = PIPELINES[key]
        peers = os.environ["CALVE_PEERS"]
        job = Job(name, table, topic, records, interval, folder, self.lake, self.brokers, self.calve, peers, COLUMNS)
        if kind.table_is_made:
            self.lake.create(table)
        figures = how(kind(job))
        found = self.lake.find(table, records)
        self.lake.drop(table)
        shutil.rmtree(folder)
        return figures, found


def parse():
    parser = argparse.ArgumentParser(prog="benches/peers/run")
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PIPELINES, default=list(PIPELINES), metavar="NAME", help=f"of {', '.join(PIPELINES)}")
    parser.add_argument("--interval", type=float, default=60.0, help="seconds between two checkpoints")
    parser.add_argument("--crash-interval", type=float, default=2.0, help="the same in the runs that are killed")
    parser.add_argument("--no-crash", action="store_true", help="no runs that are killed")
    parser.add_argument("--topic", help="a topic that already holds the records")
    parser.add_argument("--calve", help="this binary, instead of a new build")
    parser.add_argument("--json", help="a file for the figures of every run")
    return parser.parse_args()


def measure_all(bench, arguments):
    """All runs of all pipelines, in turn; says each as it comes."""
    records = arguments.records
    topic = arguments.topic or bench.fill(records)
    few = bench.fill(FEW)
    pipelines = {key: {"name": PIPELINES[key][0], "runs": []} for key in arguments.only}
    for key, of in pipelines.items():
        (usage, *_), _ = bench.play(key, few, FEW, run, min(arguments.interval, 5.0))
        of["start_cpu_s"], of["start_wall_s"] = usage.cpu, usage.wall
        print(f"{of['name']}: {FEW} records, {usage.wall:.1f} s, {usage.cpu:.2f} CPU s", flush=True)
    for _ in range(arguments.runs):
        for key, of in pipelines.items():
            (usage, seconds, whole), found = bench.play(key, topic, records, run, arguments.interval)
            row = {"seconds": seconds, "whole_s": whole, "cpu_s": usage.cpu, "peak_mb": usage.peak_mb}
            of["runs"].append(row | found._asdict())
            told = f"{seconds:.1f} s, {usage.cpu / records * 1e6:.2f} CPU s/M, {usage.peak_mb:.0f} MB"
            print(f"{of['name']}: {told}; lost {found.lost}, duplicated {found.duplicated}", flush=True)
    for key, of in () if arguments.no_crash else pipelines.items():
        (restart, left), found = bench.play(key, topic, records, crash, arguments.crash_interval)
        of["crash"] = {"whole_after_restart_s": restart, "rows_before_kill": left} | found._asdict()
        told = f"killed with {left:,} rows in the table, whole {restart:.1f} s after its restart"
        print(f"{of['name']}: {told}; lost {found.lost}, duplicated {found.duplicated}", flush=True)
    keys = ("records", "interval", "crash_interval")
    return {"machine": machine()} | {key: getattr(arguments, key) for key in keys} | {"pipelines": pipelines}


def report(figures):
    """The table, in Markdown."""
    records = figures["records"]
    print(f"\n{records:,} records, six partitions, {figures['interval']:g} s between checkpoints, one REST catalog,", end=" ")
    runs = max(len(of["runs"]) for of in figures["pipelines"].values())
    print(f"zstd; {figures['machine']}; medians of {runs}\n")
    print("| | records/s | CPU s per million | without its start | peak RSS | files | MB per million | lost, duplicated | after kill -9 |")
    print("|---|---|---|---|---|---|---|---|---|")
    whole = {}
    for key, of in figures["pipelines"].items():
        middle = {name: statistics.median(row[name] for row in of["runs"]) for name in of["runs"][0]}
        worst = [max(row[name] for row in of["runs"]) for name in ("lost", "duplicated")]
        whole[key] = middle["cpu_s"]
        cells = [of["name"], f"{records / middle['seconds']:,.0f}", f"{middle['cpu_s'] / records * 1e6:.2f}"]
        cells += [f"{(middle['cpu_s'] - of['start_cpu_s']) / records * 1e6:.2f}", f"{middle['peak_mb']:,.0f} MB"]
        cells += [f"{middle['files']:.0f}", f"{middle['bytes'] / records:.1f}", "{:,}, {:,}".format(*worst)]
        cells.append(f"{of['crash']['lost']:,}, {of['crash']['duplicated']:,}" if "crash" in of else "")
        print(f"| {' | '.join(cells)} |")
    for key in whole:
        if "calve" in whole and key not in ("calve", "provenance"):
            print(f"\nrecords per CPU second, calve : {PIPELINES[key][0]} = {whole[key] / whole['calve']:.1f} : 1", end="")
    digests = {row["digest"] for of in figures["pipelines"].values() for row in of["runs"] if not row["lost"] + row["duplicated"]}
    same = "the same" if len(digests) == 1 else "NOT the same"
    print(f"\n\nDuckDB counted every table; by a hash over all values, all tables without a loss hold {same} rows")
    return len(digests) == 1


def main():
    tidy_when_told_to_stop()
    arguments = parse()
    calve = os.path.abspath(arguments.calve) if arguments.calve else build()[0]
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, calve, pathlib.Path(scratch))
        try:
            figures = measure_all(bench, arguments)
        finally:
            bench.lake.end()
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")
    agreed = report(figures)
    ours = figures["pipelines"].get("calve", {"runs": []})
    tables = ours["runs"] + ([ours["crash"]] if "crash" in ours else [])
    if not agreed or any(table["lost"] or table["duplicated"] for table in tables):
        sys.exit("calve lost or duplicated records, or two writers disagree")


if __name__ == "__main__":
    main()
