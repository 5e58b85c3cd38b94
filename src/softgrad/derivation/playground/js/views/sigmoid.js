// Two classes: softmax is the sigmoid of the difference of their logits.

import { card, fill, h } from "../dom.js";
import { num } from "../format.js";
import { sigmoid } from "../math/rows.js";
import { plot } from "../plot.js";

const low = (index) => h("sub", {}, String(index));

export function sigmoidView(store) {
  const select = (place, label) => {
    const element = h("select", {
      "aria-label": label,
      onchange: () => {
        const pair = store.get().pair.slice();
        const chosen = Number(element.value);
        if (chosen === pair[1 - place]) pair[1 - place] = pair[place];
        pair[place] = chosen;
        store.set({ pair });
      },
    });
    return element;
  };
  const first = select(0, "First class");
  const second = select(1, "Second class");
  const text = h("p", { class: "math numeric" });
  const note = h("p", { class: "note" });
  const figure = h("div", { class: "figure" });
  const element = card(
    "sigmoid",
    "Two classes: the sigmoid",
    "Between two classes only the difference of their logits counts.",
    h(
      "div",
      { class: "controls" },
      h("span", { class: "label" }, "class"),
      first,
      h("span", { class: "label" }, "against"),
      second,
    ),
    text,
    figure,
    note,
  );

  function update(model) {
    const {
      x,
      p,
      classes,
      state: {
        pair: [a, b],
        temperature,
      },
    } = model;
    for (const [element_, value] of [
      [first, a],
      [second, b],
    ]) {
      if (element_.options.length !== classes)
        fill(
          element_,
          Array.from({ length: classes }, (_, c) => h("option", { value: c }, String(c))),
        );
      element_.value = String(value);
    }
    const d = (x[a] - x[b]) / temperature;
    const share = sigmoid(d);
    const slope = sigmoid(d) * sigmoid(-d);
    const over = temperature === 1 ? "" : " / T";
    fill(
      text,
      h(
        "span",
        { class: "frac" },
        h("span", { class: "num" }, h("var", {}, "p"), low(a)),
        h("span", { class: "den" }, h("var", {}, "p"), low(a), " + ", h("var", {}, "p"), low(b)),
      ),
      h("span", { class: "op" }, "="),
      h(
        "span",
        { class: "whole" },
        "σ(",
        h("var", {}, "x"),
        low(a),
        " − ",
        h("var", {}, "x"),
        low(b),
        over,
        ")",
      ),
      h(
        "span",
        { class: "second" },
        h("span", { class: "op" }, "="),
        `σ(${num(d, 3)})`,
        h("span", { class: "op" }, "="),
        h("b", {}, num(share)),
      ),
    );
    const reach = Math.max(6, Math.ceil(Math.abs(d) + 1));
    const curve = Array.from({ length: 121 }, (_, k) => {
      const at = -reach + (2 * reach * k) / 120;
      return [at, sigmoid(at)];
    });
    const tangent = [-1.6, 1.6].map((by) => [d + by, share + slope * by]);
    fill(
      figure,
      plot({
        x: {
          min: -reach,
          max: reach,
          ticks: [-reach, 0, reach].map((v) => [v, num(v)]),
          label: "difference of the logits",
        },
        y: {
          min: 0,
          max: 1,
          ticks: [
            [0, "0"],
            [0.5, "½"],
            [1, "1"],
          ],
        },
        curves: [{ points: curve }, { points: tangent, tone: "warm" }],
        marks: [{ x: d, y: share, tone: "warm" }],
        label: `Sigmoid: ${num(share)} at ${num(d)}, slope ${num(slope)}`,
      }),
    );
    fill(
      note,
      `Slope σ(1 − σ) = ${num(slope)}, the Jacobian of the two. ${classes === 2 ? "" : `Together they hold ${num(p[a] + p[b], 3)} of all probability.`}`,
    );
  }
  return { element, update };
}
