// What follows from the state: computed once for a change, read by every view.

import {
  crossEntropy,
  crossEntropyBatch,
  crossEntropyGrad,
  entropy,
  jacobian,
  massesOf,
  total,
} from "./math/rows.js";

/** The numbers of the row that is looked at, and of its batch. */
export function derive(state) {
  const { logits, row: n, temperature, mask, weights: classWeight } = state;
  const targets = state.soft ? state.dist : state.index;
  const options = { temperature, mask, classWeight };
  const batch = crossEntropyBatch(logits, targets, { ...options, reduction: "mean" });
  const row = batch.rows[n];
  const masses = batch.masses[n];
  const classes = logits[n].length;
  const y = state.soft
    ? state.dist[n]
    : Array.from({ length: classes }, (_, c) => Number(c === state.index[n]));
  return {
    state,
    classes,
    x: logits[n],
    y,
    targets,
    target: targets[n],
    options,
    masses,
    mass: near(total(masses), 1),
    row,
    p: row.p,
    loss: crossEntropy(row, masses),
    grad: crossEntropyGrad(row, masses),
    jacobian: jacobian(row),
    entropy: entropy(row.p, row.logP),
    taking: row.part.filter(Boolean).length,
    batch,
    refused: targets.findIndex((target, k) => refuses(target, batch.rows[k])),
  };
}

/** The value, without what rounding left of the difference from `whole`. */
function near(value, whole) {
  return Math.abs(value - whole) < 1e-12 ? whole : value;
}

/** Whether a target gives weight to a class that is masked, which the library does not accept. */
function refuses(target, row) {
  if (row.at < 0) return false;
  return massesOf(target, row.p.length).some((value, c) => value !== 0 && !row.part[c]);
}
