// What all views use: elements, keyed lists, and how figures are written.

// An element: h("p", { class: "note", onclick: f }, "text", anotherElement). What is null or false is left out.
export function h(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== false));
  return element;
}

// Changes a text only if it differs, so that selections and screen readers are left alone.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Keeps the children of `parent` in step with `items`: one element a key, made once, moved only if the order changed.
export function keyed(parent, items, key, make, update) {
  const known = (parent.known ??= new Map());
  const seen = new Set();
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    seen.add(id);
    let element = known.get(id);
    if (!element) known.set(id, (element = make(item)));
    update(element, item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const [id, element] of known) {
    if (!seen.has(id)) {
      element.remove();
      known.delete(id);
    }
  }
}

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// 950 → "950", 1,234 → "1,234", 12,345 → "12.3 k", 1,580,000 → "1.58 M"
export function count(n) {
  if (n === null || n === undefined) return NONE;
  return Math.abs(n) < 10_000 ? whole.format(n) : scaled(n, ["", "k", "M", "G", "T", "P"]);
}

// Beside the lines of a chart: 5,000 → "5 k", 12,500 → "12.5 k"
export function short(n) {
  return scaled(n, ["", "k", "M", "G", "T", "P"]).replace(/\.0+ /, " ");
}

// Every digit.
export function exact(n) {
  return n === null || n === undefined ? NONE : whole.format(n);
}

// 262_000_000 → "262 MB"
export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  return scaled(n, ["B", "kB", "MB", "GB", "TB", "PB"]);
}

export function rate(n, unit = "rec/s") {
  if (n === null || n === undefined) return NONE;
  return `${scaled(n, ["", "k", "M", "G"])} ${unit}`.replace("  ", " ");
}

function scaled(n, units) {
  let step = 0;
  let value = n;
  while (Math.abs(value) >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = step === 0 ? 0 : value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[step]}`.trim();
}

export function percent(fraction) {
  if (fraction === null || fraction === undefined || Number.isNaN(fraction)) return NONE;
  const value = fraction * 100;
  return `${value.toFixed(value >= 0.05 && value < 9.95 ? 1 : 0)} %`;
}

// 850 → "850 ms", 4,210 → "4.2 s", 72,000 → "1 min 12 s"
export function duration(ms) {
  if (ms === null || ms === undefined) return NONE;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 59.95) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60) % 60} s`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} days`;
}

// A setting's duration: 60,000 → "1 min", never "1 min 0 s".
export function span(ms) {
  return duration(ms).replace(/ (0 s|0 min)$/, "").replace(/\.0 s$/, " s");
}

export function ago(ms, now) {
  return ms === null || ms === undefined ? NONE : `${duration(Math.max(0, now - ms))} ago`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

export function time(ms) {
  if (ms === null || ms === undefined) return NONE;
  const today = date.format(Date.now()) === date.format(ms);
  return today ? clock.format(ms) : `${date.format(ms)} ${clock.format(ms)}`;
}

// When a checkpoint became durable or failed.
export function ended(record) {
  return record["triggered-at-ms"] + (record["duration-ms"] ?? 0);
}

// A part of a page under a heading.
export function section(title, ...children) {
  return h("section", { class: "panel" }, h("h2", {}, title), ...children);
}

// A figure with a name above and a remark below.
export function tile(name) {
  const value = h("dd", { class: "value" }, NONE);
  const note = h("dd", { class: "note" }, "\u00a0");
  const element = h("div", { class: "tile" }, h("dt", {}, name), value, note);
  element.show = (text, remark = "", tone = "") => {
    say(value, text);
    say(note, remark || "\u00a0");
    element.dataset.tone = tone;
  };
  return element;
}

// A sentence where there is nothing to show.
export function empty(text) {
  return h("p", { class: "empty" }, text);
}

// A bar of a value against its limit.
export function meter(label) {
  const text = h("span", { class: "figure" }, NONE);
  const fill = h("span", { class: "fill" });
  const bar = h("span", { class: "track", role: "meter", "aria-label": label, "aria-valuemin": 0 }, fill);
  const element = h("div", { class: "meter" }, h("span", { class: "label" }, label), text, bar);
  element.show = (value, max, said) => {
    const share = max > 0 ? Math.min(1, value / max) : 0;
    say(text, said);
    fill.style.width = `${share * 100}%`;
    bar.dataset.tone = share >= 0.98 ? "bad" : share >= 0.8 ? "warn" : "";
    bar.setAttribute("aria-valuemax", max);
    bar.setAttribute("aria-valuenow", value);
    bar.setAttribute("aria-valuetext", said);
  };
  return element;
}

// A table in a box of its own, which scrolls if it must, so that the page does not.
export function table(columns, label) {
  const body = h("tbody");
  const head = columns.map((column) => h("th", { scope: "col", class: column.class }, column.name));
  const box = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, head)), body));
  box.body = body;
  return box;
}
