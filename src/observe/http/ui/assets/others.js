// Tables, rejects, configuration and logs.

import { bytes, count, empty, exact, h, keyed, percent, say, section, span, table, tile, time } from "./lib.js";

const DAY = 86_400_000;

export function tablesView() {
  const none = empty("The table is known after the first checkpoint of this process.");
  const name = h("h3", { class: "table-name" });
  const tiles = { rows: tile("Rows"), files: tile("Data files"), size: tile("Size"), average: tile("Average file"), snapshots: tile("Snapshots kept") };
  const outlook = h("p", { class: "sentence" });
  const facts = h("dl", { class: "facts" });
  const snapshots = table([{ name: "Snapshot" }, { name: "Committed" }, { name: "Operation" }, { name: "By" }, { name: "Rows added", class: "num" }, { name: "Files added", class: "num" }, { name: "Size added", class: "num" }], "Last snapshots");
  const some = h("div", {}, section("Table", name, h("dl", { class: "tiles five" }, Object.values(tiles)), facts), section("Small files", outlook), section("Last snapshots", snapshots));
  let known = "";
  return {
    root: h("div", {}, none, some),
    update(state) {
      const t = state.table;
      none.hidden = t !== null;
      some.hidden = t === null;
      if (t === null) return;
      say(name, t.name);
      const average = t.files ? t.bytes / t.files : null;
      tiles.rows.show(count(t.rows), exact(t.rows));
      tiles.files.show(count(t.files));
      tiles.size.show(bytes(t.bytes));
      tiles.average.show(bytes(average), `${bytes(t["target-file-bytes"])} is the target`);
      tiles.snapshots.show(exact(t.snapshots), "in the metadata");
      say(outlook, small(state, average));
      const key = `${t.location} ${t["snapshot-id"]}`;
      if (key === known) return;
      known = key;
      const line = (k, v) => h("div", {}, h("dt", {}, k), h("dd", { class: "id" }, v));
      facts.replaceChildren(line("Location", t.location), line("UUID", t.uuid), line("Current snapshot", t["snapshot-id"] ?? "none"), line("Format version", String(t["format-version"])), line("Partitioned by", t.partitioning || "not partitioned"));
      keyed(snapshots.body, t.recent, (s) => s.id, (s) => h("tr", {}, h("td", { class: "id" }, s.id), h("td", {}, time(s["at-ms"])), h("td", {}, s.operation), h("td", {}, s.ours === null ? "another program" : s.files === 0 ? "a start of this pipeline" : `epoch ${s.ours}`), h("td", { class: "num" }, exact(s.rows)), h("td", { class: "num" }, exact(s.files)), h("td", { class: "num" }, bytes(s.bytes))), () => {});
    },
  };
}

// What the files of the last checkpoints add up to in a day.
function small(state, average) {
  const t = state.table;
  const target = t["target-file-bytes"];
  const done = state.checkpoints.history.filter((record) => record.status === "completed" && record.files > 0);
  if (done.length < 2) return "How many files a day brings can be told after two checkpoints with rows.";
  const time = done[0]["triggered-at-ms"] - done[done.length - 1]["triggered-at-ms"];
  const files = done.slice(0, -1).reduce((sum, record) => sum + record.files, 0);
  const size = done.slice(0, -1).reduce((sum, record) => sum + record.bytes, 0) / Math.max(1, files);
  const perDay = (files * DAY) / Math.max(1, time);
  const rateText = `At the rate of the last ${done.length} checkpoints a day adds ${count(Math.round(perDay))} files of ${bytes(size)} on average`;
  if (size >= target / 4) return `${rateText}: no small-file problem in sight.`;
  const interval = state.checkpoints.config["interval-ms"];
  return `${rateText}, ${percent(size / target)} of the target of ${bytes(target)}. Compact the table now and then, or make checkpoints rarer (${span(interval)} now) or workers fewer (${state.parallelism} now).`;
}

export function rejectsView() {
  const tiles = { count: tile("Rejected records"), share: tile("Of what was read"), policy: tile("Policy") };
  const none = empty("Every record that was read could be decoded.");
  const rows = table([{ name: "When" }, { name: "Topic" }, { name: "Partition", class: "num" }, { name: "Offset", class: "num" }, { name: "Why" }], "Last rejects");
  const box = section("Last rejects", none, rows);
  return {
    root: h("div", {}, h("dl", { class: "tiles three" }, Object.values(tiles)), box),
    update(state) {
      const { rejects, figures } = state;
      tiles.count.show(exact(rejects.count), "by this process", rejects.count ? "warn" : "");
      tiles.share.show(figures["records-read"] ? percent(rejects.count / figures["records-read"]) : "–");
      tiles.policy.show(rejects.policy, { halt: "the first one stops the pipeline", skip: "they are counted, logged and left out" }[rejects.policy] ?? "");
      none.hidden = rejects.recent.length > 0;
      rows.hidden = rejects.recent.length === 0;
      keyed(rows.body, rejects.recent, (r) => `${r.topic}/${r.partition}/${r.offset}/${r["at-ms"]}`, (r) => h("tr", {}, h("td", {}, time(r["at-ms"])), h("td", {}, r.topic), h("td", { class: "num" }, String(r.partition)), h("td", { class: "num" }, exact(r.offset)), h("td", { class: "why" }, r.reason)), () => {});
    },
  };
}

export function configurationView() {
  const filter = h("input", { type: "search", placeholder: "Part of a name or value", "aria-label": "Filter the settings", autocomplete: "off" });
  const changed = h("input", { type: "checkbox", id: "changed" });
  const rows = table([{ name: "Key" }, { name: "Value" }, { name: "From" }, { name: "What it is", class: "why" }], "Effective settings");
  const none = empty("No setting fits the filter.");
  let settings = null;
  const draw = () => {
    const part = filter.value.trim().toLowerCase();
    const fits = (settings ?? []).filter((s) => (!changed.checked || s.layer !== "default") && (!part || `${s.key} ${s.value ?? ""}`.toLowerCase().includes(part)));
    none.hidden = settings === null || fits.length > 0;
    keyed(rows.body, fits, (s) => s.key, (s) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, s.key)), h("td", { class: "value" }, s.value === null ? h("span", { class: "unset" }, "not set") : h("code", {}, s.value)), h("td", { class: "from" }, s.layer), h("td", { class: "why" }, s.doc)), () => {});
  };
  filter.addEventListener("input", draw);
  changed.addEventListener("change", draw);
  return {
    root: section("Effective settings", h("div", { class: "row tools" }, filter, h("label", { class: "check", for: "changed" }, changed, " Only what differs from the defaults")), rows, none),
    async update() {
      if (settings !== null) return;
      settings = [];
      try {
        settings = (await (await fetch("/calve/settings")).json()).settings;
        draw();
      } catch {
        settings = null;
      }
    },
  };
}

const LEVELS = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

export function logsView() {
  const level = h("select", { "aria-label": "Least level to show" }, LEVELS.map((l) => h("option", { value: l, selected: l === "INFO" }, l.toLowerCase())));
  const filter = h("input", { type: "search", placeholder: "Part of a line", "aria-label": "Filter the lines", autocomplete: "off" });
  const list = h("ol", { class: "log", tabindex: 0, role: "log", "aria-label": "Log", "aria-live": "off" });
  const none = empty("No line fits the filter.");
  let lines = [];
  let newest = 0;
  let asking = false;
  const draw = () => {
    const least = LEVELS.indexOf(level.value);
    const part = filter.value.trim().toLowerCase();
    const fits = lines.filter((l) => LEVELS.indexOf(l.level) <= least && (!part || l.text.toLowerCase().includes(part)));
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 24;
    none.hidden = fits.length > 0;
    keyed(list, fits, (l) => l.number, (l) => h("li", { "data-level": l.level }, h("time", {}, time(l["at-ms"])), h("b", {}, l.level), h("span", {}, l.text)), () => {});
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
  level.addEventListener("change", draw);
  filter.addEventListener("input", draw);
  return {
    root: section("Log", h("div", { class: "row tools" }, level, filter), list, none),
    async update(state) {
      if (asking || state["log-newest"] <= newest) return;
      asking = true;
      try {
        const answer = await (await fetch(`/calve/logs?after=${newest}`)).json();
        lines = [...lines, ...answer.lines].slice(-answer.kept);
        newest = lines.length ? lines[lines.length - 1].number : newest;
        draw();
      } catch {
        // The banner says that there is no connection; the next state asks again.
      } finally {
        asking = false;
      }
    },
  };
}
