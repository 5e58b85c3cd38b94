// The Jacobian of softmax as a heat map.

import { attributes, card, fill, h } from "../dom.js";
import { fixed, num, power } from "../format.js";

const WITH_NUMBERS = 7; // classes up to which the cells hold their numbers

const low = (index) => h("sub", {}, String(index));

/** A cell's colour: blue raises, red lowers; full at the largest entry, by its square root. */
export function heat(value, largest) {
  if (!Number.isFinite(value)) return "var(--bad)";
  const share = largest > 0 ? Math.sqrt(Math.abs(value) / largest) : 0;
  return `color-mix(in oklab, var(--${value >= 0 ? "accent" : "warm"}) ${Math.round(share * 78)}%, var(--card))`;
}

export function jacobianView(store) {
  const table = h("table", {
    class: "heat",
    role: "grid",
    "aria-label": "Jacobian of softmax: row i, column j, how p i moves with x j",
  });
  const detail = h("div", { class: "cell-detail" });
  const element = card(
    "jacobian",
    "The Jacobian",
    "Raising one logit raises its own probability (i = j) and lowers all others (i ≠ j). What one wins the others lose: every row sums to 0.",
    h("div", { class: "split" }, h("div", { class: "scroll" }, table), detail),
  );
  let cells = [];
  let sums = [];
  const tones = new WeakMap(); // colours as they are: setting 400 of them again costs a frame
  let size = 0;

  function build(classes) {
    cells = Array.from({ length: classes }, (_, i) =>
      Array.from({ length: classes }, (_, j) => {
        const look = () => store.set({ i, j });
        return h("td", {
          class: i === j ? "diagonal" : "",
          tabindex: -1,
          "data-i": i,
          "data-j": j,
          onpointerenter: look,
          onfocus: look,
        });
      }),
    );
    sums = cells.map(() => h("td", { class: "sum" }));
    fill(
      table,
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", { class: "corner" }),
          cells.map((_, j) =>
            h("th", { scope: "col" }, h("var", {}, "x"), h("sub", {}, String(j))),
          ),
          h("th", { class: "sum", scope: "col" }, "sum"),
        ),
      ),
      h(
        "tbody",
        {},
        cells.map((line, i) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, h("var", {}, "p"), h("sub", {}, String(i))),
            line,
            sums[i],
          ),
        ),
      ),
    );
    size = classes;
  }
  table.addEventListener("keydown", (event) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[
      event.key
    ];
    const cell = event.target.closest("td[data-i]");
    if (!by || !cell) return;
    event.preventDefault();
    const within = (k) => Math.min(size - 1, Math.max(0, k));
    cells[within(Number(cell.dataset.i) + by[0])][within(Number(cell.dataset.j) + by[1])].focus();
  });

  function update(model) {
    const {
      jacobian: J,
      classes,
      state: { i, j, temperature },
      p,
      row,
    } = model;
    if (size !== classes) build(classes);
    table.classList.toggle("dense", classes > WITH_NUMBERS);
    const largest = Math.max(...J.flat().map((v) => (Number.isFinite(v) ? Math.abs(v) : 0)));
    cells.forEach((line, a) =>
      line.forEach((cell, b) => {
        const value = J[a][b];
        const tone = heat(value, largest);
        if (tones.get(cell) !== tone) cell.style.setProperty("--heat", tone);
        tones.set(cell, tone);
        cell.classList.toggle("looked-at", a === i && b === j);
        cell.classList.toggle("on-cross", (a === i) !== (b === j));
        cell.tabIndex = a === i && b === j ? 0 : -1;
        cell.setAttribute("aria-label", `row ${a}, column ${b}: ${num(value)}`);
        fill(cell, classes > WITH_NUMBERS ? "" : value === 0 ? "0" : fixed(value, 3));
      }),
    );
    sums.forEach((cell, a) => {
      const sum = J[a].reduce((s, v) => s + v, 0);
      const rounding = 4 * classes * Number.EPSILON * largest;
      fill(cell, Math.abs(sum) <= rounding ? "0" : power(sum, 0));
      attributes(cell, { title: sum === 0 ? null : `${power(sum, 0)} is left by rounding` });
    });
    const overT = temperature === 1 ? "" : ` / ${num(temperature)}`;
    const same = i === j;
    fill(
      detail,
      h("h3", {}, same ? "i = j" : "i ≠ j"),
      h(
        "p",
        { class: "math" },
        h("var", {}, "∂p"),
        low(i),
        " / ",
        h("var", {}, "∂x"),
        low(j),
        h("span", { class: "op" }, "="),
        same
          ? [h("var", {}, "p"), low(i), " (1 − ", h("var", {}, "p"), low(i), ")"]
          : ["−", h("var", {}, "p"), low(i), " ", h("var", {}, "p"), low(j)],
        temperature === 1 ? null : [" / ", h("var", {}, "T")],
      ),
      h(
        "p",
        { class: "figures" },
        same
          ? `${num(p[i])} × ${num(row.complement[i])}${overT}`
          : `−${num(p[i])} × ${num(p[j])}${overT}`,
      ),
      h("p", { class: "result" }, "= ", h("b", {}, num(J[i][j]))),
      h(
        "p",
        { class: "note" },
        same
          ? "Largest at p = ½; nothing moves any more once p is 0 or 1."
          : "Never positive: classes compete for the same unit of probability.",
      ),
      h(
        "p",
        { class: "legend", "aria-hidden": "true" },
        h("i", { class: "ramp" }),
        h("span", {}, `−${num(largest, 2)}`),
        h("span", {}, "0"),
        h("span", {}, `+${num(largest, 2)}`),
      ),
    );
  }
  return { element, update };
}
