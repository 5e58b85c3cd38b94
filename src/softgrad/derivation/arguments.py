"""What the user passes to `softgrad.explain`, checked, in the numbers that it is worked in."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike
from softgrad.derivation import figures
from softgrad.derivation.arithmetic import Arithmetic, Exact, is_finite
from softgrad.derivation.masking import Mask
from softgrad.derivation.pair import GIVES, Pair
from softgrad.derivation.steps.work import Work
from softgrad.errors import OptionError, ShapeError, TargetError

_FEATURES = (1.0, -0.5, 2.0)
_DIGITS = (7, 500)


def arithmetic_of(digits: int | None) -> Arithmetic:
    if digits is None:
        return Arithmetic()
    return Exact(whole(digits, "digits", *_DIGITS))


def whole(value: object, name: str, first: int, last: int) -> int:
    """An option that is a whole number in first..last."""
    accepted = f"a whole number from {first} to {last}"
    return int(_checks.number(value, name, accepted, lambda v: v == v // 1 and first <= v <= last))


def logits_of(logits: ArrayLike, arithmetic: Arithmetic, mask: Mask | None = None) -> Array:
    """The logits that take part; a mask leaves out whatever the others hold."""
    if arithmetic.exact:
        x = arithmetic.array(logits)
    else:
        x = _checks.floats(logits, "logits")[0].astype(np.float64)
    if x.ndim not in (1, 2) or 0 in x.shape:
        raise ShapeError(
            f"logits has shape {x.shape}; accepted are (C,) for one row and (N, C) for a batch, "
            "with at least one class and one row."
        )
    x = x if mask is None else mask.drop(x)
    finite = all(map(is_finite, x.flat)) if arithmetic.exact else bool(np.all(np.isfinite(x)))
    if not finite:
        at, value = next((at, v) for at, v in np.ndenumerate(x) if not is_finite(v))
        at = at if mask is None else (*at[:-1], mask.classes[at[-1]])
        where = ", ".join(map(str, at))
        hint = " Take a masked class out with where=: False for it."
        raise OptionError(
            f"logits holds {float(value)} at [{where}]; a derivation needs finite numbers."
            + (hint if value == -np.inf else "")
        )
    return x


def target_of(
    target: ArrayLike | None, x: Array, pair: Pair, arithmetic: Arithmetic
) -> tuple[Array | None, Array | None]:
    """Class indices (N,) where that is what was passed, and the target (N, C)."""
    if target is None:
        return None, None
    C, rows = x.shape[-1], x.shape[:-1]
    accepted = pair.loss_function.targets
    given = np.asarray(target)
    if arithmetic.exact and given.dtype.kind == "U":  # digits as they were typed, as in the logits
        given = given.astype(object)
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
    named = "teacher" not in _fixed(pair)  # what a teacher's logits look like says nothing
    if named and C > 1 and np.all((y == 0) | (y == 1)) and np.all(y.sum(axis=1) == 1):
        return np.argmax(y, axis=1), y
    if not accepted & {"probabilities", "values"}:
        raise TargetError(
            f"target holds probabilities, but {pair.loss_name} takes one class a row: an index or "
            "a one-hot row."
        )
    return None, y


def smoothed(y: Array, eps: float, pair: Pair) -> Array:
    """(1 - eps) y + eps / K, for the losses that know this option."""
    eps = pair.arithmetic.option(_checks.label_smoothing(eps))
    if not eps:
        return y
    if "label_smoothing" not in pair.loss_function.options:
        raise OptionError(f"loss {pair.loss_name!r} has no option label_smoothing.")
    alternatives = 2 if getattr(pair.loss_function, "multi_label", False) else y.shape[1]
    return y * (1 - eps) + eps / alternatives


def check_domain(pair: Pair, rows: list[Work]) -> None:
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


def check_teacher(teacher: object, pair: Pair) -> None:
    """Refuse the option where the loss has no teacher."""
    if teacher is not None and "teacher" not in _fixed(pair):
        raise OptionError(
            f"teacher={teacher!r} belongs to losses that have a teacher: distillation."
        )


def _fixed(pair: Pair) -> dict[str, str]:
    return {} if pair.loss_formula is None else pair.loss_formula.fixed


def softened(y: Array, teacher: object, T: Any, pair: Pair) -> Array:
    """What a teacher says, as probabilities at the temperature T."""
    if "teacher" not in _fixed(pair):
        return y
    if teacher not in (None, "logits", "probabilities"):
        raise OptionError(f"teacher={teacher!r}; accepted are 'logits' and 'probabilities'.")
    if teacher == "probabilities":
        return y
    soften = pair.arithmetic.functions["softmax"]
    return np.stack([np.asarray(soften(row / T)) for row in y])


def features_of(features: ArrayLike | None, x: Array, arithmetic: Arithmetic) -> Array:
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
