"""Produce -> visible: `benches/openloop` calls this with Kafka's address in the environment.

`calve generate --rate` gives every record the time at which it was due as its timestamp, and keeps the rate whatever
becomes of those before, so whatever falls behind shows it: the pipeline, or a machine that writes records more slowly than
they are offered (the column "written in").  A thread looks at the SQLite catalog every few
milliseconds and notes when the table got new metadata: from then on whoever asks sees the new rows.  Afterwards
pyiceberg says which snapshot brought which file, and DuckDB subtracts, for every row, its time from that moment.
"""

import argparse
import json
import os
import pathlib
import signal
import sqlite3
import sys
import tempfile
import threading
import time

from ingest import build, settings
from plot import lines
from process import Running, machine, measure, tidy_when_told_to_stop
import tables

LOOK_S = 0.005
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
NAMES = ("p50", "p90", "p99", "p99.9", "max")


class Observer(threading.Thread):
    """Notes when each version of the table became visible."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.catalog = f"file:{folder}/catalog.db?mode=ro"
        self.seen = {}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(LOOK_S):
            try:
                with sqlite3.connect(self.catalog, uri=True, timeout=0) as db:
                    found = db.execute("select metadata_location from iceberg_tables").fetchone()
            except sqlite3.OperationalError:
                # Not made yet, or being written this very moment.
                continue
            if found:
                self.seen.setdefault(found[0], time.time() * 1000)


def wait_for(what, condition, process, seconds=60):
    begin = time.monotonic()
    while not condition():
        if process.wait(0.02) is not None or time.monotonic() - begin > seconds:
            sys.exit(f"{what}: waited in vain\n{process.tail()}")


def latencies(folder, observer, records):
    """Milliseconds from due to visible, at the quantiles, over all rows; and how many snapshots brought them."""
    table = tables.load(folder, "bench.samples")
    visible = {}
    for location, at in observer.seen.items():
        metadata = json.loads(pathlib.Path(location.removeprefix("file://")).read_text())
        # Two commits between two looks: both are seen with the second.
        for snapshot in metadata.get("snapshots", ()):
            visible.setdefault(snapshot["snapshot-id"], at)
    entries = table.inspect.entries().to_pylist()
    files = [(e["data_file"]["file_path"].removeprefix("file://"), visible[e["snapshot_id"]]) for e in entries]
    db = tables.connect(table)
    db.execute("create table visible (file varchar, ms double)")
    db.executemany("insert into visible values (?, ?)", files)
    paths = [file for file, _ in files]
    rows, quantiles = db.execute(
        """select count(*), quantile_disc(ms - epoch_us(_timestamp) / 1000, ?::double[])
           from read_parquet(?, filename = true) join visible on filename = file""",
        [list(QUANTILES), paths],
    ).fetchone()
    if rows != records:
        sys.exit(f"{rows} rows in the table, {records} were written")
    return quantiles, len({at for _, at in files})


def offer(calve, rate, arguments, scratch):
    """One rate; returns the latencies, the snapshots, calve's CPU in percent of a core, the seconds of the writer."""
    folder = scratch / f"rate-{rate}"
    folder.mkdir()
    topic, records = f"openloop-{rate}-{int(time.time())}", rate * arguments.seconds
    env = settings(os.environ["CALVE_TEST_KAFKA"], topic, folder)
    generate = [calve, "generate", "--partitions", "6", "--rate", str(rate), "--records"]
    measure([*generate, "0"], env, folder / "create.log")
    observer = Observer(folder)
    observer.start()
    run = [calve, "run", "-w", str(arguments.workers), f"--set=checkpoint.interval={round(arguments.interval * 1000)}ms"]
    pipeline = Running([*run, "--set=rest.port=off"], env, folder / "run.log")
    wait_for("the table", lambda: observer.seen, pipeline)
    time.sleep(1)
    before, begin = pipeline.cpu(), time.monotonic()
    wrote, _, _ = measure([*generate, str(records)], env, folder / "load.log")
    cpu = 100 * (pipeline.cpu() - before) / (time.monotonic() - begin)
    time.sleep(2 * arguments.interval)
    if pipeline.end(signal.SIGTERM).status != 0:
        sys.exit(pipeline.tail())
    time.sleep(10 * LOOK_S)
    observer.over.set()
    observer.join()
    return (*latencies(folder, observer, records), cpu, wrote)


def main():
    parser = argparse.ArgumentParser(prog="benches/openloop")
    parser.add_argument("--rates", type=int, nargs="+", default=[1_000, 10_000, 50_000, 100_000, 200_000])
    parser.add_argument("--seconds", type=int, default=30, help="for each rate")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two checkpoints")
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--calve", help="this binary, instead of a new build")
    parser.add_argument("--plot", help="a folder for openloop.svg")
    arguments = parser.parse_args()
    tidy_when_told_to_stop()
    calve = os.path.abspath(arguments.calve) if arguments.calve else build()[0]
    rows = []
    print(f"{machine()}; {arguments.interval:g} s between checkpoints, -w {arguments.workers}, {arguments.seconds} s each\n")
    print(f"| records/s offered | {' | '.join(NAMES)} | snapshots | CPU, % of a core | written in |")
    print("|---|" + "---|" * (len(NAMES) + 3))
    with tempfile.TemporaryDirectory() as scratch:
        for rate in arguments.rates:
            quantiles, snapshots, cpu, wrote = offer(calve, rate, arguments, pathlib.Path(scratch))
            rows.append(quantiles)
            cells = [f"{ms:,.0f} ms" for ms in quantiles]
            print(f"| {rate:,} | {' | '.join(cells)} | {snapshots} | {cpu:.0f} | {wrote:.1f} s |", flush=True)
    if arguments.plot:
        series = [(name, list(zip(arguments.rates, column))) for name, column in zip(NAMES, zip(*rows))]
        title = f"From due to visible in the table, {arguments.interval:g} s between checkpoints"
        lines(pathlib.Path(arguments.plot) / "openloop.svg", title, "records/s offered", "ms", series)


if __name__ == "__main__":
    main()
