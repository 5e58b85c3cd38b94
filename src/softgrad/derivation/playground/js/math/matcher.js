// "Paste your gradient": which formula gives the numbers that were pasted?
//
// Every known-wrong formula is evaluated on the reader's problem, alone and times each known-wrong
// factor. The explanation with the fewest mistakes wins; what these numbers cannot tell apart is said.

import { gradients, jacobians, losses } from "./bank.js";
import { crossEntropyBatch, jacobian } from "./rows.js";

const RELATIVE = 3e-6; // numbers may come from float32

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

/**
 * Compare pasted numbers with the truth and with the bank.
 *
 * Returns {shape, verdict: "right" | "mistake" | "unknown" | "count", findings, blind, error, notes}.
 */
export function match(pasted, problem) {
  const values = pasted.flat();
  const readings = readingsOf(values.length, problem);
  if (!readings.length)
    return { verdict: "count", findings: [], blind: [], ...sizes(values, problem) };
  const results = readings.map((reading) => judge(values, reading));
  const rank = { right: 0, mistake: 1, unknown: 2 };
  results.sort((a, b) => rank[a.verdict] - rank[b.verdict] || cost(a) - cost(b));
  return results[0];
}

function cost(result) {
  return result.findings[0]?.mistakes.length ?? 0;
}

function sizes(values, { logits }) {
  const [n, c] = [logits.length, logits[0].length];
  return { count: values.length, expected: [1, c, n * c, c * c, (n * c) ** 2] };
}

/** Every quantity of this many numbers: its right value, and wrong ones. */
function readingsOf(count, problem) {
  const { logits, row, reduction, kind } = problem;
  const [N, C] = [logits.length, logits[0].length];
  const batch = problemOf(problem);
  const readings = [];
  if (count === N * C && (N > 1 || C === count)) {
    readings.push(gradientReading(batch, problem, reduction, "gradient of the batch"));
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
      formulas.push({ mistakes: [number], remark, values: flat(matrix) });
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
  factors.push([1 / Math.LN2, ["bits in place of nats: log₂ was used"]]);
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

// --- Comparison -----------------------------------------------------------------------------------

function fits(pasted, values) {
  const scale = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  return pasted.every(({ value, half }, i) => {
    const wanted = values[i];
    if (Number.isNaN(value) || Number.isNaN(wanted))
      return Number.isNaN(value) && Number.isNaN(wanted);
    if (!Number.isFinite(value) || !Number.isFinite(wanted)) return value === wanted;
    return Math.abs(value - wanted) <= 1.02 * half + RELATIVE * scale;
  });
}

function same(a, b) {
  return (
    fits(
      a.map((value) => ({ value, half: 0 })),
      b,
    ) &&
    fits(
      b.map((value) => ({ value, half: 0 })),
      a,
    )
  );
}

function judge(pasted, reading) {
  const { truth, candidates, shape } = reading;
  const resolved = pasted.some(
    ({ half }) => half <= 0.02 * Math.max(...truth.map(Math.abs), 1e-300),
  );
  const right = candidates.find(({ mistakes }) => !mistakes.length);
  const remarks = candidates.filter(({ mistakes, remark }) => !mistakes.length && remark);
  const base = {
    shape,
    expected: truth,
    got: pasted.map(({ value }) => value),
    columns: reading.columns,
    resolved,
  };
  const agreed = [right, ...remarks].find((candidate) => fits(pasted, candidate.values));
  if (agreed) {
    const blind = candidates.filter((c) => c.mistakes.length === 1 && fits(pasted, c.values));
    return {
      ...base,
      verdict: "right",
      remark: agreed.remark,
      findings: [],
      blind: numbers(blind),
    };
  }
  const hits = candidates.filter(
    (c) => c.mistakes.length && !same(c.values, truth) && fits(pasted, c.values),
  );
  if (hits.length) {
    const fewest = Math.min(...hits.map(({ mistakes }) => mistakes.length));
    const findings = distinct(hits.filter(({ mistakes }) => mistakes.length === fewest));
    return { ...base, verdict: "mistake", findings, blind: [] };
  }
  return { ...base, verdict: "unknown", findings: [], blind: [], ...structure(base) };
}

function numbers(candidates) {
  return [...new Set(candidates.map(({ mistakes }) => mistakes[0]))]
    .filter((n) => typeof n === "number")
    .sort((a, b) => a - b);
}

function distinct(hits) {
  const seen = new Set();
  return hits.filter(({ mistakes }) => {
    const key = mistakes.join();
    return !seen.has(key) && seen.add(key);
  });
}

/** What can be said of numbers that no formula explains. */
function structure({ got, expected, columns }) {
  const ratios = got.map((v, i) => v / expected[i]);
  const usable = ratios.filter((r, i) => Math.abs(expected[i]) > 1e-9 && Number.isFinite(r));
  const spread = (list) => Math.max(...list) - Math.min(...list);
  if (usable.length === got.length && usable.length > 1) {
    const middle = usable.reduce((a, b) => a + b, 0) / usable.length;
    if (spread(usable) <= 1e-3 * Math.abs(middle)) return { structure: "ratio", ratio: middle };
    if (Math.abs(middle - 1) < 0.1 && spread(usable) < 0.4 && quantum(got)) {
      return { structure: "noise", quantum: quantum(got) };
    }
  }
  const wrong = got.map(
    (v, i) => !(Math.abs(v - expected[i]) <= 1e-3 * Math.max(...expected.map(Math.abs))),
  );
  const rows = new Set();
  const classes = new Set();
  wrong.forEach((bad, i) => {
    if (!bad) return;
    rows.add(Math.floor(i / columns));
    classes.add(i % columns);
  });
  return {
    structure: "cells",
    rows: [...rows],
    classes: [...classes],
    cells: wrong.filter(Boolean).length,
  };
}

/** The unit that all numbers are multiples of: one ULP of a float32 loss over 2h, h a power of ten. */
function quantum(values) {
  for (let k = 1; k <= 8; k++) {
    for (const width of [2 * 10 ** -k, 10 ** -k]) {
      for (let e = -30; e <= -14; e++) {
        const unit = 2 ** e / width;
        const steps = values.map((v) => v / unit);
        const whole = steps.every((s) => Math.abs(s - Math.round(s)) < 0.02);
        if (whole && steps.some((s) => Math.abs(s) >= 1 && Math.abs(s) < 5000)) return unit;
      }
    }
  }
  return null;
}
