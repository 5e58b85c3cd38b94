// Entropy: how undecided the row is, and how the temperature would change that.

import { card, fill, h } from "../dom.js";
import { num } from "../format.js";
import { entropy, softmaxRow } from "../math/rows.js";
import { plot } from "../plot.js";

export function entropyView() {
  const figures = h("dl", { class: "figures-list" });
  const figure = h("div", { class: "figure" });
  const element = card(
    "entropy",
    "Entropy",
    "How undecided p is: 0 if one class has everything, log K if all K are alike.",
    figures,
    figure,
  );

  function update(model) {
    const {
      x,
      options: { mask },
      state,
      taking,
      loss,
      y,
      mass,
      refused,
    } = model;
    const most = Math.log(taking);
    const pair = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
    const ofTarget = entropy(y);
    const proper = refused < 0 && !state.weights && Math.abs(mass - 1) < 1e-9;
    fill(
      figures,
      pair("H(p)", `${num(model.entropy)} nats = ${num(model.entropy / Math.LN2)} bits`),
      pair("of at most", `log ${taking} = ${num(most)}`),
      pair("as undecided as", `${num(Math.exp(model.entropy), 3)} equal classes`),
      proper &&
        state.soft &&
        pair("L = H(y) + KL(y‖p)", `${num(ofTarget)} + ${num(loss - ofTarget)}`),
    );
    const points = Array.from({ length: 71 }, (_, k) => {
      const exponent = -1.5 + (3.5 * k) / 70;
      const row = softmaxRow(x, { temperature: 10 ** exponent, mask });
      return [exponent, entropy(row.p, row.logP)];
    });
    fill(
      figure,
      plot({
        x: {
          min: -1.5,
          max: 2,
          ticks: [
            [-1, "0.1"],
            [0, "1"],
            [1, "10"],
            [2, "100"],
          ],
          label: "temperature T",
        },
        y: {
          min: 0,
          max: Math.max(most, 0.1) * 1.06,
          ticks: [
            [0, "0"],
            [most, `log ${taking}`],
          ],
        },
        curves: [{ points }],
        marks: [
          { x: Math.min(2, Math.max(-1.5, Math.log10(state.temperature))), y: model.entropy },
        ],
        label: `Entropy over the temperature; now ${num(model.entropy)} nats at T = ${num(state.temperature)}`,
      }),
    );
  }
  return { element, update };
}
