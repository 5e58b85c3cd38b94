// A small line plot in SVG: axes, curves, a marker. Colours come from the page's variables.

import { s } from "./dom.js";

/**
 * Draw curves of [x, y] pairs.
 *
 * x and y are {min, max, ticks: [[value, text], ...], label}; curves are {points, tone}; marks are
 * {x, y, tone}. Points that are not finite interrupt a curve.
 */
export function plot({ width = 340, height = 170, x, y, curves, marks = [], lines = [], label }) {
  const box = { left: 46, right: width - 10, top: 10, bottom: height - 34 };
  const px = (v) => box.left + ((v - x.min) / (x.max - x.min)) * (box.right - box.left);
  const py = (v) =>
    box.bottom -
    ((Math.min(y.max, Math.max(y.min, v)) - y.min) / (y.max - y.min)) * (box.bottom - box.top);
  const at = (v) => v.toFixed(1);
  const path = (points) => {
    let pen = "M";
    return points
      .map(([a, b]) => {
        if (!Number.isFinite(b)) {
          pen = "M";
          return "";
        }
        const part = `${pen}${at(px(a))} ${at(py(b))}`;
        pen = "L";
        return part;
      })
      .join("");
  };
  return s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, class: "plot", role: "img", "aria-label": label },
    y.ticks.map(([v, text]) => [
      s("line", { class: "gridline", x1: box.left, x2: box.right, y1: at(py(v)), y2: at(py(v)) }),
      s("text", { class: "tick", x: box.left - 7, y: at(py(v) + 3.5), "text-anchor": "end" }, text),
    ]),
    x.ticks.map(([v, text]) =>
      s("text", { class: "tick", x: at(px(v)), y: box.bottom + 15, "text-anchor": "middle" }, text),
    ),
    x.label &&
      s(
        "text",
        { class: "axis-label", x: box.right, y: height - 3, "text-anchor": "end" },
        x.label,
      ),
    lines.map(({ x: v, tone }) =>
      s("line", {
        class: `mark-line ${tone ?? ""}`,
        x1: at(px(v)),
        x2: at(px(v)),
        y1: box.top,
        y2: box.bottom,
      }),
    ),
    curves.map(({ points, tone }) => s("path", { class: `curve ${tone ?? ""}`, d: path(points) })),
    marks
      .filter((m) => Number.isFinite(m.y))
      .map((m) =>
        s("circle", { class: `mark ${m.tone ?? ""}`, cx: at(px(m.x)), cy: at(py(m.y)), r: 4.5 }),
      ),
  );
}
