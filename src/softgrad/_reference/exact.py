"""One row at a time in arbitrary precision: the truth that errors in ULP are measured against.

Every function takes one row of float32 or float64 numbers and returns arrays of mpmath numbers.
The formulas are the plainest there are.  Nothing is done against cancellation but to carry enough
bits: the smallest float64 is 2^-1074, so beside a probability of 1 another 1300 bits keep it all.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import mpmath  # type: ignore[import-untyped,import-not-found,unused-ignore]
import numpy as np
from numpy.typing import NDArray

#: A row of mpmath numbers.
Exact: TypeAlias = NDArray[np.object_]

_exp = np.frompyfunc(mpmath.exp, 1, 1)
_mpf = np.frompyfunc(lambda number: mpmath.mpf(float(number)), 1, 1)


def precision(x: NDArray[np.floating[Any]]) -> Any:
    """The context with the bits that rows of this type need."""
    return mpmath.workprec(1300 if x.dtype.itemsize > 4 else 350)


def number(values: Any) -> Exact:
    """Floating point numbers as mpmath numbers, without rounding."""
    row: Exact = _mpf(np.asarray(values, dtype=np.float64))
    return row


def scaled(x: NDArray[np.floating[Any]], temperature: float = 1.0) -> Exact:
    """z = x / T."""
    return np.asarray(number(x) / mpmath.mpf(temperature), dtype=np.object_)


def softmax(x: NDArray[np.floating[Any]], temperature: float = 1.0) -> Exact:
    """exp(z) / sum exp(z), over exp(max z) so that no exponent is out of hand."""
    with precision(x):
        z = scaled(x, temperature)
        e = _exp(z - z.max())
        return np.asarray(e / e.sum(), dtype=np.object_)


def logsumexp(x: NDArray[np.floating[Any]], temperature: float = 1.0) -> Any:
    """log sum exp(z)."""
    with precision(x):
        z = scaled(x, temperature)
        return z.max() + mpmath.log(_exp(z - z.max()).sum())


def log_softmax(x: NDArray[np.floating[Any]], temperature: float = 1.0) -> Exact:
    """z - log sum exp(z)."""
    with precision(x):
        z = scaled(x, temperature)
        return np.asarray((z - z.max()) - mpmath.log(_exp(z - z.max()).sum()), dtype=np.object_)


def softmax_vjp(
    x: NDArray[np.floating[Any]], g: NDArray[np.floating[Any]], temperature: float = 1.0
) -> Exact:
    """p (g - sum p g) / T."""
    p = softmax(x, temperature)
    with precision(x):
        cotangent = number(g)
        change = p * (cotangent - (p * cotangent).sum()) / mpmath.mpf(temperature)
        return np.asarray(change, dtype=np.object_)


def log_softmax_vjp(
    x: NDArray[np.floating[Any]], g: NDArray[np.floating[Any]], temperature: float = 1.0
) -> Exact:
    """(g - p sum g) / T."""
    p = softmax(x, temperature)
    with precision(x):
        cotangent = number(g)
        change = (cotangent - p * cotangent.sum()) / mpmath.mpf(temperature)
        return np.asarray(change, dtype=np.object_)


def sigmoid(x: NDArray[np.floating[Any]]) -> Exact:
    """1 / (1 + exp(-x))."""
    with precision(x):
        return np.asarray(1 / (1 + _exp(-number(x))), dtype=np.object_)


def sigmoid_slope(x: NDArray[np.floating[Any]]) -> Exact:
    """s (1 - s)."""
    s = sigmoid(x)
    with precision(x):
        return np.asarray(s * (1 - s), dtype=np.object_)


def sigmoid_curvature(x: NDArray[np.floating[Any]]) -> Exact:
    """s (1 - s) (1 - 2 s)."""
    s = sigmoid(x)
    with precision(x):
        return np.asarray(s * (1 - s) * (1 - 2 * s), dtype=np.object_)


def smoothed_target(
    x: NDArray[np.floating[Any]], target: int | NDArray[np.floating[Any]], smoothing: float
) -> Exact:
    """y' = (1 - eps) y + eps / C, from a class index or from probabilities."""
    with precision(x):
        y = number(np.eye(len(x))[target] if isinstance(target, int) else target)
        eps = mpmath.mpf(smoothing)
        return np.asarray((1 - eps) * y + eps / len(x), dtype=np.object_)


def cross_entropy(
    x: NDArray[np.floating[Any]],
    target: int | NDArray[np.floating[Any]],
    *,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
) -> Any:
    """sum y' (-log p), where a class of weight 0 contributes 0 even at log p = -inf."""
    y = smoothed_target(x, target, label_smoothing)
    log_p = log_softmax(x, temperature)
    with precision(x):
        return sum((-y_c * l_c for y_c, l_c in zip(y, log_p, strict=True) if y_c), mpmath.mpf(0))


def cross_entropy_grad(
    x: NDArray[np.floating[Any]],
    target: int | NDArray[np.floating[Any]],
    *,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
) -> Exact:
    """(Y p - y') / T with Y = sum y'."""
    y = smoothed_target(x, target, label_smoothing)
    p = softmax(x, temperature)
    with precision(x):
        return np.asarray((y.sum() * p - y) / mpmath.mpf(temperature), dtype=np.object_)
