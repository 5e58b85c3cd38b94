// Softmax of one row and everything differentiated through it, in float64.
//
// The conventions are those of softgrad.softmax and softgrad.cross_entropy. Nothing cancels: with
// t = the sum of exp(z - max z) without the maximum itself,
//     logsumexp = max + log1p(t),   log p = (z - max) - log1p(t),   1 - p_max = t / (1 + t),
// so that a row whose p rounds to 1 keeps all digits of its loss and of its gradient.

/** The probabilities of the logits x, with all that the formulas below share. */
export function softmaxRow(x, { temperature = 1, mask = null } = {}) {
  const classes = x.length;
  const part = x.map((_, i) => !mask || mask[i]);
  const z = x.map((value, i) => (part[i] ? value / temperature : -Infinity));
  let at = -1;
  for (let i = 0; i < classes; i++) {
    if (part[i] && (at < 0 || z[i] > z[at] || Number.isNaN(z[i]))) at = i;
  }
  if (at < 0) {
    const zeros = x.map(() => 0);
    const logP = x.map(() => -Infinity);
    const nothing = { e: zeros, p: zeros, logP, complement: zeros };
    return { z, part, at, max: -Infinity, others: 0, lse: -Infinity, ...nothing, temperature };
  }
  const max = z[at];
  const e = z.map((value, i) => (part[i] ? Math.exp(value - max) : 0));
  let others = e[at] - 1; // 0, or NaN where the largest logit is infinite or NaN
  for (let i = 0; i < classes; i++) if (i !== at) others += e[i];
  const sum = 1 + others;
  const p = e.map((value) => value / sum);
  const logP = z.map((value, i) => (part[i] ? value - max - Math.log1p(others) : -Infinity));
  const complement = p.map((value, i) => (!part[i] ? 0 : i === at ? others / sum : 1 - value));
  const lse = Math.abs(max) === Infinity ? max : max + Math.log1p(others);
  return { z, part, at, max, others, lse, e, p, logP, complement, temperature };
}

/** diag(p) - p p^T, the covariance of the one-hot vector: times 1/T the Jacobian of softmax. */
export function covariance(row) {
  const { p, complement } = row;
  return p.map((pi, i) => p.map((pj, j) => (i === j ? pi * complement[i] : -pi * pj)));
}

/** The Jacobian of softmax: how p_i changes with x_j. */
export function jacobian(row) {
  return covariance(row).map((line) => line.map((value) => value / row.temperature));
}

/** The cross-entropy with the masses m_c = w_c y_c, in nats. */
export function crossEntropy(row, masses) {
  let loss = 0;
  masses.forEach((mass, c) => {
    if (mass !== 0) loss -= mass * row.logP[c];
  });
  return loss;
}

/**
 * The gradient of the cross-entropy by x: (Y p - m) / T, with Y the sum of the masses.
 *
 * Written as p_i (Y - m_i) - m_i (1 - p_i), whose first term is exactly 0 for a one-hot target.
 */
export function crossEntropyGrad(row, masses) {
  return row.p.map((p, i) => {
    if (!row.part[i]) return 0;
    let rest = 0;
    masses.forEach((mass, c) => {
      if (c !== i) rest += mass;
    });
    return (p * rest - masses[i] * row.complement[i]) / row.temperature;
  });
}

/** The second derivatives of the cross-entropy by x: Y / T^2 (diag(p) - p p^T). */
export function crossEntropyHessian(row, masses) {
  const factor = total(masses) / row.temperature ** 2;
  return covariance(row).map((line) => line.map((value) => value * factor));
}

/** -sum p log p, in nats; a class without probability contributes 0. */
export function entropy(p, logP = p.map(Math.log)) {
  return p.reduce((sum, value, i) => (value === 0 ? sum : sum - value * logP[i]), 0);
}

/** w_c y_c of a target that is a class index or a list of probabilities. */
export function massesOf(target, classes, classWeight = null) {
  const y = Array.isArray(target)
    ? target
    : Array.from({ length: classes }, (_, c) => (c === target ? 1 : 0));
  return classWeight ? y.map((value, c) => value * classWeight[c]) : y;
}

/**
 * The cross-entropy of a batch, with gradient and Hessians, as softgrad.cross_entropy has them.
 *
 * The mean divides by the weight that took part: the sum of s_i Y_i with class weights, else of s_i.
 */
export function crossEntropyBatch(
  logits,
  targets,
  {
    temperature = 1,
    mask = null,
    classWeight = null,
    sampleWeight = null,
    reduction = "mean",
  } = {},
) {
  const rows = logits.map((x) => softmaxRow(x, { temperature, mask }));
  const masses = logits.map((x, n) => massesOf(targets[n], x.length, classWeight));
  const weight = rows.map((row, n) => (row.at < 0 ? 0 : sampleWeight ? sampleWeight[n] : 1));
  let share = weight;
  if (reduction === "mean") {
    const parts = weight.map((s, n) => (classWeight ? s * total(masses[n]) : s));
    const whole = total(parts);
    share = weight.map((s) => (whole > 0 ? s / whole : 0));
  }
  const scaled = (s, value) => (s === 0 ? 0 : s * value);
  const losses = rows.map((row, n) => scaled(share[n], crossEntropy(row, masses[n])));
  return {
    rows,
    masses,
    share,
    losses,
    loss: reduction === "none" ? losses : total(losses),
    grad: rows.map((row, n) => crossEntropyGrad(row, masses[n]).map((v) => scaled(share[n], v))),
    /** Only computed where it is read: it is as large as all else squared. */
    get hessian() {
      return rows.map((row, n) =>
        crossEntropyHessian(row, masses[n]).map((line) => line.map((v) => scaled(share[n], v))),
      );
    },
  };
}

/** 1 / (1 + exp(-x)) without overflow. */
export function sigmoid(x) {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

export function total(values) {
  return values.reduce((sum, value) => sum + value, 0);
}
