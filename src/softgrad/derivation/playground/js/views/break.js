// Break it on purpose: switches for the usual mistakes, and their symptoms on the reader's numbers.

import { attributes, card, fill, h } from "../dom.js";
import { fixed, num, power, signed } from "../format.js";
import { BREAK_LIST, computeBroken, symptom } from "../symptoms.js";
import { heat } from "./jacobian.js";

export function breakView(store, announce) {
  const toggles = BREAK_LIST.map((entry) => {
    const flip = () => {
      const { breaks } = store.get();
      const on = breaks.includes(entry.id);
      // A number has one format: the two exclude each other.
      const others = breaks.filter(
        (id) => id !== entry.id && !(entry.id.startsWith("float") && id.startsWith("float")),
      );
      store.set({ breaks: on ? others : [...others, entry.id] });
    };
    const button = h(
      "button",
      { type: "button", role: "switch", class: "toggle", "aria-label": entry.title, onclick: flip },
      h("i", {}),
    );
    const text = h("p", { class: "symptom" });
    const why = h("p", { class: "note" }, entry.why);
    const show = h(
      "button",
      { type: "button", class: "quiet", onclick: () => demonstrate(entry) },
      "Show me",
    );
    const element = h(
      "div",
      { class: "break" },
      h(
        "div",
        { class: "break-head" },
        button,
        h("h3", { onclick: flip }, entry.title),
        entry.number && h("span", { class: "tag" }, `mistake ${entry.number}`),
        show,
      ),
      h("div", { class: "break-body" }, text, why),
    );
    return { entry, button, text, element };
  });

  function demonstrate({ id, title, show }) {
    const { breaks } = store.get();
    const kept = breaks.filter((other) => other === id);
    store.set({
      ...structuredClone(show),
      dist: [],
      soft: false,
      row: 0,
      temperature: 1,
      mask: null,
      weights: null,
      breaks: kept.length ? kept : [id],
    });
    announce(`${title}: an example is shown.`);
  }

  const body = h("tbody", {});
  const table = h(
    "table",
    { class: "grid compare" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { rowspan: 2, scope: "col" }, "class"),
        h("th", { colspan: 2, scope: "colgroup" }, "p"),
        h("th", { colspan: 2, scope: "colgroup" }, "∂L/∂x"),
      ),
      h(
        "tr",
        {},
        ["right", "broken", "right", "broken"].map((t) => h("th", { scope: "col" }, t)),
      ),
    ),
    body,
  );
  const figures = h("div", { class: "versus" });
  const [right, wrong] = [heatMap("right"), heatMap("broken")];
  const maps = h(
    "div",
    { class: "maps", role: "group", "aria-label": "The two Jacobians" },
    right.element,
    wrong.element,
  );
  const result = card(
    "broken",
    "What comes out",
    null,
    figures,
    h("div", { class: "scroll" }, table),
    maps,
  );
  const element = h(
    "div",
    { class: "stack" },
    card(
      "breaks",
      "Break it on purpose",
      "Each switch is a line that people really write. Turn it on and move the logits; “Show me” sets an example.",
      toggles.map((t) => t.element),
    ),
    result,
  );

  function update(model) {
    const { state, p, grad, jacobian, loss, classes, row } = model;
    const broken = computeBroken(model);
    const mine = state.breaks.length ? broken[state.row] : model;
    for (const { entry, button, text, element: box } of toggles) {
      const on = state.breaks.includes(entry.id);
      attributes(button, { "aria-checked": String(on) });
      box.classList.toggle("on", on);
      const { seen, text: words } = on
        ? symptom(entry.id, model, broken)
        : { seen: false, text: "" };
      box.classList.toggle("seen", seen);
      fill(text, words);
    }
    const differs = (a, b) =>
      !(Math.abs(a - b) <= 1e-3 * Math.max(Math.abs(b), 1e-30)) &&
      !(Number.isNaN(a) && Number.isNaN(b));
    fill(
      body,
      Array.from({ length: classes }, (_, c) =>
        h(
          "tr",
          { class: row.part[c] ? "" : "masked" },
          h("th", { scope: "row" }, String(c)),
          h("td", {}, fixed(p[c], 4)),
          h("td", { class: differs(mine.p[c], p[c]) ? "off" : "" }, fixed(mine.p[c], 4)),
          h("td", {}, signed(grad[c], 4)),
          h("td", { class: differs(mine.grad[c], grad[c]) ? "off" : "" }, signed(mine.grad[c], 4)),
        ),
      ),
      h(
        "tr",
        { class: "total" },
        h("th", { scope: "row" }, "sum"),
        ...[p, mine.p, grad, mine.grad].map((list) => {
          const sum = list.reduce((a, b) => a + b, 0);
          return h("td", {}, Math.abs(sum) < 1e-12 ? "0" : fixed(sum, 4));
        }),
      ),
    );
    const figure = (label, right, wrong) =>
      h(
        "div",
        { class: differs(wrong, right) ? "off" : "" },
        h("span", { class: "label" }, label),
        h("b", {}, num(wrong)),
        h(
          "span",
          { class: "unit" },
          differs(wrong, right) ? `instead of ${num(right)}` : "as it should be",
        ),
      );
    const rowSums = mine.jacobian.map((line) => line.reduce((a, b) => a + b, 0));
    const worstSum = rowSums.reduce((a, b) =>
      Number.isNaN(a) || Math.abs(a) > Math.abs(b) ? a : b,
    );
    fill(
      figures,
      figure("Loss", loss, mine.loss),
      figure(
        "Σ p of the row",
        1,
        mine.p.reduce((a, b) => a + b, 0),
      ),
      h(
        "div",
        { class: Math.abs(worstSum) > 1e-3 || Number.isNaN(worstSum) ? "off" : "" },
        h("span", { class: "label" }, "Row sum of J"),
        h("b", {}, Math.abs(worstSum) < 1e-12 ? "0" : power(worstSum)),
        h(
          "span",
          { class: "unit" },
          Math.abs(worstSum) > 1e-3 || Number.isNaN(worstSum) ? "instead of 0" : "as it should be",
        ),
      ),
    );
    right.show(jacobian);
    wrong.show(mine.jacobian);
  }
  return { element, update };
}

/** A matrix as colours; its cells stay while the number of classes does. */
function heatMap(title) {
  const cells = h("div", { class: "map", role: "img", "aria-label": `Jacobian, ${title}` });
  const element = h("figure", {}, cells, h("figcaption", {}, `Jacobian, ${title}`));
  let tones = [];

  function show(matrix) {
    const values = matrix.flat();
    if (tones.length !== values.length) {
      tones = values.map(() => "");
      cells.style.setProperty("--n", matrix.length);
      fill(
        cells,
        values.map(() => h("i", {})),
      );
    }
    const largest = Math.max(...values.map((v) => (Number.isFinite(v) ? Math.abs(v) : 0)));
    values.forEach((v, k) => {
      const tone = heat(v, largest);
      if (tone === tones[k]) return;
      tones[k] = tone;
      cells.children[k].style.setProperty("--heat", tone);
      cells.children[k].classList.toggle("nan", !Number.isFinite(v));
    });
  }
  return { element, show };
}
