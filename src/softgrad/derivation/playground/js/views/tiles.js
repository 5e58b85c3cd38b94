// The figures of the row at a glance.

import { fill, h } from "../dom.js";
import { num } from "../format.js";

export function tilesView() {
  const tile = (label, unit) => {
    const value = h("b", {});
    return {
      value,
      element: h(
        "div",
        { class: "tile" },
        h("span", { class: "tile-label" }, label),
        value,
        h("span", { class: "unit" }, unit),
      ),
    };
  };
  const tiles = {
    loss: tile("Loss L", "nats"),
    lse: tile("log Σ eᶻ", "log-sum-exp"),
    entropy: tile("Entropy H(p)", "nats"),
    grad: tile("Gradient ‖∂L/∂x‖", "length"),
    mean: tile("Batch loss", "mean, nats"),
  };
  const element = h(
    "div",
    { class: "tiles", role: "group", "aria-label": "Figures of this row" },
    Object.values(tiles).map((t) => t.element),
  );

  function update(model) {
    const refused = model.refused >= 0;
    fill(tiles.loss.value, refused ? "∞" : num(model.loss));
    fill(tiles.lse.value, num(model.row.lse));
    fill(tiles.entropy.value, num(model.entropy));
    fill(tiles.grad.value, refused ? "–" : num(Math.hypot(...model.grad)));
    fill(tiles.mean.value, refused ? "∞" : num(model.batch.loss));
    tiles.mean.element.hidden = model.state.logits.length < 2;
  }
  return { element, update };
}
