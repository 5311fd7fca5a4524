"""One quantity varied, all else equal: `benches/series` calls this with Kafka's address in the environment.

Every point is `calve run --bounded` into a fresh SQLite catalog and local warehouse; the points of a series are measured
in turn, and medians are compared.  CPU is the operating system's accounting of the finished process; each table is
counted by pyiceberg and DuckDB.
"""

import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from ingest import build, settings, verify
from process import Running, machine, measure, tidy_when_told_to_stop
import tables

# Longer than any run: the only checkpoint is the last one.
NEVER = "1d"


class Bench:
    def __init__(self, arguments, calve, scratch):
        self.arguments, self.calve, self.scratch = arguments, calve, scratch
        self.brokers = os.environ["CALVE_TEST_KAFKA"]
        self.topics = {}
        self.number = 0

    def points(self, *usual):
        return self.arguments.points or usual

    def env(self, topic, folder):
        return settings(self.brokers, topic, folder) | {"CALVE_REST_PORT": "off"}

    def generate(self, topic, records, *more):
        command = [self.calve, "generate", "--records", str(records), *map(str, more)]
        subprocess.run(command, env=self.env(topic, self.scratch), check=True, stderr=subprocess.DEVNULL)

    def topic(self, records, partitions=6):
        """A topic with so many samples, made once."""
        key = (records, partitions)
        if key not in self.topics:
            self.topics[key] = f"series-{records}-{partitions}-{int(time.time())}"
            self.generate(self.topics[key], records, "--partitions", partitions)
        return self.topics[key]

    def run(self, topic, records, workers=6, interval="60s", folder=None, before=0):
        """One run over a topic; returns (wall, CPU, peak MB) and the number of checkpoints that brought rows."""
        self.number += 1
        made = folder or self.scratch / f"run-{self.number}"
        made.mkdir(exist_ok=True)
        command = [self.calve, "run", "-w", str(workers), "--bounded", f"--set=checkpoint.interval={interval}"]
        figures = measure(command, self.env(topic, made), made / "log")
        verify(made, before + records)
        commits = sum(
            int(s.summary.additional_properties.get("added-records", 0)) > 0 for s in tables.load(made, "bench.samples").snapshots()
        )
        shutil.rmtree(made)
        return figures, commits


def medians(points, runs):
    """Runs every point in turn, so often; the first time of each warms caches and does not count."""
    seen = {name: [] for name in points}
    for run in range(runs + 1):
        for name, point in points.items():
            figures, commits = point()
            if run > 0:
                seen[name].append((*figures, commits))
                print(f"  {name}: {figures[0]:.2f} s, {figures[1]:.2f} CPU s, {figures[2]:.0f} MB", file=sys.stderr)
    return {name: [statistics.median(column) for column in zip(*rows)] for name, rows in seen.items()}


def table(title, what, found, records_of):
    """Prints a series in Markdown; returns CPU seconds per million of each point."""
    print(f"\n{title}\n\n| {what} | records/s | CPU s per million | peak RSS |\n|---|---|---|---|")
    per_million = {}
    for name, (wall, cpu, peak, _) in found.items():
        records = records_of(name)
        per_million[name] = cpu / records * 1e6
        print(f"| {name} | {records / wall:,.0f} | {per_million[name]:.3f} | {peak:.0f} MB |")
    return per_million


def interval(bench):
    records = bench.arguments.records
    topic = bench.topic(records)
    names = {"at the end only": NEVER, "60 s": "60s", "1 s": "1s", "100 ms": "100ms"}
    points = {name: lambda every=every: bench.run(topic, records, interval=every) for name, every in names.items()}
    found = medians(points, bench.arguments.runs)
    table(f"Checkpoint interval, {records:,} records, -w 6", "checkpoints", found, lambda _: records)
    wall, never, _, _ = found["at the end only"]
    print()
    for name, (_, cpu, _, commits) in found.items():
        if commits > 1:
            each = (cpu - never) / (commits - 1)
            print(f"* {name}: {commits:.0f} checkpoints, {100 * (cpu / never - 1):+.1f} % CPU, {each * 1000:.1f} CPU ms each")
    most = found["100 ms"]
    if most[3] > 1 and wall < 60:
        each = (most[1] - never) / (most[3] - 1)
        busy = never / wall
        print(f"* 60 s: the run took {wall:.0f} s and had one. At the cost of those above, one in 60 s of work at this rate "
              f"is {100 * each / (60 * busy):.2f} %")


def records(bench):
    sizes = bench.points(1_000_000, 10_000_000)
    points = {f"{size:,}": lambda size=size: bench.run(bench.topic(size), size) for size in sizes}
    found = medians(points, bench.arguments.runs)
    table("Records, -w 6", "records", found, lambda name: int(name.replace(",", "")))


def partitions(bench):
    size = bench.arguments.records
    points = {f"{n:,}": lambda n=n: bench.run(bench.topic(size, n), size) for n in bench.points(6, 60, 1_000)}
    table(f"Partitions, {size:,} records, -w 6", "partitions", medians(points, bench.arguments.runs), lambda _: size)


def workers(bench):
    size = bench.arguments.records
    topic = bench.topic(size)
    points = {f"-w {n}": lambda n=n: bench.run(topic, size, workers=n) for n in bench.points(1, 2, 3, 4, 6, 12)}
    table(f"Workers, {size:,} records", "workers", medians(points, bench.arguments.runs), lambda _: size)


def snapshots(bench):
    """The table gets its snapshots by a trickle with a checkpoint every 10 ms; then the records come, and are measured."""
    size = bench.arguments.records
    few, trickle = 3, 2_000

    def prepared(wanted):
        topic, folder = f"series-snapshots-{wanted}-{int(time.time())}", bench.scratch / f"snapshots-{wanted}"
        folder.mkdir()
        env = bench.env(topic, folder)
        bench.generate(topic, 1, "--partitions", 6)
        running = Running([bench.calve, "run", "-w", "6", "--set=checkpoint.interval=10ms"], env, folder / "log")
        written, catalog = 1, folder / "catalog.db"
        while not (catalog.exists() and count(folder) >= wanted):
            # Enough of them for a while, one after the other in time.
            bench.generate(topic, trickle // 4 if wanted > few else 1, "--first", written, "--rate", trickle)
            written += trickle // 4 if wanted > few else 1
        running.end(signal.SIGTERM)
        bench.generate(topic, size, "--first", written)
        return topic, folder, written, count(folder)

    def count(folder):
        try:
            return len(tables.load(folder, "bench.samples").snapshots())
        except Exception:  # No table yet: pyiceberg says it in several ways.
            return 0

    ready = {}
    for wanted in bench.points(few, 100, 1_000):
        topic, folder, written, has = prepared(wanted)
        ready[f"{has:,}"] = (topic, folder, written)

    def point(name):
        topic, folder, written = ready[name]
        # SQLite and the warehouse name each other by absolute paths, so each run has the original in its place.
        kept = folder.with_suffix(".kept")
        shutil.copytree(folder, kept)
        made = bench.run(topic, size, folder=folder, before=written)
        kept.rename(folder)
        return made

    points = {name: lambda name=name: point(name) for name in ready}
    found = medians(points, bench.arguments.runs)
    table(f"Snapshots in the table before, {size:,} records, -w 6", "snapshots", found, lambda _: size)


SERIES = {made.__name__: made for made in (interval, records, partitions, workers, snapshots)}


def main():
    parser = argparse.ArgumentParser(prog="benches/series")
    parser.add_argument("name", choices=[*SERIES, "all"])
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--points", type=int, nargs="+", metavar="N", help="instead of the ones that a series has")
    parser.add_argument("--calve", help="this binary, instead of a new build")
    arguments = parser.parse_args()
    tidy_when_told_to_stop()
    calve = os.path.abspath(arguments.calve) if arguments.calve else build()[0]
    print(f"{machine()}; medians of {arguments.runs}")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, calve, pathlib.Path(scratch))
        for name in SERIES if arguments.name == "all" else [arguments.name]:
            SERIES[name](bench)
    print("\npyiceberg and DuckDB counted every record of every run once")


if __name__ == "__main__":
    main()
