"""calve against its own limit: `benches/run` calls this with Kafka's address in the environment.

Each run moves the whole topic with `calve run --bounded` into a fresh SQLite catalog and local warehouse, in turn with
`calve run dedup` (each record's id is a key), with `calve run daily_stats`, and through the fused loop of `benches/fused.rs`.  CPU and peak memory are the operating system's own accounting of the
finished process (wait4).  Each table is counted by pyiceberg and DuckDB; the statistics are compared with a GROUP BY
over the table of the same run.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from process import Running, machine, measure

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = (HERE.parent / "src/cli/generate/samples.columns").read_text()


def build(*more):
    """Builds in release mode; returns the paths of the binary and of the fused loop."""
    command = ["cargo", "build", "--release", "--bin", "calve", "--bench", "fused", "--message-format=json", *more]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=HERE.parent).stdout
    paths = {}
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            paths[message["target"]["name"]] = message["executable"]
    return paths["calve"], paths["fused"]


def settings(brokers, topic, folder):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return env | {
        "KAFKA_BROKERS": brokers,
        "KAFKA_TOPIC": topic,
        "ICEBERG_CATALOG_URI": f"sqlite://{folder}/catalog.db",
        "ICEBERG_WAREHOUSE": f"file://{folder}/warehouse",
        "ICEBERG_DATABASE": "bench",
        "ICEBERG_TABLE_RAW": "samples",
        "CALVE_TABLE_COLUMNS": COLUMNS,
    }


def verify(folder, records):
    """Has two independent readers count the table; returns its bytes and files."""
    command = [sys.executable, str(HERE / "verify.py"), str(folder), "bench.samples", str(records)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer["bytes"], answer["files"]


def verify_stats(stats, samples):
    """Has DuckDB compare the statistics with those of the samples; returns how many groups and periods there are."""
    command = [sys.executable, str(HERE / "verify_stats.py"), str(stats), str(samples)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["rows"]


def idle(calve, brokers, topic, folder, seconds=30):
    """CPU of a caught-up pipeline with six workers, in percent of one core."""
    process = Running([calve, "run", "-w", "6"], settings(brokers, topic, folder), folder / "idle.log")
    time.sleep(10)
    before = process.cpu()
    time.sleep(seconds)
    used = process.cpu() - before
    process.end(signal.SIGTERM)
    return 100 * used / seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--topic", help="a topic that already holds the records")
    parser.add_argument("--set", action="append", default=[], help="passed on to calve run")
    arguments = parser.parse_args()
    calve, fused = build()
    brokers = os.environ["CALVE_TEST_KAFKA"]
    topic = arguments.topic or f"bench-{int(time.time())}"
    if not arguments.topic:
        env = settings(brokers, topic, "/tmp")
        subprocess.run([calve, "generate", "--records", str(arguments.records)], env=env, check=True)
    millions = arguments.records / 1e6
    rows = {"calve run": [], "calve run dedup": [], "calve run daily_stats": [], "fused loop": []}
    size = files = groups = 0
    with tempfile.TemporaryDirectory() as scratch:
        for run in range(arguments.runs + 1):
            for name in rows:
                folder = pathlib.Path(scratch) / f"{name.replace(' ', '-')}-{run}"
                folder.mkdir()
                command = name.replace("calve", calve, 1).split() + ["-w", str(arguments.workers), "--bounded"]
                command += [f"--set={setting}" for setting in arguments.set]
                env = settings(brokers, topic, folder)
                if name == "calve run":
                    figures = measure(command, env, folder / "log")
                    size, files = verify(folder, arguments.records)
                    samples = folder
                elif name == "calve run dedup":
                    state = {"CALVE_DEDUP_KEY": "sample_id", "FLINK_CHECKPOINT_DIR": f"file://{folder}/checkpoints"}
                    figures = measure(command, env | state, folder / "log")
                    verify(folder, arguments.records)
                elif name == "calve run daily_stats":
                    figures = measure(command, env | {"ICEBERG_TABLE_RAW": "daily"}, folder / "log")
                    groups = verify_stats(folder, samples)
                else:
                    figures = measure([fused, brokers, topic, str(folder)], dict(os.environ), folder / "log")
                if run > 0:  # the first of each warms the broker's page cache
                    rows[name].append(figures)
                    print(f"{name}: {figures[0]:.2f} s, {figures[1] / millions:.3f} CPU s/M, {figures[2]:.0f} MB", flush=True)
                if name != "calve run":
                    shutil.rmtree(folder)
            if run < arguments.runs:
                shutil.rmtree(samples)
        idle_percent = idle(calve, brokers, topic, samples)

    print(f"\n{arguments.records} records, 6 partitions, -w {arguments.workers}; {machine()}; medians of {arguments.runs}")
    print("| | records/s | CPU s per million | peak RSS MB |\n|---|---|---|---|")
    medians = {name: [statistics.median(column) for column in zip(*figures)] for name, figures in rows.items()}
    for name, (wall, used, peak) in medians.items():
        print(f"| {name} | {arguments.records / wall:,.0f} | {used / millions:.3f} | {peak:.0f} |")
    ratio = medians["fused loop"][1] / medians["calve run"][1]
    print(f"\nrecords per CPU second against the fused loop: {100 * ratio:.0f} %")
    for name, what in [("dedup", f"{arguments.records} distinct keys"), ("daily_stats", f"{groups} groups and periods")]:
        more = (medians[f"calve run {name}"][1] - medians["calve run"][1]) / millions
        print(f"{name} on top of ingest: {more:+.3f} CPU s per million ({what})")
    print(f"files: {files}, {size / 1e6 / millions:.1f} MB per million records")
    print(f"idle, -w 6: {idle_percent:.2f} % of a core")
    print("pyiceberg and DuckDB counted every record of every run once")


if __name__ == "__main__":
    main()
