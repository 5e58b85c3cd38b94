"""Mean and deviation of the features, and norms of the rows, at the speed of memory.

Rows are taken in parts that stay in the cache, and a number for each feature is laid out for all
rows of a part: NumPy then runs over one long array instead of many short rows. Sums over rows are
products with a vector of ones or weights, BLAS's: bits do not depend on the threads where BLAS has
one (the caller's part).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]

# A deviation this small beside the mean is the rounding of a constant.
ROUNDING = 1e-13
# Squares of larger numbers are near the end of what a float64 holds.
LARGEST = 1e100
_NUMBERS = 1 << 16  # of a part
_FAR = 1e3  # deviations between the shift and the mean from which the variance is computed anew


def mean_and_scale(
    X: npt.NDArray[Any], weight: Float | None, total_weight: float, *, centre: bool
) -> tuple[Float, Float]:
    """Weighted mean and deviation of every feature (about zero, and 0, if not ``centre``).

    One pass over the differences from a shift, the mean of the first rows: a mean of millions costs
    no digit. With m the mean of the differences, v the variance and u = 2^-53, rounding costs the
    variance about u (v + m^2); rows that are a share w of the weight cannot have a mean further
    than sqrt(v / w) away. Only first rows of next to no weight can be a shift that is too far off;
    then there is a second pass, about the mean. A constant feature has the deviation 1.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # `too_large` tells
        return _mean_and_scale(X, weight, total_weight, centre)


def unless_constant(scale: Float, mean: Float) -> Float:
    """The deviation of every feature, and 1 of a constant; NaN stays."""
    return np.where(scale <= ROUNDING * np.abs(mean), 1.0, scale)


def too_large(size: Float) -> int | None:
    """The first feature whose squares, or their sums with weights, might not be finite."""
    bad = np.flatnonzero(~(size < LARGEST))
    return int(bad[0]) if len(bad) else None


def _mean_and_scale(
    X: npt.NDArray[Any], weight: Float | None, total_weight: float, centre: bool
) -> tuple[Float, Float]:
    shift = np.zeros(X.shape[1])
    if centre and len(X):
        rows = next(_parts(X))
        own = None if weight is None else weight[rows]
        if own is None or own.sum() > 0.0:
            shift = np.average(X[rows].astype(np.float64), axis=0, weights=own)
    first, second = _sums(X, weight, shift)
    first /= total_weight
    second /= total_weight
    if not centre:
        return np.zeros(X.shape[1]), np.sqrt(np.where(second > 0.0, second, 1.0))
    mean, variance = shift + first, second - first**2
    if (first**2 > _FAR**2 * variance).any():
        first, second = _sums(X, weight, mean)
        first /= total_weight
        mean, variance = mean + first, second / total_weight - first**2
    scale = np.sqrt(np.maximum(variance, 0.0))
    return mean, unless_constant(scale, mean)


def square_norms(X: npt.NDArray[Any], mean: Float, scale: Float) -> Float:
    """Of the standardized rows."""
    norms = np.empty(len(X))
    factor = 1.0 / scale**2
    for rows, squares in _squares(X, mean):
        np.dot(squares, factor, out=norms[rows])
    return norms


def summed(X: npt.NDArray[Any], weight: Float, mean: Float) -> Float:
    """The weighted sum of the rows, counted from ``mean``."""
    total = np.zeros(X.shape[1])
    for rows, difference in _differences(X, mean):
        total += weight[rows] @ difference
    return total


def _sums(X: npt.NDArray[Any], weight: Float | None, shift: Float) -> tuple[Float, Float]:
    """Sums of the differences from ``shift``, and of their squares."""
    first, second = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    ones = np.ones(_part_rows(X))
    for rows, difference in _differences(X, shift):
        factor = ones[: len(difference)] if weight is None else weight[rows]
        first += factor @ difference
        np.multiply(difference, difference, out=difference)
        second += factor @ difference
    return first, second


def _squares(X: npt.NDArray[Any], mean: Float) -> Iterator[tuple[slice, Float]]:
    for rows, difference in _differences(X, mean):
        np.multiply(difference, difference, out=difference)
        yield rows, difference


def _differences(X: npt.NDArray[Any], shift: Float) -> Iterator[tuple[slice, Float]]:
    shifts = np.tile(shift, (_part_rows(X), 1))
    difference = np.empty_like(shifts)
    for rows in _parts(X):
        n = rows.stop - rows.start
        yield rows, np.subtract(X[rows], shifts[:n], out=difference[:n])


def _parts(X: npt.NDArray[Any]) -> Iterator[slice]:
    step = _part_rows(X)
    for start in range(0, len(X), step):
        yield slice(start, min(start + step, len(X)))


def _part_rows(X: npt.NDArray[Any]) -> int:
    n_rows, n_features = X.shape
    return int(min(n_rows, max(16, _NUMBERS // max(1, n_features))))
