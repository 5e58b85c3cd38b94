"""Errors of the functions of rows and of their peers in ULP, for ``benchmarks.accuracy``.

The cotangent and the tangent of a row are one number at its largest logit and zero elsewhere, or
random. Errors are in units of the last place of the truth or, where this is a sum of terms that
cancel, of these terms: of the sum of |g_i| |J_ij|, of |x| for logsumexp, of 1 for sparsemax.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import mpmath
import numpy as np
import scipy.special
from numpy.typing import NDArray

import softgrad as sg
from softgrad._reference import exact
from softgrad._reference.exact import Exact, number

from . import activation_peers, autodiff, machine, ulp
from .autodiff import Members
from .cases import Array

FUNCTIONS = ("softmax", "log_softmax", "softmin", "sparsemax", "logsumexp")
MEMBERS = ("", "vjp", "jvp", "jacobian", "hvp")
SQUARE = 100  # classes up to which Jacobians are compared
Library = Callable[[str, Array, Array, Array], Members]


@dataclass(frozen=True)
class Row:
    """Logits, a cotangent of results of their shape, and a tangent."""

    x: Array
    g: Array
    v: Array

    def cotangent(self, function: str) -> Array:
        """Of the function's result, which is one number for logsumexp."""
        return self.g.max(keepdims=True)[0] if function == "logsumexp" else self.g


def logits(dtype: type[np.floating[Any]]) -> dict[str, list[Array]]:
    """Rows by what is hard about them."""
    rng = np.random.default_rng(7)
    lowest = math.log(np.finfo(dtype).smallest_subnormal)

    def confident(margin: float) -> NDArray[np.float64]:
        x = rng.standard_normal(100)
        x[rng.integers(100)] = x.max() + margin
        return x

    wide = [10 * rng.standard_normal(1000) for _ in range(4)]
    shifts = (-5000.0, 700.0, 30_000.0)
    kinds = {
        "wide: normal, deviation 10": wide,
        "offset: the same far from zero": [s + 10 * rng.standard_normal(1000) for s in shifts],
        "flat: many equal classes": [np.full(count, 1.7) for count in (3, 1000, 32_000)],
        "confident: one logit leads by 8 to 60": [confident(m) for m in (8, 12, 16, 25, 36, 60)],
        "two classes: [37.43, 0]": [np.array([37.43, 0.0])],
        "tiny: probabilities down to the smallest subnormal": [
            np.linspace(lowest + 1, 0, 500),
            np.append(rng.uniform(lowest + 1, lowest + 14, 90), 0.0),
        ],
    }
    return {kind: [x.astype(dtype) for x in rows] for kind, rows in kinds.items()}


def rows(dtype: type[np.floating[Any]]) -> Iterator[tuple[str, Row]]:
    """All rows with their kind: each with a leader's unit vector and with random numbers."""
    rng = np.random.default_rng(3)
    for kind, several in logits(dtype).items():
        for x in several:
            leader = np.zeros_like(x)
            leader[x.argmax()] = 1
            yield kind, Row(x, leader, leader)
            g, v = rng.normal(size=(2, len(x))).astype(dtype)
            yield kind, Row(x, g, v)


# --- The truth -----------------------------------------------------------------------------------


class Sum(NamedTuple):
    """Results, and the sizes of the terms that they are the sum of."""

    value: Any
    terms: Any


def _dot(a: Exact, b: Exact) -> Any:
    return mpmath.fdot(zip(a, b, strict=True))


def _normalised(p: Exact, g: Exact, v: Exact) -> dict[str, Sum]:
    """The derivatives of p = softmax(x) by their definition; f(x + constant) = f(x) for each.

    Where one class has more than half of the probability, g and v are taken relative to it: there
    this changes no result, and the terms of 1 - p are the other classes'.
    """
    leader = int(np.argmax(p))
    if p[leader] > 0.5:
        g, v = g - g[leader], v - v[leader]
    ahead, back = v - _dot(p, v), g - _dot(p, g)
    size_v, size_g = abs(v) + _dot(p, abs(v)), abs(g) + _dot(p, abs(g))
    moved, moved_size = p * ahead, p * size_v
    bent = moved * back - p * _dot(moved, g)
    return {
        "vjp": Sum(p * back, p * size_g),
        "jvp": Sum(moved, moved_size),
        "hvp": Sum(bent, moved_size * size_g + p * _dot(moved_size, size_g)),
    }


def _covariance(p: Exact) -> Exact:
    covariance = -np.outer(p, p)
    np.fill_diagonal(covariance, [p_i * (_dot(p, 1 + 0 * p) - p_i) for p_i in p])
    return covariance


def _plain(values: Any) -> Sum:
    return Sum(values, abs(values))


def _sparse(x: Exact) -> tuple[Exact, Exact]:
    """sparsemax(x), and whether it is positive, as 1 and 0."""
    ordered, sums = sorted(x, reverse=True), [mpmath.mpf(0)]
    for value in ordered:
        sums.append(sums[-1] + value)
    size = max(n for n, value in enumerate(ordered, 1) if 1 + n * value > sums[n])
    tau, zero = (sums[size] - 1) / size, mpmath.mpf(0)
    p = np.array([max(value - tau, zero) for value in x], dtype=object)
    return p, np.array([mpmath.mpf(int(p_i > 0)) for p_i in p], dtype=object)


def truth(row: Row) -> dict[str, Sum]:
    """Every member of every function by its dotted name."""
    x, g, v, square = number(row.x), number(row.g), number(row.v), len(row.x) <= SQUARE
    one = number(row.cotangent("logsumexp"))[()]
    found = {}
    exactly = exact.Row(row.x)
    p, u = exactly.softmax, exactly.log_softmax
    products = _normalised(p, g, v)
    found["softmax"] = _plain(p)
    found |= {f"softmax.{member}": value for member, value in products.items()}
    found["log_softmax"] = _plain(u)
    total, spread = mpmath.fsum(g), mpmath.fsum(g, absolute=True)
    found["log_softmax.vjp"] = Sum(g - p * total, abs(g) + p * spread)
    change = products["jvp"].value / p, products["jvp"].terms / p
    found["log_softmax.jvp"] = Sum(*change)
    moved = products["jvp"]
    found["log_softmax.hvp"] = Sum(-moved.value * total, moved.terms * spread)
    mirrored = exact.Row(-row.x).softmax
    other = _normalised(mirrored, g, v)
    found["softmin"] = _plain(mirrored)
    found |= {f"softmin.{m}": Sum(-other[m].value, other[m].terms) for m in ("vjp", "jvp")}
    found["softmin.hvp"] = other["hvp"]
    q, taken = _sparse(x)
    count = mpmath.fsum(taken)
    found["sparsemax"] = Sum(q, q + 1)
    for member, factor in (("vjp", g), ("jvp", v)):
        mean, size = _dot(taken, factor) / count, _dot(taken, abs(factor)) / count
        found[f"sparsemax.{member}"] = Sum(taken * (factor - mean), taken * (abs(factor) + size))
    found["sparsemax.hvp"] = _plain(0 * x)
    lse = exactly.logsumexp
    found["logsumexp"] = Sum(lse, max(abs(x[np.argmax(row.x)]), abs(lse)))
    found["logsumexp.vjp"] = _plain(p * one)
    found["logsumexp.jvp"] = Sum(_dot(p, v), _dot(p, abs(v)))
    found["logsumexp.hvp"] = Sum(moved.value * one, abs(moved.terms * one))
    found["logsumexp.jacobian"] = _plain(p)
    if square:
        eye = np.diag(1 + 0 * x)
        found["softmax.jacobian"] = _plain(_covariance(p))
        found["softmin.jacobian"] = _plain(-_covariance(mirrored))
        logs = eye - p[None, :]
        np.fill_diagonal(logs, [_dot(p, 1 + 0 * p) - p_i for p_i in p])
        found["log_softmax.jacobian"] = _plain(logs)
        found["sparsemax.jacobian"] = _plain(np.diag(taken) - np.outer(taken, taken) / count)
    return found


# --- The libraries -------------------------------------------------------------------------------


def softgrad(function: str, x: Array, g: Array, v: Array) -> Members:
    """Ours."""
    f: Any = getattr(sg, function)
    found = {"": f(x), "vjp": f.vjp(x, g), "jvp": f.jvp(x, v), "hvp": f.hvp(x, g, v)}
    if len(x) <= SQUARE:
        found["jacobian"] = f.jacobian(x)
    return found


def _derived(function: str, y: Any, x: Array, g: Array, v: Array) -> Members:
    """The formulas for the derivatives in terms of a value, as everybody writes them."""
    if function in ("softmax", "softmin"):
        sign = x.dtype.type(1 if function == "softmax" else -1)
        found = {"vjp": sign * y * (g - (y * g).sum()), "jvp": sign * y * (v - (y * v).sum())}
        square = lambda: sign * (np.diag(y) - np.outer(y, y))  # noqa: E731
    elif function == "log_softmax":
        p = np.exp(y)
        found = {"vjp": g - p * g.sum(), "jvp": v - (p * v).sum()}
        square = lambda: np.eye(len(x), dtype=x.dtype) - p  # noqa: E731
    elif function == "logsumexp":
        p = np.exp(x - y)
        found = {"vjp": g * p, "jvp": (p * v).sum()}
        square = lambda: p  # noqa: E731
    else:
        s = (y > 0).astype(x.dtype)
        found = {"vjp": s * (g - (s * g).sum() / s.sum()), "jvp": s * (v - (s * v).sum() / s.sum())}
        square = lambda: np.diag(s) - np.outer(s, s) / s.sum()  # noqa: E731
    if len(x) <= SQUARE:
        found["jacobian"] = square()  # type: ignore[no-untyped-call]
    return {name: np.asarray(a) for name, a in {"": y, **found}.items()}


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max())
    return e / e.sum()


NUMPY: dict[str, Callable[[Any], Any]] = {
    "softmax": _softmax,
    "log_softmax": lambda x: x - x.max() - np.log(np.exp(x - x.max()).sum()),
    "softmin": lambda x: _softmax(-x),
    "sparsemax": activation_peers.numpy_sparsemax,
    "logsumexp": lambda x: np.log(np.exp(x - x.max()).sum()) + x.max(),
}
SCIPY: dict[str, Callable[[Any], Any]] = {
    "softmax": scipy.special.softmax,
    "log_softmax": scipy.special.log_softmax,
    "softmin": lambda x: scipy.special.softmax(-x),
    "logsumexp": scipy.special.logsumexp,
}


def _by_formulas(table: dict[str, Callable[[Any], Any]]) -> Library:
    def library(function: str, x: Array, g: Array, v: Array) -> Members:
        return _derived(function, table[function](x), x, g, v) if function in table else {}

    return library


def _by_autodiff(table: dict[str, Callable[[Any], Any]], derive: autodiff.Derive) -> Library:
    def library(function: str, x: Array, g: Array, v: Array) -> Members:
        if function not in table:
            return {}
        return derive(table[function], x, g, v, len(x) <= SQUARE)

    return library


def libraries() -> dict[str, Library]:
    """Ours and the peers that are installed."""
    found: dict[str, Library] = {
        "softgrad": softgrad,
        "NumPy": _by_formulas(NUMPY),
        "SciPy": _by_formulas(SCIPY),
    }
    if machine.version("torch"):
        import torch

        values = activation_peers.torch_values() | {"logsumexp": lambda x: torch.logsumexp(x, -1)}
        found["PyTorch"] = _by_autodiff(values, autodiff.torch_)
    if machine.version("jax"):
        import jax

        values = activation_peers.jax_values() | {"logsumexp": jax.nn.logsumexp}
        found["JAX"] = _by_autodiff(values, autodiff.jax_)
    return found


def measure(
    dtype: type[np.floating[Any]],
) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    """Function and member, kind of row, and the largest error of every library there."""
    found = libraries()
    for kind, row in rows(dtype):
        exactly = truth(row)
        for function in FUNCTIONS:
            g = row.cotangent(function)
            with np.errstate(all="ignore"):
                results = {name: run(function, row.x, g, row.v) for name, run in found.items()}
            for member in MEMBERS:
                label = f"{function}.{member}".rstrip(".")
                if label not in exactly:
                    continue
                errors = {
                    name: ulp.largest(np.asarray(of[member]), *exactly[label])
                    if member in of
                    else None
                    for name, of in results.items()
                }
                yield label, kind, errors
