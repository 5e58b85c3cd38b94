// The training view: points of the plane that can be drawn, regions, loss curve, the step as arrows.

import { attributes, choice, fill, h, numberField } from "../dom.js";
import { num, plural } from "../format.js";
import { DATA_SETS } from "../math/network.js";
import { classesOf, advance, begin } from "../trainer.js";
import { drawPlane } from "../plane.js";
import { makePencil } from "../pencil.js";
import { onGrid } from "../state.js";
import { plot } from "../plot.js";

const COLOURS = 5;
const STEPS_A_FRAME = 4;
const MOST_POINTS = 600;

export function trainingView(store, announce) {
  let training = null;
  let made = ""; // what the training was begun from
  let running = false;
  let label = 0;
  let erasing = false;

  // --- Controls -----------------------------------------------------------------------------------

  const canvas = h("canvas", {
    class: "plane",
    tabindex: 0,
    role: "application",
    "aria-label":
      "Points and decision regions. Arrow keys move a cursor, Enter sets a point, Delete removes the nearest, digits choose the class.",
  });
  const data = choice(
    "Data",
    new Map([...Object.keys(DATA_SETS).map((name) => [name, name]), ["empty", "empty"]]),
    (name) => restart(name === "empty" ? { data: [] } : { data: name }),
  );
  const model = choice(
    "Model",
    new Map([
      ["linear", "Softmax regression"],
      ["hidden", "One hidden layer"],
    ]),
    (value) => restart({ model: value }),
  );
  const activation = choice(
    "Activation",
    new Map([
      ["tanh", "tanh"],
      ["relu", "ReLU"],
    ]),
    (value) => restart({ activation: value }),
  );
  const width = h("input", {
    type: "range",
    min: 2,
    max: 24,
    step: 1,
    "aria-label": "Hidden units",
    oninput: () => restart({ width: Number(width.value) }),
  });
  const widthText = h("span", {});
  const rate = numberField("Step size", {
    get: () => store.get().rate,
    set: (v) => store.set({ rate: v }),
    accept: (v) => v > 0 && v <= 10,
  });
  const hidden = h(
    "div",
    { class: "field" },
    h("span", { class: "label" }, "Hidden units"),
    width,
    widthText,
    activation.element,
  );
  const play = h(
    "button",
    { type: "button", class: "primary", onclick: () => (running ? stop() : start()) },
    "Train",
  );
  const one = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        stop();
        move(1);
      },
    },
    "One step",
  );
  const again = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        restart({ steps: 0 });
        announce("Back to the start.");
      },
    },
    "Start again",
  );
  const other = h(
    "button",
    { type: "button", class: "quiet", onclick: () => restart({ seed: store.get().seed + 1 }) },
    "Other seed",
  );
  const brushes = h("div", { class: "brushes", role: "radiogroup", "aria-label": "Class to draw" });
  const brushButtons = Array.from({ length: COLOURS + 1 }, (_, c) =>
    h(
      "button",
      {
        type: "button",
        role: "radio",
        class: "brush",
        style: c < COLOURS ? `--tone: var(--class-${c})` : null,
        "aria-label": c < COLOURS ? `Draw class ${c}` : "Erase",
        onclick: () => choose(c),
      },
      c < COLOURS ? String(c) : "⌫",
    ),
  );
  brushes.append(...brushButtons);
  const figures = h("div", { class: "versus" });
  const curve = h("div", { class: "figure" });
  const arrowNote = h("p", { class: "note" });
  const live = h("p", { class: "off-screen", role: "status" });

  const element = h(
    "section",
    { class: "card train", id: "train", "aria-labelledby": "train-title" },
    h(
      "header",
      { class: "card-head" },
      h("h2", { id: "train-title" }, "Train a classifier"),
      h(
        "p",
        { class: "note" },
        "Draw points, press Train: every step moves the weights against the mean of p − y. The same gradient, summed over points.",
      ),
    ),
    h(
      "div",
      { class: "train-layout" },
      h(
        "div",
        { class: "plane-side" },
        h("div", { class: "controls wrap" }, data.element, brushes),
        canvas,
        arrowNote,
      ),
      h(
        "div",
        { class: "train-side" },
        h("div", { class: "field" }, model.element),
        hidden,
        h(
          "div",
          { class: "field" },
          h("span", { class: "label" }, "Step size"),
          rate.element,
          other,
        ),
        h("div", { class: "actions" }, play, one, again),
        figures,
        h("h3", {}, "Loss curve"),
        curve,
        live,
      ),
    ),
  );

  function choose(c) {
    erasing = c === COLOURS;
    if (!erasing) label = c;
    brushButtons.forEach((button, k) =>
      attributes(button, { "aria-checked": String(erasing ? k === COLOURS : k === label) }),
    );
  }
  choose(0);

  // --- Training -----------------------------------------------------------------------------------

  function restart(patch) {
    stop();
    made = "";
    store.set({ ...patch, steps: 0 });
  }
  function start() {
    if (!training.points.length) {
      announce("There are no points yet.");
      return;
    }
    running = true;
    fill(play, "Pause");
    requestAnimationFrame(frame);
  }
  function stop() {
    if (!running) return;
    running = false;
    fill(play, "Train");
    store.set({ steps: training.steps });
    fill(
      live,
      `Paused after ${plural(training.steps, "step")}: loss ${num(training.loss, 3)}, accuracy ${(training.accuracy * 100).toFixed(0)} percent.`,
    );
  }
  let last = 0;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  function frame(time) {
    if (!running) return;
    // Whoever asked for less motion sees the training in two pictures a second.
    const pause = calm.matches ? 500 : 0;
    if (time - last >= pause) {
      last = time;
      move(calm.matches ? 20 * STEPS_A_FRAME : STEPS_A_FRAME);
      if (training.steps >= 20000 || !Number.isFinite(training.loss)) stop();
    }
    requestAnimationFrame(frame);
  }
  function move(count) {
    training = advance(training, store.get(), count);
    draw();
    if (!running) store.set({ steps: training.steps });
  }

  // --- Drawing points -----------------------------------------------------------------------------

  function touch({ x, y }, erases) {
    const state = store.get();
    let { points } = training;
    if (erases) points = points.filter((p) => Math.hypot(p.x - x, p.y - y) > 0.09);
    else if (points.length < MOST_POINTS) points = [...points, ...onGrid([{ x, y, c: label }])];
    if (points.length === training.points.length) return;
    // From the start again: the address holds the points, and with them everything that follows.
    training = begin({ ...state, data: points });
    made = key({ ...state, data: points });
    store.set({ data: points, steps: 0 });
    draw();
  }
  const pencil = makePencil(canvas, {
    touch,
    choose,
    erasing: () => erasing,
    moved: () => training && draw(),
    placed: ({ x, y }) => announce(`Class ${label} at ${num(x, 2)}, ${num(y, 2)}.`),
  });

  // --- Showing ------------------------------------------------------------------------------------

  function draw() {
    const state = store.get();
    if (state.view !== "train") return;
    const shown = drawPlane(canvas, training, { ...state, cursor: pencil.cursor() });
    fill(
      arrowNote,
      h("span", { class: "arrow-key" }, h("i", { class: `weights ${state.model}` }), shown.weights),
      h(
        "span",
        { class: "arrow-key" },
        h("i", { class: "step" }),
        `the next step −η ∂L/∂W, ${num(shown.zoom, 2)} times as long`,
      ),
    );
    const figure = (name, value, unit) =>
      h(
        "div",
        {},
        h("span", { class: "label" }, name),
        h("b", {}, value),
        h("span", { class: "unit" }, unit),
      );
    const empty = !training.points.length;
    const chance = Math.log(classesOf(training.points));
    fill(
      figures,
      figure("Loss", empty ? "–" : num(training.loss, 3), `guessing: ${num(chance, 3)}`),
      figure(
        "Accuracy",
        empty ? "–" : `${(training.accuracy * 100).toFixed(0)} %`,
        plural(training.points.length, "point"),
      ),
      figure("Steps", String(training.steps), `‖gradient‖ ${num(shown.gradient, 2)}`),
    );
    // As many units as there are pixels: the letters of the axes keep their size on every screen.
    const wide = Math.min(620, Math.max(280, curve.clientWidth));
    const { history } = training;
    const end = Math.max(20, training.steps);
    const now = [training.steps, training.loss];
    const top = Math.max(chance * 1.1, ...history.map(([, v]) => (Number.isFinite(v) ? v : 0)));
    fill(
      curve,
      plot({
        width: wide,
        height: Math.round(0.55 * wide),
        x: {
          min: 0,
          max: end,
          ticks: [
            [0, "0"],
            [end, String(end)],
          ],
          label: "steps",
        },
        y: {
          min: 0,
          max: top,
          ticks: [
            [0, "0"],
            [chance, num(chance, 2)],
          ],
        },
        curves: [{ points: [...history, now] }],
        marks: empty ? [] : [{ x: now[0], y: now[1] }],
        label: `Loss over the steps: ${num(training.loss, 3)} after ${training.steps}`,
      }),
    );
  }

  const key = ({ data: d, model: m, width: w, activation: a, seed }) =>
    JSON.stringify([d, m, w, a, seed]);

  function update({ state }) {
    if (state.view !== "train") {
      stop();
      return;
    }
    const wanted = key(state);
    if (
      wanted !== made ||
      (!running && training && training.steps !== state.steps && state.steps !== 0)
    ) {
      stop();
      made = wanted;
      training = advance(begin(state), state, state.steps);
    }
    data.set(Array.isArray(state.data) ? (state.data.length ? "" : "empty") : state.data);
    model.set(state.model);
    activation.set(state.activation);
    hidden.hidden = state.model !== "hidden";
    width.value = state.width;
    fill(widthText, String(state.width));
    rate.show();
    draw();
  }
  return { element, update, redraw: () => training && draw() };
}
