"""The weights of the linear layer that made the logits, and a batch of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.document import Step, matrix, table
from softgrad.derivation.steps.work import Work


def weights(w: Work, given: bool) -> Step:
    """dL/dW as an outer product."""
    h, g = w.h, w.gradient / w.T
    W = _smallest_weights(w.x, h)
    dW = g[:, None] * h[None, :]
    dh = (W * g[:, None]).sum(axis=0)
    shape = W.shape

    def loss(flat: Array) -> Any:
        return w.loss_at((flat.reshape(shape) * h[None, :]).sum(axis=1))

    def loss_of_h(features: Array) -> Any:
        return w.loss_at((W * features[None, :]).sum(axis=1))

    whose = "yours" if given else "an example; pass features= for your own"
    inputs = ", ".join(w.n(v) for v in h)
    flat, claimed = W.reshape(-1), dW.reshape(-1)
    checks = (
        w.check(r"$\partial L / \partial W$", loss, flat, claimed, w.T, w.through),
        w.check(r"$\partial L / \partial h$", loss_of_h, h, dh, w.T, w.through),
    )
    return Step(
        "The weights of a linear layer: an outer product",
        f"Let the logits come from a linear layer with the features $h = ({inputs})$ ({whose}) "
        r"and the smallest weights that turn them into these logits, $W = x h^\top / (h^\top h)$, "
        r"$b = 0$. Call the gradient by the logits $g$. The weight $W_{ij}$ only ever meets $h_j$, "
        r"and moves $x_i$ alone: $\partial x_i / \partial W_{ij} = h_j$.",
        (
            r"x_i = \sum_j W_{ij} h_j + b_i \quad g_i = \frac{\partial L}{\partial x_i}",
            r"\frac{\partial L}{\partial W_{ij}} = g_i h_j \quad \frac{\partial L}{\partial W} = g "
            r"h^\top \quad \frac{\partial L}{\partial b} = g \quad "
            r"\frac{\partial L}{\partial h} = W^\top g",
        ),
        (
            matrix(
                r"$\partial L / \partial W$, a row for each class, a column for each feature",
                dW,
                keep=w.keep,
                corner="class",
                more={r"$\partial L / \partial b$": g},
            ),
            table(r"The gradient that goes on to the layer below", {
                "$h$": h, r"$\partial L / \partial h$": dh,
            }, corner="feature"),
        ),
        checks,
    )  # fmt: skip


def _smallest_weights(x: Array, h: Array) -> Array:
    return np.asarray(x[:, None] * h[None, :] / (h * h).sum())


def batch(w: Work, rows: list[Work], given: bool) -> Step:
    """The mean loss of several rows: 1/N in every gradient, and a sum over rows in dW."""
    n = len(rows)
    gradients = np.stack([r.gradient / r.T / n for r in rows])
    H = np.stack([r.h for r in rows])
    dW = (gradients[:, :, None] * H[:, None, :]).sum(axis=0)
    losses = [r.loss for r in rows]
    mean = sum(losses[1:], start=losses[0]) / n
    zero = w.arithmetic.array(np.zeros(dW.size))
    checked = r"$\partial L / \partial W$ of the mean loss"

    def loss(flat: Array) -> Any:
        change = flat.reshape(dW.shape)
        values = [moved(r, change) for r in rows]
        return sum(values[1:], start=values[0]) / n

    def moved(r: Work, change: Array) -> Any:
        return r.loss_at(r.x + (change * r.h[None, :]).sum(axis=1))

    def alone(r: Work) -> Any:
        return lambda flat: moved(r, flat.reshape(dW.shape))

    what = (
        f"The {n} rows of the batch"
        if given
        else "One row is not a batch, so a second one joins: yours read backwards, with the same "
        "target"
    )
    return Step(
        "A batch",
        f"{what}. The loss is the mean over the rows, not over rows and classes: every row's "
        f"gradient is divided by $N = {n}$. The weights are shared, so their gradient is the sum "
        "over rows: one matrix product. $H$ and $G$ hold a row for each example.",
        (
            rf"L = \frac{{1}}{{N}} \sum_n L_n = {w.n(mean)} \quad "
            r"G_{nj} = \frac{1}{N} \frac{\partial L_n}{\partial x_{nj}}",
            r"\frac{\partial L}{\partial W} = G^\top H \quad "
            r"\frac{\partial L}{\partial b_j} = \sum_n G_{nj}",
        ),
        (
            matrix("$G$, a row for each example, a column for each class", gradients,
                   keep=w.keep, corner="row", more={"$L_n$": np.array(losses)}),
            matrix(r"$\partial L / \partial W$", dW, keep=w.keep, corner="class",
                   more={r"$\partial L / \partial b$": gradients.sum(axis=0)}),
        ),
        (w.check(checked, loss, zero, dW.reshape(-1), w.T, max(r.through for r in rows),
                 pieces=[alone(r) for r in rows]),),
    )  # fmt: skip
