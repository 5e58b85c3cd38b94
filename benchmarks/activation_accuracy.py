"""Errors of the elementwise activations and of their peers in ULP, for ``benchmarks.accuracy``.

Everybody gets the same numbers. The truth is computed from exactly those with mpmath; an error is
the distance from it in units of the last place of the truth or, where the truth is a sum of terms
that cancel, of these terms. A peer's derivative is its own automatic differentiation; for NumPy and
SciPy, which have none, the formula that goes with the value.
"""

from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np

from softgrad._protocol import Elementwise
from softgrad._reference.exact import number
from softgrad._reference.exact_activations import exact
from softgrad.functions import ACTIVATIONS

from . import activation_peers, autodiff, machine, ulp
from .autodiff import Members
from .cases import Array

ORDERS = {"": 0, "vjp": 1, "jvp": 1, "jacobian": 1, "hvp": 2}  # of the derivative
Library = Callable[[str, Array, Array, Array], Members]


def names() -> list[str]:
    """The activations whose truth is a function of one number."""
    return [name for name, f in ACTIVATIONS.items() if isinstance(f, Elementwise)]


def points(dtype: type[np.floating[Any]]) -> dict[str, Array]:
    """Numbers by what is hard about them."""
    rng = np.random.default_rng(7)
    lowest = float(np.log(np.finfo(dtype).smallest_subnormal))
    kinds = {
        "ordinary: normal, deviation 2": 2 * rng.standard_normal(400),
        "small: from 1e-30 to 0.1": rng.choice([-1, 1], 200) * 10.0 ** rng.uniform(-30, -1, 200),
        "tails: to the smallest subnormal": np.concatenate(
            [np.linspace(lowest, -4, 200), np.linspace(4, -lowest, 60)]
        ),
        "normal tail: -38 to -3": np.linspace(-38 if dtype is np.float64 else -14, -3, 150),
    }
    return {kind: x.astype(dtype) for kind, x in kinds.items()}


def softgrad(name: str, x: Array, g: Array, v: Array) -> Members:
    """Ours; a Jacobian is its diagonal, here and below."""
    f: Any = ACTIVATIONS[name]
    return {
        "": f(x),
        "vjp": f.vjp(x, g),
        "jvp": f.jvp(x, v),
        "jacobian": f.jacobian(x),
        "hvp": f.hvp(x, g, v),
    }


def _pairs(table: dict[str, activation_peers.Pair]) -> Library:
    def library(name: str, x: Array, g: Array, v: Array) -> Members:
        if name not in table:
            return {}
        f, slope = table[name]
        return {"": f(x), "vjp": g * slope(x), "jvp": slope(x) * v, "jacobian": slope(x)}

    return library


def _derived(table: dict[str, activation_peers.Unary], derive: autodiff.Derive) -> Library:
    def library(name: str, x: Array, g: Array, v: Array) -> Members:
        if name not in table:
            return {}
        diagonal = derive(table[name], x, np.ones_like(x), v, False)["vjp"]
        return {**derive(table[name], x, g, v, False), "jacobian": diagonal}

    return library


def libraries() -> dict[str, Library]:
    """Ours and the peers that are installed."""
    found: dict[str, Library] = {
        "softgrad": softgrad,
        "NumPy": _pairs(activation_peers.NUMPY),
        "SciPy": _pairs(activation_peers.SCIPY),
    }
    if machine.version("torch"):
        found["PyTorch"] = _derived(activation_peers.torch_values(), autodiff.torch_)
    if machine.version("jax"):
        found["JAX"] = _derived(activation_peers.jax_values(), autodiff.jax_)
    return found


def measure(
    dtype: type[np.floating[Any]],
) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    """Function and member, kind of numbers, and the largest error of every library there."""
    found = libraries()
    for name in names():
        f: Any = ACTIVATIONS[name]
        parameter = 0.0 if f._parameter is None else f._parameter.default
        for kind, x in points(dtype).items():
            g = v = np.random.default_rng(1).uniform(0.5, 2, len(x)).astype(dtype)
            factors = {"vjp": number(g), "jvp": number(v), "hvp": number(g) * number(v)}
            truths = exact(name, x, parameter)
            with np.errstate(all="ignore"):
                results = {library: run(name, x, g, v) for library, run in found.items()}
            for member, order in ORDERS.items():
                truth, terms = (a * factors.get(member, mpmath.mpf(1)) for a in truths[order])
                errors = {
                    library: ulp.largest(members[member], truth, terms)
                    if member in members
                    else None
                    for library, members in results.items()
                }
                yield f"{name}.{member}".rstrip("."), kind, errors
