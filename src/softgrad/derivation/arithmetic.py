"""The two kinds of numbers that a derivation is worked in: float64, and mpmath with many digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.errors import MissingExtraError, OptionError, OptionTypeError


def is_finite(value: Any) -> bool:
    """Whether a number of either kind is neither infinite nor NaN."""
    context = getattr(value, "context", None)
    return bool(np.isfinite(value) if context is None else context.isfinite(value))


class Arithmetic:
    """Float64: the functions that expressions are made of, and how finely slopes are measured."""

    exact = False
    digits = 6
    step = 2.0**-9
    rounding = 2.0**-52

    def number(self, value: Any) -> Any:
        return float(value)

    def option(self, value: Any) -> Any:
        """A number that stands for what was written: 0.1 is a tenth, not the float next to it."""
        return self.number(repr(value) if self.exact and isinstance(value, float) else value)

    def array(self, values: Any) -> Array:
        """Numbers of this kind in the shape of ``values``."""
        return np.asarray(values, dtype=np.float64)

    def text(self, value: Any, digits: int) -> str:
        """So many significant digits."""
        return f"{float(value):.{digits}g}"

    def unary(self, name: str) -> Callable[[Any], Any]:
        from scipy.special import erf

        function: Any = {"erf": erf}.get(name) or getattr(np, name)
        return lambda v: function(v)

    @property
    def pi(self) -> Any:
        return np.pi

    @cached_property
    def functions(self) -> dict[str, Any]:
        """Everything that an expression may call."""
        exp, log, erf, sqrt = (self.unary(n) for n in ("exp", "log", "erf", "sqrt"))
        pi, one = self.pi, self.number(1)

        def total(v: Array) -> Array:
            return np.asarray(np.sum(v, axis=-1, keepdims=True))

        def largest(v: Array) -> Array:
            return np.asarray(np.max(v, axis=-1, keepdims=True))

        def softmax(v: Array) -> Array:
            e = exp(v - largest(v))
            return np.asarray(e / total(e))

        def log_softmax(v: Array) -> Array:
            shifted = v - largest(v)
            return np.asarray(shifted - log(total(exp(shifted))))

        def sigmoid(v: Array) -> Array:
            small = exp(-np.abs(v))
            return np.asarray(np.where(v >= 0, one, small) / (one + small))

        def threshold(v: Array) -> Array:
            """tau with sum(max(v - tau, 0)) = 1 (Martins and Astudillo 2016, algorithm 1)."""
            descending = np.sort(v)[::-1]
            sums = np.cumsum(descending)
            ranks = np.arange(1, len(v) + 1)
            size = int(np.max(ranks[descending * ranks > sums - one]))
            return np.asarray([(sums[size - 1] - one) / size], dtype=sums.dtype)

        def xlogy(y: Array, v: Array) -> Array:
            none = y == 0
            return np.asarray(np.where(none, 0 * y, y * log(np.where(none, one, v))))

        infinity = self.number(float("inf"))

        def ratio(y: Array, v: Array) -> Array:
            """y / v, and 0 where y is 0."""
            none, zero = y == 0, v == 0
            found = y / np.where(none | zero, one, v)
            return np.asarray(np.where(zero & ~none, infinity, found))

        def winner(v: Array, y: Array) -> Array:
            others = np.where(y == 0, v, -infinity + 0 * v)
            return np.asarray(np.where(np.arange(len(v)) == np.argmax(others), one, 0 * one))

        return {
            **{name: self.unary(name) for name in ("exp", "log", "tanh", "sqrt")},
            "log1p": lambda v: log(one + v) if self.exact else np.log1p(v),
            "erf": erf,
            "abs": np.abs,
            "sign": lambda v: np.where(v > 0, one, np.where(v < 0, -one, 0 * one)),
            "where": lambda condition, yes, no: np.where(condition, yes, no),
            "maximum": lambda a, b: np.where(a > b, a, b),
            "sum": total,
            "max": largest,
            "min": lambda v: np.min(v, axis=-1, keepdims=True),
            "softmax": softmax,
            "log_softmax": log_softmax,
            "sigmoid": sigmoid,
            "softplus": lambda v: np.where(v > 0, v, 0 * v) + log(one + exp(-np.abs(v))),
            "Phi": lambda v: (one + erf(v / sqrt(self.number(2)))) / 2,
            "phi": lambda v: exp(-v * v / 2) / sqrt(2 * pi),
            "threshold": threshold,
            "xlogy": xlogy,
            "ratio": ratio,
            "rival": lambda v, y: largest(np.where(y == 0, v, -infinity + 0 * v)),
            "winner": winner,
            "diag": lambda v: np.diag(v),
            "outer": lambda a, b: a[:, None] * b[None, :],
            "eye": lambda v: np.diag(0 * v + one),
            "one": lambda v: 0 * v + one,
            "pi": pi,
        }


class Exact(Arithmetic):
    """``digits`` significant digits through mpmath, with as many again against cancellation."""

    exact = True

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.context = _context()
        # Differences of f over h lose half of what is carried beyond `digits`.
        self.context.dps = 3 * digits + 40
        self.step = self.context.mpf(10) ** (-(digits // 2) - 2)
        self.rounding = self.context.mpf(10) ** (-3 * digits - 30)

    def number(self, value: Any) -> Any:
        if isinstance(value, Dual):
            return value
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool | complex):
            raise OptionTypeError(f"{value!r} is not a real number.")
        try:
            numerator = getattr(value, "numerator", None)
            if numerator is not None and not isinstance(value, int | float):  # a Fraction
                return self.context.mpf(numerator) / self.context.mpf(value.denominator)
            text = isinstance(value, int | float) or hasattr(value, "_mpf_")
            return self.context.mpf(value if text else str(value))
        except (ValueError, TypeError):
            raise OptionError(f"{value!r} is not a number.") from None

    def array(self, values: Any) -> Array:
        raw = np.asarray(values, dtype=object)
        result = np.empty(raw.shape, dtype=object)
        for at in np.ndindex(raw.shape):
            result[at] = self.number(raw[at])
        return result

    def text(self, value: Any, digits: int) -> str:
        shown = self.context.nstr(value, digits, strip_zeros=False, min_fixed=-6, max_fixed=digits)
        return str(shown)

    def unary(self, name: str) -> Callable[[Any], Any]:
        function = getattr(self.context, name)
        slope = _SLOPES[name]

        def one(v: Any) -> Any:
            if isinstance(v, Dual):
                return Dual(function(v.value), slope(self.context, v.value) * v.tangent)
            return function(v)

        vectorized: Callable[[Any], Any] = np.frompyfunc(one, 1, 1)
        return vectorized

    @property
    def pi(self) -> Any:
        return +self.context.pi

    def tangents(self, f: Callable[[Array], Array], x: Array) -> Array:
        """The Jacobian of f at x, (m, n), by forward differentiation: exact, not measured."""
        columns = []
        for j in range(len(x)):
            point = np.empty(len(x), dtype=object)
            for i, value in enumerate(x):
                point[i] = Dual(value, self.number(int(i == j)))
            zero = self.number(0)
            columns.append([v.tangent if isinstance(v, Dual) else zero for v in f(point)])
        return np.array(columns, dtype=object).T


def _context() -> Any:
    try:
        import mpmath  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise MissingExtraError(
            "More digits than float64 has need the package mpmath. Install it with:"
            " pip install softgrad[digits]."
        ) from None
    return mpmath.MPContext()  # one of our own: the precision of everybody's mpmath.mp stays


@dataclass(frozen=True)
class Dual:
    """A number with its derivative along one direction: value + tangent epsilon, epsilon^2 = 0."""

    value: Any
    tangent: Any

    @staticmethod
    def of(other: Any) -> Dual:
        return other if isinstance(other, Dual) else Dual(other, 0)

    def __add__(self, other: Any) -> Dual:
        b = Dual.of(other)
        return Dual(self.value + b.value, self.tangent + b.tangent)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.tangent)

    def __sub__(self, other: Any) -> Dual:
        return self + (-Dual.of(other))

    def __rsub__(self, other: Any) -> Dual:
        return Dual.of(other) - self

    def __mul__(self, other: Any) -> Dual:
        b = Dual.of(other)
        return Dual(self.value * b.value, self.tangent * b.value + self.value * b.tangent)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        b = Dual.of(other)
        quotient = self.value / b.value
        return Dual(quotient, (self.tangent - quotient * b.tangent) / b.value)

    def __rtruediv__(self, other: Any) -> Dual:
        return Dual.of(other) / self

    def __pow__(self, power: Any) -> Dual:
        assert not isinstance(power, Dual)
        if power == 0:
            return Dual(self.value**0, 0 * self.tangent)
        return Dual(self.value**power, power * self.value ** (power - 1) * self.tangent)

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < Dual.of(other).value)

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= Dual.of(other).value)

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > Dual.of(other).value)

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= Dual.of(other).value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == Dual.of(other).value)

    __hash__ = None  # type: ignore[assignment]


_SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "exp": lambda mp, v: mp.exp(v),
    "log": lambda mp, v: 1 / v,
    "tanh": lambda mp, v: 1 - mp.tanh(v) ** 2,
    "sqrt": lambda mp, v: 1 / (2 * mp.sqrt(v)),
    "erf": lambda mp, v: 2 / mp.sqrt(mp.pi) * mp.exp(-v * v),
}
