// The gradient checked by central differences, on the spot, in the precision that the reader chooses.

import { attributes, card, choice, fill, h } from "../dom.js";
import { power, signed } from "../format.js";
import { centralDifferences, lossOf, relativeError } from "../math/differences.js";
import { rounder } from "../math/rounding.js";
import { plot } from "../plot.js";

const STEPS = Array.from({ length: 25 }, (_, k) => -12 + k / 2);

/** Numeric gradient and its error for one step size. */
export function checkGradient(model, precision, exponent) {
  const f = lossOf(model.target, model.options, precision);
  const numeric = centralDifferences(f, model.x, 10 ** exponent, rounder(precision));
  const taking = (list) => list.filter((_, c) => model.row.part[c]);
  return { numeric, error: relativeError(taking(numeric), taking(model.grad)) };
}

export function differencesView(store) {
  const precision = choice(
    "Precision of the check",
    new Map([
      ["float64", "float64"],
      ["float32", "float32"],
      ["float16", "float16"],
    ]),
    (value) => store.set({ precision: value }),
  );
  const slide = h("input", {
    type: "range",
    min: -12,
    max: 0,
    step: 0.5,
    "aria-label": "Step size, power of ten",
    oninput: () => store.set({ step: Number(slide.value) }),
  });
  const size = h("span", { class: "step-size" });
  const verdict = h("p", { class: "verdict" });
  const body = h("tbody", {});
  const figure = h("div", { class: "figure" });
  const element = card(
    "differences",
    "Checked on the spot",
    "Central differences of the loss know nothing of the formula. Large steps are off by curvature, small ones by rounding: a V with its best step in between. A plateau would be a bug.",
    h(
      "div",
      { class: "controls" },
      h("label", { class: "field" }, h("span", { class: "label" }, "Step h"), slide, size),
      precision.element,
    ),
    verdict,
    h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          { class: "grid", "aria-label": "The gradient by its formula and as it is measured" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["class", "formula", "measured", "error"].map((t) => h("th", { scope: "col" }, t)),
            ),
          ),
          body,
        ),
      ),
      figure,
    ),
  );

  function update(model) {
    const { state, grad, classes, row } = model;
    precision.set(state.precision);
    if (document.activeElement !== slide) slide.value = state.step;
    attributes(slide, { "aria-valuetext": `10 to the power ${state.step}` });
    fill(size, power(10 ** state.step, Number.isInteger(state.step) ? 0 : 1));
    if (model.refused >= 0) {
      fill(verdict, "There is nothing to check: the loss is infinite.");
      fill(body);
      fill(figure);
      return;
    }
    const { numeric, error } = checkGradient(model, state.precision, state.step);
    fill(
      body,
      Array.from({ length: classes }, (_, c) =>
        h(
          "tr",
          { class: row.part[c] ? "" : "masked" },
          h("th", { scope: "row" }, String(c)),
          h("td", {}, signed(grad[c], 5)),
          h("td", {}, signed(numeric[c], 5)),
          h("td", {}, numeric[c] === grad[c] ? "0" : power(Math.abs(numeric[c] - grad[c]), 0)),
        ),
      ),
    );
    const good = error < 1e-6;
    verdict.className = `verdict ${good ? "good" : "doubtful"}`;
    fill(
      verdict,
      h("b", {}, good ? "Agrees" : error < 1e-2 ? "Agrees roughly" : "Disagrees"),
      ` to ${power(error, 1)} of the largest entry. ${advice(state, error)}`,
    );
    const floor = 1e-14;
    const points = STEPS.map((k) => [
      k,
      Math.log10(Math.max(floor, checkGradient(model, state.precision, k).error)),
    ]);
    fill(
      figure,
      plot({
        x: {
          min: -12,
          max: 0,
          ticks: [-12, -9, -6, -3, 0].map((k) => [k, k === 0 ? "1" : `1e−${-k}`]),
          label: "step size h",
        },
        y: {
          min: -14,
          max: 1,
          ticks: [-12, -8, -4, 0].map((k) => [k, k === 0 ? "1" : `1e−${-k}`]),
        },
        curves: [{ points }],
        marks: [
          { x: state.step, y: Math.log10(Math.max(floor, error)), tone: good ? "good" : "warm" },
        ],
        label: `Relative error of the check over the step size; now ${power(error, 1)} at h = ${power(10 ** state.step, 0)}`,
      }),
    );
  }
  return { element, update };
}

function advice({ step, precision }, error) {
  if (error < 1e-6) return "";
  if (precision !== "float64")
    return `${precision} keeps too few digits of the loss: the difference of two of them is mostly rounding.`;
  return step > -5
    ? "The step is so large that the loss bends within it."
    : "The step is so small that the rounding of the loss shows.";
}
