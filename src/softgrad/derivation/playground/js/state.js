// Everything the reader has set, as one value; and that value as the part of the address after #.

export const VIEWS = new Map([
  ["explore", "Explore"],
  ["break", "Break it"],
  ["predict", "Predict"],
  ["check", "Check yours"],
  ["copy", "Copy"],
  ["train", "Train"],
]);
export const BREAKS = [
  "no-shift",
  "float32",
  "float16",
  "wrong-axis",
  "diagonal",
  "double",
  "log-of",
];
export const MAX_CLASSES = 20;

export const INITIAL = {
  view: "explore",
  logits: [[2, 1, 0.1, -1]],
  row: 0,
  soft: false,
  index: [0],
  dist: [[0.7, 0.2, 0.1, 0]],
  temperature: 1,
  mask: null, // null, or true for every class that takes part
  weights: null, // null, or one weight a class
  i: 0, // the class that is looked at
  j: 1, // and the logit it is differentiated by
  step: -5, // log10 of the step size
  precision: "float64",
  pair: [0, 1],
  breaks: [],
  question: 0,
  language: "numpy",
  pasted: "",
  kind: "cross_entropy",
  reduction: "mean",
  data: "blobs", // the name of a data set, or a list of points
  model: "linear",
  width: 8,
  activation: "tanh",
  rate: 0.5,
  seed: 1,
  steps: 0,
};

const CHOICES = {
  view: [...VIEWS.keys()],
  precision: ["float64", "float32", "float16"],
  language: ["softgrad", "numpy", "pytorch", "jax", "latex"],
  kind: ["cross_entropy", "squared", "distillation"],
  reduction: ["mean", "sum", "none"],
  model: ["linear", "hidden"],
  activation: ["tanh", "relu"],
};
const NUMBERS = {
  row: (v) => Number.isInteger(v) && v >= 0,
  temperature: (v) => v > 0 && v <= 1e6,
  i: (v) => Number.isInteger(v) && v >= 0,
  j: (v) => Number.isInteger(v) && v >= 0,
  step: (v) => v >= -12 && v <= 0,
  question: (v) => Number.isInteger(v) && v >= 0,
  width: (v) => Number.isInteger(v) && v >= 1 && v <= 24,
  rate: (v) => v > 0 && v <= 10,
  seed: (v) => Number.isInteger(v) && v >= 0,
  steps: (v) => Number.isInteger(v) && v >= 0 && v <= 20000,
};

// --- To the address -------------------------------------------------------------------------------

const list = (values) => values.map(String).join(",");
const matrix = (rows) => rows.map(list).join(";");

/** The state as text: readable, only what differs from the beginning. */
export function encode(state) {
  const parts = [`x=${matrix(state.logits)}`];
  parts.push(state.soft ? `q=${matrix(state.dist)}` : `y=${list(state.index)}`);
  if (state.mask) parts.push(`mask=${state.mask.map(Number).join("")}`);
  if (state.weights) parts.push(`w=${list(state.weights)}`);
  if (state.breaks.length) parts.push(`break=${state.breaks.join(",")}`);
  if (String(state.pair) !== String(INITIAL.pair)) parts.push(`pair=${list(state.pair)}`);
  if (state.pasted) parts.push(`paste=${encodeURIComponent(state.pasted)}`);
  for (const key of [...Object.keys(CHOICES), ...Object.keys(NUMBERS)]) {
    if (state[key] !== INITIAL[key]) parts.push(`${key}=${state[key]}`);
  }
  if (Array.isArray(state.data)) parts.push(`data=${encodePoints(state.data)}`);
  else if (state.data !== INITIAL.data) parts.push(`data=${state.data}`);
  return parts.join("&");
}

// A point is its class and two coordinates of -1..1 in 1295 steps, two base-36 digits each.
const GRID = 36 * 36 - 1;

function encodePoints(points) {
  const digits = (v) =>
    Math.round(((Math.min(1, Math.max(-1, v)) + 1) / 2) * GRID)
      .toString(36)
      .padStart(2, "0");
  return `.${points.map(({ x, y, c }) => c + digits(x) + digits(y)).join("")}`;
}

function decodePoints(text) {
  const points = [];
  for (const [, c, x, y] of text.slice(1).matchAll(/(\d)([0-9a-z]{2})([0-9a-z]{2})/g)) {
    const value = (digits) => (parseInt(digits, 36) / GRID) * 2 - 1;
    points.push({ x: value(x), y: value(y), c: Number(c) });
  }
  return points;
}

/** Points as the address will hold them, so that a shared page trains on the same numbers. */
export function onGrid(points) {
  return decodePoints(encodePoints(points));
}

// --- From the address -----------------------------------------------------------------------------

/** The state that a text describes. What cannot be read is left as in the beginning, and named. */
export function decode(text) {
  const state = structuredClone(INITIAL);
  const refused = [];
  const fields = new Map(
    text
      .replace(/^#/, "")
      .split("&")
      .filter(Boolean)
      .map((part) => {
        const at = part.indexOf("=");
        return [part.slice(0, at), part.slice(at + 1)];
      }),
  );
  const take = (key, read) => {
    if (!fields.has(key)) return;
    try {
      read(decodeURIComponent(fields.get(key)));
    } catch {
      refused.push(key);
    }
  };
  const numbersOf = (part, accept = Number.isFinite) => {
    const values = part.split(",").map((v) => (v.trim() === "" ? NaN : Number(v)));
    if (!values.every(accept)) throw new Error("not numbers");
    return values;
  };
  const require = (condition) => {
    if (!condition) throw new Error("out of range");
  };

  take("x", (value) => {
    const rows = value.split(";").map((part) => numbersOf(part));
    require(rows.length <= 64 && rows.every((row) => row.length === rows[0].length));
    require(rows[0].length >= 2 && rows[0].length <= MAX_CLASSES);
    state.logits = rows;
  });
  const classes = state.logits[0].length;
  const rows = state.logits.length;
  fit(state);
  take("y", (value) => {
    const index = numbersOf(value, (v) => Number.isInteger(v) && v >= 0 && v < classes);
    require(index.length === rows);
    state.index = index;
  });
  take("q", (value) => {
    const dist = value.split(";").map((part) => numbersOf(part, (v) => v >= 0 && v < Infinity));
    require(dist.length === rows && dist.every((row) => row.length === classes));
    state.dist = dist;
    state.soft = true;
  });
  take("mask", (value) => {
    require(/^[01]+$/.test(value) && value.length === classes && value.includes("1"));
    state.mask = [...value].map((digit) => digit === "1");
  });
  take("w", (value) => {
    const weights = numbersOf(value, (v) => v >= 0 && v < Infinity);
    require(weights.length === classes);
    state.weights = weights;
  });
  take("break", (value) => {
    const names = value.split(",");
    require(names.every((name) => BREAKS.includes(name)));
    state.breaks = names;
  });
  take("pair", (value) => {
    const pair = numbersOf(value, (v) => Number.isInteger(v) && v >= 0 && v < classes);
    require(pair.length === 2 && pair[0] !== pair[1]);
    state.pair = pair;
  });
  take("paste", (value) => {
    state.pasted = value;
  });
  take("data", (value) => {
    require(value.startsWith(".") || /^[a-z]+$/.test(value));
    state.data = value.startsWith(".") ? decodePoints(value) : value;
  });
  for (const [key, options] of Object.entries(CHOICES)) {
    take(key, (value) => {
      require(options.includes(value));
      state[key] = value;
    });
  }
  for (const [key, accept] of Object.entries(NUMBERS)) {
    take(key, (value) => {
      require(value !== "" && accept(Number(value)));
      state[key] = Number(value);
    });
  }
  return { state: fit(state), refused };
}

/** Everything that is counted in rows or classes, brought to the shape of the logits. */
export function fit(state) {
  const rows = state.logits.length;
  const classes = state.logits[0].length;
  const resize = (values, length, other) => Array.from({ length }, (_, k) => values[k] ?? other(k));
  const within = (k) => Math.min(Math.max(k, 0), classes - 1);
  state.index = resize(state.index, rows, (n) => n % classes).map(within);
  const spread = () => Array.from({ length: classes }, () => +(1 / classes).toFixed(4));
  state.dist = resize(state.dist, rows, spread).map((line) => resize(line, classes, () => 0));
  state.mask = state.mask && resize(state.mask, classes, () => true);
  if (state.mask && !state.mask.includes(true)) state.mask = null;
  state.weights = state.weights && resize(state.weights, classes, () => 1);
  state.row = Math.min(state.row, rows - 1);
  state.i = within(state.i);
  state.j = within(state.j);
  state.pair = state.pair.map(within);
  if (state.pair[0] === state.pair[1]) state.pair = [0, 1];
  return state;
}

// --- The store ------------------------------------------------------------------------------------

/** Holds the state; tells its readers of a change once per frame. */
export function createStore(initial) {
  let state = initial;
  const readers = [];
  let waiting = false;

  function notify() {
    waiting = false;
    for (const reader of readers) reader(state);
  }
  return {
    get: () => state,
    /** Change some fields; what depends on shapes follows. */
    set(patch) {
      state = fit({ ...state, ...patch });
      if (!waiting) {
        waiting = true;
        requestAnimationFrame(notify);
      }
    },
    subscribe(reader) {
      readers.push(reader);
    },
    notify,
  };
}
