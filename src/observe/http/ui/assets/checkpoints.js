// Flink's Checkpoints tab: counts, the latest of each kind, the history, the configuration.

import { ago, bytes, count, duration, empty, ended, exact, h, keyed, say, section, span, table, tile, time } from "./lib.js";

const SHOWN = 20;

export function checkpointsView(app) {
  const tiles = { triggered: tile("Triggered"), progress: tile("In progress"), completed: tile("Completed"), failed: tile("Failed"), restored: tile("Restored") };
  const latest = h("dl", { class: "facts" });
  const facts = {};
  for (const [key, name] of [["completed", "Latest completed"], ["failed", "Latest failed"], ["savepoint", "Latest savepoint"], ["restored", "Latest restore"]]) {
    facts[key] = h("dd", {}, "–");
    latest.append(h("div", {}, h("dt", {}, name), facts[key]));
  }
  const history = table(
    [
      { name: "Epoch", class: "num" }, { name: "Status" }, { name: "Triggered" }, { name: "Duration", class: "num" }, { name: "Size", class: "num" },
      { name: "Records", class: "num" }, { name: "Files", class: "num" }, { name: "Snapshot" }, { name: "" },
    ],
    "History of checkpoints",
  );
  const none = empty("No checkpoint has been triggered yet.");
  const button = h("button", { type: "button", class: "quiet", onclick: () => { all = !all; update(app.state); } }, "Show all");
  const config = h("dl", { class: "facts" });
  const root = h("div", {},
    h("dl", { class: "tiles five" }, Object.values(tiles)),
    section("Latest", latest),
    section("History", none, history, button),
    section("Configuration", config));
  let all = false;
  let configured = false;

  function update(state) {
    const checkpoints = state.checkpoints;
    const { counts } = checkpoints;
    const now = state["at-ms"];
    tiles.triggered.show(exact(counts.triggered), "by this process");
    tiles.progress.show(exact(counts["in-progress"]), counts["in-progress"] ? "its commit is not proved yet" : "");
    tiles.completed.show(exact(counts.completed), "durable in the table");
    tiles.failed.show(exact(counts.failed), counts.failed ? "nothing was lost" : "", counts.failed ? "bad" : "");
    tiles.restored.show(exact(counts.restored), counts.restored ? "went on from a marker" : "began afresh");
    for (const kind of ["completed", "failed", "savepoint"]) say(facts[kind], summary(checkpoints.latest[kind], now, kind));
    const restored = checkpoints.restored;
    say(facts.restored, restored ? `Epoch ${restored.epoch}, ${ago(restored["at-ms"], now)}${restored.savepoint ? `, from savepoint ${restored.savepoint}` : ", from the table's marker"}` : "None: this process began afresh.");
    none.hidden = checkpoints.history.length > 0;
    history.hidden = checkpoints.history.length === 0;
    button.hidden = checkpoints.history.length <= SHOWN;
    say(button, all ? "Show fewer" : `Show all ${checkpoints.history.length}`);
    const shown = all ? checkpoints.history : checkpoints.history.slice(0, SHOWN);
    keyed(history.body, shown.flatMap((record) => [record, { details: record }]), key, (item) => (item.details ? makeDetails() : makeRow(item)), updateRow);
    if (!configured) {
      configured = true;
      const c = checkpoints.config;
      const line = (name, value) => config.append(h("div", {}, h("dt", {}, name), h("dd", {}, value)));
      line("Mode", c.mode);
      line("Interval", span(c["interval-ms"]));
      line("Timeout", span(c["timeout-ms"]));
      line("Minimum pause between checkpoints", span(c["min-pause-ms"]));
      line("Maximum concurrent checkpoints", exact(c["max-concurrent"]));
      line("Tolerable failed checkpoints", exact(c["tolerable-failed"]));
      line("Persisted externally", "Yes: a checkpoint is a commit of the table, and stays when the job is cancelled");
      line("Unaligned checkpoints", "Not needed: there are no barriers that could wait");
    }
  }
  return { root, update };
}

function id(record) {
  return `${record.epoch}@${record["triggered-at-ms"]}`;
}

function key(item) {
  return item.details ? `details ${id(item.details)}` : id(item);
}

function summary(record, now, kind) {
  if (!record) return { completed: "None yet.", failed: "None.", savepoint: "None yet." }[kind];
  const at = ago(ended(record), now);
  if (kind === "failed") return `Epoch ${record.epoch}, ${at}: ${record.failure}`;
  const where = record.savepoint ? `, in ${record.savepoint}` : "";
  return `Epoch ${record.epoch}, ${at}: ${exact(record.records)} records in ${exact(record.files)} files, ${bytes(record.bytes)}, took ${duration(record["duration-ms"])}${where}`;
}

function makeRow(record) {
  const opener = h("button", { type: "button", class: "quiet small", "aria-expanded": "false", "aria-label": `Details of epoch ${record.epoch}` }, "Details");
  const row = h("tr", {}, h("th", { scope: "row", class: "num" }, exact(record.epoch)), h("td"), h("td"), h("td", { class: "num" }), h("td", { class: "num" }),
    h("td", { class: "num" }), h("td", { class: "num" }), h("td", { class: "id" }), h("td", {}, opener));
  opener.addEventListener("click", () => {
    const open = opener.getAttribute("aria-expanded") !== "true";
    opener.setAttribute("aria-expanded", String(open));
    say(opener, open ? "Hide" : "Details");
    row.nextElementSibling.hidden = !open;
    if (open) row.nextElementSibling.fill();
  });
  return row;
}

// The offsets are fetched only when somebody looks.
function makeDetails() {
  const cell = h("td", { colspan: 9 });
  const row = h("tr", { class: "details", hidden: true }, cell);
  row.fill = async () => {
    const record = row.record;
    if (record.failure) return cell.replaceChildren(h("p", {}, h("strong", {}, "Failure: "), record.failure));
    if (record.status === "in progress") return cell.replaceChildren(h("p", {}, "Its offsets are known when it is durable."));
    let answer;
    try {
      answer = await (await fetch("/calve/checkpoints")).json();
    } catch {
      return cell.replaceChildren(h("p", {}, "The offsets could not be fetched: no connection."));
    }
    const found = answer.history.find((other) => id(other) === id(record));
    const topics = Object.entries(found?.offsets ?? {});
    const lines = topics.map(([topic, partitions]) => h("div", {}, h("dt", {}, topic),
      h("dd", { class: "offsets" }, Object.entries(partitions).map(([partition, next]) => h("span", {}, `${partition}: `, h("b", {}, exact(next)))))));
    cell.replaceChildren(h("p", {}, `Next offset of each partition${record.savepoint ? `; savepoint ${record.savepoint}` : ""}:`),
      lines.length ? h("dl", { class: "facts" }, lines) : h("p", {}, "No partition had been read."));
  };
  return row;
}

function updateRow(row, item) {
  if (item.details) {
    row.record = item.details;
    return;
  }
  const record = item;
  const cells = row.children;
  const kind = { periodic: "", manual: " (asked for)", savepoint: " (savepoint)" }[record.trigger];
  say(cells[1], `${record.status}${kind}`);
  cells[1].dataset.tone = { completed: "good", failed: "bad" }[record.status] ?? "";
  say(cells[2], time(record["triggered-at-ms"]));
  say(cells[3], duration(record["duration-ms"]));
  say(cells[4], bytes(record.bytes));
  say(cells[5], count(record.records));
  say(cells[6], exact(record.files));
  say(cells[7], record["snapshot-id"] ?? (record.status === "completed" ? "nothing to commit" : "–"));
}
