"""The elementwise functions with their derivatives, in NumPy.  Their Jacobians are diagonal.

`FORMULAS[name](x, parameter)` returns f, f' and f'' of a float64 array, by the formulas of the
papers, rearranged only where they would overflow or lose all digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from softgrad._reference.axes import Float64

Three = tuple[Float64, Float64, Float64]


def _limits(x: Float64, values: Three, at_minus_inf: tuple[float, float, float]) -> Three:
    """Formulas that multiply by x have no value of their own at -inf."""
    low = x == -np.inf
    f, slope, curvature = (
        np.asarray(np.where(low, limit, value))
        for value, limit in zip(values, at_minus_inf, strict=True)
    )
    return f, slope, curvature


def _logistic(x: Float64) -> Three:
    """1 / (1 + exp(-x)); s' = s(x) s(-x), never s (1 - s); s'' = -s' tanh(x / 2)."""
    e = np.exp(-np.abs(x))
    s = np.where(x >= 0, 1.0, e) / (1.0 + e)
    slope = e / (1.0 + e) ** 2
    return s, slope, -slope * np.tanh(x / 2)


def _identity(x: Float64, _: float) -> Three:
    return x, np.ones_like(x), np.zeros_like(x)


def _sigmoid(x: Float64, _: float) -> Three:
    return _logistic(x)


def _softplus(x: Float64, _: float) -> Three:
    s, slope, _curvature = _logistic(x)
    return np.logaddexp(0.0, x), s, slope


def _log_sigmoid(x: Float64, _: float) -> Three:
    s, slope, _curvature = _logistic(-x)
    return -np.logaddexp(0.0, -x), s, -slope


def _tanh(x: Float64, _: float) -> Three:
    slope = 4 * _logistic(2 * x)[1]
    return np.tanh(x), slope, -2 * np.tanh(x) * slope


def _rectifier(x: Float64, negative: float) -> Three:
    slope = np.where(x > 0, 1.0, negative)
    with np.errstate(invalid="ignore"):
        return np.where(x > 0, x, negative * x), slope, np.zeros_like(x)


def _relu(x: Float64, _: float) -> Three:
    return _limits(x, _rectifier(x, 0.0), (0.0, 0.0, 0.0))


def _exponential_unit(x: Float64, scale: float, alpha: float) -> Three:
    low = np.minimum(x, 0.0)
    slope = scale * alpha * np.exp(low)
    f = np.where(x > 0, scale * x, scale * alpha * np.expm1(low))
    return f, np.where(x > 0, scale, slope), np.where(x > 0, 0.0, slope)


def _elu(x: Float64, alpha: float) -> Three:
    return _exponential_unit(x, 1.0, alpha)


def _selu(x: Float64, _: float) -> Three:
    return _exponential_unit(x, 1.0507009873554804934, 1.6732632423543772848)


def _softsign(x: Float64, _: float) -> Three:
    a = 1.0 + np.abs(x)
    with np.errstate(invalid="ignore"):
        f = np.where(np.isinf(x), np.sign(x), x / a)
    return f, 1.0 / a**2, -2.0 * np.sign(x) / a**3


def _normal(x: Float64) -> tuple[Float64, Float64]:
    """The standard normal's distribution function and density."""
    from scipy.special import ndtr

    return ndtr(x), np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def _gelu(x: Float64, _: float) -> Three:
    with np.errstate(invalid="ignore"):
        cumulative, phi = _normal(x)
        values = x * cumulative, cumulative + x * phi, (2.0 - x * x) * phi
    return _limits(x, values, (0.0, 0.0, 0.0))


def _gated(x: Float64, w: Float64, slope: Float64, curvature: Float64) -> Three:
    """x s(w(x)), by the product and the chain rule."""
    with np.errstate(invalid="ignore"):
        s, s1, s2 = _logistic(w)
        second = 2 * s1 * slope + x * s2 * slope**2 + x * s1 * curvature
        return _limits(x, (x * s, s + x * s1 * slope, second), (0.0, 0.0, 0.0))


def _silu(x: Float64, _: float) -> Three:
    return _gated(x, x, np.ones_like(x), np.zeros_like(x))


def _gelu_tanh(x: Float64, _: float) -> Three:
    c, k = 2 * np.sqrt(2 / np.pi), 0.044715
    x = np.maximum(x, -1e3)  # where all is 0, and no power overflows
    return _gated(x, c * (x + k * x**3), c * (1 + 3 * k * x * x), 6 * c * k * x)


def _mish(x: Float64, _: float) -> Three:
    """t = tanh(log(1 + exp x)), t' = s (1 - t^2), t'' = s' (1 - t^2) - 2 s t t'."""
    s, s1, _curvature = _logistic(x)
    soft = np.logaddexp(0.0, x)
    t, rest = np.tanh(soft), 4 * _logistic(2 * soft)[1]
    t1 = s * rest
    t2 = s1 * rest - 2 * s * t * t1
    with np.errstate(invalid="ignore"):
        return _limits(x, (x * t, t + x * t1, 2 * t1 + x * t2), (0.0, 0.0, 0.0))


FORMULAS: dict[str, Callable[[Float64, float], Three]] = {
    "identity": _identity,
    "sigmoid": _sigmoid,
    "log_sigmoid": _log_sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _rectifier,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
}


def derivative(
    name: str, order: int, x: ArrayLike, *factors: ArrayLike, parameter: float = 0.0
) -> Float64:
    """f, f' or f'' times the factors: a member of the function of that name."""
    result = FORMULAS[name](np.asarray(x, dtype=np.float64), parameter)[order]
    for factor in factors:
        result = result * np.asarray(factor, dtype=np.float64)
    return result
