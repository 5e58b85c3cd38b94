// What pasted numbers may be: for every quantity its right value, and what known mistakes make of it.

import { gradients, jacobians, losses } from "./bank.js";
import { crossEntropyBatch, jacobian } from "./rows.js";

/** What is asked: {logits, targets, temperature, mask, classWeight, kind, reduction, row}. */
export function problemOf({ logits, targets, temperature, mask, classWeight }) {
  const options = { temperature, mask, classWeight, reduction: "none" };
  const { rows, masses } = crossEntropyBatch(logits, targets, options);
  return logits.map((x, n) => ({
    x,
    row: rows[n],
    m: masses[n],
    y: Array.isArray(targets[n]) ? targets[n] : x.map((_, c) => Number(c === targets[n])),
    index: Array.isArray(targets[n]) ? null : targets[n],
    w: classWeight,
    T: temperature,
  }));
}

/** Every quantity of this many numbers: its right value, and wrong ones. */
export function readingsOf(count, problem) {
  const { logits, row, reduction, kind } = problem;
  const [N, C] = [logits.length, logits[0].length];
  const batch = problemOf(problem);
  const readings = [];
  if (count === N * C && (N > 1 || C === count)) {
    readings.push(gradientReading(batch, problem, reduction, N > 1 ? "gradient of the batch" : "gradient"));
  }
  if (count === C && N > 1) {
    readings.push(
      gradientReading([batch[row]], { ...problem, N: 1 }, "none", `gradient of row ${row}`, N),
    );
  }
  if (count === C * C && kind !== "squared") readings.push(jacobianReading(batch[row], problem));
  if (count === C && kind !== "squared") {
    readings[readings.length - 1].candidates.push({
      mistakes: [1],
      remark: "p(1 − p), a vector where a matrix belongs",
      values: batch[row].row.p.map((p, i) => (p * batch[row].row.complement[i]) / batch[row].T),
    });
  }
  if (count === 1 && kind === "cross_entropy") readings.push(lossReading(batch, problem));
  if (count === (N * C) ** 2 && N > 1) readings.push(flattenedReading(batch));
  return readings;
}

function gradientReading(
  batch,
  { kind, temperature: T, classWeight, logits },
  reduction,
  shape,
  rows = logits.length,
) {
  const C = logits[0].length;
  const masses = batch.map(({ m }) => m.reduce((a, b) => a + b, 0));
  const weight = classWeight ? masses.reduce((a, b) => a + b, 0) : batch.length;
  const divisor = reduction === "mean" ? weight : 1;
  const gain = kind === "distillation" ? T * T : 1;
  const truth = crossEntropyBatch(
    batch.map(({ x }) => x),
    batch.map(({ y }) => y),
    { temperature: T, mask: batch[0].row.part, classWeight, reduction: "none" },
  ).grad;
  const bank = gradients(batch);
  let right = truth;
  if (kind === "squared") {
    // 2 J (p - y): what is number 5 for cross-entropy is right here, and p - y is wrong.
    right = bank.filter(([number]) => number === 5)[0][1].map((line) => line.map((v) => 2 * v));
  }
  const flat = (matrix) => matrix.flat().map((v) => (v * gain) / divisor);
  const formulas = [{ mistakes: [], values: flat(right) }];
  if (kind === "squared") {
    formulas.push({ mistakes: [6], values: flat(truth) });
    formulas.push({ mistakes: [6], values: flat(truth).map((v) => 2 * v) });
    formulas.push({
      mistakes: [],
      remark: "half of the squared loss, ½‖p − y‖²",
      values: flat(right).map((v) => v / 2),
    });
    for (const [number, matrix] of bank)
      if (number === 4) formulas.push({ mistakes: [4], values: flat(matrix) });
  } else {
    for (const [number, matrix, remark] of bank)
      formulas.push({ mistakes: [number ?? remark], values: flat(matrix) });
  }
  const factors = [
    [1, []],
    [-1, [21]],
  ];
  if (batch.length > 1 && reduction === "mean") {
    factors.push([divisor, [18]]);
    if (classWeight) factors.push([divisor / batch.length, [20]]);
  }
  if (rows > 1 && reduction !== "mean")
    factors.push([1 / rows, ["1/N although the reduction has none"]]);
  factors.push([1 / C, [19]]);
  if (T !== 1 && kind !== "squared") {
    factors.push([T, [22]]);
    if (kind === "distillation") factors.push([1 / (T * T), [23]]);
  }
  return {
    shape,
    truth: formulas[0].values,
    candidates: combine(formulas, factors),
    columns: C,
    loss: null,
  };
}

/** Every formula times every factor, and times two factors where the formula is right. */
function combine(formulas, factors) {
  const products = [];
  for (const { mistakes, remark, values } of formulas) {
    for (const [factor, named] of factors) {
      const scaled = values.map((v) => v * factor);
      products.push({ mistakes: [...mistakes, ...named], remark, values: scaled });
      if (mistakes.length || !named.length) continue;
      for (const [other, alsoNamed] of factors.slice(
        factors.findIndex(([f]) => f === factor) + 1,
      )) {
        const both = scaled.map((v) => v * other);
        products.push({ mistakes: [...named, ...alsoNamed], remark, values: both });
      }
    }
  }
  return products;
}

function jacobianReading(problem, { temperature: T, row }) {
  const truth = jacobian(problem.row).flat();
  const formulas = [{ mistakes: [], values: truth }];
  for (const [number, matrix, remark] of jacobians(problem)) {
    formulas.push({ mistakes: number ? [number] : [remark], values: matrix.flat() });
  }
  const factors = [
    [1, []],
    [-1, [21]],
  ];
  if (T !== 1) factors.push([T, [22]]);
  return {
    shape: `Jacobian of row ${row}`,
    truth,
    candidates: combine(formulas, factors),
    columns: problem.x.length,
  };
}

function lossReading(batch, problem) {
  const { classWeight, reduction, logits, targets, temperature, mask } = problem;
  const options = {
    temperature,
    mask,
    classWeight,
    reduction: reduction === "none" ? "mean" : reduction,
  };
  const truth = crossEntropyBatch(logits, targets, options).loss;
  const weight = classWeight
    ? batch.reduce((s, { m }) => s + m.reduce((a, b) => a + b, 0), 0)
    : batch.length;
  const divisor = options.reduction === "mean" ? weight : 1;
  const sum = (list) => list.reduce((a, b) => a + b, 0) / divisor;
  const formulas = [{ mistakes: [], values: [truth] }];
  for (const [number, rows] of losses(batch))
    formulas.push({ mistakes: [number], values: [sum(rows)] });
  const factors = [
    [1, []],
    [-1, [21]],
  ];
  if (batch.length > 1 && divisor !== 1) {
    factors.push([divisor, [18]]);
    if (classWeight) factors.push([divisor / batch.length, [20]]);
  }
  factors.push([1 / logits[0].length, [19]]);
  factors.push([1 / Math.LN2, ["Bits in place of nats: log₂ was used"]]);
  factors.push([1 / Math.LN10, ["log₁₀ was used in place of log"]]);
  // One number carries little: pairs of mistakes would fit by accident.
  const candidates = combine(formulas, factors).filter(({ mistakes }) => mistakes.length < 2);
  return { shape: "loss", truth: [truth], candidates, columns: 1 };
}

function flattenedReading(batch) {
  const p = batch.flatMap(({ row }) => row.p);
  const values = p.flatMap((a, i) => p.map((b, j) => (i === j ? a : 0) - a * b));
  const blocks = p.flatMap((a, i) =>
    p.map((b, j) => {
      const C = batch[0].x.length;
      return Math.floor(i / C) === Math.floor(j / C) ? (i === j ? a : 0) - a * b : 0;
    }),
  );
  const candidates = [
    { mistakes: [3], values },
    { mistakes: [], values: blocks },
  ];
  return { shape: "Jacobian of the flattened batch", truth: blocks, candidates, columns: p.length };
}
