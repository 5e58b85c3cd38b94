// The bench: logits, target, temperature, mask and weights, and the bars of p.

import { attributes, choice, fill, h, numberField } from "../dom.js";
import { fixed, num, plural } from "../format.js";
import { parseBatch } from "../math/parse.js";
import { MAX_CLASSES } from "../state.js";
import { makeSlider } from "../slider.js";

/** A scale for the logits that all of them fit on, in round numbers. */
export function rangeOf(x) {
  const size = Math.max(5, ...x.filter(Number.isFinite).map(Math.abs));
  const unit = 10 ** Math.floor(Math.log10(size));
  const steps = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((k) => k * unit >= size * 0.9999);
  return { min: -steps * unit, max: steps * unit };
}

const replaced = (list, k, value) => list.map((old, i) => (i === k ? value : old));
const tidy = (v) => Number(v.toPrecision(4));

export function benchView(store, announce) {
  let held = null; // the scale while a logit is dragged
  let model = null;
  let lines = [];

  const setLogit = (c, value) => {
    const { logits, row } = store.get();
    store.set({ logits: replaced(logits, row, replaced(logits[row], c, value)) });
  };
  const setProbability = (c, wanted) => {
    // p_c = sigmoid(z_c - logsumexp of the others), solved for x_c.
    const { row, state } = model;
    if (!row.part[c] || model.taking < 2) return;
    const p = Math.min(0.9999, Math.max(0.0001, wanted));
    const others = row.z.filter((_, k) => k !== c && row.part[k]);
    const max = Math.max(...others);
    const lse = max + Math.log(others.reduce((sum, z) => sum + Math.exp(z - max), 0));
    setLogit(c, tidy((Math.log(p / (1 - p)) + lse) * state.temperature));
  };

  // --- One line a class ---------------------------------------------------------------------------

  function line(c) {
    const look = () =>
      store.get().i !== c &&
      store.set({ i: c, ...(store.get().j === c ? { j: store.get().i } : {}) });
    const name = h("button", {
      type: "button",
      class: "class-name",
      onclick: () => chooseTarget(c),
    });
    const share = numberField(`Target probability of class ${c}`, {
      get: () => store.get().dist[store.get().row][c],
      set: (v) => {
        const { dist, row } = store.get();
        store.set({ dist: replaced(dist, row, replaced(dist[row], c, v)) });
      },
      accept: (v) => v >= 0 && v < Infinity,
      className: "share",
    });
    const logit = numberField(`Logit of class ${c}`, {
      get: () => model.x[c],
      set: (v) => setLogit(c, v),
      className: "logit",
    });
    const track = h(
      "div",
      { class: "track" },
      h("i", { class: "zero" }),
      h("i", { class: "arm" }),
      h("i", { class: "knob" }),
    );
    const trackSlider = makeSlider(track, {
      label: `Logit of class ${c}`,
      range: () => held ?? rangeOf(model.x),
      get: () => model.x[c],
      set: (value, dragged) => {
        const span = held ? held.max - held.min : 0;
        const grain = dragged ? 10 ** Math.floor(Math.log10(span / 100)) : 0;
        setLogit(
          c,
          dragged ? tidy(Math.round(value / grain) * grain) : Number(value.toPrecision(10)),
        );
      },
      step: 0.1,
      bigStep: 1,
      text: () => `${num(model.x[c])}, probability ${fixed(model.p[c], 3)}`,
      ondrag: (range) => {
        held = range;
      },
    });
    const bar = h("div", { class: "bar" }, h("i", { class: "fill" }), h("i", { class: "want" }));
    const barSlider = makeSlider(bar, {
      label: `Probability of class ${c}`,
      range: () => ({ min: 0, max: 1 }),
      get: () => model.p[c],
      set: (value) => setProbability(c, value),
      step: 0.01,
      bigStep: 0.1,
      text: () => fixed(model.p[c], 4),
    });
    const value = h("output", { class: "p-value" });
    const part = h("input", {
      type: "checkbox",
      "aria-label": `Class ${c} takes part`,
      onchange: () => {
        const { mask } = store.get();
        const next = replaced(mask ?? model.x.map(() => true), c, part.checked);
        if (next.includes(true)) store.set({ mask: next.every(Boolean) ? null : next });
        else {
          part.checked = true;
          announce("At least one class takes part.");
        }
      },
    });
    const weight = numberField(`Weight of class ${c}`, {
      get: () => store.get().weights?.[c] ?? 1,
      set: (v) =>
        store.set({ weights: replaced(store.get().weights ?? model.x.map(() => 1), c, v) }),
      accept: (v) => v >= 0 && v < Infinity,
      className: "weight",
    });
    const element = h(
      "div",
      {
        class: "line",
        role: "group",
        "aria-label": `Class ${c}`,
        onpointerenter: look,
        onfocusin: look,
      },
      name,
      share.element,
      logit.element,
      track,
      bar,
      value,
      h("label", { class: "part" }, part),
      weight.element,
    );
    return { element, name, share, logit, track, trackSlider, bar, barSlider, value, part, weight };
  }

  function chooseTarget(c) {
    const { index, row, soft, dist } = store.get();
    if (soft)
      store.set({
        dist: replaced(
          dist,
          row,
          dist[row].map((_, k) => Number(k === c)),
        ),
      });
    else store.set({ index: replaced(index, row, c) });
  }

  function showLine(parts, c, state, range) {
    const { x, p, y, row } = model;
    const at = (v) =>
      ((Math.min(range.max, Math.max(range.min, v)) - range.min) / (range.max - range.min)) * 100;
    const taking = row.part[c];
    parts.element.classList.toggle("looked-at", state.i === c);
    parts.element.classList.toggle("masked", !taking);
    parts.element.classList.toggle("is-target", y[c] > 0);
    fill(parts.name, String(c));
    attributes(parts.name, {
      "aria-pressed": String(y[c] > 0),
      "aria-label": `Make class ${c} the target${y[c] > 0 ? ", which it is" : ""}`,
      title: "Make this the target",
    });
    parts.share.show();
    parts.logit.show();
    parts.track.style.setProperty("--from", `${Math.min(50, at(x[c]))}%`);
    parts.track.style.setProperty("--size", `${Math.abs(at(x[c]) - 50)}%`);
    parts.track.style.setProperty("--at", `${at(x[c])}%`);
    parts.bar.style.setProperty("--p", `${(Number.isFinite(p[c]) ? p[c] : 0) * 100}%`);
    parts.bar.style.setProperty("--y", `${Math.min(1, y[c]) * 100}%`);
    parts.trackSlider.show();
    parts.barSlider.show();
    fill(parts.value, taking ? fixed(p[c], 4) : "masked");
    parts.part.checked = taking;
    parts.weight.show();
  }

  // --- Above and below the lines ------------------------------------------------------------------

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
    (soft) => {
      const { index, logits, dist } = store.get();
      // The first time the soft target is the class's one-hot row, so that nothing jumps.
      const hot = index.map((c) => logits[0].map((_, k) => Number(k === c)));
      store.set({
        soft,
        dist: soft && !model.state.soft && dist.length !== hot.length ? hot : dist,
      });
    },
  );
  const count = h("output", { class: "count" });
  const resize = (by) => {
    const { logits, mask, weights } = store.get();
    const classes = logits[0].length + by;
    if (classes < 2 || classes > MAX_CLASSES) return;
    const grown = (line) => (by > 0 ? [...line, 0] : line.slice(0, classes));
    store.set({
      logits: logits.map(grown),
      mask: mask && mask.slice(0, classes),
      weights: weights && weights.slice(0, classes),
    });
    announce(plural(classes, "class").replace("classs", "classes"));
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
    list: "temperature-one",
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

  const rowPicker = h("div", { class: "rows" });
  const pasteBox = h("textarea", {
    rows: 4,
    "aria-label": "A batch of logits",
    placeholder: "2.0 1.0 0.1\n0.3 2.5 −1\n…or a NumPy array",
  });
  const pasteError = h("p", { class: "error", role: "alert" });
  const paste = h(
    "details",
    { class: "paste-batch" },
    h("summary", {}, "Paste a batch"),
    h(
      "p",
      { class: "note" },
      "One row a line, 2 to 20 numbers each; brackets, commas and tensor(…) are understood.",
    ),
    pasteBox,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => load() }, "Use these"),
      pasteError,
    ),
  );
  function load() {
    try {
      const logits = parseBatch(pasteBox.value);
      fill(pasteError, "");
      const largest = logits.map((line) => line.indexOf(Math.max(...line)));
      store.set({ logits, index: largest, dist: [], row: 0, mask: null, weights: null });
      announce(`A batch of ${plural(logits.length, "row")} with ${logits[0].length} classes.`);
    } catch (error) {
      fill(pasteError, error.message);
    }
  }
  const addRow = () => {
    const { logits, index, dist, row } = store.get();
    if (logits.length >= 64) return;
    const turned = logits[row].map((_, c) => logits[row][(c + 1) % logits[row].length]);
    store.set({
      logits: [...logits, turned],
      index: [...index, (index[row] + 1) % turned.length],
      dist: [...dist, dist[row]],
      row: logits.length,
    });
  };
  const dropRow = () => {
    const { logits, index, dist, row } = store.get();
    const without = (rows) => rows.filter((_, n) => n !== row);
    store.set({
      logits: without(logits),
      index: without(index),
      dist: without(dist),
      row: Math.max(0, row - 1),
    });
  };

  function showRows(state) {
    const rows = state.logits.length;
    const step = (by) => store.set({ row: (state.row + by + rows) % rows });
    const parts = [];
    if (rows > 1) {
      const focused = rowPicker.contains(document.activeElement)
        ? document.activeElement.dataset.act
        : null;
      parts.push(
        h(
          "button",
          {
            type: "button",
            class: "round",
            "data-act": "back",
            "aria-label": "Previous row",
            onclick: () => step(-1),
          },
          "‹",
        ),
        h("span", { class: "row-name" }, `row ${state.row} of ${rows}`),
        h(
          "button",
          {
            type: "button",
            class: "round",
            "data-act": "on",
            "aria-label": "Next row",
            onclick: () => step(1),
          },
          "›",
        ),
        h(
          "button",
          { type: "button", class: "quiet", "data-act": "drop", onclick: dropRow },
          "Remove row",
        ),
      );
      queueMicrotask(() => focused && rowPicker.querySelector(`[data-act="${focused}"]`)?.focus());
    }
    rowPicker.hidden = rows < 2;
    fill(rowPicker, parts);
  }

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
    rowPicker,
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
    h(
      "div",
      { class: "batch-tools" },
      h("button", { type: "button", class: "quiet", onclick: addRow }, "Add a row"),
      paste,
    ),
  );

  function update(next) {
    model = next;
    const { state, classes } = model;
    if (lines.length !== classes) {
      lines = Array.from({ length: classes }, (_, c) => line(c));
      fill(
        list,
        lines.map((parts) => parts.element),
      );
    }
    if (state.mask || state.weights) shown = true;
    element.classList.toggle("with-extras", shown);
    element.classList.toggle("soft", state.soft);
    const range = held ?? rangeOf(model.x);
    lines.forEach((parts, c) => showLine(parts, c, state, range));
    showRows(state);
    fill(count, String(classes), h("span", { class: "word" }, " classes"));
    fewer.disabled = classes <= 2;
    more.disabled = classes >= MAX_CLASSES;
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
