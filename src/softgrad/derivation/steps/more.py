"""Temperature, second derivatives, and the sigmoid as a softmax of two classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.derivation.document import Check, Step, matrix, table
from softgrad.derivation.steps.work import COMPARED, Work


def temperature(w: Work) -> Step:
    """The same logits colder and hotter, and the derivative by T."""
    half, double = w.T / 2, w.T * 2
    columns = {
        f"${w.s}$ at $T = {w.n(t)}$": w.pair.activation(w.x / t) for t in (half, w.T, double)
    }
    s = w.s
    t = np.array([w.T])
    checks: tuple[Check, ...] = ()
    if w.y is None:
        slope = -(w.jacobian * w.x[None, :]).sum(axis=1) / (w.T * w.T)
        formulas: tuple[str, ...] = (
            rf"\frac{{\partial {s}_i}}{{\partial x_j}} = \frac{{1}}{{T}} J_{{ij}}",
            rf"\frac{{\partial {s}_i}}{{\partial T}} = -\frac{{1}}{{T^2}} \sum_j J_{{ij}} x_j",
        )
        columns[rf"$\partial {s} / \partial T$"] = slope
        claimed, f = slope[:, None], lambda v: w.pair.activation(w.x / v[0])
        what, through = rf"$\partial {s} / \partial T$", np.max(np.abs(w.z))
    else:
        slope = -(w.gradient * w.x).sum() / (w.T * w.T)
        gradient = w.gradient / w.T
        columns[r"$\partial L / \partial x$"] = gradient
        formulas = (
            r"\frac{\partial L}{\partial x_j} = \frac{1}{T} \frac{\partial L}{\partial z_j}",
            r"\frac{\partial L}{\partial T} = -\frac{1}{T} \sum_j x_j "
            rf"\frac{{\partial L}}{{\partial x_j}} = {w.n(slope)}",
        )
        claimed, f = np.array([slope]), lambda v: w.pair.loss(w.x / v[0], w.target)
        what, through = r"$\partial L / \partial T$", w.through * w.T
        what_x = r"$\partial L / \partial x$"
        checks = (w.check(what_x, w.loss_at, w.x, gradient, w.T, w.rounded),)
    hotter = " A low temperature sharpens, a high one evens out." if w.s == "p" else ""
    return Step(
        "Temperature",
        "The activation sees $z = x / T$. Every derivative by the logits $x$ therefore gains a "
        rf"factor $1/T$, here ${w.n(1 / w.T)}$.{hotter}",
        formulas,
        (table("", columns, keep=w.keep, bold=w.top),),
        (*checks, w.check(what, f, t, claimed, _temperature_scale(w), through)),
    )


def _temperature_scale(w: Work) -> Any:
    """The length over which the result bends in T: x / T moves by 1 over T^2 / |x|."""
    spread = np.max(np.abs(w.x - w.x.mean())) if w.s == "p" else np.max(np.abs(w.x))
    return w.T / (1 + spread / w.T)


def hessian(w: Work) -> Step:
    """d2L/dx2; for a softmax with cross-entropy the covariance of the one-hot vector."""
    H = w.pair.hessian(w.z, w.target) / (w.T * w.T)
    rounded = w.pair.rounded_gradient(w.z, w.target) / w.T
    what = r"$H$, by differences of the gradient"
    measured = w.check(what, w.gradient_at, w.x, H.T, w.T, rounded)
    scaled = r"\frac{1}{T^2} " if w.heated else ""
    name = r"H_{ij} = \frac{\partial^2 L}{\partial x_i \partial x_j}"
    if w.pair.fused and w.pair.loss_name == "cross_entropy":
        p, mass = w.a, w.target.sum()
        covariance = _covariance(p) * mass / (w.T * w.T)
        return Step(
            "Second derivative: the covariance of the one-hot vector",
            r"The gradient is $p - y$ and $y$ is constant: what is left to differentiate is $p$, "
            r"and its Jacobian is known. Draw a class $K$ with probabilities $p$ and write it as "
            r"the one-hot vector $Y$, 1 at $K$ and 0 elsewhere. Its mean is $p$. $Y Y^\top$ is 1 "
            r"at row and column $K$ and 0 elsewhere, with the mean $\operatorname{diag}(p)$: this "
            r"matrix is the covariance of $Y$. A covariance is never negative along any direction: "
            r"the loss is convex, and flat only where all logits move together.",
            (
                rf"{name} = {scaled}\frac{{\partial p_i}}{{\partial {w.v}_j}}",
                "H = "
                + _times(scaled, r"\operatorname{diag}(p) - p p^\top")
                + " = "
                + _times(scaled, r"\mathbf{E}[Y Y^\top] - \mathbf{E}[Y] \mathbf{E}[Y]^\top"),
            ),
            (matrix("The matrix $H$", H, keep=w.keep, sums=True),),
            (
                measured,
                w.same(
                    r"the covariance $\sum_k p_k (u_k - p)(u_k - p)^\top$, $u_k$ one-hot at $k$",
                    H,
                    covariance,
                ),
                _convex(w, H),
            ),
        )
    s = w.s
    second = (
        rf"J^\top \frac{{\partial^2 L}}{{\partial {s}^2}} J + \sum_k "
        rf"\frac{{\partial L}}{{\partial {s}_k}} \frac{{\partial^2 {s}_k}}{{\partial {w.v}^2}}"
    )
    second = f"H = {_times(scaled, second)}"
    prose = (
        "The gradient is a product, and so its derivative has two parts: the loss bends, and the "
        "activation bends. "
    )
    if w.pair.fused:
        prose, second = "The derivative of the gradient by the logits. ", ""
    return Step(
        "Second derivative: the Hessian",
        prose + _shape_of(w, H),
        (name, second) if second else (name,),
        (matrix("The matrix $H$", H, keep=w.keep),),
        (measured, _symmetric(w, H)),
    )


def _times(factor: str, terms: str) -> str:
    return rf"{factor}\left({terms}\right)" if factor else terms


def _shape_of(w: Work, H: Array) -> str:
    if w.arithmetic.exact or not np.all(np.isfinite(H)):
        return ""
    lowest = float(np.linalg.eigvalsh((H + H.T) / 2).min())
    if lowest < -1e-12 * float(np.max(np.abs(H)) + 1e-300):
        return f"It bends downwards along some direction here (lowest eigenvalue ${w.n(lowest)}$)."
    return "It bends downwards along no direction here."


def _covariance(p: Array) -> Array:
    deviations = np.diag(0 * p + 1) - p[None, :]  # a row for each value of K
    return np.asarray((deviations.T * p[None, :]) @ deviations)


def _convex(w: Work, H: Array) -> Check:
    """v^T H v of some directions: not negative."""
    directions = np.random.default_rng(0).integers(-9, 10, size=(8, len(w.x)))
    lowest = min(((H * v[None, :]).sum(axis=1) * v).sum() for v in directions)
    room = 1e-12 * float(np.max(np.abs(H))) * 81 * len(w.x)
    negative = -lowest if lowest < 0 else 0 * lowest
    what = r"$v^\top H v$ is not negative, 8 directions"
    return Check(what, negative, room, bool(negative <= room), method=COMPARED)


def _symmetric(w: Work, H: Array) -> Check:
    return w.same(r"$H$ is symmetric", H, H.T)


def two_classes(w: Work) -> Step:
    """The sigmoid is the softmax of two logits, one of them 0."""
    if w.pair.activation_name == "sigmoid":
        return _sigmoid_as_softmax(w)
    i, j = w.focus
    d = w.z[i] - w.z[j]
    pair = w.pair.activation(np.stack([w.z[i], w.z[j]]))
    s = w.evaluate("sigmoid(x)", x=np.array([d]))[0]
    slope = s * (1 - s)

    def sigmoid(x: Array) -> Any:
        return w.evaluate("sigmoid(x)", x=x)[0]

    v = w.v
    return Step(
        "Two classes: the sigmoid",
        f"With the classes {i} and {j} alone only the difference of their logits counts, "
        rf"$d = {v}_{{{i}}} - {v}_{{{j}}} = {w.n(d)}$: divide both exponentials by "
        rf"$e^{{{v}_{{{i}}}}}$. "
        r"What is left is the sigmoid, and its derivative is the Jacobian's first entry.",
        (
            rf"p = \frac{{e^{{{v}_{{{i}}}}}}}{{e^{{{v}_{{{i}}}}} + e^{{{v}_{{{j}}}}}}} = "
            rf"\frac{{1}}{{1 + e^{{-d}}}} = \sigma(d) = {w.n(s)}",
            rf"\sigma'(d) = \frac{{e^{{-d}}}}{{(1 + e^{{-d}})^2}} = \sigma(d) (1 - \sigma(d)) = "
            rf"{w.n(slope)}",
        ),
        (),
        (
            w.same(rf"softmax of the logits {i} and {j} is $\sigma(d)$", pair[0], s),
            w.check(r"$\sigma'(d)$", sigmoid, np.array([d]), np.array([slope])),
        ),
    )


def _sigmoid_as_softmax(w: Work) -> Step:
    v = w.v
    e = f"e^{{-{v}}}"
    rows = [np.stack([value, 0 * value]) for value in w.z]
    found = np.array([w.evaluate("softmax(x)", x=row)[0] for row in rows])
    return Step(
        "The sigmoid is a softmax of two classes",
        rf"Give the answer no the logit 0 and the answer yes the logit ${v}$: the probability of "
        "yes is the sigmoid. Its derivative is the Jacobian's first entry, $p (1 - p)$.",
        (
            rf"\frac{{e^{{{v}}}}}{{e^{{{v}}} + e^0}} = \frac{{1}}{{1 + {e}}} = \sigma({v})",
            rf"\sigma'({v}) = \frac{{{e}}}{{(1 + {e})^2}} = \frac{{1}}{{1 + {e}}} "
            rf"\cdot \frac{{{e}}}{{1 + {e}}} = \sigma({v}) (1 - \sigma({v}))",
        ),
        (),
        (
            w.same(rf"softmax of $({v}, 0)$ is $\sigma({v})$", w.a, found),
            w.check(r"$\sigma'$", w.pair.activation, w.z, w.jacobian),
        ),
    )
