// The formulas, with every symbol bound to the reader's numbers.

import { attributes, card, fill, h, withSubscripts } from "../dom.js";
import { fixed, num } from "../format.js";
import { bindings } from "./symbols.js";

const SHOWN = 6; // terms of a sum that are written out

export function formulaView() {
  let model = null;
  let active = null;

  const sym = (key, ...content) =>
    h(
      "button",
      {
        type: "button",
        class: "sym",
        "data-sym": key,
        onpointerenter: () => point(key),
        onpointerleave: () => point(null),
        onfocus: () => point(key),
        onblur: () => point(null),
        onclick: () => point(key),
      },
      ...content,
    );
  const bound = (key, ...content) =>
    h(
      "span",
      {
        class: "bound",
        "data-sym": key,
        onpointerenter: () => point(key),
        onpointerleave: () => point(null),
      },
      ...content,
    );
  const v = (letter, below, above) => [
    h("var", {}, letter),
    below && h("sub", {}, below),
    above && h("sup", {}, above),
  ];
  const frac = (top, bottom) =>
    h(
      "span",
      { class: "frac" },
      h("span", { class: "num" }, top),
      h("span", { class: "den" }, bottom),
    );
  const op = (text) => h("span", { class: "op" }, text);
  const it = (letter) => h("var", {}, letter);

  const symbolic = {
    p: () => [
      sym("p_i", v("p", it("i"))),
      op("="),
      frac(
        ["exp(", sym("z_i", v("z", it("i"))), op("−"), sym("m", v("m")), ")"],
        [
          sym("sum", h("span", { class: "big" }, "Σ"), h("sub", {}, it("j"))),
          " exp(",
          sym("z_j", v("z", it("j"))),
          op("−"),
          sym("m", v("m")),
          ")",
        ],
      ),
      h(
        "span",
        { class: "where" },
        "with ",
        sym("z_i", v("z", it("i"))),
        op("="),
        sym("x_i", v("x", it("i"))),
        " / ",
        sym("T", v("T")),
      ),
    ],
    J: () => [
      sym("d", frac(["∂", v("p", it("i"))], ["∂", v("x", it("j"))])),
      op("="),
      frac(["1"], [sym("T", v("T"))]),
      h("span", { class: "thin" }),
      sym("p_i", v("p", it("i"))),
      h("span", { class: "thin" }),
      "(",
      sym("delta", [h("var", { class: "greek" }, "δ"), h("sub", {}, it("i"), it("j"))]),
      op("−"),
      sym("p_j", v("p", it("j"))),
      ")",
    ],
    L: () => [
      sym("L", v("L")),
      op("="),
      op("−"),
      h("span", { class: "big" }, "Σ"),
      h("sub", {}, it("c")),
      h("span", { class: "thin" }),
      model.state.weights && sym("w_c", v("w", it("c"))),
      sym("y_c", v("y", it("c"))),
      h("span", { class: "thin" }),
      sym("logp", "log ", v("p", it("c"))),
    ],
    g: () => [
      sym("g", frac(["∂", v("L")], ["∂", v("x", it("i"))])),
      op("="),
      model.state.temperature !== 1 && [
        frac(["1"], [sym("T", v("T"))]),
        h("span", { class: "thin" }),
        "(",
      ],
      model.mass !== 1 && sym("Y", v("Y")),
      sym("p_i", v("p", it("i"))),
      op("−"),
      model.state.weights && sym("w_i", v("w", it("i"))),
      sym("y_i", v("y", it("i"))),
      model.state.temperature !== 1 && ")",
    ],
  };

  const numeric = {
    p: () => {
      const {
        row,
        p,
        state: { i },
      } = model;
      const e = (k, key) => [
        h("var", { class: "upright" }, "e"),
        h("sup", {}, bound(key, num(row.z[k], 3)), op("−"), bound("m", num(row.max, 3))),
      ];
      const taking = row.z.map((_, k) => k).filter((k) => row.part[k]);
      const terms = taking
        .slice(0, SHOWN)
        .flatMap((k, at) => [at ? [h("wbr"), op("+")] : null, e(k, k === i ? "z_i" : "z_j")]);
      if (taking.length > SHOWN) terms.push(h("wbr"), op("+"), `… ${taking.length - SHOWN} more`);
      if (!row.part[i])
        return [bound("p_i", "0"), h("span", { class: "where" }, `class ${i} is masked`)];
      return [
        bound("p_i", fixed(p[i], 4)),
        op("="),
        frac(e(i, "z_i"), terms),
        op("="),
        frac([num(row.e[i])], [bound("sum", num(1 + row.others))]),
      ];
    },
    J: () => {
      const {
        p,
        row,
        jacobian,
        state: { i, j, temperature },
      } = model;
      const scale =
        temperature === 1
          ? null
          : [frac(["1"], [bound("T", num(temperature))]), h("span", { class: "thin" })];
      if (i === j) {
        return [
          bound("d", num(jacobian[i][i])),
          op("="),
          scale,
          bound("p_i", num(p[i])),
          " (",
          bound("delta", "1"),
          op("−"),
          bound("p_j", num(p[i])),
          ")",
          h(
            "span",
            { class: "where" },
            `1 − p = ${num(row.complement[i])}, as the sum of the others`,
          ),
        ];
      }
      return [
        bound("d", num(jacobian[i][j])),
        op("="),
        scale,
        bound("p_i", num(p[i])),
        " (",
        bound("delta", "0"),
        op("−"),
        bound("p_j", num(p[j])),
        ")",
      ];
    },
    L: () => {
      const { masses, row, p, loss } = model;
      const parts = masses.map((mass, c) => [mass, c]).filter(([mass]) => mass !== 0);
      // log p from p where its digits are seen; else its value, which never came from a rounded p.
      const plain = ([, c]) => p[c] >= 1e-4 && p[c] < 0.99995;
      const terms = parts
        .slice(0, 4)
        .flatMap(([mass, c], at) => [
          at ? h("wbr") : null,
          h("span", { class: "whole" }, [
            op("−"),
            mass !== 1 && [bound("y_c", num(mass)), h("span", { class: "thin" })],
            plain([mass, c])
              ? bound("logp", "log ", num(p[c]))
              : ["(", bound("logp", num(row.logP[c])), ")"],
          ]),
        ]);
      if (parts.length > 4) terms.push(op("−"), "…");
      const lost = parts.length === 1 && !plain(parts[0]) && Number.isFinite(loss);
      const inner =
        lost &&
        (row.at === parts[0][1]
          ? `as log(1 + ${num(row.others)}), the other exponentials: p rounds to 1`
          : "as z − m − log Σ: p itself is tiny");
      return [
        bound("L", num(loss)),
        op("="),
        terms.length ? terms : "0",
        inner && h("span", { class: "where" }, inner),
      ];
    },
    g: () => {
      const {
        p,
        masses,
        mass,
        grad,
        state: { i, temperature },
      } = model;
      return [
        bound("g", num(grad[i])),
        op("="),
        temperature !== 1 && [
          frac(["1"], [bound("T", num(temperature))]),
          h("span", { class: "thin" }),
          "(",
        ],
        mass !== 1 && [bound("Y", num(mass)), " · "],
        bound("p_i", num(p[i])),
        op("−"),
        bound("y_i", num(masses[i])),
        temperature !== 1 && ")",
      ];
    },
  };

  const rows = Object.entries({
    p: "Softmax",
    J: "Its derivative",
    L: "Cross-entropy",
    g: "Its gradient",
  }).map(([key, title]) => {
    const parts = {
      key,
      head: h("div", { class: "math" }),
      body: h("div", { class: "math numeric" }),
    };
    parts.element = h(
      "div",
      { class: "formula", role: "group", "aria-label": title },
      h("h3", {}, title),
      parts.head,
      parts.body,
    );
    return parts;
  });
  const readout = h("p", { class: "readout" });
  const element = card(
    "formula",
    "The formula, with your numbers",
    "Point at a symbol, or reach it with Tab: it is lit wherever it stands.",
    rows.map((parts) => parts.element),
    readout,
  );

  function point(key) {
    active = key;
    for (const node of element.querySelectorAll("[data-sym]"))
      node.classList.toggle("lit", key !== null && node.dataset.sym === key);
    showReadout();
  }
  function showReadout() {
    const { i, j } = model.state;
    if (!active) {
      fill(
        readout,
        h(
          "span",
          { class: "muted" },
          `i = ${i}, j = ${j}. Choose others on the bench or in the Jacobian.`,
        ),
      );
      return;
    }
    const [name, value, words] = bindings(model)[active];
    fill(
      readout,
      h("b", { class: "math-name" }, withSubscripts(name)),
      h("span", { class: "op" }, "="),
      h("b", {}, value),
      h("span", { class: "muted" }, ` ${words}`),
    );
  }

  let shape = "";
  function update(next) {
    model = next;
    const { state } = model;
    // The symbols stay the same elements while they are the same, so that focus is not lost.
    const nextShape = [Boolean(state.weights), state.temperature === 1, model.mass === 1].join();
    const all = bindings(model);
    for (const { key, head, body } of rows) {
      if (nextShape !== shape) fill(head, symbolic[key]());
      fill(body, numeric[key]());
    }
    shape = nextShape;
    for (const node of element.querySelectorAll(".sym")) {
      const [name, value, words] = all[node.dataset.sym];
      attributes(node, { "aria-label": `${name} = ${value}: ${words}` });
    }
    point(active);
  }
  return { element, update };
}
