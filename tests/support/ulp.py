"""Errors in units in the last place (ULP) against arbitrary-precision truth.

The ULP of a number is the distance to the next floating point number at its magnitude, that of a
subnormal number (or of zero) the smallest positive float.  An error below 0.5 is a correctly
rounded result.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

_FORMATS = {4: (24, -149, 128), 8: (53, -1074, 1024)}  # bits, smallest exponent, overflow


def ulp(number: Any, itemsize: int) -> Any:
    """The unit in the last place of a float of that size at the magnitude of `number`."""
    bits, smallest, _ = _FORMATS[itemsize]
    exponent = smallest if number == 0 else max(int(mpmath.mag(number)) - bits, smallest)
    return mpmath.ldexp(1, exponent)


def _error(result: float, exact: Any, scale: Any, itemsize: int) -> float:
    if not mpmath.isfinite(exact) or abs(exact) >= mpmath.ldexp(1, _FORMATS[itemsize][2]):
        limit = float(exact) if not mpmath.isfinite(exact) else float(mpmath.sign(exact)) * np.inf
        return 0.0 if result == limit else np.inf
    if not np.isfinite(result):
        return np.inf
    return float(abs(mpmath.mpf(result) - exact) / ulp(scale, itemsize))


def errors(result: Any, exact: Any, scale: Any = None) -> NDArray[np.float64]:
    """|result - exact| in ULP of |exact|, or of |scale| where that is given."""
    values = np.asarray(result)
    truth = np.asarray(exact, dtype=np.object_)
    sizes = (
        truth if scale is None else np.broadcast_to(np.asarray(scale, dtype=object), truth.shape)
    )
    assert values.shape == truth.shape, (values.shape, truth.shape)
    size = values.dtype.itemsize
    pairs = zip(values.ravel().tolist(), truth.ravel(), sizes.ravel(), strict=True)
    return np.array([_error(*pair, size) for pair in pairs]).reshape(truth.shape)


def float_errors(result: Any, expected: Any) -> NDArray[np.float64]:
    """The distance of two float arrays in ULP of `expected`, for results of the same precision."""
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.dtype == expected.dtype, (result.dtype, expected.dtype)
    spacing = np.spacing(np.abs(expected).astype(expected.dtype))
    same = (result == expected) | (np.isnan(result) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.abs(result.astype(np.float64) - expected.astype(np.float64)) / spacing
    return np.where(same, 0.0, np.nan_to_num(distance, nan=np.inf)).astype(np.float64)
