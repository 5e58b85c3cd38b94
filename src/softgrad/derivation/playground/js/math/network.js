// Softmax regression, or one hidden layer before it, on points of the plane; full-batch descent.
//
// A network is a list of layers {W, b}: W[k] are the weights of output k.

import { crossEntropy, crossEntropyGrad, massesOf, softmaxRow } from "./rows.js";

export const ACTIVATIONS = {
  tanh: { f: Math.tanh, slope: (value) => 1 - value * value },
  relu: { f: (x) => Math.max(0, x), slope: (value) => (value > 0 ? 1 : 0) },
};

/** A stream of uniform numbers in [0, 1) that depends on the seed alone (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Start of a training: zeros for softmax regression (convex), Glorot's uniform for a hidden layer. */
export function initialNetwork({ model, width, seed }, classes) {
  const zeros = (n) => Array.from({ length: n }, () => 0);
  if (model === "linear") {
    return [{ W: Array.from({ length: classes }, () => zeros(2)), b: zeros(classes) }];
  }
  const next = random(seed);
  const layer = (outputs, inputs) => {
    const bound = Math.sqrt(6 / (inputs + outputs));
    const draw = () => (2 * next() - 1) * bound;
    return {
      W: Array.from({ length: outputs }, () => Array.from({ length: inputs }, draw)),
      b: zeros(outputs),
    };
  };
  return [layer(width, 2), layer(classes, width)];
}

function affine({ W, b }, input) {
  return W.map((line, k) => line.reduce((sum, w, d) => sum + w * input[d], b[k]));
}

/** The values of every layer for one point: input, hidden values if any, logits. */
export function forward(network, point, activation) {
  const values = [point];
  network.forEach((layer, k) => {
    const out = affine(layer, values[k]);
    values.push(k + 1 < network.length ? out.map(ACTIVATIONS[activation].f) : out);
  });
  return values;
}

export function logitsAt(network, point, activation) {
  return forward(network, point, activation).at(-1);
}

/** Mean loss, share of points that are classified right, and the gradient by every parameter. */
export function lossAndGrad(network, points, activation) {
  const grad = network.map(({ W, b }) => ({
    W: W.map((line) => line.map(() => 0)),
    b: b.map(() => 0),
  }));
  let loss = 0;
  let right = 0;
  for (const { x, y, c } of points) {
    const values = forward(network, [x, y], activation);
    const row = softmaxRow(values.at(-1));
    const masses = massesOf(c, row.p.length);
    loss += crossEntropy(row, masses) / points.length;
    right += row.at === c ? 1 : 0;
    let error = crossEntropyGrad(row, masses).map((v) => v / points.length);
    for (let k = network.length - 1; k >= 0; k--) {
      const input = values[k];
      error.forEach((delta, o) => {
        grad[k].b[o] += delta;
        input.forEach((v, d) => {
          grad[k].W[o][d] += delta * v;
        });
      });
      if (k === 0) break;
      const { slope } = ACTIVATIONS[activation];
      const upstream = error;
      error = input.map((v, d) => {
        const sum = upstream.reduce((s, delta, o) => s + delta * network[k].W[o][d], 0);
        return sum * slope(v);
      });
    }
  }
  return { loss, accuracy: points.length ? right / points.length : 0, grad };
}

/** The network one step of gradient descent further. */
export function descend(network, grad, rate) {
  return network.map(({ W, b }, k) => ({
    W: W.map((line, o) => line.map((w, d) => w - rate * grad[k].W[o][d])),
    b: b.map((v, o) => v - rate * grad[k].b[o]),
  }));
}

/** Data sets to begin with; every one lies in [-1, 1] x [-1, 1]. */
export const DATA_SETS = {
  blobs: (next) =>
    scatter(
      3,
      26,
      next,
      (c) => [0.55 * Math.cos(2.1 * c + 0.5), 0.55 * Math.sin(2.1 * c + 0.5)],
      0.3,
    ),
  moons: (next) =>
    along(2, 40, next, 0.12, (t, c) =>
      c === 0
        ? [Math.cos(Math.PI * t) * 0.55 - 0.2, Math.sin(Math.PI * t) * 0.6 - 0.1]
        : [0.2 - Math.cos(Math.PI * t) * 0.55, 0.1 - Math.sin(Math.PI * t) * 0.6],
    ),
  xor: (next) =>
    Array.from({ length: 90 }, () => {
      const [x, y] = [1.8 * next() - 0.9, 1.8 * next() - 0.9];
      return { x, y, c: Number(x * y > 0) };
    }).filter(({ x, y }) => Math.abs(x) > 0.07 && Math.abs(y) > 0.07),
  spirals: (next) =>
    along(3, 40, next, 0.04, (t, c) => {
      const angle = 2.1 * c + 3.4 * t;
      return [(0.1 + 0.8 * t) * Math.cos(angle), (0.1 + 0.8 * t) * Math.sin(angle)];
    }),
};

function bell(next) {
  return next() + next() + next() - 1.5;
}

function scatter(classes, each, next, center, spread) {
  return along(classes, each, next, spread, (_, c) => center(c));
}

function along(classes, each, next, spread, curve) {
  const points = [];
  for (let c = 0; c < classes; c++) {
    for (let k = 0; k < each; k++) {
      const [x, y] = curve(k / (each - 1), c);
      points.push({ x: x + spread * bell(next), y: y + spread * bell(next), c });
    }
  }
  return points;
}
