// What each deliberate mistake does to the reader's numbers, and why.

import { FORMATS } from "./math/rounding.js";
import { compute } from "./math/broken.js";
import { num, power, sub } from "./format.js";

const worst = (a, b) =>
  Math.max(...a.map((v, i) => (Number.isNaN(v - b[i]) ? Infinity : Math.abs(v - b[i]))));

/** The switches of broken.js that the chosen breaks stand for. */
export function switchesOf(breaks) {
  return {
    shift: !breaks.includes("no-shift"),
    dtype: breaks.includes("float16")
      ? "float16"
      : breaks.includes("float32")
        ? "float32"
        : "float64",
    axis: breaks.includes("wrong-axis") ? "batch" : "class",
    diagonal: breaks.includes("diagonal"),
    twice: breaks.includes("double"),
    logOfSoftmax: breaks.includes("log-of"),
  };
}

export function computeBroken(model) {
  const {
    state: { logits, temperature, mask, breaks },
    batch: { masses },
  } = model;
  return compute(logits, masses, temperature, mask, switchesOf(breaks));
}

/** Every break: its name, its number in the catalogue, why it is wrong, a state that shows it. */
export const BREAK_LIST = [
  {
    id: "no-shift",
    title: "No max shift",
    number: 11,
    why: "exp grows beyond the largest number there is long before the probabilities are anything special; subtracting the maximum changes nothing in p and keeps every exponential at most 1.",
    show: { logits: [[1000, 1001, 1002]], index: [2] },
  },
  {
    id: "float32",
    title: "float32",
    number: null,
    why: "24 bits keep 7 digits: 1 − p and log p of a confident row lose all of theirs when they are computed from a rounded p.",
    show: { logits: [[18, 0.5, 0]], index: [0] },
  },
  {
    id: "float16",
    title: "float16",
    number: null,
    why: "11 bits keep 3 digits, numbers end at 65504 and below 6e−8 there is only 0: probabilities are rounded, and small ones vanish.",
    show: { logits: [[19, 1.3, 0.2]], index: [1] },
  },
  {
    id: "wrong-axis",
    title: "Wrong axis",
    number: 8,
    why: "The sum must run over the classes of one row; over the rows of the batch each sample's probabilities depend on its neighbours.",
    show: {
      logits: [
        [2, 1, 0.1],
        [0.5, 2.5, -1],
        [1, 0, 3],
        [0.2, 1.5, 0.3],
      ],
      index: [0, 1, 2, 1],
    },
  },
  {
    id: "diagonal",
    title: "Diagonal only",
    number: 1,
    why: "−pᵢpⱼ is missing: with a one-hot target only the true class still gets a gradient, and the rows of the Jacobian no longer sum to 0.",
    show: { logits: [[1.2, 0.7, 0.1, -0.5]], index: [0] },
  },
  {
    id: "double",
    title: "Double softmax",
    number: 15,
    why: "Probabilities lie between 0 and 1, so a second softmax sees logits that differ by at most 1: the loss has a floor that no training gets below.",
    show: { logits: [[30, 0, 0, 0, 0, 0, 0, 0, 0, 0]], index: [0] },
  },
  {
    id: "log-of",
    title: "Log of softmax",
    number: 13,
    why: "A small p underflows to 0 before the logarithm is taken; log_softmax never forms p and keeps the value, here the difference of the logits.",
    show: { logits: [[0, 800]], index: [0] },
  },
];

/** What is to be seen now, in one sentence with numbers; {seen: whether anything is}. */
export function symptom(id, model, broken) {
  const n = model.state.row;
  const mine = broken[n];
  const { p, grad, loss, x, row, target } = model;
  const alone = compute(
    model.state.logits,
    model.batch.masses,
    model.state.temperature,
    model.state.mask,
    switchesOf([id]),
  )[n];
  const lost = alone.p.some((v) => !Number.isFinite(v));
  const dtype = switchesOf(model.state.breaks).dtype;
  switch (id) {
    case "no-shift": {
      const limit = FORMATS[dtype].overflow;
      const largest = row.max;
      if (mine.p.some((v) => !Number.isFinite(v)) || lost)
        return {
          seen: true,
          text: `exp(${num(largest)}) is infinite in ${dtype}: ∞/∞ is NaN, and so is the gradient.`,
        };
      if (largest < -limit)
        return { seen: true, text: `Every exponential underflows to 0 in ${dtype}: 0/0 is NaN.` };
      return {
        seen: false,
        text: `Nothing yet: the largest logit is ${num(largest)}, and ${dtype} overflows above ${num(limit)}.`,
      };
    }
    case "float32":
    case "float16": {
      const gone = p.findIndex((v, c) => v > 0 && alone.p[c] === 0);
      if (gone >= 0)
        return {
          seen: true,
          text: `p${sub(gone)} is ${power(p[gone])}, but 0 in ${id}: ${alone.loss === Infinity ? "its logarithm is −∞" : "nothing can be learnt from it"}.`,
        };
      const c = grad.findIndex(
        (v, k) => v !== 0 && Math.abs(alone.grad[k] - v) > 0.01 * Math.abs(v),
      );
      if (c >= 0)
        return {
          seen: true,
          text: `∂L/∂x${sub(c)} is ${num(grad[c])}, but ${num(alone.grad[c])} in ${id}: the digits cancelled in p − y.`,
        };
      return {
        seen: false,
        text: `p is off by up to ${power(worst(alone.p, p))}: the last digits only. Make the row more confident.`,
      };
    }
    case "wrong-axis": {
      if (broken.length === 1)
        return {
          seen: true,
          text: "The batch has one row: every column is normalised by itself, and all probabilities are 1.",
        };
      const sum = mine.p.reduce((a, b) => a + b, 0);
      return {
        seen: Math.abs(sum - 1) > 1e-6,
        text: `The row sums to ${num(sum)} instead of 1; change another row, and this one moves.`,
      };
    }
    case "diagonal": {
      const sum = alone.jacobian[0].reduce((a, b) => a + b, 0);
      const still = alone.grad.filter((v, c) => v === 0 && grad[c] !== 0).length;
      return {
        seen: sum !== 0,
        text: `Row 0 of the Jacobian sums to ${num(sum)} instead of 0${still ? `; ${still} of ${x.length} logits get no gradient at all` : ""}.`,
      };
    }
    case "double": {
      const classes = model.taking;
      const floor = Math.log1p((classes - 1) / Math.E);
      return {
        seen: true,
        text: `The loss is ${num(alone.loss)} instead of ${num(loss)}; with ${classes} classes it cannot get below ${num(floor)}, and the largest probability not above ${num(Math.exp(-floor), 3)}.`,
      };
    }
    default: {
      if (alone.loss === Infinity)
        return {
          seen: true,
          text: `p${Array.isArray(target) ? "" : sub(target)} underflows to 0, its logarithm is −∞: the loss is ∞ instead of ${num(loss)}, the gradient NaN.`,
        };
      const error = Math.abs(alone.loss - loss);
      if (loss !== 0 && error > 0.01 * loss)
        return {
          seen: true,
          text: `p rounds to 1: the loss is ${num(alone.loss)} instead of ${num(loss)}, without a single right digit.`,
        };
      return {
        seen: false,
        text: `Nothing yet: the loss is off by ${power(error)}. It shows when the target's probability rounds to 0, or to 1.`,
      };
    }
  }
}
