"""Rows in arbitrary precision: the truth that errors in ULP are measured against.

The formulas are the plainest there are.  Nothing is done against cancellation but to carry enough
bits: the smallest float64 is 2^-1074, so beside a probability of 1 another 1300 bits keep it all.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, TypeAlias

import mpmath  # type: ignore[import-untyped,import-not-found,unused-ignore]
import numpy as np
from numpy.typing import NDArray

#: An array of mpmath numbers.
Exact: TypeAlias = NDArray[np.object_]
Floats: TypeAlias = NDArray[np.floating[Any]]

_exp = np.frompyfunc(mpmath.exp, 1, 1)
_mpf = np.frompyfunc(mpmath.mpf, 1, 1)


def bits(x: Floats) -> int:
    """The working precision that functions of float32 or float64 numbers need."""
    return 350 if x.dtype.itemsize <= 4 else 1300


def number(values: Any) -> Exact:
    """Floating point numbers as mpmath numbers, without rounding."""
    return np.asarray(_mpf(np.asarray(values, dtype=np.float64).astype(object)), dtype=object)


def _in_full_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(row: Row, *arguments: Any, **options: Any) -> Any:
        with mpmath.workprec(bits(row.x)):
            return method(row, *arguments, **options)

    return run


class Row:
    """One row of logits, and everything that the library computes from it.

    `counts` says how often each column occurs, for rows of a million classes with few distinct
    ones.  Cotangents and targets then hold one number for all copies of a column.

    In products of an array and a number the array stands first: mpmath's own operators, asked
    first, would spell out the whole array in an error that NumPy then suppresses.
    """

    def __init__(
        self, x: Floats, *, temperature: float = 1.0, counts: NDArray[np.int64] | None = None
    ) -> None:
        self.x = x
        self.temperature = mpmath.mpf(float(temperature))
        self.counts = np.ones(len(x), dtype=np.int64) if counts is None else counts

    def sum(self, values: Exact) -> Any:
        """The sum over all classes, copies included."""
        return sum(
            (int(n) * v for n, v in zip(self.counts, values, strict=True)), start=mpmath.mpf(0)
        )

    @cached_property
    @_in_full_precision
    def scaled(self) -> Exact:
        """z = x / T."""
        return np.asarray(number(self.x) / self.temperature, dtype=object)

    @cached_property
    @_in_full_precision
    def softmax(self) -> Exact:
        """exp z / sum exp z, over exp max z so that no exponent is out of hand."""
        e = _exp(self.scaled - self.scaled.max())
        return np.asarray(e / self.sum(e), dtype=object)

    @cached_property
    @_in_full_precision
    def logsumexp(self) -> Any:
        """log sum exp z."""
        largest = self.scaled.max()
        return largest + mpmath.log(self.sum(_exp(self.scaled - largest)))

    @cached_property
    @_in_full_precision
    def log_softmax(self) -> Exact:
        """(z - max z) - log sum exp(z - max z)."""
        shifted = self.scaled - self.scaled.max()
        return np.asarray(shifted - mpmath.log(self.sum(_exp(shifted))), dtype=object)

    @_in_full_precision
    def log_softmax_jvp(self, v: Floats) -> Exact:
        """(v - sum p v) / T."""
        tangent = number(v)
        return np.asarray((tangent - self.sum(self.softmax * tangent)) / self.temperature)

    @_in_full_precision
    def log_softmax_jvp_terms(self, v: Floats) -> Exact:
        """The size of the terms that make up `log_softmax_jvp`: (|v| + sum p |v|) / T.

        Adding a constant to v changes nothing.  Where one class m has more than half of the
        probability, the terms are those of v - v_m, at m itself the sum over the others alone.
        """
        m = np.argmax(self.x)
        reference = float(v[m]) if self.softmax[m] > 0.5 else 0.0
        size = np.abs(number(v) - mpmath.mpf(reference))
        return np.asarray((size + self.sum(self._representable * size)) / self.temperature)

    @property
    def _representable(self) -> Exact:
        """p, but no smaller than the smallest normal number.

        Products are computed from probabilities in the type of x.  A subnormal one is off by up to
        half the smallest number, as if it had the size of the smallest normal one.
        """
        smallest = mpmath.mpf(float(np.finfo(self.x.dtype).smallest_normal))
        return np.array([max(p, smallest) if p else p for p in self.softmax], dtype=object)

    @_in_full_precision
    def softmax_vjp(self, g: Floats) -> Exact:
        """p (g - sum p g) / T."""
        return np.asarray(self.softmax * self.log_softmax_jvp(g))

    @_in_full_precision
    def softmax_vjp_terms(self, g: Floats) -> Exact:
        """The size of the terms that make up `softmax_vjp`: see `log_softmax_jvp_terms`."""
        return np.asarray(self._representable * self.log_softmax_jvp_terms(g))

    @_in_full_precision
    def softmax_jacobian(self) -> Exact:
        """(diag(p) - p p^T) / T."""
        p = self.softmax
        return np.asarray((np.diag(p) - np.outer(p, p)) / self.temperature)

    @_in_full_precision
    def log_softmax_vjp(self, g: Floats) -> Exact:
        """(g - p sum g) / T."""
        cotangent = number(g)
        return np.asarray((cotangent - self.softmax * self.sum(cotangent)) / self.temperature)

    @_in_full_precision
    def log_softmax_vjp_terms(self, g: Floats) -> Exact:
        """The size of the terms of `log_softmax_vjp`: (|g| + p sum |g|) / T."""
        size = np.abs(number(g))
        return np.asarray((size + self._representable * self.sum(size)) / self.temperature)

    @_in_full_precision
    def smoothed(self, target: int | Floats, smoothing: float = 0.0) -> Exact:
        """y' = (1 - eps) y + eps / C, from the index of a column or from probabilities."""
        y = number(np.eye(len(self.x))[target] if isinstance(target, int) else target)
        eps = mpmath.mpf(float(smoothing))
        return np.asarray(y * (1 - eps) + eps / int(self.counts.sum()), dtype=object)

    @_in_full_precision
    def cross_entropy(self, target: int | Floats, smoothing: float = 0.0) -> Any:
        """sum y' (-log p), where a class of weight 0 contributes 0 even at log p = -inf."""
        y = self.smoothed(target, smoothing)
        taken = np.array([y_c != 0 for y_c in y])
        return self.sum(np.where(taken, -y * np.where(taken, self.log_softmax, 0), mpmath.mpf(0)))

    @_in_full_precision
    def cross_entropy_grad(self, target: int | Floats, smoothing: float = 0.0) -> Exact:
        """(Y p - y') / T with Y = sum y'."""
        y = self.smoothed(target, smoothing)
        return np.asarray((self.softmax * self.sum(y) - y) / self.temperature)

    @_in_full_precision
    def cross_entropy_grad_terms(self, target: int | Floats, smoothing: float = 0.0) -> Exact:
        """The size of the terms of `cross_entropy_grad`: (Y p + y') / T."""
        y = self.smoothed(target, smoothing)
        return np.asarray((self.softmax * self.sum(y) + y) / self.temperature)
