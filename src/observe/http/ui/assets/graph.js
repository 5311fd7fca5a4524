// The dataflow as a picture: operators in layers, edges with what flows and what may still come.

import { count, empty, exact, h, keyed, percent, say, section, table } from "./lib.js";

// Operators that only move control records around; the picture is clearer without them.
const PLUMBING = new Set(["Broadcast", "Concatenate", "Exchange", "Feedback", "Filter", "FlatMap", "FlatMapBuilder", "Map", "Inspect"]);
const BOX = { w: 150, h: 66 };
const GAP = 82;

// ---- From the figures to a graph of what is to be seen (no page in here) ----

// The operators to draw and the edges between them; a chain of hidden operators becomes one edge.
export function visible(graph, all) {
  const shown = new Map(graph.operators.filter((o) => all || !PLUMBING.has(o.name)).map((o) => [o.node, o]));
  const out = new Map();
  for (const edge of graph.edges) out.set(edge.from[0], [...(out.get(edge.from[0]) ?? []), edge]);
  const edges = new Map();
  const follow = (origin, first, edge, seen) => {
    const node = edge.to[0];
    if (shown.has(node)) {
      const key = `${origin}→${node}`;
      // Of several ways the busier one is worth telling.
      if (!edges.has(key) || edges.get(key).items < first.items) edges.set(key, { key, from: origin, to: node, ...told(first, edge) });
      return;
    }
    if (seen.has(node)) return;
    for (const next of out.get(node) ?? []) follow(origin, first, next, new Set([...seen, node]));
  };
  for (const node of shown.keys()) for (const edge of out.get(node) ?? []) follow(node, edge, edge, new Set());
  return { nodes: [...shown.values()], edges: [...edges.values()] };
}

function told(first, last) {
  return { items: first.items, item: first.item, frontier: last.frontier };
}

// A layer for each node: one more than the farthest node that leads to it. Edges that would close a circle lead back.
export function layers({ nodes, edges }) {
  const from = new Map(nodes.map((n) => [n.node, []]));
  const inbound = new Map(nodes.map((n) => [n.node, 0]));
  for (const edge of edges) {
    from.get(edge.from).push(edge);
    if (edge.from !== edge.to) inbound.set(edge.to, inbound.get(edge.to) + 1);
  }
  const back = new Set();
  const state = new Map();
  const visit = (node) => {
    state.set(node, "open");
    for (const edge of from.get(node)) {
      if (state.get(edge.to) === "open") back.add(edge.key);
      else if (!state.has(edge.to)) visit(edge.to);
    }
    state.set(node, "done");
  };
  const begin = [...nodes].sort((a, b) => rank(a) - rank(b) || inbound.get(a.node) - inbound.get(b.node));
  for (const n of begin) if (!state.has(n.node)) visit(n.node);
  const layer = new Map(nodes.map((n) => [n.node, 0]));
  for (let round = 0; round < nodes.length; round += 1) {
    for (const edge of edges) {
      if (!back.has(edge.key)) layer.set(edge.to, Math.max(layer.get(edge.to), layer.get(edge.from) + 1));
    }
  }
  return { layer, back };
}

// The coordinator begins every checkpoint, so it comes first.
function rank(operator) {
  return operator.name === "Coordinator" ? 0 : 1;
}

// Where each box goes, in a picture that grows to the right, or downwards on a narrow screen. An edge that leaps over layers
// gets a lane of its own in each of them, so that it runs around the boxes there.
export function place(seen, upright) {
  const { layer, back } = layers(seen);
  const columns = [];
  for (const n of seen.nodes) (columns[layer.get(n.node)] ??= []).push({ id: n.node, box: true });
  const lanes = new Map();
  const leads = seen.edges.filter((edge) => !back.has(edge.key)).flatMap((edge) => {
    let from = edge.from;
    const steps = [];
    const passed = [];
    for (let depth = layer.get(edge.from) + 1; depth < layer.get(edge.to); depth += 1) {
      const id = `${edge.key}@${depth}`;
      (columns[depth] ??= []).push({ id, box: false });
      passed.push(id);
      steps.push([from, id]);
      from = id;
    }
    lanes.set(edge.key, passed);
    return [...steps, [from, edge.to]];
  });
  // The order within a layer follows what leads there, so that fewer edges cross.
  const spot = new Map();
  const thick = (item) => (upright ? (item.box ? BOX.w : 22) : item.box ? BOX.h : 22);
  const gap = upright ? 14 : 24;
  const extent = (column) => column.reduce((sum, item) => sum + thick(item) + gap, -gap);
  for (const column of columns) {
    const weight = (item) => {
      const from = leads.filter(([, to]) => to === item.id).map(([origin]) => spot.get(origin) ?? 0);
      return from.length ? from.reduce((a, b) => a + b, 0) / from.length : 0;
    };
    column.sort((a, b) => weight(a) - weight(b) || Number(b.box) - Number(a.box));
    let side = -extent(column) / 2;
    for (const item of column) {
      spot.set(item.id, side + thick(item) / 2);
      side += thick(item) + gap;
    }
  }
  const breadth = Math.max(...columns.map(extent));
  const step = upright ? BOX.h + 58 : BOX.w + GAP;
  const boxes = new Map();
  const points = new Map();
  columns.forEach((column, depth) => column.forEach((item) => {
    const middle = spot.get(item.id) + breadth / 2;
    if (item.box) boxes.set(item.id, upright ? { x: middle - BOX.w / 2, y: depth * step } : { x: depth * step, y: middle - BOX.h / 2 });
    else points.set(item.id, { middle, begin: depth * step, end: depth * step + (upright ? BOX.h : BOX.w) });
  }));
  const loops = back.size ? 34 : 0;
  const length = (columns.length - 1) * step + (upright ? BOX.h : BOX.w);
  const size = upright ? { w: breadth + loops, h: length } : { w: length, h: breadth + loops };
  return { boxes, back, size, lane: (edge) => (lanes.get(edge.key) ?? []).map((id) => points.get(id)) };
}

// ---- The page ----

export function graphView(app) {
  const said = h("p", { class: "sentence", role: "status" }, "–");
  const all = h("input", { type: "checkbox", id: "plumbing" });
  const svg = h("svg:svg", { class: "graph", role: "img", "aria-label": "The operators of the dataflow and what flows between them" });
  const box = h("div", { class: "scroll graph-box", tabindex: 0, role: "region", "aria-label": "Dataflow" }, svg);
  const rows = table(
    [
      { name: "Operator" }, { name: "Busy", class: "num" }, { name: "On each worker" },
      { name: "Sent", class: "num" }, { name: "Items" }, { name: "Runs", class: "num" }, { name: "Waits for epoch", class: "num" },
    ],
    "Operators",
  );
  const none = empty("No dataflow runs at the moment; its picture comes with the first records.");
  const picture = section("Dataflow", said, box, none,
    h("label", { class: "check", for: "plumbing" }, all, " Show operators that only pass control records on"));
  const root = h("div", {}, picture, section("Operators", rows));
  let last = null;

  const draw = () => {
    // Without a width it is not on the page yet; the observer calls again.
    if (!last || !box.clientWidth) return;
    const { state, busy } = last;
    const { graph, figures } = state;
    const upright = box.clientWidth < 720;
    const seen = visible(graph, all.checked);
    const { boxes, back, size, lane } = place(seen, upright);
    const holders = new Set(graph.holders.map((holder) => holder.node));
    // Beside a lane at the edge there is a label.
    const pad = { x: upright ? 28 : 8, y: 8 };
    const w = size.w + 2 * pad.x;
    const hgt = size.h + 2 * pad.y + 8;
    svg.setAttribute("viewBox", `${-pad.x} ${-pad.y} ${w} ${hgt}`);
    svg.setAttribute("width", w);
    const parts = [arrow()];
    for (const edge of seen.edges) parts.push(...drawEdge(edge, boxes, lane(edge), back.has(edge.key), upright, size));
    for (const node of seen.nodes) {
      parts.push(drawNode(node, boxes.get(node.node), busy.get(node.node), holders.has(node.node), records(node, figures)));
    }
    svg.replaceChildren(...parts);
  };
  all.addEventListener("change", () => app.state && page.update(app.state));
  new ResizeObserver(draw).observe(box);

  const page = {
    root,
    update(state) {
      const graph = state.graph;
      say(said, graph.says);
      const present = graph !== null && graph.operators.length > 0;
      none.hidden = present;
      box.hidden = !present;
      if (!present) return;
      const busy = utilisation(state, app.before(5_000));
      last = { state, busy };
      draw();
      const listed = graph.operators.filter((o) => all.checked || !PLUMBING.has(o.name));
      keyed(rows.body, listed, (o) => o.node, makeRow, (row, o) => updateRow(row, o, graph, busy.get(o.node)));
    },
  };
  return page;
}

// For each operator: which part of the last seconds it has run, on each worker.
function utilisation(state, before) {
  const earlier = new Map((before?.graph?.operators ?? []).map((o) => [o.node, o]));
  const elapsed = before ? state["at-ms"] - before["at-ms"] : 0;
  return new Map(state.graph.operators.map((o) => {
    const was = earlier.get(o.node);
    const known = was && elapsed > 0 && was["busy-ms"].length === o["busy-ms"].length;
    return [o.node, known ? o["busy-ms"].map((ms, i) => Math.min(1, Math.max(0, (ms - was["busy-ms"][i]) / elapsed))) : null];
  }));
}

function mean(shares) {
  return shares ? shares.reduce((a, b) => a + b, 0) / shares.length : null;
}

// What is counted in records; batches between operators say little about them.
function records(operator, figures) {
  const name = { "Kafka source": "records-read", Stage: "records-staged", Commit: "records-committed", Rejected: "records-rejected" }[operator.name];
  return name ? `${count(figures[name])} rec` : null;
}

function drawNode(operator, at, busy, holds, said) {
  const share = mean(busy);
  const group = h("svg:g", { class: holds ? "node holds" : "node", transform: `translate(${at.x} ${at.y})` },
    h("svg:title", {}, `${operator.name}: busy ${percent(share)}`),
    h("svg:rect", { class: "box", width: BOX.w, height: BOX.h, rx: 8 }),
    h("svg:text", { class: "name", x: 10, y: 23 }, operator.name),
    h("svg:text", { class: "busy", x: BOX.w - 10, y: 42, "text-anchor": "end" }, percent(share)),
    h("svg:text", { class: "said", x: 10, y: 42 }, said ?? `${count(operator.runs)} runs`));
  // One bar a worker: its length is how busy the operator keeps it.
  const shares = busy ?? [];
  const width = (BOX.w - 20 - 3 * (shares.length - 1)) / Math.max(1, shares.length);
  shares.forEach((part, i) => {
    const x = 10 + i * (width + 3);
    group.append(
      h("svg:rect", { class: "slot", x, y: 52, width, height: 5, rx: 2.5 }),
      h("svg:rect", { class: "load", x, y: 52, width: Math.max(part > 0.005 ? 2 : 0, width * part), height: 5, rx: 2.5 }),
    );
  });
  return group;
}

function drawEdge(edge, boxes, lane, leadsBack, upright, size) {
  const a = boxes.get(edge.from);
  const b = boxes.get(edge.to);
  const path = leadsBack ? loop(a, b, upright, size) : way(a, b, lane, upright);
  const frontier = edge.frontier === null ? "closed" : `epoch ${edge.frontier}`;
  const label = `${count(edge.items)} ${kind(edge.item)}`.trim();
  const line = h("svg:path", { class: leadsBack ? "edge back" : "edge", d: path, "marker-end": "url(#tip)" },
    h("svg:title", {}, `${label} sent; ${frontier} or later may still come`));
  if (leadsBack) return [line];
  // An edge with a lane has room there; another one in the middle of its way.
  const middle = (u, v) => (u + v) / 2;
  const room = lane[lane.length >> 1];
  const at = room
    ? { along: middle(room.begin, room.end), side: room.middle }
    : upright
      ? { along: middle(a.y + BOX.h, b.y), side: middle(a.x, b.x) + BOX.w / 2 }
      : { along: middle(a.x + BOX.w, b.x), side: middle(a.y, b.y) + BOX.h / 2 };
  const [x, y] = upright ? [at.side, at.along] : [at.along, at.side];
  // Beside each other boxes leave room for some ten characters.
  const short = upright || room || label.length <= 10 ? label : count(edge.items);
  return [
    line,
    h("svg:text", { class: "label", x, y: y - 5, "text-anchor": "middle" }, short),
    h("svg:text", { class: "label frontier", x, y: y + 13, "text-anchor": "middle" }, frontier),
  ];
}

// What an edge carries, in a word: "(usize, Report)" is a report, and "u64" has no name.
function kind(item) {
  return (item.match(/[A-Z]\w*/g) ?? []).join(", ");
}

// From the end of one box along its lanes to the beginning of the other.
function way(a, b, lane, upright) {
  const at = (along, side) => (upright ? `${side} ${along}` : `${along} ${side}`);
  let along = upright ? a.y + BOX.h : a.x + BOX.w;
  let side = upright ? a.x + BOX.w / 2 : a.y + BOX.h / 2;
  let path = `M${at(along, side)}`;
  const bend = (to, toSide) => {
    const half = (to - along) / 2;
    path += `C${at(along + half, side)} ${at(to - half, toSide)} ${at(to, toSide)}`;
    along = to;
    side = toSide;
  };
  for (const point of lane) {
    bend(point.begin, point.middle);
    path += `L${at(point.end, point.middle)}`;
    along = point.end;
  }
  bend((upright ? b.y : b.x) - 3, upright ? b.x + BOX.w / 2 : b.y + BOX.h / 2);
  return path;
}

// Back along the edge of the picture.
function loop(a, b, upright, size) {
  if (upright) {
    const x = size.w - 4;
    return `M${a.x + BOX.w} ${a.y + BOX.h / 2}C${x} ${a.y + BOX.h / 2} ${x} ${a.y} ${x} ${(a.y + b.y + BOX.h) / 2}`
      + `C${x} ${b.y + BOX.h} ${x} ${b.y + BOX.h / 2} ${b.x + BOX.w + 3} ${b.y + BOX.h / 2}`;
  }
  const y = size.h - 4;
  return `M${a.x + BOX.w / 2} ${a.y + BOX.h}C${a.x + BOX.w / 2} ${y} ${a.x} ${y} ${(a.x + b.x + BOX.w) / 2} ${y}`
    + `C${b.x + BOX.w} ${y} ${b.x + BOX.w / 2} ${y} ${b.x + BOX.w / 2} ${b.y + BOX.h + 3}`;
}

function arrow() {
  return h("svg:defs", {}, h("svg:marker", { id: "tip", viewBox: "0 0 8 8", refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" },
    h("svg:path", { class: "tip", d: "M0 0 8 4 0 8z" })));
}

function makeRow(operator) {
  const cells = { busy: h("td", { class: "num" }), each: h("td", { class: "each" }), sent: h("td", { class: "num" }), items: h("td"), runs: h("td", { class: "num" }), frontier: h("td", { class: "num" }) };
  const row = h("tr", {}, h("th", { scope: "row" }, operator.name), cells.busy, cells.each, cells.sent, cells.items, cells.runs, cells.frontier);
  row.cells_ = cells;
  return row;
}

function updateRow(row, operator, graph, busy) {
  const cells = row.cells_;
  say(cells.busy, percent(mean(busy)));
  say(cells.each, busy ? busy.map((share) => percent(share)).join(" · ") : "–");
  const out = graph.edges.filter((edge) => edge.from[0] === operator.node);
  say(cells.sent, out.length ? exact(out.reduce((sum, edge) => sum + edge.items, 0)) : "–");
  say(cells.items, [...new Set(out.map((edge) => kind(edge.item)).filter(Boolean))].join(", ") || "–");
  say(cells.runs, exact(operator.runs));
  const into = graph.edges.filter((edge) => edge.to[0] === operator.node).map((edge) => edge.frontier).filter((epoch) => epoch !== null);
  say(cells.frontier, into.length ? exact(Math.min(...into)) : "–");
}

// How busy each worker is, over all its operators: for the overview.
export function loads(state, before) {
  const graph = state.graph;
  if (!graph) return [];
  const busy = utilisation(state, before);
  return graph.workers.map((worker, i) => {
    const shares = [...busy.values()];
    const known = shares.length > 0 && shares.every(Boolean);
    return { worker, share: known ? Math.min(1, shares.reduce((sum, share) => sum + share[i], 0)) : null };
  });
}
