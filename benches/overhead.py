"""What being watched costs: `benches/overhead [--records N] [--rounds N]` calls this with Kafka's address in the environment.

Each round moves the whole topic with `calve run --bounded` a few times, in another order each round:

* unwatched: no REST API, no metrics, nobody listens to timely's log;
* by default: UI, REST API, metrics and the live graph, and nobody looks;
* watched: the same with a browser's stream of events open and a scrape of /metrics every second.

CPU is the operating system's own accounting of the finished process (wait4).  A machine drifts by more than a percent in
minutes, so each run is compared with the unwatched one of its own round, and the median of those ratios is the figure.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

from ingest import build, settings, verify
from process import free_ports, machine, measure

PROMISED = 1.01


class Watcher:
    """A browser and a Prometheus, on two threads of this process, until it is closed."""

    def __init__(self, rest, metrics):
        self.over = threading.Event()
        self.events = self.scrapes = 0
        self.threads = [
            threading.Thread(target=self.stream, args=(f"http://127.0.0.1:{rest}/calve/events",), daemon=True),
            threading.Thread(target=self.scrape, args=(f"http://127.0.0.1:{metrics}/metrics",), daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def stream(self, url):
        while not self.over.is_set():
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    for line in answer:
                        self.events += line.startswith(b"data:")
            except OSError:
                time.sleep(0.05)

    def scrape(self, url):
        while not self.over.is_set():
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    self.scrapes += b"calve_records_read_total" in answer.read()
                self.over.wait(1)
            except OSError:
                time.sleep(0.05)

    def close(self):
        self.over.set()
        for thread in self.threads:
            thread.join(10)


def run(calve, brokers, topic, folder, workers, variant, records):
    """One run; returns its CPU seconds."""
    folder.mkdir()
    rest, metrics = free_ports(2) if variant != "unwatched" else ("off", "off")
    command = [calve, "run", "-w", str(workers), "--bounded", f"--set=rest.port={rest}", f"--set=metrics.prometheus-port={metrics}"]
    watcher = Watcher(rest, metrics) if variant == "watched" else None
    wall, used, _ = measure(command, settings(brokers, topic, folder), folder / "log")
    if watcher:
        watcher.close()
        if not watcher.events or not watcher.scrapes:
            raise SystemExit(f"nobody watched: {watcher.events} events, {watcher.scrapes} scrapes")
    verify(folder, records)
    shutil.rmtree(folder)
    seen = f", {watcher.events} events, {watcher.scrapes} scrapes" if watcher else ""
    print(f"{variant}: {wall:.2f} s, {used / records * 1e6:.4f} CPU s/M{seen}", flush=True)
    return used


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--topic", help="a topic that already holds the records")
    parser.add_argument("--calve", help="a binary, instead of one that is built now")
    arguments = parser.parse_args()
    calve = os.path.abspath(arguments.calve) if arguments.calve else build()[0]
    brokers = os.environ["CALVE_TEST_KAFKA"]
    topic = arguments.topic or f"overhead-{int(time.time())}"
    if not arguments.topic:
        env = settings(brokers, topic, "/tmp")
        subprocess.run([calve, "generate", "--records", str(arguments.records)], env=env, check=True)
    variants = ["unwatched", "by default", "watched"]
    used = {variant: [] for variant in variants}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        one = lambda name, variant: run(calve, brokers, topic, scratch / name, arguments.workers, variant, arguments.records)
        one("warm", "unwatched")  # the first one warms the broker's page cache
        for number in range(arguments.rounds):
            turn = number % len(variants)
            for variant in variants[turn:] + variants[:turn]:
                used[variant].append(one(f"{variant.replace(' ', '-')}-{number}", variant))

    print(f"\n{arguments.records} records, -w {arguments.workers}; {machine()}; {arguments.rounds} rounds")
    print("| | CPU s per million, median | against unwatched, median (quartiles) |\n|---|---|---|")
    for variant, seconds in used.items():
        ratios = [one / none for one, none in zip(seconds, used["unwatched"])]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(f"| {variant} | {statistics.median(seconds) / arguments.records * 1e6:.4f} | {middle:.4f} ({low:.4f}–{high:.4f}) |")
        if variant == "by default" and middle > PROMISED:
            print(f"more than {PROMISED}")


if __name__ == "__main__":
    main()
