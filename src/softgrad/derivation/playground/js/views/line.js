// The line of one class on the bench: target, logit, bar, mask and weight.

import { attributes, fill, h, numberField } from "../dom.js";
import { fixed, num } from "../format.js";
import { makeSlider } from "../slider.js";

/** A scale for the logits that all of them fit on, in round numbers. */
export function rangeOf(x) {
  const size = Math.max(5, ...x.filter(Number.isFinite).map(Math.abs));
  const unit = 10 ** Math.floor(Math.log10(size));
  const steps = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((k) => k * unit >= size * 0.9999);
  return { min: -steps * unit, max: steps * unit };
}

export const replaced = (list, k, value) => list.map((old, i) => (i === k ? value : old));
const tidy = (v) => Number(v.toPrecision(4));

/**
 * Lines that share a scale for their logits.
 *
 * read() gives the model that is shown. The result builds the line of a class and shows one.
 */
export function classLines(store, read, announce) {
  let held = null; // the scale while a logit is dragged

  const setLogit = (c, value) => {
    const { logits, row } = store.get();
    store.set({ logits: replaced(logits, row, replaced(logits[row], c, value)) });
  };
  const setProbability = (c, wanted) => {
    // p_c = sigmoid(z_c - logsumexp of the others), solved for x_c.
    const { row, state } = read();
    if (!row.part[c] || read().taking < 2) return;
    const p = Math.min(0.9999, Math.max(0.0001, wanted));
    const others = row.z.filter((_, k) => k !== c && row.part[k]);
    const max = Math.max(...others);
    const lse = max + Math.log(others.reduce((sum, z) => sum + Math.exp(z - max), 0));
    setLogit(c, tidy((Math.log(p / (1 - p)) + lse) * state.temperature));
  };

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
      get: () => read().x[c],
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
      range: () => held ?? rangeOf(read().x),
      get: () => read().x[c],
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
      text: () => `${num(read().x[c])}, probability ${fixed(read().p[c], 3)}`,
      ondrag: (range) => {
        held = range;
      },
    });
    const bar = h("div", { class: "bar" }, h("i", { class: "fill" }), h("i", { class: "want" }));
    const barSlider = makeSlider(bar, {
      label: `Probability of class ${c}`,
      range: () => ({ min: 0, max: 1 }),
      get: () => read().p[c],
      set: (value) => setProbability(c, value),
      step: 0.01,
      bigStep: 0.1,
      text: () => fixed(read().p[c], 4),
    });
    const value = h("span", { class: "p-value" });
    const part = h("input", {
      type: "checkbox",
      "aria-label": `Class ${c} takes part`,
      onchange: () => {
        const { mask } = store.get();
        const next = replaced(mask ?? read().x.map(() => true), c, part.checked);
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
        store.set({ weights: replaced(store.get().weights ?? read().x.map(() => 1), c, v) }),
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

  function showLine(parts, c, range) {
    const { x, p, y, row, state } = read();
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

  return {
    build: line,
    show: showLine,
    /** The scale of the logits; it stays while one of them is dragged. */
    range: () => held ?? rangeOf(read().x),
  };
}
