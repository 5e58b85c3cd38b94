// The textbook formulas with the mistakes that people make in them, one switch each.
//
// Unlike rows.js this is what most code does (exp, sum, divide, p - y), so that its rounding shows.

import { rounder } from "./rounding.js";

export const RIGHT = {
  shift: true, // subtract the maximum before exp
  dtype: "float64",
  axis: "class", // or "batch": normalise over the rows
  diagonal: false, // keep only p (1 - p) of the Jacobian
  twice: false, // softmax of a softmax
  logOfSoftmax: false, // log(softmax(x)) in place of log_softmax(x)
};

/** Softmax of each vector, each step rounded; with its logarithm from the same shifted logits. */
function softmax(vectors, r, shift) {
  return vectors.map((z) => {
    const taking = z.filter((value) => value !== -Infinity);
    const max = shift && taking.length ? Math.max(...taking) : 0;
    const shifted = z.map((value) => (value === -Infinity ? value : r(value - max)));
    const e = shifted.map((value) => r(Math.exp(value)));
    const sum = e.reduce((a, b) => r(a + b), 0);
    const logSum = r(Math.log(sum));
    return {
      p: e.map((value) => r(value / sum)),
      logP: shifted.map((value) => r(value - logSum)),
    };
  });
}

function transpose(matrix) {
  return matrix[0].map((_, c) => matrix.map((line) => line[c]));
}

/** Softmax and loss of every row of a batch, with these switches; `once` where softmax is applied twice. */
function forward(logits, masses, temperature, mask, options, r) {
  const z = logits.map((x) =>
    x.map((value, c) => (mask && !mask[c] ? -Infinity : r(r(value) / r(temperature)))),
  );
  const once = normalise(z, options, r);
  let final = once;
  if (options.twice) {
    const again = once.map(({ p }) => p.map((value, c) => (mask && !mask[c] ? -Infinity : value)));
    final = normalise(again, options, r);
  }
  return final.map(({ p, logP: stable }, n) => {
    const logP = options.logOfSoftmax ? p.map((value) => r(Math.log(value))) : stable;
    const m = masses[n].map(r);
    const loss = m.reduce((sum, value, c) => (value === 0 ? sum : r(sum - r(value * logP[c]))), 0);
    return { p, logP, m, loss, once: once[n].p };
  });
}

/** The losses alone of every row of a batch, computed with these switches. */
export function lossesWith(logits, masses, temperature, mask, switches = RIGHT) {
  const options = { ...RIGHT, ...switches };
  const rows = forward(logits, masses, temperature, mask, options, rounder(options.dtype));
  return rows.map(({ loss }) => loss);
}

/** p, log p, loss, Jacobian and gradient of every row of a batch, computed with these switches. */
export function compute(logits, masses, temperature, mask, switches = RIGHT) {
  const options = { ...RIGHT, ...switches };
  const r = rounder(options.dtype);
  return forward(logits, masses, temperature, mask, options, r).map(({ p, logP, m, loss, once }) => {
    const mass = m.reduce((a, b) => r(a + b), 0);
    const local = derivative(p, options.diagonal, r);
    const first = options.twice ? derivative(once, options.diagonal, r) : null;
    const scale = (value) => r(value / r(temperature));
    const whole = first ? product(local, first, r) : local;
    const jacobian = whole.map((line) => line.map(scale));
    let grad;
    if (options.logOfSoftmax || options.diagonal) {
      // The chain rule as an automatic differentiation walks it: dL/dp = -m / p, then the Jacobian.
      const upstream = p.map((value, c) => (m[c] === 0 ? 0 : r(-m[c] / value)));
      grad = vectorTimes(upstream, jacobian, r);
    } else {
      const error = p.map((value, c) => r(r(mass * value) - m[c]));
      grad = (first ? vectorTimes(error, first, r) : error).map(scale);
    }
    return { p, logP, loss, jacobian, grad };
  });
}

function normalise(z, options, r) {
  if (options.axis === "class") return softmax(z, r, options.shift);
  const columns = softmax(transpose(z), r, options.shift);
  const p = transpose(columns.map((column) => column.p));
  const logP = transpose(columns.map((column) => column.logP));
  return p.map((line, n) => ({ p: line, logP: logP[n] }));
}

function derivative(p, diagonalOnly, r) {
  return p.map((pi, i) =>
    p.map((pj, j) => {
      if (i === j) return r(pi * r(1 - pi));
      return diagonalOnly ? 0 : -r(pi * pj);
    }),
  );
}

function vectorTimes(v, matrix, r) {
  return v.map((_, j) => v.reduce((sum, value, i) => r(sum + r(value * matrix[i][j])), 0));
}

function product(a, b, r) {
  return a.map((line) => vectorTimes(line, b, r));
}
