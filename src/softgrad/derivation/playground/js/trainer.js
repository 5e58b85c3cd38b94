// A training as a value that moves on step by step; the page's address holds what it starts from.

import { DATA_SETS, descend, initialNetwork, lossAndGrad, random } from "./math/network.js";
import { onGrid } from "./state.js";

const KEPT = 400; // points of the loss curve

/** The points of a data set by name, as an address would hold them, or the points themselves. */
export function pointsOf({ data, seed }) {
  if (Array.isArray(data)) return data;
  const make = DATA_SETS[data] ?? DATA_SETS.blobs;
  return onGrid(make(random(seed)));
}

export function classesOf(points) {
  return Math.max(2, ...points.map(({ c }) => c + 1));
}

export function begin(state) {
  const points = pointsOf(state);
  const network = initialNetwork(state, classesOf(points));
  return measured({ points, network, steps: 0, history: [], stride: 1 }, state);
}

function measured(training, { activation }) {
  const { loss, accuracy, grad } = lossAndGrad(training.network, training.points, activation);
  let { history, stride } = training;
  if (training.points.length && training.steps % stride === 0)
    history = [...history, [training.steps, loss]];
  if (history.length > KEPT) {
    history = history.filter((_, k) => k % 2 === 0);
    stride *= 2;
  }
  return { ...training, loss, accuracy, grad, history, stride };
}

/** The training `count` steps further. */
export function advance(training, state, count = 1) {
  let now = training;
  for (let k = 0; k < count && now.points.length; k++) {
    now = measured(
      { ...now, network: descend(now.network, now.grad, state.rate), steps: now.steps + 1 },
      state,
    );
  }
  return now;
}
