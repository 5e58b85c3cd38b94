"""Errors in units in the last place (ULP) against arbitrary-precision truth.

The ULP of a number is the distance to the next floating point number at its magnitude, that of a
subnormal number (or of zero) the smallest positive float.  An error below 0.5 is a correctly
rounded result.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

_FORMATS = {4: (24, -149, 128), 8: (53, -1074, 1024)}  # bits, smallest exponent, overflow
_FRACTION = 40  # errors are measured to 2^-40 ULP


def _error(result: float, exact: Any, scale: Any, itemsize: int) -> float:
    """|result - exact| in ULP of scale, in integers: mpmath numbers are mantissa and exponent."""
    bits, smallest, overflow = _FORMATS[itemsize]
    sign, mantissa, exponent, length = exact._mpf_
    infinite = exponent + length > overflow if mantissa else not mpmath.isfinite(exact)
    if infinite or math.isinf(result):
        limit = math.copysign(math.inf, -1 if sign else 1) if mantissa else float(exact)
        return 0.0 if infinite and result == limit else math.inf
    if math.isnan(result):
        return math.inf
    _, size, scale_exponent, scale_length = scale._mpf_
    ulp = max(scale_exponent + scale_length - bits, smallest) if size else smallest
    unit = ulp - _FRACTION
    numerator, denominator = result.as_integer_ratio()
    found = _shifted(numerator, 1 - denominator.bit_length() - unit)
    wanted = _shifted(-mantissa if sign else mantissa, exponent - unit)
    return min(abs(found - wanted), 1 << 900) / (1 << _FRACTION)


def _shifted(number: int, by: int) -> int:
    return number << by if by >= 0 else number >> -by


def errors(result: Any, exact: Any, scale: Any = None) -> NDArray[np.float64]:
    """|result - exact| in ULP of |exact|, or of |scale| where that is given."""
    values = np.asarray(result)
    truth = np.asarray(exact, dtype=np.object_)
    sizes = (
        truth if scale is None else np.broadcast_to(np.asarray(scale, dtype=object), truth.shape)
    )
    assert values.shape == truth.shape, (values.shape, truth.shape)
    size = values.dtype.itemsize
    triples = zip(values.ravel().tolist(), truth.ravel(), sizes.ravel(), strict=True)
    return np.array([_error(*triple, size) for triple in triples]).reshape(truth.shape)


def float_errors(result: Any, expected: Any) -> NDArray[np.float64]:
    """The distance of two float arrays in ULP of `expected`, for results of the same precision."""
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.dtype == expected.dtype, (result.dtype, expected.dtype)
    spacing = np.spacing(np.abs(expected).astype(expected.dtype))
    same = (result == expected) | (np.isnan(result) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.abs(result.astype(np.float64) - expected.astype(np.float64)) / spacing
    return np.where(same, 0.0, np.nan_to_num(distance, nan=np.inf)).astype(np.float64)
