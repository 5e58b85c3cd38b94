"""`softgrad.explain`: what the user passes, checked and brought into rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike
from softgrad.derivation import figures
from softgrad.derivation.arithmetic import Arithmetic, Exact, is_finite
from softgrad.derivation.document import Derivation, Step
from softgrad.derivation.pair import GIVES, ExactPair, LibraryPair, Pair, words
from softgrad.derivation.steps import activation as activation_steps
from softgrad.derivation.steps import layer, more
from softgrad.derivation.steps import loss as loss_steps
from softgrad.derivation.steps.work import Work
from softgrad.errors import OptionError, ShapeError, TargetError

_FEATURES = (1.0, -0.5, 2.0)
_DIGITS = (7, 500)
_LISTED = 8  # logits in the summary


def explain(
    logits: ArrayLike,
    target: ArrayLike | None = None,
    *,
    temperature: float = 1.0,
    loss: str = "cross_entropy",
    activation: str = "softmax",
    features: ArrayLike | None = None,
    label_smoothing: float = 0.0,
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
        Names of the library's losses and activations. A loss of logits with the activation that it
        contains (cross_entropy with softmax) is opened up: the activation is a step inside it. With
        any other activation the loss is applied to its values.
    features : array_like of shape (D,) or (N, D), optional
        The input of the linear layer that made the logits; by default an example.
    label_smoothing : float
        eps in 0..1: the target becomes (1 - eps) y + eps / C.
    row : int
        The row of a batch that is worked step by step.
    digits : int, optional
        So many significant digits (7 to 500), computed with mpmath by the formulas shown. By
        default float64 by the functions of the library, of which 6 digits are shown.
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
    arithmetic = _arithmetic(digits)
    x = _logits(logits, arithmetic)
    _checks.temperature(float(temperature) if arithmetic.exact else temperature)
    T = arithmetic.number(temperature)
    rows = np.atleast_2d(x)
    kind = ExactPair if arithmetic.exact else LibraryPair
    teacher = options.pop("teacher", None)
    if teacher is not None and (target is None or loss != "distillation"):
        raise OptionError(f"teacher={teacher!r} belongs to the loss 'distillation' alone.")
    pair: Pair = kind(activation, None if target is None else loss, options, arithmetic, T)
    indices, y = _target(target, x, pair, arithmetic)
    if y is not None:
        y = _smoothed(y, label_smoothing, pair)
        if indices is None:
            y = _softened(y, teacher, T, pair)
    h = _features(features, x, arithmetic)
    row = _checks._integer(row, "row")
    if not 0 <= row < len(rows):
        raise OptionError(f"row={row} is out of range; the logits have rows 0..{len(rows) - 1}.")
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
            _within_domain(pair, work)
        return Derivation(
            title=_title(pair),
            summary=_summary(w, x, row, label_smoothing),
            steps=tuple(_steps(w, work, features is not None)),
            values=_values(work, x),
            digits=shown,
            _codes=_codes(pair, x, y, T),
        )


# --- Arguments -----------------------------------------------------------------------------------


def _arithmetic(digits: int | None) -> Arithmetic:
    if digits is None:
        return Arithmetic()
    digits = _checks._integer(digits, "digits")
    if not _DIGITS[0] <= digits <= _DIGITS[1]:
        raise OptionError(
            f"digits={digits} is out of range; accepted are {_DIGITS[0]} to {_DIGITS[1]}."
        )
    return Exact(digits)


def _logits(logits: ArrayLike, arithmetic: Arithmetic) -> Array:
    if arithmetic.exact:
        x = arithmetic.array(logits)
        finite = all(map(is_finite, x.flat))
    else:
        x = _checks.floats(logits, "logits")[0].astype(np.float64)
        finite = bool(np.all(np.isfinite(x)))
    if x.ndim not in (1, 2) or 0 in x.shape:
        raise ShapeError(
            f"logits has shape {x.shape}; accepted are (C,) for one row and (N, C) for a batch, "
            "with at least one class and one row."
        )
    if not finite:
        raise OptionError("logits holds NaN or infinity; a derivation needs finite numbers.")
    return x


def _target(
    target: ArrayLike | None, x: Array, pair: Pair, arithmetic: Arithmetic
) -> tuple[Array | None, Array | None]:
    """Class indices (N,) where that is what was passed, and the target (N, C)."""
    if target is None:
        return None, None
    C, rows = x.shape[-1], x.shape[:-1]
    accepted = pair.loss_function.targets
    given = np.asarray(target)
    same = given.shape == x.shape
    if given.dtype.kind in "iu" and not same:
        lone = C == 1 and "indices" not in accepted and given.shape == rows
        if not lone:
            shaped = _checks.target(given, x.shape, (x.ndim - 1,), np.dtype(np.float64))
            indices = _checks.class_indices(shaped, C, None).reshape(-1)
            one_hot = np.eye(C)[indices]
            return indices, arithmetic.array(one_hot)
        given = given.reshape(x.shape)
    if given.dtype.kind in "iub":
        given = given.astype(np.float64)
    if not arithmetic.exact or given.dtype.kind != "O":
        shape = np.empty(x.shape)  # only its shape counts: x may hold mpmath numbers
        given = _checks.target(given, shape.shape, (x.ndim - 1,), np.dtype(np.float64))
    if given.shape != x.shape:
        raise ShapeError(f"target has shape {given.shape}; the logits have shape {x.shape}.")
    y = np.atleast_2d(arithmetic.array(given))
    if "values" not in accepted:
        _checks.probabilities(y.astype(np.float64))
    if C > 1 and np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1):
        return np.argmax(y, axis=1), y
    if not accepted & {"probabilities", "values"}:
        raise TargetError(
            f"target holds probabilities, but {pair.loss_name} takes one class a row: an index or "
            f"a "
            "one-hot row."
        )
    return None, y


def _smoothed(y: Array, eps: float, pair: Pair) -> Array:
    """(1 - eps) y + eps / K, for the losses that know this option."""
    eps = pair.arithmetic.number(_checks.label_smoothing(eps))
    if not eps:
        return y
    if "label_smoothing" not in pair.loss_function.options:
        raise OptionError(f"loss {pair.loss_name!r} has no option label_smoothing.")
    alternatives = 2 if getattr(pair.loss_function, "multi_label", False) else y.shape[1]
    return y * (1 - eps) + eps / alternatives


def _within_domain(pair: Pair, rows: list[Work]) -> None:
    """Refuse a loss of probabilities after an activation that gives something else."""
    if pair.fused or getattr(pair.loss_function, "takes", "") != "probabilities":
        return
    for n, w in enumerate(rows):
        outside = [k for k, v in enumerate(w.a) if not 0 <= v <= 1]
        if outside:
            k = outside[0]
            suitable = [name for name, gives in GIVES.items() if gives == "probabilities"]
            raise OptionError(
                f"loss {pair.loss_name!r} takes probabilities, but {pair.activation_name!r} gives "
                f"{figures.number(w.a[k])} at [{n}, {k}]. Activations that give probabilities: "
                f"{', '.join(suitable)}."
            )


def _softened(y: Array, teacher: object, T: Any, pair: Pair) -> Array:
    """What a teacher says, as probabilities at the temperature T."""
    assert pair.loss_formula is not None
    if "teacher" not in pair.loss_formula.fixed:
        return y
    if teacher not in (None, "logits", "probabilities"):
        raise OptionError(f"teacher={teacher!r}; accepted are 'logits' and 'probabilities'.")
    if teacher == "probabilities":
        return y
    soften = pair.arithmetic.functions["softmax"]
    return np.stack([np.asarray(soften(row / T)) for row in y])


def _features(features: ArrayLike | None, x: Array, arithmetic: Arithmetic) -> Array:
    rows = len(np.atleast_2d(x))
    if features is None:
        # Rolled from row to row, so that no two neighbours are alike.
        return np.stack([np.roll(arithmetic.array(_FEATURES), n) for n in range(rows)])
    h = np.atleast_2d(
        arithmetic.array(features)
        if arithmetic.exact
        else _checks.floats(features, "features")[0].astype(np.float64)
    )
    if h.ndim != 2 or len(h) != rows or not h.size:
        raise ShapeError(
            f"features has shape {h.shape}; accepted is one row of features for each of the {rows} "
            "rows of logits."
        )
    if not all(map(is_finite, h.flat)) or not all(np.any(r != 0) for r in h):
        raise OptionError("features holds NaN, infinity, or a row of zeros.")
    return h


# --- The document --------------------------------------------------------------------------------


def _steps(w: Work, rows: list[Work], given: bool) -> list[Step]:
    found = activation_steps.steps(w)
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


def _summary(w: Work, x: Array, row: int, eps: float) -> str:
    parts = []
    if x.ndim == 2 and len(x) > 1:
        parts.append(f"Row {row} of a batch of {len(x)}.")
    shown = [_short(v) for v in w.x[:_LISTED]] + ([r"\dots"] if len(w.x) > _LISTED else [])
    # Each in dollars of its own, so that lines can be broken between them.
    parts.append(f"Logits $x = ({'$, $'.join(shown)})$")
    classes = f"{len(w.x)} classes" if len(w.x) > 1 else "one output"
    parts[-1] += f", {classes}"
    if w.index is not None:
        parts[-1] += f", target class {w.index} (counted from 0)"
    parts[-1] += f", temperature $T = {figures.latex(w.T, 10)}$."
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


def _values(work: list[Work], x: Array) -> dict[str, Any]:
    values: dict[str, Any] = {"activation": np.stack([r.a for r in work]).reshape(x.shape)}
    if work[0].y is not None:
        n = len(work)
        losses = [r.loss for r in work]
        values["loss"] = sum(losses[1:], start=losses[0]) / n
        values["grad"] = np.stack([r.gradient / r.T / n for r in work]).reshape(x.shape)
    return values


def _codes(pair: Pair, x: Array, y: Array | None, T: Any) -> dict[str, Any]:
    from softgrad.derivation.code import LIBRARIES, program

    return {name: partial(program, name, pair, x, y, T) for name in LIBRARIES}
