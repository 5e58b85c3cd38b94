// Questions whose answers are computed from the reader's own numbers.
//
// A question is {text, options: [text...], answer: index, why} or
// {text, low, high, answer: number, tolerance, why}.

import { covariance, crossEntropy, crossEntropyGrad, entropy, softmaxRow } from "./math/rows.js";
import { fixed, num, signed, sub } from "./format.js";

const UP_DOWN = ["It rises", "It falls", "It stays as it is"];
const trend = (after, before) =>
  Math.abs(after - before) <= 1e-12 * Math.max(1, Math.abs(before)) ? 2 : after > before ? 0 : 1;

function changed(model, change) {
  return softmaxRow(change(model.x.slice()), model.options);
}

/** The classes that take part, the most probable first. */
function ranked(model) {
  return model.p
    .map((_, c) => c)
    .filter((c) => model.row.part[c])
    .sort((a, b) => model.p[b] - model.p[a]);
}

export const QUESTIONS = [
  (model) => {
    const after = changed(model, (x) => x.map((v) => v + 5));
    const c = ranked(model)[0];
    return {
      text: `Every logit rises by 5. What does p${sub(c)} = ${fixed(model.p[c], 3)} do?`,
      options: UP_DOWN,
      answer: trend(after.p[c], model.p[c]),
      why: "exp(z + 5) = e⁵ exp(z), above and below the line: it cancels. Only differences of logits count, which is why the maximum may be subtracted.",
    };
  },
  (model) => {
    const [top] = ranked(model);
    const after = changed(model, (x) => ((x[top] += 1), x));
    return {
      text: `Raise x${sub(top)} by 1. Where does p${sub(top)}, now ${fixed(model.p[top], 3)}, go?`,
      low: 0,
      high: 1,
      tolerance: 0.04,
      answer: after.p[top],
      why: `Its odds p/(1 − p) grow by the factor e = 2.718: p becomes ${fixed(after.p[top], 4)}. The tangent would have said ${fixed(model.p[top] + model.jacobian[top][top], 4)}.`,
    };
  },
  (model) => {
    const [a, b] = ranked(model);
    const c = ranked(model).at(-1);
    if (a === c || b === undefined) return null;
    const before = model.p[a] / model.p[c];
    const row = changed(model, (x) => ((x[b] += 2), x));
    const other = b === c ? a : b;
    if (other === a) return null;
    return {
      text: `Raise x${sub(b)} by 2. What does the ratio p${sub(a)} / p${sub(c)} = ${num(before, 3)} do?`,
      options: UP_DOWN,
      answer: trend(row.p[a] / row.p[c], before),
      why: `p${sub(a)}/p${sub(c)} = exp(z${sub(a)} − z${sub(c)}): a third logit takes from both alike.`,
    };
  },
  (model) => {
    const doubled = softmaxRow(model.x, {
      ...model.options,
      temperature: 2 * model.state.temperature,
    });
    const now = model.entropy;
    const then = entropy(doubled.p, doubled.logP);
    return {
      text: `Double the temperature. What does the entropy, now ${num(now, 3)} nats, do?`,
      options: UP_DOWN,
      answer: trend(then, now),
      why: `All differences of logits halve, p gets flatter: ${num(then, 3)} nats. Only equal logits would not notice.`,
    };
  },
  (model) => {
    const { i } = model.state;
    const sum = covariance(model.row)[i].reduce((s, v) => s + v, 0);
    const text = ["0", "1", `p${sub(i)} = ${fixed(model.p[i], 3)}`, `−p${sub(i)}`];
    return {
      text: `What do the entries in row ${i} of the Jacobian sum to?`,
      options: text,
      answer: Math.abs(sum) < 1e-12 ? 0 : 1,
      why: `Raising all logits together changes nothing, and that is what the row sum measures: pᵢ(1 − pᵢ) − pᵢ Σ pⱼ = 0. An upstream gradient of ones therefore always gives 0 (mistake 4).`,
    };
  },
  (model) => {
    const others = ranked(model).filter((c) => model.y[c] === 0);
    if (!others.length) return null;
    const c = others[0];
    const g = model.grad[c];
    return {
      text: `Class ${c} is not the target and has p = ${fixed(model.p[c], 3)}. What is its gradient ∂L/∂x${sub(c)}?`,
      low: -1,
      high: 1,
      tolerance: 0.05,
      answer: g,
      why: `p − y with y = 0${model.state.temperature === 1 ? "" : ", divided by T"}: ${signed(g, 4)}. It is positive, so that a step downhill lowers this logit.`,
    };
  },
  (model) => {
    if (model.state.soft || model.refused >= 0) return null;
    const t = model.target;
    const row = changed(model, (x) => ((x[t] += 100 * model.state.temperature), x));
    return {
      text: `The target's logit x${sub(t)} grows by 100. What becomes of the loss ${num(model.loss, 3)}?`,
      options: ["0, exactly", "Tiny, but above 0", "Negative"],
      answer: crossEntropy(row, model.masses) > 0 ? 1 : 0,
      why: `It is log(1 + the other exponentials) = ${num(crossEntropy(row, model.masses), 3)}. Written as −log(p) it would be exactly 0, as p rounds to 1: the digits that log1p keeps.`,
    };
  },
  (model) => {
    const step = model.x.map((v, c) => v - 0.5 * model.grad[c]);
    const after = crossEntropy(softmaxRow(step, model.options), model.masses);
    if (model.refused >= 0 || model.loss < 1e-6) return null;
    return {
      text: `One step of gradient descent on these logits, with step size 0.5. What becomes of the loss, now ${num(model.loss, 3)}?`,
      low: 0,
      high: Math.max(1, 1.5 * model.loss),
      tolerance: 0.06 * Math.max(1, model.loss),
      answer: after,
      why: `About the loss less 0.5 ‖∂L/∂x‖² = ${num(model.loss - 0.5 * model.grad.reduce((s, g) => s + g * g, 0), 3)}; exactly ${num(after, 4)}.`,
    };
  },
  (model) => {
    const sum = crossEntropyGrad(model.row, model.masses).reduce((s, g) => s + g, 0);
    return {
      text: "What do all entries of the gradient ∂L/∂x sum to?",
      options: ["To the loss", "To 1", "To 0", "It depends on the target"],
      answer: Math.abs(sum) < 1e-9 ? 2 : 3,
      why: "Σ p = 1 and Σ y = 1: what the target wins, the others lose. If your gradient does not sum to 0 along a row, something is wrong.",
    };
  },
];

/** The questions that make sense for these numbers, with the place of each in the list. */
export function questionsFor(model) {
  return QUESTIONS.map((make, place) => [place, make(model)]).filter(([, question]) => question);
}
