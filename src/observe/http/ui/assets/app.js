// The frame: the connection to the pipeline, the views, and what can be done.

import { h, say, span } from "./lib.js";
import { overviewView } from "./overview.js";
import { graphView } from "./graph.js";
import { checkpointsView } from "./checkpoints.js";
import { configurationView, logsView, rejectsView, tablesView } from "./others.js";

const VIEWS = [
  ["overview", "Overview", overviewView],
  ["graph", "Graph", graphView],
  ["checkpoints", "Checkpoints", checkpointsView],
  ["tables", "Tables", tablesView],
  ["rejects", "Rejects", rejectsView],
  ["configuration", "Configuration", configurationView],
  ["logs", "Logs", logsView],
];
const SERIES_MAX = 320;
const HISTORY_MAX = 30;
const QUIET_MS = 4_000;
const RETRY_MS = 2_000;

const $ = (id) => document.getElementById(id);
const app = {
  state: null,
  series: [],
  // The last states, oldest first: figures that count are read as rates between two of them.
  states: [],
  before(ms) {
    const newest = this.state["at-ms"];
    return this.states.find((state) => newest - state["at-ms"] <= ms && state !== this.state) ?? null;
  },
};

// ---- Views ----

let view = null;
const built = new Map();

function show() {
  const name = location.hash.replace("#/", "");
  const [id, title, make] = VIEWS.find(([id]) => id === name) ?? VIEWS[0];
  if (!built.has(id)) built.set(id, make(app));
  view = built.get(id);
  document.title = `${title} · ${app.state?.pipeline ?? "calve"} · calve`;
  for (const link of $("tabs").children) {
    if (link.dataset.view === id) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("view").replaceChildren(view.root);
  update();
}

// Nothing stands there before the first figures, so that nothing jumps when they come.
function update() {
  view.root.hidden = !app.state;
  if (app.state) view.update(app.state);
}

function tabs() {
  $("tabs").append(...VIEWS.map(([id, title]) => h("a", { href: `#/${id}`, "data-view": id, "data-title": title }, title)));
  // Left and right go from tab to tab, as people expect of tabs; Tab does, too.
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const links = [...$("tabs").children];
    const next = links[(links.indexOf(document.activeElement) + step + links.length) % links.length];
    next.focus();
    event.preventDefault();
  });
  addEventListener("hashchange", show);
}

// ---- The connection ----

let seen = 0;
let source = null;

function take(state) {
  seen = Date.now();
  if (app.state && state["started-ms"] !== app.state["started-ms"]) location.reload();
  app.state = state;
  app.states = [...app.states, state].slice(-HISTORY_MAX);
  if (state.series) app.series = state.series;
  else if (state.point) app.series = [...app.series, state.point].slice(-SERIES_MAX);
  header(state);
  update();
}

async function connect() {
  try {
    const answer = await fetch("/calve/state");
    if (!answer.ok) throw new Error(answer.statusText);
    app.states = [];
    take(await answer.json());
    source = new EventSource("/calve/events");
    source.onmessage = (event) => take(JSON.parse(event.data));
    source.onerror = retry;
  } catch {
    retry();
  }
}

function retry() {
  source?.close();
  source = null;
  setTimeout(connect, RETRY_MS);
}

function watch() {
  const silent = seen ? Date.now() - seen : performance.now();
  const lost = silent > QUIET_MS;
  $("lost").hidden = !lost;
  if (lost) say($("lost"), seen ? missed(silent) : "No connection to the pipeline yet; trying again.");
  document.body.classList.toggle("stale", lost);
  say($("seen"), seen ? (lost ? "not live" : "live") : "connecting");
}

function missed(silent) {
  const over = ["finished", "cancelled", "failed"].includes(app.state.phase);
  return `${over ? "The pipeline has ended" : "Connection lost"}, last seen ${span(silent - (silent % 1000))} ago. The figures below are as they were then; trying again.`;
}

function header(state) {
  say($("pipeline"), state.pipeline);
  say($("phase"), state.phase);
  $("phase").dataset.phase = state.phase;
  say($("version"), `calve ${state.version} · dataflow ${state.dataflow} · ${state.parallelism} ${state.parallelism === 1 ? "worker" : "workers"} · up ${span(Math.floor((state["at-ms"] - state["started-ms"]) / 1000) * 1000)}`);
  const possible = state.phase === "running" && state.changing !== "no";
  for (const button of $("actions").children) {
    button.disabled = !possible;
    button.title = state.changing === "no" ? "Only with rest.token, or on a loopback address" : "";
  }
}

// ---- What can be done ----

const ACTIONS = [
  {
    name: "Checkpoint now", path: "checkpoints", status: "checkpoints", yes: "Make a checkpoint",
    title: "Make a checkpoint now?", text: "The open epoch is closed at once. It shows up in the table as soon as its commit is proved.",
    done: (operation) => `Checkpoint ${operation.checkpointId} is in the table.`,
  },
  {
    name: "Savepoint", path: "savepoints", status: "savepoints", yes: "Make a savepoint", directory: true,
    title: "Make a savepoint?", text: "A checkpoint is made now, and a savepoint of it is written. It is kept until somebody deletes it.",
    done: (operation) => `The savepoint is in ${operation.location}.`,
  },
  {
    name: "Stop with savepoint", path: "stop", status: "savepoints", yes: "Stop the pipeline", directory: true, danger: true,
    title: "Stop the pipeline?", text: "No more records are read. A last checkpoint is made, a savepoint of it is written, and the process ends. “calve run” goes on from there.",
    done: (operation) => `The pipeline has stopped. The savepoint is in ${operation.location}.`,
  },
];
let token = "";

function actions() {
  $("actions").append(...ACTIONS.map((action) => h("button", { type: "button", class: action.danger ? "danger" : "", disabled: true, onclick: () => confirm(action) }, action.name)));
}

function confirm(action) {
  const dialog = $("ask");
  say($("ask-title"), action.title);
  say($("ask-text"), action.text);
  say($("ask-yes"), action.yes);
  $("ask-yes").className = action.danger ? "danger" : "primary";
  $("ask-directory-label").hidden = !action.directory;
  $("ask-directory").value = app.state["savepoints-dir"] ?? "";
  $("ask-token-label").hidden = app.state.changing !== "token";
  dialog.returnValue = "no";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    token = $("ask-token").value || token;
    act(action, $("ask-directory").value.trim());
  };
  dialog.showModal();
}

async function act(action, directory) {
  const note = toast(`${action.name}: asked for …`);
  const body = action.directory && directory ? { "target-directory": directory } : {};
  try {
    const accepted = await call("POST", action.path, body);
    for (;;) {
      await new Promise((later) => setTimeout(later, 300));
      const answer = await call("GET", `${action.status}/${accepted["request-id"]}`);
      if (answer.status.id !== "COMPLETED") continue;
      // Flink writes it so for savepoints, and so for checkpoints.
      const failure = answer.operation["failure-cause"] ?? answer.operation.failureCause;
      if (failure) throw new Error(failure["stack-trace"] ?? failure.class);
      return note.end(action.done(answer.operation), "good");
    }
  } catch (error) {
    note.end(`${action.name} has failed: ${error.message}`, "bad");
  }
}

async function call(method, path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`/jobs/${app.state.job}/${path}`, {
    method, headers: body ? { ...headers, "Content-Type": "application/json" } : headers, body: body && JSON.stringify(body),
  });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.errors?.join(" ") ?? answer.statusText);
  return json;
}

function toast(text) {
  const words = h("span", {}, text);
  const element = h("p", { class: "toast" }, words, h("button", { type: "button", class: "quiet small", "aria-label": "Dismiss", onclick: () => element.remove() }, "×"));
  $("toasts").append(element);
  element.end = (said, tone) => {
    say(words, said);
    element.dataset.tone = tone;
    if (tone === "good") setTimeout(() => element.remove(), 15_000);
  };
  return element;
}

// ---- Light and dark ----

const THEMES = ["auto", "light", "dark"];

function theme(chosen) {
  document.documentElement.dataset.theme = chosen;
  say($("theme").lastElementChild, chosen);
}

theme(localStorage.getItem("theme") ?? "auto");
$("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  localStorage.setItem("theme", next);
  theme(next);
});
tabs();
actions();
show();
connect();
setInterval(watch, 1_000);
