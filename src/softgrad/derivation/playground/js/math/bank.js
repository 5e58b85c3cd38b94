// Known-wrong formulas, evaluated on the reader's own problem.
//
// A problem has, per row: x, z = x / T, row (see rows.js), m = w y, mass = sum m; and T, mask.

import {
  covariance,
  crossEntropy,
  crossEntropyGrad,
  jacobian,
  sigmoid,
  softmaxRow,
  total,
} from "./rows.js";

const EPSILONS = [1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16];
const CLIPS = [1, 2, 3, 5, 10, 15, 20, 30, 50, 88, 100, 500];

const softmax = (z) => softmaxRow(z).p;
const pMinusY = (problem, p, m = problem.m) =>
  p.map((value, i) => (total(m) * value - m[i]) / problem.T);
const times = (matrix, v) =>
  matrix.map((line) => line.reduce((s, value, j) => s + value * v[j], 0));

/** Probabilities of every row as wrong normalisations have them, by catalogue number. */
function wrongProbabilities(batch) {
  const z = batch.map(({ row }) => row.z);
  const classes = z[0].length;
  const e = z.map((line) => line.map(Math.exp));
  const all = softmaxRow(z.flat());
  const column = z[0].map((_, c) => softmax(z.map((line) => line[c])));
  const largest = Math.max(...z.flat());
  const shifted = z.map((line) => line.map((value) => Math.exp(value - largest)));
  const list = [
    [7, z.map((_, n) => all.p.slice(n * classes, (n + 1) * classes))],
    [8, z.map((line, n) => line.map((_, c) => column[c][n]))],
    [9, shifted.map((line) => line.map((value) => value / total(line)))],
    [11, e.map((line) => line.map((value) => value / total(line)))],
    [26, z.map((line) => line.map(() => 1))],
    [27, batch.map(({ x, row, T }) => softmax(x.map((v, i) => (row.part[i] ? v / T : 0))))],
    [
      27,
      batch.map(({ x, row, T }) => softmax(x.map((v, i) => (row.part[i] ? v / T : v / T - 1e4)))),
    ],
  ];
  if (z.length === classes) {
    const own = z.map((line) => {
      const max = Math.max(...line);
      return line.map((value) => Math.exp(value - max));
    });
    list.push([10, own.map((line) => line.map((value, j) => value / total(own[j])))]);
  }
  for (const bound of CLIPS) {
    list.push([
      12,
      z.map((line) => softmax(line.map((v) => Math.min(Math.max(v, -bound), bound)))),
    ]);
  }
  return list;
}

function doubled(problem) {
  return softmaxRow(problem.row.p, { mask: problem.row.part }).p;
}

/** Gradients of the cross-entropy by the logits, row by row: [number or null, rows, remark]. */
export function gradients(batch) {
  const each = (f) => batch.map(f);
  const J = (problem) => jacobian(problem.row);
  const list = wrongProbabilities(batch).map(([number, p]) => [
    number,
    each((problem, n) => pMinusY(problem, p[n])),
  ]);
  const add = (number, f) => list.push([number, each(f)]);
  add(1, ({ row, m, T }) => m.map((value, i) => (-value * row.complement[i]) / T));
  add(2, ({ x, row, m }) => {
    const upstream = m.map((value, i) => (value === 0 ? 0 : -value / row.p[i]));
    const inner = x.reduce((s, value, i) => s + value * upstream[i], 0);
    return x.map((value, i) => value * (upstream[i] - inner));
  });
  add(4, ({ x }) => x.map(() => 0));
  add(5, (problem) =>
    times(
      J(problem),
      crossEntropyGrad(problem.row, problem.m).map((v) => v * problem.T),
    ),
  );
  add(5, (problem) =>
    crossEntropyGrad(problem.row, problem.m).map(
      (v, i) => v * problem.row.p[i] * problem.row.complement[i],
    ),
  );
  add(13, (problem) => {
    // dL/dp = -m / p through the Jacobian, as it comes out where p has underflowed to 0.
    const upstream = problem.m.map((value, i) => (value === 0 ? 0 : -value / problem.row.p[i]));
    return times(J(problem), upstream);
  });
  for (const eps of EPSILONS) {
    const through =
      (weight) =>
      ({ row, m, T }) => {
        const a = m.map((value, i) => value * weight(row.p[i]));
        return row.p.map((p, i) => (p * total(a) - a[i]) / T);
      };
    add(
      14,
      through((p) => p / (p + eps)),
    );
    add(
      14,
      through((p) => (p < eps ? 0 : 1)),
    );
  }
  add(15, (problem) => pMinusY(problem, doubled(problem)));
  add(15, (problem) => times(J(problem), pMinusY({ ...problem, T: 1 }, doubled(problem))));
  add(16, (problem) =>
    times(
      J(problem),
      problem.m.map((value) => -value),
    ),
  );
  add(17, (problem) => {
    const { row, y } = problem;
    const upstream = row.p.map((p, i) =>
      row.part[i] ? -y[i] / p + (1 - y[i]) / row.complement[i] : 0,
    );
    return times(J(problem), upstream);
  });
  add(17, ({ row, y, T }) => row.z.map((z, i) => (row.part[i] ? (sigmoid(z) - y[i]) / T : 0)));
  if (batch.every(({ index }) => index !== null)) {
    const moved = (by) => (problem) => {
      const c = problem.index + by;
      const w = problem.w?.[c] ?? 1;
      return pMinusY(
        problem,
        problem.row.p,
        problem.m.map((_, i) => (i === c ? w : 0)),
      );
    };
    if (batch.every(({ index, m }) => index + 1 < m.length)) add(24, moved(1));
    if (batch.every(({ index }) => index > 0)) add(24, moved(-1));
    add(25, (problem) => moved(problem.m.length - 1 - problem.index)(problem));
  }
  add(28, ({ row, m, T }) => m.map((value, i) => (total(m) * (i === row.at) - value) / T));
  add(29, ({ row, m, T }) => row.p.map((p, i) => (total(m) * p - 2 * m[i]) / T));
  // Steps of the way that were taken for its end; the catalogue has no number for them.
  const unfinished = (remark, f) => list.push([null, each(f), remark]);
  unfinished("These are the probabilities: y has not been subtracted", ({ row, m, T }) =>
    row.p.map((p) => (total(m) * p) / T),
  );
  unfinished("This is ∂L/∂p, −y/p: the Jacobian of softmax is still to be multiplied", (problem) =>
    problem.m.map((value, i) => (value === 0 ? 0 : -value / problem.row.p[i])),
  );
  unfinished("This is the gradient of the squared loss ‖p − y‖², not of the cross-entropy", (problem) =>
    times(
      J(problem),
      problem.row.p.map((p, i) => 2 * (p - problem.m[i])),
    ),
  );
  return list;
}

/** Jacobians of the softmax of one row: [number, matrix, remark]. */
export function jacobians(problem) {
  const { x, row, T } = problem;
  const right = jacobian(row);
  const diagonal = right.map((line, i) => line.map((v, j) => (i === j ? v : 0)));
  const again = softmaxRow(row.p, { mask: row.part });
  const second = covariance(again);
  return [
    [1, diagonal],
    [2, x.map((a, i) => x.map((b, j) => (i === j ? a : 0) - a * b))],
    [15, second.map((line) => times(right, line))],
    [
      null,
      row.p.map((_, i) => row.p.map((p, j) => ((i === j) - p) / T)),
      "the Jacobian of log_softmax, I − 1pᵀ: right for log-probabilities, not for probabilities",
    ],
    [
      null,
      row.p.map((a) => row.p.map((b) => (-a * b) / T)),
      "−ppᵀ without diag(p): the cells with i = j lack their term pᵢ",
    ],
  ];
}

/** Losses of every row: [number, losses]. */
export function losses(batch) {
  const each = (f) => batch.map(f);
  const weigh = (m, f) => m.reduce((s, value, c) => (value === 0 ? s : s + value * f(c)), 0);
  const list = wrongProbabilities(batch).map(([number, p]) => [
    number,
    each(({ m }, n) => weigh(m, (c) => -Math.log(p[n][c]))),
  ]);
  list.push([13, each(({ m, row }) => weigh(m, (c) => -Math.log(row.p[c])))]);
  for (const eps of EPSILONS) {
    list.push([14, each(({ m, row }) => weigh(m, (c) => -Math.log(row.p[c] + eps)))]);
    list.push([14, each(({ m, row }) => weigh(m, (c) => -Math.log(Math.max(row.p[c], eps))))]);
  }
  list.push([15, each(({ m, row }) => crossEntropy(softmaxRow(row.p, { mask: row.part }), m))]);
  list.push([16, each(({ m, row }) => weigh(m, (c) => -row.p[c]))]);
  list.push([17, each(({ y, row }) => binary(y, row))]);
  list.push([17, each(({ y, row }) => binary(y, row) / y.length)]);
  return list;
}

function binary(y, row) {
  const log = (v) => Math.log(v);
  return y.reduce((s, v, c) => {
    if (!row.part[c]) return s;
    return s - (v && v * row.logP[c]) - (1 - v && (1 - v) * log(row.complement[c]));
  }, 0);
}
