// Loss and gradient: p beside y, and the difference that moves the logits.

import { card, fill, h } from "../dom.js";
import { fixed, num, signed } from "../format.js";

export function lossView() {
  const caption = h("p", { class: "lead" });
  const body = h("tbody", {});
  const table = h(
    "table",
    { class: "grid gradient", "aria-label": "Loss and gradient of every class" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["class", "−log p", "p", "y", "∂L/∂x", ""].map((text) => h("th", { scope: "col" }, text)),
      ),
    ),
    body,
  );
  const batchBody = h("tbody", {});
  const batch = h(
    "details",
    { class: "batch" },
    h("summary", {}, "The whole batch"),
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        { class: "grid" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["row", "target", "loss", "‖gradient‖"].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        batchBody,
      ),
    ),
  );
  const element = card(
    "loss",
    "Loss and gradient",
    "A step downhill moves every logit against its gradient: the target up, the others down by as much as they were believed.",
    caption,
    h("div", { class: "scroll" }, table),
    batch,
  );
  let rows = [];

  function update(model) {
    const { classes, p, y, row, grad, loss, state, refused, mass } = model;
    if (rows.length !== classes) {
      rows = Array.from({ length: classes }, (_, c) => {
        const cells = Array.from({ length: 4 }, () => h("td", {}));
        const arrow = h("td", { class: "swing-cell" }, h("div", { class: "swing" }, h("i", {})));
        return {
          element: h("tr", {}, h("th", { scope: "row" }, String(c)), cells, arrow),
          cells,
          arrow,
        };
      });
      fill(
        body,
        rows.map((r) => r.element),
      );
    }
    const name = state.weights ? "(Yp − wy)" : mass === 1 ? "(p − y)" : "(Yp − y)";
    const formula = state.temperature === 1 ? name.slice(1, -1) : `${name} / T`;
    fill(
      caption,
      h("span", {}, "L = ", h("b", {}, refused >= 0 ? "∞" : num(loss, 6)), " nats"),
      h("span", { class: "muted" }, `∂L/∂x = ${formula}`),
    );
    const largest = Math.max(...grad.map(Math.abs), 1e-300);
    rows.forEach(({ element: line, cells, arrow }, c) => {
      line.classList.toggle("looked-at", c === state.i);
      line.classList.toggle("is-target", y[c] > 0);
      line.classList.toggle("masked", !row.part[c]);
      fill(cells[0], row.part[c] ? num(-row.logP[c]) : "–");
      fill(cells[1], fixed(p[c], 4));
      fill(cells[2], num(y[c]));
      fill(cells[3], refused >= 0 ? "–" : signed(grad[c], 4));
      const swing = arrow.firstChild;
      const share = refused >= 0 ? 0 : (Math.abs(grad[c]) / largest) * 50;
      swing.className = `swing ${grad[c] > 0 ? "down" : "up"}`;
      swing.style.setProperty("--size", `${share.toFixed(2)}%`);
    });
    const many = state.logits.length > 1;
    batch.hidden = !many;
    if (many && batch.open) showBatch(model);
    batch.ontoggle = () => showBatch(model);
  }

  function showBatch({ batch: { rows: all, losses, grad, loss, share }, targets, state }) {
    fill(
      batchBody,
      all.map((_, n) =>
        h(
          "tr",
          { class: n === state.row ? "looked-at" : "" },
          h("th", { scope: "row" }, String(n)),
          h(
            "td",
            {},
            Array.isArray(targets[n])
              ? targets[n].map((v) => num(v, 2)).join(" ")
              : String(targets[n]),
          ),
          h("td", {}, num(share[n] ? losses[n] / share[n] : 0)),
          h("td", {}, num(Math.hypot(...grad[n].map((v) => (share[n] ? v / share[n] : 0))))),
        ),
      ),
      h(
        "tr",
        { class: "total" },
        h("th", { scope: "row" }, "mean"),
        h("td", {}, ""),
        h("td", {}, num(loss)),
        h("td", {}, ""),
      ),
    );
  }
  return { element, update };
}
