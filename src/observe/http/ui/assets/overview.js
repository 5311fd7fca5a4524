// How it goes, at one look.

import { ago, bytes, count, duration, empty, ended, exact, h, keyed, meter, percent, rate, say, section, table, tile, time } from "./lib.js";
import { chart } from "./chart.js";
import { loads } from "./graph.js";

export function overviewView(app) {
  const tiles = {
    rate: tile("Throughput"), lag: tile("Lag"), committed: tile("In the table"),
    epoch: tile("Epoch"), checkpoint: tile("Last checkpoint"), delay: tile("End-to-end delay"),
  };
  const throughput = chart("Throughput over the last five minutes", [
    { name: "Read", class: "read", at: 1, format: (n) => rate(n) },
  ], { marks: "Checkpoints in the table" });
  const backlog = chart("Lag over the last five minutes", [{ name: "Lag", class: "lag", at: 3, format: (n) => `${count(n)} records` }], { height: 130 });
  const inFlight = meter("In flight: read, not yet written");
  const uncommitted = meter("Written, not yet in the table");
  const partitions = table([{ name: "Topic" }, { name: "Partition", class: "num" }, { name: "Lag in records", class: "num" }, { name: "", class: "wide" }], "Lag of each partition");
  const noLag = empty("No partition has been read yet.");
  const more = h("p", { class: "more" });
  const busy = h("div", { class: "meters" });
  const noWorkers = empty("No dataflow runs at the moment.");
  const held = h("p", { class: "sentence" }, "–");
  const failures = h("ol", { class: "events" });
  const noFailures = empty("The dataflow has not failed since the process began.");
  const restarts = h("p", { class: "more" });
  const root = h("div", {},
    h("dl", { class: "tiles" }, Object.values(tiles)),
    h("div", { class: "columns" },
      section("Throughput", throughput),
      section("Memory and staging", h("div", { class: "meters" }, inFlight, uncommitted), backlog)),
    h("div", { class: "columns" },
      section("Lag by partition", noLag, partitions, more),
      section("Workers", held, noWorkers, busy)),
    section("Failures and restarts", restarts, noFailures, failures));

  return {
    root,
    update(state) {
      const { figures, limits, lag } = state;
      const now = state["at-ms"];
      const speed = figures["records-per-s"];
      tiles.rate.show(rate(speed), `${bytes(figures["bytes-per-s"])}/s from Kafka`);
      tiles.lag.show(lag.partitions ? `${count(lag.total)}` : "–", lagNote(lag, figures), lag.total > 100_000 ? "warn" : "");
      tiles.committed.show(count(figures["records-committed"]),
        `records by this process, ${count(figures["files-committed"])} files, ${bytes(figures["bytes-committed"])}`);
      tiles.epoch.show(`${exact(figures["epoch-open"])}`, `open; ${figures["epoch-committed"]} is durable`);
      const done = state.checkpoints.latest.completed;
      const failed = state.checkpoints.latest.failed;
      tiles.checkpoint.show(done ? duration(done["duration-ms"]) : "–",
        done ? `${ago(ended(done), now)}: ${count(done.records)} rows, ${bytes(done.bytes)}` : "none yet",
        failed && (!done || ended(failed) > ended(done)) ? "bad" : "");
      tiles.delay.show(duration(state["delay-ms"]), state["delay-ms"] === null ? "known after two checkpoints" : "from reading to the table, at most");
      const marks = state.checkpoints.history.filter((record) => record.status === "completed" && record.records > 0);
      throughput.show(app.series, marks.map(ended));
      backlog.show(app.series);
      inFlight.show(figures["in-flight-bytes"], limits["in-flight-bytes"], `${bytes(figures["in-flight-bytes"])} of ${bytes(limits["in-flight-bytes"])}`);
      uncommitted.show(figures["uncommitted-bytes"], limits["uncommitted-bytes"], `${bytes(figures["uncommitted-bytes"])} of ${bytes(limits["uncommitted-bytes"])}`);

      const top = Math.max(1, ...lag.shown.map((p) => p.lag));
      noLag.hidden = lag.partitions > 0;
      partitions.hidden = lag.partitions === 0;
      keyed(partitions.body, lag.shown, (p) => `${p.topic}/${p.partition}`, makePartition, (row, p) => {
        say(row.children[2], exact(p.lag));
        row.querySelector(".fill").style.width = `${(100 * p.lag) / top}%`;
      });
      say(more, lag.partitions > lag.shown.length ? `The ${lag.shown.length} largest of ${exact(lag.partitions)} partitions.` : "");

      say(held, state.graph.says);
      const workers = loads(state, app.before(5_000));
      noWorkers.hidden = workers.length > 0;
      keyed(busy, workers, (w) => w.worker, (w) => meter(`Worker ${w.worker}`), (row, w) => row.show(w.share ?? 0, 1, `${percent(w.share)} busy`));

      say(restarts, figures.restarts ? `Started again ${times(figures.restarts)} by itself.` : "");
      noFailures.hidden = state.failures.length > 0;
      keyed(failures, [...state.failures].reverse(), (f) => `${f["at-ms"]} ${f.reason}`,
        (f) => h("li", {}, h("time", {}, time(f["at-ms"])), " ", f.reason), () => {});
    },
  };
}

function lagNote(lag, figures) {
  if (!lag.partitions) return "no partition has been read yet";
  const speed = figures["records-per-s"];
  const over = `records, ${lag.partitions} ${lag.partitions === 1 ? "partition" : "partitions"}`;
  return lag.total > speed && speed > 0 ? `${over}: ${duration((1000 * lag.total) / speed)} at this rate` : over;
}

function times(n) {
  return n === 1 ? "once" : `${exact(n)} times`;
}

function makePartition(p) {
  return h("tr", {}, h("td", {}, p.topic), h("td", { class: "num" }, String(p.partition)), h("td", { class: "num" }), h("td", { class: "wide" },
    h("span", { class: "track" }, h("span", { class: "fill" }))));
}
