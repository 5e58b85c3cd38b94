"""Where numbers stopped being finite, in the words of who must repair it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from softgrad._typing import Array
from softgrad.network import engine
from softgrad.network.workspace import Workspace

if TYPE_CHECKING:
    from softgrad.network.sequential import Sequential

_ROWS_AT_ONCE = 1024
_SMALLER = "Use a smaller step size, or clip_norm."
_LOSS_ALONE = f"every layer's output is finite, the loss of it is not. {_SMALLER} Check the target."


def diagnose(net: Sequential, X: Any, rng: np.random.Generator | None) -> str:
    """Name the first layer whose output is not finite on this batch of training, and why."""
    return _cause(net, X, 0, "batch", training=True, rng=rng) or _LOSS_ALONE


def diagnose_validation(net: Sequential, X: Any) -> str:
    """The same of validation rows, which the network sees as a fixed function."""
    X = X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)
    for start in range(0, X.shape[0], _ROWS_AT_ONCE):
        part = X[start : start + _ROWS_AT_ONCE]
        cause = _cause(net, part, start, "validation data", training=False, rng=None)
        if cause is not None:
            return cause
    return _LOSS_ALONE


def _cause(
    net: Sequential,
    given: Any,
    first: int,
    what: str,
    *,
    training: bool,
    rng: np.random.Generator | None,
) -> str | None:
    """Where the first number that is not finite comes from; ``first`` is the number of row 0."""
    with np.errstate(over="ignore"):
        X = net.rows(given)
    bad = _first_bad(X if isinstance(X, np.ndarray) else X.toarray())
    if bad is not None:
        row, number, feature = bad
        number_given = float(given[row, feature])
        where = f"row {first + row} of the {what} holds {number_given:.3g} in feature {feature}"
        if math.isfinite(number_given):
            return (
                f"{where}, which is {number} in the network's {net.dtype}. Scale the features, or "
                "train the network in float64."
            )
        return f"{where}. Remove or impute such rows before training."
    layers = net.trunk
    passes = net.passes(Workspace(net.dtype), layers, training=training, rng=rng)
    for call in passes:
        call.in_place = call.learning = False
    outputs = engine.forward(layers, X, passes)
    for i, (call, y) in enumerate(zip(passes, outputs[1:], strict=True)):
        if not all(np.isfinite(p).all() for p in call.parameters):
            return (
                f"the first bad layer is {net.place(i)}, whose weights are not finite. {_SMALLER}"
            )
        bad = _first_bad(y)
        if bad is not None:
            biggest = max((float(np.abs(p).max()) for p in call.parameters), default=0.0)
            weights = f", whose weights reach {biggest:.3g}" if biggest else ""
            return (
                f"the first bad layer is {net.place(i)}{weights}: it gives {bad[1]} for row "
                f"{first + bad[0]} of the {what}. {_SMALLER}"
            )
    return None


def _first_bad(a: Array) -> tuple[int, float, int] | None:
    finite = np.isfinite(a)
    if finite.all():
        return None
    row, *rest = np.unravel_index(int(np.argmin(finite)), a.shape)
    return int(row), float(a[(row, *rest)]), int(rest[0]) if rest else 0
