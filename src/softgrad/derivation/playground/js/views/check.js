// Paste your gradient: the matcher names the mistake.

import { card, choice, fill, h } from "../dom.js";
import { num, plural, power } from "../format.js";
import { match } from "../math/matcher.js";
import { MISTAKES } from "../math/mistakes.js";
import { parseRows } from "../math/parse.js";

export function checkView(store) {
  const kind = choice(
    "The loss",
    new Map([
      ["cross_entropy", "Cross-entropy"],
      ["squared", "Squared, ‖p − y‖²"],
      ["distillation", "Distillation, T² × CE"],
    ]),
    (value) => store.set({ kind: value }),
  );
  const reduction = choice(
    "Over the batch",
    new Map([
      ["mean", "mean"],
      ["sum", "sum"],
      ["none", "none"],
    ]),
    (value) => store.set({ reduction: value }),
  );
  const box = h("textarea", {
    rows: 7,
    spellcheck: "false",
    "aria-label": "Your numbers",
    class: "numbers",
    placeholder:
      "[-0.3355, 0.2424, 0.0986, 0.0329]\n\nA gradient (of this row or of the batch), a Jacobian, or a loss.",
    oninput: () => store.set({ pasted: box.value }),
  });
  const call = h("pre", {
    class: "call",
    tabindex: 0,
    "aria-label": "The problem that your code should solve",
  });
  const verdict = h("div", { class: "diagnosis", role: "status" });
  const wrong = h(
    "button",
    { type: "button", class: "quiet", onclick: () => example() },
    "Try a wrong one",
  );
  const clear = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        box.value = "";
        store.set({ pasted: "" });
      },
    },
    "Clear",
  );
  const element = card(
    "check",
    "Paste your gradient",
    "Run your code on the logits of the bench and paste what it gives. The numbers are compared with the right ones and with those of every mistake in the catalogue, alone and in pairs.",
    h("div", { class: "controls wrap" }, kind.element, reduction.element),
    call,
    box,
    h("div", { class: "actions" }, wrong, clear),
    verdict,
  );
  let model = null;

  function example() {
    // (p - y) p (1 - p): the softmax derivative applied twice, of the row on the bench.
    const { grad, row } = model;
    box.value = `[${grad.map((g, c) => (g * row.p[c] * row.complement[c]).toPrecision(7)).join(", ")}]`;
    store.set({
      pasted: box.value,
      kind: "cross_entropy",
      ...(model.state.logits.length > 1 ? { reduction: "none" } : {}),
    });
  }

  function update(next) {
    model = next;
    const { state } = model;
    kind.set(state.kind);
    reduction.set(state.reduction);
    if (document.activeElement !== box && box.value !== state.pasted) box.value = state.pasted;
    fill(call, problemText(model));
    verdict.className = "diagnosis";
    if (!state.pasted.trim()) {
      fill(verdict);
      return;
    }
    show();
  }

  function show() {
    const { state } = model;
    let numbers;
    try {
      numbers = parseRows(state.pasted);
    } catch (error) {
      fill(verdict, h("p", {}, error.message));
      return;
    }
    if (!numbers.length) {
      fill(verdict, h("p", {}, "There is no number in this text."));
      return;
    }
    const result = match(numbers, {
      logits: state.logits,
      targets: model.targets,
      row: state.row,
      temperature: state.temperature,
      mask: state.mask,
      classWeight: state.weights,
      kind: state.kind,
      reduction: state.reduction,
    });
    verdict.classList.add(
      result.verdict === "right" ? "good" : result.verdict === "mistake" ? "bad" : "unsure",
    );
    fill(verdict, { right, mistake, unknown, count }[result.verdict](result));
  }

  return { element, update };
}

const shape = (result) => h("p", { class: "tag" }, result.shape);

function right({ shape: what, blind, remark }) {
  const unseen = blind.map((n) => `${n} (${MISTAKES[n][0].toLowerCase()})`);
  return [
    h("h3", {}, "Right"),
    h("p", {}, `This is the ${what}${remark ? ` of ${remark}` : ""}.`),
    blind.length > 0 &&
      h(
        "p",
        { class: "note" },
        `These logits could not have shown ${plural(blind.length, "mistake")}: ${unseen.join(", ")}. Take several rows, as many as there are not classes, a confident one, and a temperature other than 1.`,
      ),
  ];
}

function mistake(result) {
  const { findings } = result;
  const several = findings.length > 1;
  return [
    shape(result),
    several &&
      h(
        "p",
        { class: "note" },
        "More than one mistake would give these numbers; another row of logits tells them apart.",
      ),
    findings.slice(0, 4).map(({ mistakes, remark }) =>
      h(
        "div",
        { class: "finding" },
        mistakes.map((n) => (typeof n === "number" ? named(n) : h("h3", {}, n))),
        remark && h("p", { class: "note" }, remark),
      ),
    ),
    comparison(result),
  ];
}

function named(number) {
  const [title, why, fix] = MISTAKES[number];
  return [
    h("h3", {}, h("span", { class: "number", "data-mistake": number }, `mistake ${number}`), title),
    h("p", {}, why),
    h("pre", { class: "fix" }, h("code", {}, fix)),
  ];
}

function unknown(result) {
  const { structure, ratio, quantum, rows, classes, cells, got } = result;
  const words = {
    ratio: () => `Every number is ${num(ratio, 6)} times the right one: a constant factor.`,
    noise: () => [
      named(30),
      h("p", { class: "note" }, `All numbers are multiples of ${power(quantum, 2)}.`),
    ],
    cells: () =>
      `${cells} of ${got.length} numbers differ, ${classes.length === 1 ? `all of class ${classes[0]}` : rows.length === 1 && got.length > result.columns ? `all in row ${rows[0]}` : "in several classes"}.`,
  }[structure]();
  return [
    shape(result),
    structure === "noise" ? words : [h("h3", {}, "Not in the catalogue"), h("p", {}, words)],
    !result.resolved &&
      h("p", { class: "note" }, "The numbers have few digits; paste more of them."),
    comparison(result),
  ];
}

function count({ count: found, expected }) {
  const [one, row, batch, jacobian] = expected;
  const sizes = [
    `${one} (a loss)`,
    `${row} (the gradient of a row)`,
    batch !== row && `${batch} (of the batch)`,
    `${jacobian} (a Jacobian)`,
  ].filter(Boolean);
  return [
    h("h3", {}, plural(found, "number")),
    h("p", {}, `Expected are ${sizes.join(", ")}. Is the shape of the result right?`),
  ];
}

function comparison({ expected, got, columns }) {
  if (got.length > 60) return null;
  const lines = [];
  for (let at = 0; at < got.length; at += columns)
    lines.push([expected.slice(at, at + columns), got.slice(at, at + columns)]);
  const cells = (list) => list.map((v) => h("td", {}, num(v)));
  return h(
    "details",
    { class: "comparison" },
    h("summary", {}, "Number by number"),
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "grid" },
        h(
          "tbody",
          {},
          lines.flatMap(([want, have]) => [
            h("tr", {}, h("th", { scope: "row" }, "right"), cells(want)),
            h("tr", { class: "yours" }, h("th", { scope: "row" }, "yours"), cells(have)),
          ]),
        ),
      ),
    ),
  );
}

/** What the pasted numbers should answer, as the call that the library takes. */
function problemText({ state }) {
  const rows = state.logits.map((x) => `[${x.join(", ")}]`);
  const lines = [
    `logits = ${rows.length === 1 ? rows[0] : `[${rows.slice(0, 6).join(",\n          ")}${rows.length > 6 ? ",\n          …" : ""}]`}`,
  ];
  lines.push(
    state.soft
      ? `target = ${JSON.stringify(state.dist.length === 1 ? state.dist[0] : state.dist)}`
      : `target = ${rows.length === 1 ? state.index[0] : JSON.stringify(state.index)}`,
  );
  if (state.temperature !== 1) lines.push(`temperature = ${state.temperature}`);
  if (state.mask)
    lines.push(`where = [${state.mask.map((v) => (v ? "True" : "False")).join(", ")}]`);
  if (state.weights) lines.push(`class_weight = [${state.weights.join(", ")}]`);
  return lines.join("\n");
}
