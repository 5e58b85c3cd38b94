"""The elementwise functions in arbitrary precision, as the textbooks write them.

`EXACT[name](x, parameter)` returns f, f' and f'' of one mpmath number, each with the size of the
terms that it is the sum of: where these cancel, no floating point formula can do better than an ULP
of them.  Nothing is done against cancellation but to carry enough bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped,import-not-found,unused-ignore]
import numpy as np

from softgrad._reference.exact import Exact, Floats, bits, number


class Sum(NamedTuple):
    """A result, and the sum of the magnitudes of its terms."""

    value: Any
    terms: Any


Formula = Callable[[Any, Any], tuple[Sum, Sum, Sum]]


def _sum(*terms: Any) -> Sum:
    return Sum(mpmath.fsum(terms), mpmath.fsum(abs(term) for term in terms))


def _plain(*values: Any) -> tuple[Sum, Sum, Sum]:
    """Values without terms that cancel."""
    f, slope, curvature = (Sum(value, abs(value)) for value in map(mpmath.mpf, values))
    return f, slope, curvature


def _logistic(x: Any) -> tuple[Any, Any, Any]:
    s = 1 / (1 + mpmath.exp(-x))
    return s, s * (1 - s), s * (1 - s) * (1 - 2 * s)


def _identity(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    return _plain(x, 1, 0)


def _sigmoid(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    return _plain(*_logistic(x))


def _softplus(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    s, slope, _curvature = _logistic(x)
    return _plain(mpmath.log1p(mpmath.exp(x)), s, slope)


def _log_sigmoid(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    s, slope, _curvature = _logistic(-x)
    return _plain(-mpmath.log1p(mpmath.exp(-x)), s, -slope)


def _tanh(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    t = mpmath.tanh(x)
    return _plain(t, 1 - t * t, -2 * t * (1 - t * t))


def _rectifier(x: Any, slope: Any) -> tuple[Sum, Sum, Sum]:
    return _plain(x, 1, 0) if x > 0 else _plain(slope * x, slope, 0)


def _relu(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    return _rectifier(x, 0)


def _exponential_unit(x: Any, scale: Any, alpha: Any) -> tuple[Sum, Sum, Sum]:
    if x > 0:
        return _plain(scale * x, scale, 0)
    slope = scale * alpha * mpmath.exp(x)
    return _plain(scale * alpha * mpmath.expm1(x), slope, slope)


def _elu(x: Any, alpha: Any) -> tuple[Sum, Sum, Sum]:
    return _exponential_unit(x, mpmath.mpf(1), alpha)


def _selu(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    scale = mpmath.mpf("1.0507009873554804934193349852946")
    return _exponential_unit(x, scale, mpmath.mpf("1.6732632423543772848170429916717"))


def _softsign(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    a = 1 + abs(x)
    return _plain(x / a, 1 / a**2, -2 * mpmath.sign(x) / a**3)


def _gelu(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    phi = mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)
    cumulative = mpmath.erfc(-x / mpmath.sqrt(2)) / 2
    return _sum(x * cumulative), _sum(cumulative, x * phi), _sum(2 * phi, -x * x * phi)


def _gated(x: Any, w: Any, slope: Any, curvature: Any) -> tuple[Sum, Sum, Sum]:
    """x s(w(x)), by the product and the chain rule."""
    s, s1, s2 = _logistic(w)
    second = _sum(2 * s1 * slope, x * s2 * slope * slope, x * s1 * curvature)
    return _sum(x * s), _sum(s, x * s1 * slope), second


def _silu(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    return _gated(x, x, 1, 0)


def _gelu_tanh(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    c, k = 2 * mpmath.sqrt(2 / mpmath.pi), mpmath.mpf("0.044715")
    return _gated(x, c * (x + k * x**3), c * (1 + 3 * k * x * x), 6 * c * k * x)


def _mish(x: Any, _: Any) -> tuple[Sum, Sum, Sum]:
    n = mpmath.exp(x)
    d = n * n + 2 * n + 2
    t, t1 = n * (n + 2) / d, 4 * n * (1 + n) / d**2  # of tanh(softplus(x)), by dn/dx = n
    rising, falling = 4 * n * (1 + 2 * n) / d**2, -4 * n * (1 + n) * 4 * n * (n + 1) / d**3
    return _sum(x * t), _sum(t, x * t1), _sum(2 * t1, x * rising, x * falling)


EXACT: dict[str, Formula] = {
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


def exact(name: str, x: Floats, parameter: float = 0.0) -> list[tuple[Exact, Exact]]:
    """f, f' and f'' of an array of finite numbers, each with the size of its terms."""
    with mpmath.workprec(2 * bits(x)):  # 1 - s(x)^2 may be as small as exp(-2 x)
        columns = [EXACT[name](value, mpmath.mpf(float(parameter))) for value in number(x).ravel()]
    results = []
    for order in range(3):
        pairs = [column[order] for column in columns]
        results.append(
            (
                np.array([pair.value for pair in pairs], dtype=object).reshape(x.shape),
                np.array([pair.terms for pair in pairs], dtype=object).reshape(x.shape),
            )
        )
    return results
