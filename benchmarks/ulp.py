"""Errors in units in the last place, against mpmath."""

import math
from typing import Any

import mpmath
import numpy as np

Float = type[np.floating[Any]]


def unit(size: Any, dtype: Float) -> Any:
    """One unit in the last place of a number in that type, subnormals included."""
    limits = np.finfo(dtype)
    if size == 0:
        return mpmath.mpf(float(limits.smallest_subnormal))
    _, exponent = mpmath.frexp(abs(size))  # size = m * 2**exponent, 1/2 <= m < 1
    return mpmath.ldexp(1, max(exponent, limits.minexp + 1) - limits.nmant - 1)


def largest(got: Any, truth: Any, terms: Any) -> float:
    """The largest error, in ULP of the terms; infinite where it is NaN or of another shape.

    What overflows is left out: there the truth is not a number of the type.
    """
    wanted, sizes = np.asarray(truth, dtype=object), np.asarray(terms, dtype=object)
    if got.shape != wanted.shape or np.isnan(got).any():
        return math.inf
    dtype = got.dtype.type
    top, worst = float(np.finfo(dtype).max), mpmath.mpf(0)
    for value, true, size in zip(got.flat, wanted.flat, sizes.flat, strict=True):
        if abs(true) > top:
            continue
        if not math.isfinite(value):
            return math.inf
        worst = max(worst, abs(mpmath.mpf(float(value)) - true) / unit(size, dtype))
    return float(worst)


def text(value: float | None, dtype: Float) -> str:
    """An error; from half the digits of the type on as a power of ten; a dash for None."""
    if value is None:
        return "–"
    if value == math.inf:
        return "NaN or inf"
    if value < 1000:
        return f"{value:.2g}" if value < 10 else f"{value:.0f}"
    lost = value >= 2.0 ** (np.finfo(dtype).nmant - 1)
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e") + (" (all)" if lost else "")
