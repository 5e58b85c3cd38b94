// The reader's problem as code: softgrad, NumPy, PyTorch, JAX; and as LaTeX.

import { fixed } from "./format.js";

export const LANGUAGES = new Map([
  ["softgrad", "softgrad"],
  ["numpy", "NumPy"],
  ["pytorch", "PyTorch"],
  ["jax", "JAX"],
  ["latex", "LaTeX"],
]);

const number = (v) => (Number.isInteger(v) && Math.abs(v) < 1e16 ? `${v}.0` : String(v));
const vector = (list, one = number) => `[${list.map(one).join(", ")}]`;
const matrix = (rows, indent) =>
  `[${rows.map((row) => vector(row)).join(`,\n${" ".repeat(indent)}`)}]`;
const truth = (v) => (v ? "True" : "False");

/** The code for what is on the bench. */
export function codeFor(language, model) {
  return { softgrad, numpy, pytorch, jax, latex }[language](model);
}

function softgrad({ state }) {
  const { logits, temperature, mask, weights } = state;
  const options = [
    temperature !== 1 && `temperature=${number(temperature)}`,
    mask && `where=${vector(mask, truth)}`,
  ].filter(Boolean);
  const of = options.map((option) => `, ${option}`).join("");
  const weighted = weights ? `, class_weight=${vector(weights)}` : "";
  return `import softgrad as sg

logits = ${matrix(logits, 10)}
target = ${targetText(state, 10)}

p = sg.softmax(logits${of})
loss, grad = sg.cross_entropy.value_and_grad(logits, target${of}${weighted})
jacobian = sg.softmax.jacobian(logits${of})
hessian = sg.cross_entropy.hessian(logits, target${of}${weighted})
print(p, loss, grad, sep="\\n")
`;
}

function targetText({ soft, index, dist }, indent) {
  return soft ? matrix(dist, indent) : vector(index, String);
}

function arrays({ state }, array, indent) {
  const { logits, temperature, mask, weights, soft, index, dist } = state;
  const classes = logits[0].length;
  const lines = [`logits = ${array(matrix(logits, indent), "logits")}`];
  if (soft) lines.push(`y = ${array(matrix(dist, indent - 5), "y")}`);
  else lines.push(`target = ${array(vector(index, String), "target")}`);
  if (temperature !== 1) lines.push(`T = ${number(temperature)}`);
  if (mask) lines.push(`mask = ${array(vector(mask, truth), "mask")}`);
  if (weights) lines.push(`w = ${array(vector(weights), "w")}`);
  return { text: lines.join("\n"), classes };
}

function numpy(model) {
  const { temperature, mask, weights, soft } = model.state;
  const { text, classes } = arrays(model, (value) => `np.array(${value})`, 19);
  const z = temperature === 1 ? "logits" : "logits / T";
  return `import numpy as np

${text}
${soft ? "" : `y = np.eye(${classes})[target]\n`}
z = ${mask ? `np.where(mask, ${z}, -np.inf)` : z}
shifted = z - z.max(axis=-1, keepdims=True)  # exp cannot overflow
e = np.exp(shifted)
total = e.sum(axis=-1, keepdims=True)
p = e / total
log_p = shifted - np.log(total)  # never log(p)

m = ${weights ? "w * y" : "y"}  # what each class of the target counts for
mass = m.sum(axis=-1, keepdims=True)
W = ${weights ? "m.sum()" : "len(z)"}  # the weight that the mean divides by
loss = -np.sum(m * ${mask ? "np.where(mask, log_p, 0.0)" : "log_p"}) / W
grad = (mass * p - m) / ${temperature === 1 ? "W" : "(T * W)"}

jacobian = p[:, :, None] * (np.eye(${classes}) - p[:, None, :])${temperature === 1 ? "" : " / T"}  # p_i (δ_ij - p_j)
print(p, loss, grad, sep="\\n")
`;
}

function pytorch(model) {
  const { temperature, mask, weights, soft } = model.state;
  const { text } = arrays(
    model,
    (value, name) =>
      ({
        logits: `torch.tensor(${value}, dtype=torch.float64, requires_grad=True)`,
        target: `torch.tensor(${value})`,
        mask: `torch.tensor(${value})`,
      })[name] ?? `torch.tensor(${value}, dtype=torch.float64)`,
    23,
  );
  const z = temperature === 1 ? "logits" : "logits / T";
  // PyTorch divides a soft target's weighted mean by the rows, not by the weights: done by hand.
  const loss =
    weights && soft
      ? `m = w * y
loss = -(m * ${mask ? "torch.where(mask, log_p, 0.0)" : "log_p"}).sum() / m.sum()`
      : soft && mask
        ? "loss = -(y * torch.where(mask, log_p, 0.0)).sum() / len(z)"
        : `loss = F.cross_entropy(z, ${soft ? "y" : "target"}${weights ? ", weight=w" : ""})`;
  return `import torch
import torch.nn.functional as F

${text}

z = ${mask ? `torch.where(mask, ${z}, -torch.inf)` : z}
p = F.softmax(z, dim=-1)
log_p = F.log_softmax(z, dim=-1)
${loss}
(grad,) = torch.autograd.grad(loss, logits)
print(p, loss, grad, sep="\\n")
`;
}

function jax(model) {
  const { temperature, mask, weights, soft } = model.state;
  const { text, classes } = arrays(model, (value) => `jnp.array(${value})`, 20);
  const z = temperature === 1 ? "x" : "x / T";
  return `import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

${text}
${soft ? "" : `y = jax.nn.one_hot(target, ${classes}, dtype=logits.dtype)\n`}m = ${weights ? "w * y" : "y"}


def loss_of(x):
    z = ${mask ? `jnp.where(mask, ${z}, -jnp.inf)` : z}
    log_p = jax.nn.log_softmax(z, axis=-1)
    return -jnp.sum(m * ${mask ? "jnp.where(mask, log_p, 0.0)" : "log_p"}) / ${weights ? "m.sum()" : "len(z)"}


loss, grad = jax.value_and_grad(loss_of)(logits)
p = jax.nn.softmax(${mask ? `jnp.where(mask, ${z.replace("x", "logits")}, -jnp.inf)` : z.replace("x", "logits")}, axis=-1)
print(p, loss, grad, sep="\\n")
`;
}

// --- LaTeX ----------------------------------------------------------------------------------------

const tex = (v, decimals = 4) => {
  if (!Number.isFinite(v)) return v > 0 ? "\\infty" : "-\\infty";
  const text = fixed(v, decimals).replace(/−/g, "-");
  const [digits, exponent] = text.split("e");
  return exponent ? `${digits} \\times 10^{${exponent}}` : text;
};
/** A number that was typed, as it was typed where that is short. */
const typed = (v) => (/^-?\d*\.?\d*$/.test(String(v)) && String(v).length < 9 ? String(v) : tex(v));
const column = (list, one = tex) =>
  `\\begin{pmatrix} ${list.map((v) => one(v)).join(" \\\\ ")} \\end{pmatrix}`;
const WIDEST = 8; // columns of a matrix that fit on a page

function latex({ state, x, p, masses, mass, loss, grad, jacobian, row }) {
  const { temperature, mask, weights } = state;
  const z = temperature === 1 ? "x" : "x / T";
  const exponent = temperature === 1 ? (k) => `x_${k}` : (k) => `x_${k} / T`;
  const plain = temperature === 1 && mass === 1 && !weights;
  const gradient = plain
    ? "p - y"
    : `${temperature === 1 ? "" : "\\frac{1}{T} \\left("}${mass === 1 ? "p" : "Y p"} - ${weights ? "w \\odot y" : "y"}${temperature === 1 ? "" : "\\right)"}`;
  const matrixText =
    jacobian.length > WIDEST
      ? `${temperature === 1 ? "" : "\\frac{1}{T} \\left("}\\operatorname{diag}(p) - p p^\\top${temperature === 1 ? "" : "\\right)"}`
      : `\\begin{pmatrix} ${jacobian.map((line) => line.map((v) => tex(v, 3)).join(" & ")).join(" \\\\ ")} \\end{pmatrix}`;
  const lines = [
    `x &= ${column(x, typed)}${temperature === 1 ? "" : `, \\quad T = ${typed(temperature)}`}`,
    `p_i &= \\frac{e^{${exponent("i")}}}{\\sum_{j} e^{${exponent("j")}}}, \\qquad p = \\operatorname{softmax}(${z}) = ${column(p)}`,
    `\\frac{\\partial p_i}{\\partial x_j} &= ${temperature === 1 ? "" : "\\frac{1}{T} "}p_i (\\delta_{ij} - p_j), \\qquad J = ${matrixText}`,
    `L &= -\\sum_c ${weights ? "w_c " : ""}y_c \\log p_c = ${tex(loss)}`,
    `\\frac{\\partial L}{\\partial x} &= ${gradient} = ${column(grad)}`,
  ];
  const remarks = [
    mask &&
      `% masked classes take no part: ${mask
        .map((v, c) => (v ? null : c))
        .filter((c) => c !== null)
        .join(", ")}`,
    (weights || mass !== 1) &&
      `% w \\odot y = (${masses.map((v) => typed(v)).join(", ")}), Y = ${typed(mass)}`,
    row.at < 0 && "% no class takes part",
  ].filter(Boolean);
  return `% needs \\usepackage{amsmath}\n${remarks.map((line) => `${line}\n`).join("")}\\begin{align*}\n${lines.join(" \\\\\n")}\n\\end{align*}\n`;
}
