// A line over the last minutes, as SVG: drawn anew once a second, read with the pointer.

import { h, say, short, time } from "./lib.js";

const MARGIN = { top: 8, right: 8, bottom: 22, left: 56 };
const MINUTE = 60_000;

// `lines`: [{ name, class, at: index into a point, format }]; points are [ms, figure, …]. `marks` names moments that
// are shown as ticks beneath it.
export function chart(label, lines, { height = 200, spanMs = 5 * MINUTE, marks = null } = {}) {
  const svg = h("svg:svg", { class: "chart", height, role: "img", "aria-label": label });
  const legend = h("p", { class: "legend" }, lines.map((line) =>
    h("span", { class: line.class }, h("i"), `${line.name} `, h("b", {}, "–"))));
  if (marks) legend.append(h("span", { class: "marks" }, h("i"), marks));
  const when = h("span", { class: "when" }, "\u00a0");
  legend.append(when);
  const element = h("figure", { class: "chart-box" }, legend, svg);
  let points = [];
  let moments = [];
  let pointed = null;

  const draw = () => {
    const width = Math.max(240, element.clientWidth);
    const inner = { w: width - MARGIN.left - MARGIN.right, h: height - MARGIN.top - MARGIN.bottom };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("width", width);
    const end = points.length ? points[points.length - 1][0] : Date.now();
    const shown = points.filter((point) => point[0] >= end - spanMs);
    const top = ceiling(Math.max(0, ...shown.flatMap((point) => lines.map((line) => point[line.at]))));
    const x = (ms) => MARGIN.left + inner.w * (1 - (end - ms) / spanMs);
    const y = (figure) => MARGIN.top + inner.h * (1 - figure / top);
    const parts = [];
    for (let step = 0; step <= 4; step += 1) {
      const figure = (top * step) / 4;
      parts.push(h("svg:line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(figure), y2: y(figure) }));
      parts.push(h("svg:text", { class: "axis", x: MARGIN.left - 8, y: y(figure) + 4, "text-anchor": "end" },
        short(figure)));
    }
    const every = width < 420 ? 2 : 1;
    for (let minute = 0; minute * MINUTE <= spanMs; minute += every) {
      const anchor = minute === 0 ? "end" : minute * MINUTE === spanMs ? "start" : "middle";
      parts.push(h("svg:text", { class: "axis", x: x(end - minute * MINUTE), y: height - 5, "text-anchor": anchor },
        minute === 0 ? "now" : `−${minute} min`));
    }
    for (const line of lines) {
      if (shown.length < 2) continue;
      const path = shown.map((point, i) => `${i ? "L" : "M"}${x(point[0]).toFixed(1)} ${y(point[line.at]).toFixed(1)}`).join("");
      const floor = `L${x(end).toFixed(1)} ${y(0)}L${x(shown[0][0]).toFixed(1)} ${y(0)}Z`;
      parts.push(h("svg:path", { class: `area ${line.class}`, d: path + floor }));
      parts.push(h("svg:path", { class: `line ${line.class}`, d: path }));
    }
    for (const moment of moments.filter((ms) => ms > end - spanMs && ms <= end)) {
      parts.push(h("svg:path", { class: "mark", d: `M${x(moment).toFixed(1)} ${y(0) + 1}v6` }, h("svg:title", {}, time(moment))));
    }
    if (shown.length < 2) {
      parts.push(h("svg:text", { class: "axis", x: MARGIN.left + inner.w / 2, y: MARGIN.top + inner.h / 2, "text-anchor": "middle" },
        "The first figures come in a moment."));
    }
    let read = shown[shown.length - 1];
    if (pointed !== null && shown.length) {
      const at = end - spanMs * (1 - (pointed - MARGIN.left) / inner.w);
      read = shown.reduce((best, point) => (Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best));
      parts.push(h("svg:line", { class: "cursor", x1: x(read[0]), x2: x(read[0]), y1: MARGIN.top, y2: y(0) }));
    }
    svg.replaceChildren(...parts);
    lines.forEach((line, i) => say(legend.children[i].querySelector("b"), read ? line.format(read[line.at]) : "–"));
    say(when, pointed !== null && read ? time(read[0]) : "\u00a0");
    if (read) {
      svg.setAttribute("aria-label", `${label}: ${lines.map((line) => `${line.name} ${line.format(read[line.at])}`).join(", ")}`);
    }
  };
  svg.addEventListener("pointermove", (event) => {
    pointed = event.clientX - svg.getBoundingClientRect().left;
    draw();
  });
  svg.addEventListener("pointerleave", () => {
    pointed = null;
    draw();
  });
  new ResizeObserver(draw).observe(element);
  element.show = (series, marked = []) => {
    points = series;
    moments = marked;
    draw();
  };
  return element;
}

// The top of the axis: four times the next of 1, 2, 3, 5 × 10ⁿ, so that what stands beside its lines is whole and round.
function ceiling(figure) {
  const quarter = Math.max(1, figure / 4);
  const power = 10 ** Math.floor(Math.log10(quarter));
  return 4 * [1, 2, 3, 5, 10].map((step) => step * power).find((step) => step >= quarter);
}
