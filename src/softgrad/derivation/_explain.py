"""`softgrad.explain`: the steps put together."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._protocol import Differentiable, Loss
from softgrad._typing import Array, ArrayLike
from softgrad.derivation import figures
from softgrad.derivation.arguments import (
    arithmetic_of,
    check_domain,
    check_teacher,
    features_of,
    logits_of,
    smoothed,
    softened,
    target_of,
    whole,
)
from softgrad.derivation.document import Derivation, Step
from softgrad.derivation.exact_pair import ExactPair
from softgrad.derivation.float64_pair import Float64Pair
from softgrad.derivation.masking import Mask, mask_of
from softgrad.derivation.pair import GIVES, Pair, known, words
from softgrad.derivation.steps import activation as activation_steps
from softgrad.derivation.steps import layer, more
from softgrad.derivation.steps import loss as loss_steps
from softgrad.derivation.steps.mask import masked
from softgrad.derivation.steps.work import Work
from softgrad.functions import ACTIVATIONS, LOSSES

_LISTED = 8  # logits in the summary


def explain(
    logits: ArrayLike,
    target: ArrayLike | None = None,
    *,
    temperature: float = 1.0,
    loss: str | Loss = "cross_entropy",
    activation: str | Differentiable = "softmax",
    features: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    where: ArrayLike | None = None,
    row: int = 0,
    digits: int | None = None,
    **options: Any,
) -> Derivation:
    r"""Return the derivation of an activation and its loss, worked with these numbers.

    a = f(x / T),    L(a, y),    dL/dx = J^T dL/da / T    with    J = da/dz at z = x / T

    Step by step: the activation and its Jacobian, the loss, the chain rule and what cancels in it,
    the weights of a linear layer, a batch, the temperature, the Hessian. Every step is checked
    against finite differences on the spot.

    Parameters
    ----------
    logits : array_like of shape (C,) or (N, C)
        Finite numbers. With ``digits`` also Decimal, Fraction, or text such as "0.1", which is
        then a tenth and not the float nearest to it.
    target : array_like, optional
        Class indices in 0..C-1, one a row (a number for a single row), or an array of the logits'
        shape: one-hot rows, probabilities, or for losses of values any numbers. Losses that know no
        indices get the one-hot row. Without a target only the activation is derived.
    temperature : float
        T, finite and > 0.
    loss, activation : str
        Names of the library's losses and activations, or the functions themselves. A loss of logits
        with the activation that it contains (cross_entropy with softmax) is opened up: the
        activation is a step inside it. With any other activation the loss is applied to its values.
    features : array_like of shape (D,) or (N, D), optional
        The input of the linear layer that made the logits; by default an example.
    label_smoothing : float
        eps in 0..1: the target becomes (1 - eps) y + eps / C.
    where : array_like of bool, shape (C,), optional
        True for the classes that take part, the same in every row. What the others hold does not
        matter; their activation and gradient are 0 (log_softmax: -inf).
    row : int
        The row of a batch that is worked step by step.
    digits : int, optional
        So many significant digits (7 to 500), computed with mpmath by the formulas shown. By
        default float64 by the functions of the library, of which 6 digits are shown. Temperature,
        smoothing and options count as they are written: 0.1 is a tenth.
    **options
        Options of the activation or the loss that are one number, such as ``negative_slope``,
        ``delta`` or ``gamma``.

    Returns
    -------
    Derivation
        ``print`` shows it, a notebook renders it; ``text()``, ``markdown()``, ``latex()``,
        ``html()`` and ``code("numpy" | "torch" | "jax")`` write it down. ``values`` holds the
        activation, the mean loss (nats for the entropies) and the gradient; ``passed`` says whether
        all checks agree.

    Raises
    ------
    ValueError
        If the logits are not finite or not one or two axes, the target does not fit them, or a name
        or an option is unknown; the message says what is accepted.
    TypeError
        If the logits are not numbers.
    ImportError
        If ``digits`` is given and mpmath is not installed.

    Notes
    -----
    Without ``digits`` the numbers have the accuracy of the library's functions. With them, twice as
    many are carried beyond those shown.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), sections 6.2.2 and 6.5.

    Examples
    --------
    >>> import softgrad as sg
    >>> derivation = sg.explain([1.0, 2.0, 3.0], 2)
    >>> derivation.passed
    True
    >>> derivation.values["grad"].round(4)
    array([ 0.09  ,  0.2447, -0.3348])
    >>> [step.title for step in derivation.steps][:2]
    ['Exponentials, their sum, and the probabilities',
     'The quotient rule, i = j: a class and its own logit']
    """
    arithmetic = arithmetic_of(digits)
    mask = mask_of(where, logits)
    shape = np.shape(np.asarray(logits, dtype=object))
    x = logits_of(logits, arithmetic, mask)
    _checks.temperature(float(temperature) if arithmetic.exact else temperature)
    T = arithmetic.option(temperature)
    rows = np.atleast_2d(x)
    kind = ExactPair if arithmetic.exact else Float64Pair
    teacher = options.pop("teacher", None)
    pair: Pair = kind(
        known(activation, "activation", ACTIVATIONS),
        None if target is None else known(loss, "loss", LOSSES),
        options,
        arithmetic,
        T,
    )
    check_teacher(teacher, pair)
    if mask is not None and target is not None:
        target = mask.target(target, shape, "values" in pair.loss_function.targets)
    indices, y = target_of(target, x, pair, arithmetic)
    if y is not None:
        y = smoothed(y, label_smoothing, pair)
        if indices is None:
            y = softened(y, teacher, T, pair)
    h = features_of(features, x, arithmetic)
    row = whole(row, "row", 0, len(rows) - 1)
    shown = arithmetic.digits
    work = [
        Work(
            pair,
            rows[n],
            None if y is None else y[n],
            T,
            h[n],
            None if indices is None or label_smoothing else int(indices[n]),
            shown,
        )
        for n in range(len(rows))
    ]
    w = work[row]
    # Infinite losses and slopes are shown as such; checks say that they could not be measured.
    with np.errstate(all="ignore"):
        if y is not None:
            check_domain(pair, work)
        return Derivation(
            title=_title(pair),
            summary=_summary(w, x, row, label_smoothing, mask),
            steps=tuple(_steps(w, work, features is not None, mask)),
            values=_values(work, x, mask),
            digits=shown,
            _codes=_codes(pair, x, y, T, mask),
        )


# --- The document --------------------------------------------------------------------------------


def _steps(w: Work, rows: list[Work], given: bool, mask: Mask | None) -> list[Step]:
    found = [] if mask is None else [masked(w, mask)]
    found += activation_steps.steps(w)
    if w.y is not None:
        found += loss_steps.steps(w)
        found.append(layer.weights(w, given))
        found.append(layer.batch(w, rows if len(rows) > 1 else [w, _backwards(w)], len(rows) > 1))
    found.append(more.temperature(w))
    if w.y is not None:
        found.append(more.hessian(w))
    if w.pair.activation_name == "sigmoid" or (
        w.pair.activation_name == "softmax" and len(w.x) > 1
    ):
        found.append(more.two_classes(w))
    return found


def _backwards(w: Work) -> Work:
    return Work(w.pair, w.x[::-1].copy(), w.y, w.T, w.h[::-1].copy(), w.index, w.digits)


def _title(pair: Pair) -> str:
    loss = "" if pair.loss_name is None else f" with {words(pair.loss_name)}"
    title = words(pair.activation_name)
    return f"{title[0].upper()}{title[1:]}{loss}"


def _summary(w: Work, x: Array, row: int, eps: float, mask: Mask | None) -> str:
    parts = []
    if x.ndim == 2 and len(x) > 1:
        parts.append(f"Row {row} of a batch of {len(x)}.")
    shown = [_short(v) for v in w.x[:_LISTED]] + ([r"\dots"] if len(w.x) > _LISTED else [])
    # Each in dollars of its own, so that lines can be broken between them.
    parts.append(f"Logits $x = ({'$, $'.join(shown)})$")
    classes = f"{len(w.x)} classes" if len(w.x) > 1 else "one output"
    parts[-1] += f", {classes}"
    if w.index is not None:
        index = w.index if mask is None else mask.classes[w.index]
        parts[-1] += f", target class {index} (counted from 0)"
    parts[-1] += f", temperature $T = {figures.latex(w.T, 10)}$."
    if mask is not None:
        parts[-1] = parts[-1].replace("Logits", "Logits that take part")
        out = ", ".join(map(str, mask.masked))
        parts.append(f"Masked: {'class' if len(mask.masked) == 1 else 'classes'} {out}.")
    if eps:
        parts.append(
            rf"The target is smoothed with $\varepsilon = {figures.latex(eps)}$: "
            r"$(1 - \varepsilon) y + \varepsilon / C$."
        )
    return " ".join(parts)


def _short(value: Any) -> str:
    """A logit as it was typed, if that is short."""
    exact = figures.latex(value, 12)
    return exact if len(exact) <= 9 else figures.latex(value, 6)


def _values(work: list[Work], x: Array, mask: Mask | None) -> dict[str, Any]:
    def whole_rows(rows: list[Array], masked_value: float) -> Array:
        array = np.stack(rows).reshape(x.shape)
        if mask is None:
            return array
        return mask.fill(array, work[0].arithmetic.number(masked_value))

    nothing = -np.inf if GIVES.get(work[0].pair.activation_name) == "log_probabilities" else 0.0
    values: dict[str, Any] = {"activation": whole_rows([r.a for r in work], nothing)}
    if work[0].y is not None:
        n = len(work)
        losses = [r.loss for r in work]
        values["loss"] = sum(losses[1:], start=losses[0]) / n
        values["grad"] = whole_rows([r.gradient / r.T / n for r in work], 0.0)
    return values


def _codes(pair: Pair, x: Array, y: Array | None, T: Any, mask: Mask | None) -> dict[str, Any]:
    from softgrad.derivation.code import LIBRARIES, program

    note = "" if mask is None else f"of the classes {', '.join(map(str, mask.classes))}"
    return {name: partial(program, name, pair, x, y, T, note) for name in LIBRARIES}
