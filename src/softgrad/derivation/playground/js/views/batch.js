// The rows of a batch on the bench: switching, adding, removing and pasting them.

import { fill, h } from "../dom.js";
import { plural } from "../format.js";
import { parseBatch } from "../math/parse.js";

const MOST_ROWS = 64;

export function batchTools(store, announce) {
  const rowPicker = h("div", { class: "rows" });
  const pasteBox = h("textarea", {
    rows: 4,
    "aria-label": "A batch of logits",
    placeholder: "2.0 1.0 0.1\n0.3 2.5 −1\n…or a NumPy array",
  });
  const pasteError = h("p", { class: "error", role: "alert" });
  const paste = h(
    "details",
    { class: "paste-batch" },
    h("summary", {}, "Paste a batch"),
    h(
      "p",
      { class: "note" },
      "One row a line, 2 to 20 numbers each; brackets, commas and tensor(…) are understood.",
    ),
    pasteBox,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "primary", onclick: () => load() }, "Use these"),
      pasteError,
    ),
  );
  function load() {
    try {
      const logits = parseBatch(pasteBox.value);
      fill(pasteError, "");
      const largest = logits.map((line) => line.indexOf(Math.max(...line)));
      store.set({ logits, index: largest, dist: [], row: 0, mask: null, weights: null });
      announce(`A batch of ${plural(logits.length, "row")} with ${logits[0].length} classes.`);
    } catch (error) {
      fill(pasteError, error.message);
    }
  }
  const addRow = () => {
    const { logits, index, dist, row } = store.get();
    if (logits.length >= MOST_ROWS) return;
    const turned = logits[row].map((_, c) => logits[row][(c + 1) % logits[row].length]);
    store.set({
      logits: [...logits, turned],
      index: [...index, (index[row] + 1) % turned.length],
      dist: [...dist, dist[row]],
      row: logits.length,
    });
  };
  const dropRow = () => {
    const { logits, index, dist, row } = store.get();
    const without = (rows) => rows.filter((_, n) => n !== row);
    store.set({
      logits: without(logits),
      index: without(index),
      dist: without(dist),
      row: Math.max(0, row - 1),
    });
  };

  function showRows(state) {
    const rows = state.logits.length;
    const step = (by) => store.set({ row: (state.row + by + rows) % rows });
    const parts = [];
    if (rows > 1) {
      const focused = rowPicker.contains(document.activeElement)
        ? document.activeElement.dataset.act
        : null;
      parts.push(
        h(
          "button",
          {
            type: "button",
            class: "round",
            "data-act": "back",
            "aria-label": "Previous row",
            onclick: () => step(-1),
          },
          "‹",
        ),
        h("span", { class: "row-name" }, `row ${state.row} of ${rows}`),
        h(
          "button",
          {
            type: "button",
            class: "round",
            "data-act": "on",
            "aria-label": "Next row",
            onclick: () => step(1),
          },
          "›",
        ),
        h(
          "button",
          { type: "button", class: "quiet", "data-act": "drop", onclick: dropRow },
          "Remove row",
        ),
      );
      queueMicrotask(() => focused && rowPicker.querySelector(`[data-act="${focused}"]`)?.focus());
    }
    rowPicker.hidden = rows < 2;
    fill(rowPicker, parts);
  }

  const tools = h(
    "div",
    { class: "batch-tools" },
    h("button", { type: "button", class: "quiet", onclick: addRow }, "Add a row"),
    paste,
  );
  return { rowPicker, tools, showRows };
}
