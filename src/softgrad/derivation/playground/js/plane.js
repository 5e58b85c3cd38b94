// The plane of the training view on a canvas: decision regions, points, arrows.

import { softmaxRow } from "./math/rows.js";
import { logitsAt } from "./math/network.js";

const CELLS = 96; // the regions are computed on a grid of so many cells a side

let probe = null;

/** The red, green and blue of one of the page's colours, whatever it is written as. */
function rgb(name) {
  probe ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const style = document.createElement("i");
  style.style.color = `var(--${name})`;
  document.body.append(style);
  probe.clearRect(0, 0, 1, 1);
  probe.fillStyle = getComputedStyle(style).color;
  probe.fillRect(0, 0, 1, 1);
  style.remove();
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

const css = ([r, g, b], alpha = 1) => `rgb(${r} ${g} ${b} / ${alpha})`;

/** Draw everything; returns how long the arrows of the step are drawn, and the gradient's length. */
export function drawPlane(canvas, { network, points, grad }, { activation, rate, model, cursor }) {
  const size = canvas.clientWidth || 480;
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  if (canvas.width !== Math.round(size * ratio)) {
    canvas.width = Math.round(size * ratio);
    canvas.height = Math.round(size * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const tones = [0, 1, 2, 3, 4].map((c) => rgb(`class-${c}`));
  const card = rgb("card");
  const ink = rgb("ink");
  const at = ([x, y]) => [((x + 1) / 2) * size, ((1 - y) / 2) * size];

  drawRegions(pen, size, network, activation, tones, card, ink);
  for (const { x, y, c } of points) {
    pen.beginPath();
    pen.arc(...at([x, y]), 4.6, 0, 2 * Math.PI);
    pen.fillStyle = css(tones[c]);
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = css(card);
    pen.stroke();
  }
  const shown = drawArrows(pen, size, { network, grad, rate, model }, tones, ink, card);
  if (cursor) {
    const [x, y] = at([cursor.x, cursor.y]);
    pen.strokeStyle = css(ink);
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x - 11, y);
    pen.lineTo(x + 11, y);
    pen.moveTo(x, y - 11);
    pen.lineTo(x, y + 11);
    pen.stroke();
  }
  return shown;
}

function drawRegions(pen, size, network, activation, tones, card, ink) {
  const image = new ImageData(CELLS, CELLS);
  const logits = [];
  for (let k = 0; k < CELLS * CELLS; k++) {
    const x = (((k % CELLS) + 0.5) / CELLS) * 2 - 1;
    const y = 1 - ((Math.floor(k / CELLS) + 0.5) / CELLS) * 2;
    logits.push(logitsAt(network, [x, y], activation));
    const { p } = softmaxRow(logits[k]);
    // The colours mixed in the ratio of the probabilities, faint where the model is undecided.
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      for (let c = 0; c < p.length; c++) mixed += (p[c] || 0) * tones[c][channel];
      image.data[4 * k + channel] = card[channel] + 0.36 * (mixed - card[channel]);
    }
    image.data[4 * k + 3] = 255;
  }
  const small = new OffscreenCanvas(CELLS, CELLS);
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(small, 0, 0, size, size);
  drawBorders(pen, size, logits, ink);
}

/** The lines where two classes are equally probable, cell by cell of the grid. */
function drawBorders(pen, size, logits, ink) {
  const best = logits.map((z) => z.indexOf(Math.max(...z)));
  const place = (column, row) => [((column + 0.5) / CELLS) * size, ((row + 0.5) / CELLS) * size];
  pen.beginPath();
  for (let row = 0; row + 1 < CELLS; row++) {
    for (let column = 0; column + 1 < CELLS; column++) {
      const corners = [
        [column, row],
        [column + 1, row],
        [column + 1, row + 1],
        [column, row + 1],
      ];
      const crossings = [];
      corners.forEach((from, side) => {
        const to = corners[(side + 1) % 4];
        const [k, l] = [from[1] * CELLS + from[0], to[1] * CELLS + to[0]];
        const [a, b] = [best[k], best[l]];
        if (a === b) return;
        // The logits of the two classes are level where their difference, taken as linear, is 0.
        const [before, after] = [logits[k][a] - logits[k][b], logits[l][a] - logits[l][b]];
        const t = before / (before - after || 1);
        crossings.push(place(from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])));
      });
      if (!crossings.length) continue;
      const middle = [0, 1].map(
        (d) => crossings.reduce((sum, point) => sum + point[d], 0) / crossings.length,
      );
      for (const point of crossings) {
        pen.moveTo(...middle);
        pen.lineTo(...point);
      }
    }
  }
  pen.lineWidth = 1.4;
  pen.lineCap = "round";
  pen.strokeStyle = css(ink, 0.55);
  pen.stroke();
}

/**
 * The weights that look at the plane, as arrows from its middle, and the next step at their tips.
 *
 * For softmax regression these are the w_c of the classes, for a hidden layer those of its units.
 */
function drawArrows(pen, size, { network, grad, rate, model }, tones, ink, card) {
  const { W } = network[0];
  const longest = Math.max(...W.map((w) => Math.hypot(...w)));
  const scale = longest > 0 ? Math.min(0.28, 0.72 / longest) : 0.28;
  const steps = grad[0].W.map((g) => g.map((v) => -rate * v));
  const reach = Math.max(...steps.map((v) => Math.hypot(...v))) * scale;
  const zoom = reach > 0 ? Math.max(1, Math.min(1e6, 0.16 / reach)) : 1;
  const at = ([x, y]) => [((x + 1) / 2) * size, ((1 - y) / 2) * size];
  const bold = W.length > 6 ? 1.8 : 2.5;
  W.forEach((w, k) => {
    const tip = w.map((v) => v * scale);
    const tone = model === "linear" ? tones[k] : ink;
    arrow(pen, at([0, 0]), at(tip), css(card, 0.85), bold + 3);
    arrow(pen, at([0, 0]), at(tip), css(tone), bold);
    const goal = tip.map((v, d) => v + steps[k][d] * scale * zoom);
    arrow(pen, at(tip), at(goal), css(card, 0.85), bold + 2);
    arrow(pen, at(tip), at(goal), css(ink), bold - 0.5, [4, 3]);
  });
  const gradient = Math.hypot(...grad.flatMap(({ W: G, b }) => [...G.flat(), ...b]));
  const weights =
    model === "linear" ? "the weights of each class" : "the weights of each hidden unit";
  return { zoom, gradient, weights };
}

function arrow(pen, [x0, y0], [x1, y1], colour, width, dash = []) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1.5) return;
  const angle = Math.atan2(y1 - y0, x1 - x0);
  const head = Math.min(9, 0.5 * length) + width;
  pen.strokeStyle = colour;
  pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.lineCap = "round";
  pen.setLineDash(dash);
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1 - 0.6 * head * Math.cos(angle), y1 - 0.6 * head * Math.sin(angle));
  pen.stroke();
  pen.setLineDash([]);
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x1 - head * Math.cos(angle - 0.42), y1 - head * Math.sin(angle - 0.42));
  pen.lineTo(x1 - head * Math.cos(angle + 0.42), y1 - head * Math.sin(angle + 0.42));
  pen.fill();
}
