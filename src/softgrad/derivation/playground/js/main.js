// The page: builds the views, passes them what follows from the state, keeps the address up to date.

import { attributes, fill, h } from "./dom.js";
import { fixed, num } from "./format.js";
import { derive } from "./model.js";
import { VIEWS, createStore, decode, encode } from "./state.js";
import { benchView } from "./views/bench.js";
import { breakView } from "./views/break.js";
import { checkView } from "./views/check.js";
import { copyText, copyView } from "./views/copy.js";
import { differencesView } from "./views/differences.js";
import { entropyView } from "./views/entropy.js";
import { formulaView } from "./views/formula.js";
import { jacobianView } from "./views/jacobian.js";
import { lossView } from "./views/loss.js";
import { predictView } from "./views/predict.js";
import { sigmoidView } from "./views/sigmoid.js";
import { tilesView } from "./views/tiles.js";
import { trainingView } from "./views/training.js";
import * as broken from "./math/broken.js";
import * as matcher from "./math/matcher.js";
import * as network from "./math/network.js";
import * as parse from "./math/parse.js";
import * as rounding from "./math/rounding.js";
import * as rows from "./math/rows.js";
import * as trainer from "./trainer.js";

const live = document.getElementById("live");
let announcing = 0;
/** Say something to who listens to the page; only the last of several in quick succession. */
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => fill(live, text), 350);
}

const first = decode(location.hash);
const store = createStore(first.state);

// --- Views ----------------------------------------------------------------------------------------

const bench = benchView(store, announce);
const training = trainingView(store, announce);
const explore = [
  tilesView(),
  formulaView(),
  jacobianView(store),
  lossView(),
  differencesView(store),
  entropyView(),
  sigmoidView(store),
];
const panels = new Map([
  ["explore", explore],
  ["break", [breakView(store, announce)]],
  ["predict", [predictView(store, announce)]],
  ["check", [checkView(store)]],
  ["copy", [copyView(store, announce)]],
  ["train", [training]],
]);
const tabs = new Map();
const navigation = document.getElementById("tabs");
const workbench = document.getElementById("workbench");
const content = document.getElementById("content");
workbench.prepend(bench.element);

const names = [...VIEWS.keys()];
for (const [name, title] of VIEWS) {
  const panel = h("div", {
    class: `panel panel-${name}`,
    id: `panel-${name}`,
    role: "tabpanel",
    "aria-labelledby": `tab-${name}`,
  });
  panel.append(...panels.get(name).map((view) => view.element));
  content.append(panel);
  const tab = h(
    "button",
    {
      type: "button",
      role: "tab",
      id: `tab-${name}`,
      "aria-controls": `panel-${name}`,
      onclick: () => store.set({ view: name }),
    },
    title,
  );
  tab.addEventListener("keydown", (event) => {
    const at = names.indexOf(name);
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    const next = names[(goal + names.length) % names.length];
    store.set({ view: next });
    tabs.get(next).focus();
  });
  tabs.set(name, tab);
  navigation.append(tab);
}

// --- Who is told of a change ----------------------------------------------------------------------

// What lies outside of the window follows a frame later, once nothing changes any more: while a logit
// is dragged only what can be seen is drawn.
const outside = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) outside.delete(target);
      else outside.add(target);
    }
  },
  { rootMargin: "150px" },
);
for (const view of explore) watcher.observe(view.element);

let late = 0;
function refresh(views, model) {
  cancelAnimationFrame(late);
  const hidden = views.filter((view) => outside.has(view.element));
  for (const view of views) if (!hidden.includes(view)) view.update(model);
  late = requestAnimationFrame(() => hidden.forEach((view) => view.update(model)));
}

let spoken = "";
function show(state) {
  const model = derive(state);
  for (const [name, tab] of tabs) {
    const chosen = name === state.view;
    attributes(tab, { "aria-selected": String(chosen), tabindex: chosen ? 0 : -1 });
    document.getElementById(`panel-${name}`).hidden = !chosen;
  }
  if (document.body.dataset.view !== state.view) {
    const tab = tabs.get(state.view);
    navigation.scrollLeft = tab.offsetLeft - (navigation.clientWidth - tab.offsetWidth) / 2;
  }
  document.body.dataset.view = state.view;
  if (state.view !== "train") bench.update(model);
  refresh(panels.get(state.view), model);
  if (state.view !== "train") training.update(model);

  const words = `Class ${state.i}: logit ${num(model.x[state.i])}, probability ${fixed(model.p[state.i], 3)}. Loss ${num(model.loss, 3)} nats.`;
  const about = JSON.stringify([
    state.logits,
    state.temperature,
    state.mask,
    state.weights,
    state.index,
    state.soft && state.dist,
  ]);
  if (spoken && about !== spoken) announce(words);
  spoken = about;
  saveSoon();
}
store.subscribe(show);

// --- The address ----------------------------------------------------------------------------------

let saving = 0;
let written = location.hash; // what the state on the page was read from, or written to
function save() {
  // An address that was set meanwhile is about to be read: it must not be overwritten.
  if (location.hash !== written) return;
  history.replaceState(null, "", `#${encode(store.get())}`);
  written = location.hash;
}
function saveSoon() {
  clearTimeout(saving);
  saving = setTimeout(save, 200);
}
function load(hash) {
  const { state, refused } = decode(hash);
  store.set(state);
  tellRefused(refused);
}
function tellRefused(refused) {
  if (refused.length) announce(`The address could not be read in full: ${refused.join(", ")}.`);
}
window.addEventListener("hashchange", () => {
  if (location.hash === written) return;
  written = location.hash;
  load(written);
});
tellRefused(first.refused);

const share = document.getElementById("share");
share.addEventListener("click", async () => {
  save();
  const done = await copyText(location.href);
  fill(share, done ? "Link copied" : "Copy the address");
  announce(
    done
      ? "The link to this state is copied."
      : "Copy the address of this page: it holds the state.",
  );
  setTimeout(() => fill(share, "Share"), 1600);
});
document.getElementById("reset").addEventListener("click", () => {
  load("");
  announce("Everything is as in the beginning.");
});

// --- Light and dark -------------------------------------------------------------------------------

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const remembered = {
  get() {
    try {
      return localStorage.getItem("softgrad-theme");
    } catch {
      return null; // the browser keeps nothing for pages from a disk
    }
  },
  set(value) {
    try {
      localStorage.setItem("softgrad-theme", value);
    } catch {
      // Then it holds for this visit.
    }
  },
};
function paint(choice) {
  if (choice) document.documentElement.dataset.theme = choice;
  const now = document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  attributes(theme, {
    "aria-label": now === "dark" ? "Light colours" : "Dark colours",
    "data-now": now,
  });
  training.redraw();
}
theme.addEventListener("click", () => {
  const next = theme.dataset.now === "dark" ? "light" : "dark";
  remembered.set(next);
  paint(next);
});
dark.addEventListener("change", () => paint());
window.addEventListener("resize", () => training.redraw());

store.notify();
paint(remembered.get());

/** The mathematics of this page, for the console. */
globalThis.softgrad = {
  ...rows,
  ...trainer,
  ...rounding,
  ...broken,
  ...matcher,
  ...network,
  ...parse,
  state: store.get,
  encode,
  decode,
};
