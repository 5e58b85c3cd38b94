// The bench: logits, target, temperature, mask and weights, and the bars of p.

import { attributes, choice, fill, h, numberField } from "../dom.js";
import { num } from "../format.js";
import { MAX_CLASSES } from "../state.js";
import { batchTools } from "./batch.js";
import { classLines } from "./line.js";

export function benchView(store, announce) {
  let model = null;
  let lines = [];
  const classes = classLines(store, () => model, announce);
  const batch = batchTools(store, announce);

  const list = h("div", { class: "lines" });
  const heading = h(
    "div",
    { class: "line line-head", "aria-hidden": "true" },
    h("span", { class: "class-name" }, "y"),
    h("span", { class: "share" }, "y"),
    h("span", { class: "logit" }, "logit x"),
    h("span", { class: "track" }, "drag"),
    h("span", { class: "bar" }, "probability p"),
    h("span", { class: "p-value" }),
    h("span", { class: "part" }, "in"),
    h("span", { class: "weight" }, "w"),
  );
  const target = choice(
    "Kind of target",
    new Map([
      [false, "Class"],
      [true, "Soft"],
    ]),
    (soft) => store.set({ soft }),
  );
  const count = h("span", { class: "count" });
  const resize = (by) => {
    const { logits, mask, weights } = store.get();
    const size = logits[0].length + by;
    if (size < 2 || size > MAX_CLASSES) return;
    const grown = (line) => (by > 0 ? [...line, 0] : line.slice(0, size));
    store.set({
      logits: logits.map(grown),
      mask: mask && mask.slice(0, size),
      weights: weights && weights.slice(0, size),
    });
    announce(`${size} classes.`);
  };
  const fewer = h(
    "button",
    { type: "button", class: "round", "aria-label": "One class fewer", onclick: () => resize(-1) },
    "−",
  );
  const more = h(
    "button",
    { type: "button", class: "round", "aria-label": "One class more", onclick: () => resize(1) },
    "+",
  );

  const slide = h("input", {
    type: "range",
    min: -1,
    max: 1.3,
    step: 0.01,
    "aria-label": "Temperature",
    oninput: () => {
      const value = Number(slide.value);
      store.set({ temperature: Math.abs(value) < 0.02 ? 1 : Number((10 ** value).toPrecision(3)) });
    },
  });
  const temperature = numberField("Temperature, as a number", {
    get: () => store.get().temperature,
    set: (v) => store.set({ temperature: v }),
    accept: (v) => v > 0 && v <= 1e6,
  });

  const extras = h("button", {
    type: "button",
    class: "quiet",
    onclick: () => {
      shown = !shown;
      if (!shown) store.set({ mask: null, weights: null });
      else update(model);
    },
  });
  let shown = false;

  const warning = h("p", { class: "warning", role: "status" });
  const element = h(
    "section",
    { class: "card bench", id: "bench", "aria-labelledby": "bench-title" },
    h(
      "header",
      { class: "card-head bench-head" },
      h("h2", { id: "bench-title" }, "Logits to probabilities"),
      h(
        "div",
        { class: "stepper", role: "group", "aria-label": "Number of classes" },
        fewer,
        count,
        more,
      ),
    ),
    batch.rowPicker,
    heading,
    list,
    warning,
    h(
      "div",
      { class: "bench-foot" },
      h(
        "div",
        { class: "field" },
        h("span", { class: "label" }, "Temperature"),
        slide,
        temperature.element,
      ),
      h("div", { class: "field" }, h("span", { class: "label" }, "Target"), target.element, extras),
    ),
    batch.tools,
  );

  function update(next) {
    model = next;
    const { state, classes: size } = model;
    if (lines.length !== size) {
      lines = Array.from({ length: size }, (_, c) => classes.build(c));
      fill(
        list,
        lines.map((parts) => parts.element),
      );
    }
    if (state.mask || state.weights) shown = true;
    element.classList.toggle("with-extras", shown);
    element.classList.toggle("soft", state.soft);
    const range = classes.range();
    lines.forEach((parts, c) => classes.show(parts, c, range));
    batch.showRows(state);
    fill(count, String(size), h("span", { class: "word" }, " classes"));
    fewer.disabled = size <= 2;
    more.disabled = size >= MAX_CLASSES;
    if (document.activeElement !== slide) slide.value = Math.log10(state.temperature);
    attributes(slide, { "aria-valuetext": num(state.temperature) });
    temperature.show();
    target.set(state.soft);
    fill(extras, shown ? "No mask, no weights" : "Mask and weights");
    attributes(extras, { "aria-expanded": String(shown) });
    fill(warning, warningText(model));
  }

  return { element, update };
}

function warningText({ state, refused, y }) {
  if (refused >= 0) {
    const where = state.logits.length > 1 ? ` in row ${refused}` : "";
    return `The target gives weight to a masked class${where}: its probability is 0, the loss infinite. The library refuses such a target.`;
  }
  const sum = y.reduce((a, b) => a + b, 0);
  if (state.soft && Math.abs(sum - 1) > 1e-9)
    return `The target sums to ${num(sum)}, not to 1. The loss takes it as it is.`;
  return "";
}
