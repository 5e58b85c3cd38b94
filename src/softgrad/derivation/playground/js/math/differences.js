// Central differences: the derivative by a way that knows nothing of the formula.

import { lossesWith } from "./broken.js";
import { crossEntropy, massesOf, softmaxRow } from "./rows.js";

/** (f(x + h e_i) - f(x - h e_i)) / 2h for every i. The step that was really taken divides. */
export function centralDifferences(f, x, h, round = (v) => v) {
  return x.map((value, i) => {
    const up = x.slice();
    const down = x.slice();
    up[i] = round(value + h);
    down[i] = round(value - h);
    return (f(up) - f(down)) / (up[i] - down[i]);
  });
}

/** The loss of one row as a function of its logits, in float64 or in fewer digits. */
export function lossOf(target, options, dtype) {
  const { temperature, mask, classWeight } = options;
  return (x) => {
    const masses = massesOf(target, x.length, classWeight);
    if (dtype === "float64") return crossEntropy(softmaxRow(x, { temperature, mask }), masses);
    return lossesWith([x], [masses], temperature, mask, { dtype })[0];
  };
}

/** The largest difference of two lists of numbers, relative to the largest number of the second. */
export function relativeError(a, b) {
  const size = Math.max(...b.map(Math.abs));
  const worst = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  return size === 0 ? worst : worst / size;
}
