// What the symbols of the formulas stand for, with the reader's numbers.

import { num, sub } from "../format.js";

/** What every symbol stands for: [how it is read, its value, in words]. */
export function bindings(model) {
  const { state, row, p, y, x, masses, mass, loss, grad, jacobian } = model;
  const { i, j, temperature, weights } = state;
  const target = state.soft ? "c" : state.index[state.row];
  return {
    p_i: [`p${sub(i)}`, num(p[i]), `the probability of class ${i}`],
    p_j: [`p${sub(j)}`, num(p[j]), `the probability of class ${j}`],
    x_i: [`x${sub(i)}`, num(x[i]), `the logit of class ${i}, as you set it`],
    x_j: [`x${sub(j)}`, num(x[j]), `the logit of class ${j}, as you set it`],
    z_i: [`z${sub(i)}`, num(row.z[i]), `x${sub(i)} / T, the logit divided by the temperature`],
    z_j: [
      "z",
      row.z.map((v) => num(v)).join(", "),
      "the logits divided by the temperature; the sum runs over all of them",
    ],
    T: [
      "T",
      num(temperature),
      temperature === 1
        ? "the temperature; 1 changes nothing"
        : temperature > 1
          ? "the temperature; above 1 it flattens p"
          : "the temperature; below 1 it sharpens p",
    ],
    m: [
      "m",
      num(row.max),
      `the largest z, that of class ${row.at}; subtracted so that no exponential overflows, and it cancels`,
    ],
    sum: [
      "Σ",
      num(1 + row.others),
      "the sum of the exponentials: 1 for the largest logit, and the rest",
    ],
    d: [
      `∂p${sub(i)}/∂x${sub(j)}`,
      num(jacobian[i][j]),
      `how p${sub(i)} moves when x${sub(j)} rises`,
    ],
    delta: [
      `δ${sub(i)}${sub(j)}`,
      i === j ? "1" : "0",
      i === j ? "1, since i = j" : "0, since i ≠ j",
    ],
    L: ["L", num(loss), "the cross-entropy, in nats"],
    y_c: [
      "y",
      y.map((v) => num(v)).join(", "),
      state.soft ? "the soft target" : `the target: 1 at class ${target}, 0 elsewhere`,
    ],
    y_i: [`y${sub(i)}`, num(y[i]), `the target's share of class ${i}`],
    w_c: ["w", (weights ?? x.map(() => 1)).map((v) => num(v)).join(", "), "the class weights"],
    w_i: [`w${sub(i)}`, num(weights?.[i] ?? 1), `the weight of class ${i}`],
    logp: [
      "log p",
      row.logP.map((v) => num(v)).join(", "),
      "the log-probabilities, z − m − log Σ, never the logarithm of a rounded p",
    ],
    Y: ["Y", num(mass), "the mass of the target, Σ w y"],
    m_i: [`w${sub(i)}y${sub(i)}`, num(masses[i]), `the target's weighted share of class ${i}`],
    g: [`∂L/∂x${sub(i)}`, num(grad[i]), `how the loss moves when x${sub(i)} rises`],
  };
}
