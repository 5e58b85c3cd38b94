"""Numeric derivatives with an error estimate: the complex step, and Ridders' extrapolation.

References
----------
C. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4
(1982), 75-76.
J. Martins, P. Sturdza, J. Alonso, The complex-step derivative approximation, ACM TOMS 29 (2003),
245-262, section 2.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softgrad._typing import Array

Map = Callable[[Array], Array]

#: First steps relative to the size of x; each is halved so often.
_COARSEST = (0.05, 1e-3, 3e-5)
_LEVELS = 8
_COMPLEX_STEP = 1e-20  # its square is lost beside 1, and derivatives down to 1e-280 are not
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Slope:
    """The derivative of f along one direction: value and error estimate for each output of f."""

    value: Array
    error: Array
    method: str
    left: Array  # one-sided derivatives at small steps
    right: Array
    kink: Array  # where they do not meet
    jump: Array  # where they grow without bound, because f itself jumps


def size_of(x: Array) -> float:
    """The length that steps are measured in."""
    return max(1.0, float(np.abs(x).max(initial=0.0)))


def noise_of(f: Map, x: Array, value: Array) -> float:
    """The rounding noise of f relative to its values: type, then what second differences show."""
    epsilon = float(np.finfo(np.float64).eps)
    if value.dtype == np.float16:
        return float(np.finfo(np.float16).eps)
    if value.dtype == np.float32 or _is_single(f, x, value):
        return float(np.finfo(np.float32).eps)
    scale = float(np.abs(value).max(initial=0.0)) or 1.0
    again = f(x.copy())
    random = float(np.abs(again - value).max(initial=0.0)) / scale
    return max(epsilon, random)


def rough(f: Map, x: Array, v: Array, value: Array) -> Array:
    """The absolute noise of f near x along v: what is left in its high differences.

    Over steps this small a smooth function is a parabola at most, so that fourth and higher
    differences hold nothing but noise; that of n points has the variance (2k)! / (k!)^2 of one.
    J. More, S. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), section 3.
    """
    step = 1e-7 * size_of(x)
    points = [_float(f(x + (k * 1.07 - 4.3) * step * v)) for k in range(9)]
    table = np.stack([*points])
    worst = np.zeros(value.shape)
    with np.errstate(all="ignore"):
        for order in range(1, 7):
            table = np.diff(table, axis=0)
            if order >= 4:
                variance = math.factorial(2 * order) / math.factorial(order) ** 2
                largest = np.abs(table).max(axis=0)
                share = table / np.where(largest > 0, largest, 1.0)  # squares overflow early
                worst = np.maximum(worst, largest * np.sqrt(np.mean(share**2, axis=0) / variance))
    return np.asarray(worst)


def _is_single(f: Map, x: Array, value: Array) -> bool:
    """Whether all values of a function happen to be float32 numbers, whatever their type."""
    values = [value, *(f(x * (1 + k * 1e-3) + k * 1e-3) for k in (1, 2, 3))]
    joined = np.concatenate([np.asarray(v, dtype=np.float64).reshape(-1) for v in values])
    joined = joined[np.isfinite(joined)]
    whole = np.all(joined == np.round(joined * 1024) / 1024)
    with np.errstate(over="ignore"):
        return bool(joined.size) and not whole and bool(np.all(joined == joined.astype(np.float32)))


def central(f: Map, x: Array, v: Array, h: float) -> Array:
    """(f(x + h v) - f(x - h v)) / 2h, with h as it is after rounding."""
    return np.asarray((_float(f(x + h * v)) - _float(f(x - h * v))) / (2 * h))


def slope(f: Map, x: Array, v: Array, value: Array, noise: float) -> Slope:
    """The derivative of f at x along v."""
    # Beside x on both sides, and the smaller: a kink at x is no noise.
    aside = 2e-5 * size_of(x) * v
    absolute = np.minimum(rough(f, x + aside, v, value), rough(f, x - aside, v, value))
    absolute = np.maximum(absolute, noise * np.abs(_float(value)))
    best, error = _ridders(f, x, v, value, absolute)
    left, right, kink, jump = _one_sided(f, x, v, _float(value), noise, absolute)
    method = "Richardson-extrapolated central differences"
    # Far above rounding, the noise is randomness, which a complex step would not notice.
    scale = np.maximum(np.abs(_float(value)), np.abs(_float(f(x + aside))))
    steady = noise <= 2 * _EPSILON and bool(np.all(absolute <= 1e-6 * scale + 1e-300))
    exact = _complex_step(f, x, v) if steady else None
    if exact is not None and not kink.any():
        slack = 100 * error + 1e-6 * np.abs(best)
        if np.all(np.abs(exact - best) <= slack):
            rounding = 8 * np.finfo(np.float64).eps * np.abs(exact)
            return Slope(exact, rounding, "complex step", left, right, kink, jump)
    return Slope(best, error, method, left, right, kink, jump)


def _float(value: Array) -> Array:
    return np.asarray(value, dtype=np.float64)


def _ridders(f: Map, x: Array, v: Array, value: Array, noise: Array) -> tuple[Array, Array]:
    """The extrapolation with the smallest error estimate that finer steps do not contradict.

    Steps longer than the function's features agree with one another and are all wrong.
    """
    best = np.full(value.shape, np.nan)
    error = np.full(value.shape, np.inf)
    finer: list[tuple[Array, Array]] = []
    for base in _bases(x, v):
        found, guess = _extrapolate(f, x, v, value, noise, base)
        with np.errstate(all="ignore"):
            agrees = np.ones(value.shape, dtype=np.bool_)
            for other, spread in finer:
                agrees &= np.abs(found - other) <= 4 * (guess + spread)
            better = (guess < error) & agrees
        best, error = np.where(better, found, best), np.where(better, guess, error)
        finer.append((found, guess))
    return best, error


def _bases(x: Array, v: Array) -> list[float]:
    """First steps, the finest first; of a number far smaller than the others also its own."""
    usual = [coarsest * size_of(x) for coarsest in reversed(_COARSEST)]
    moved = np.abs(x[v != 0])
    own = float(moved[moved > 0].min(initial=np.inf))
    if own >= 20 * usual[0]:
        return usual
    return [*(share * own for share in (1e-2, 0.3)), *usual]


def _extrapolate(
    f: Map, x: Array, v: Array, value: Array, noise: Array, base: float
) -> tuple[Array, Array]:
    """Central differences at halved steps, extrapolated to h = 0; the most trustworthy entry.

    An entry's error is estimated by its distance from the two it was made of, and is never below
    what rounding in f does to its smallest step.
    """
    column: list[Array] = []
    best = np.full(value.shape, np.nan)
    error = np.full(value.shape, np.inf)
    for level in range(_LEVELS):
        h = base / 2**level
        with np.errstate(all="ignore"):
            row = [central(f, x, v, h)]
            rounding = 2 * noise / h
            for k in range(1, level + 1):
                weight = 4.0**k
                row.append((weight * row[k - 1] - column[k - 1]) / (weight - 1))
                spread = np.maximum(np.abs(row[k] - row[k - 1]), np.abs(row[k] - column[k - 1]))
                guess = np.maximum(spread, rounding)
                better = guess < error
                best = np.where(better, row[k], best)
                error = np.where(better, guess, error)
        column = row
    return best, error


def _one_sided(
    f: Map, x: Array, v: Array, value: Array, noise: float, absolute: Array
) -> tuple[Array, Array, Array, Array]:
    """Left and right derivatives, where their gap does not close as the step shrinks, or grows."""
    steps = np.array([1.0, 0.25, 0.0625]) * max(1e-6, 30 * np.sqrt(noise)) * size_of(x)
    gaps, left, right = [], value, value
    with np.errstate(all="ignore"):
        for h in steps:
            right = (_float(f(x + h * v)) - value) / h
            left = (value - _float(f(x - h * v))) / h
            gaps.append(np.abs(right - left))
        size = np.maximum(np.abs(right), np.abs(left))
        rounding = 10 * absolute / steps[-1]
        # A smooth function's gap shrinks with h; at a kink it stays as it is.
        stays = gaps[2] > 0.6 * gaps[0]
        kink = stays & (gaps[2] > 1e-3 * size) & (gaps[2] > 4 * rounding) & np.isfinite(gaps[2])
        jump = kink & (gaps[1] > 3 * gaps[0]) & (gaps[2] > 3 * gaps[1])
    return left, right, np.asarray(kink), np.asarray(jump)


def _complex_step(f: Map, x: Array, v: Array) -> Array | None:
    """Im f(x + i h v) / h: no subtraction, hence no rounding error; None where f is real only."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            value = np.asarray(f(x + 1j * _COMPLEX_STEP * v))
    except Exception:
        return None
    if value.dtype.kind != "c" or not np.all(np.isfinite(value)):
        return None
    result = value.imag / _COMPLEX_STEP
    return np.asarray(result) if np.all(np.isfinite(result)) else None


def errors_over_steps(f: Map, x: Array, v: Array, expected: Array) -> list[tuple[float, float]]:
    """How far plain central differences are from a derivative, step by step."""
    curve = []
    for exponent in range(1, 13):
        h = 10.0**-exponent * size_of(x)
        with np.errstate(all="ignore"):
            miss = np.abs(central(f, x, v, h) - expected)
        curve.append((h, float(np.max(miss, initial=0.0))))
    return curve
