"""Errors of the elementwise activations and of their peers in ULP, for ``benchmarks.accuracy``.

Everybody gets the same numbers. The truth is computed from exactly those with mpmath; an error is
the distance from it in units of the last place of the truth or, where the truth is a sum of terms
that cancel, of these terms. A peer's derivative is its own automatic differentiation; for NumPy and
SciPy, which have none, the formula that goes with the value.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from softgrad._protocol import Elementwise
from softgrad._reference.exact_activations import exact
from softgrad.functions import ACTIVATIONS

from . import activation_peers, machine
from .cases import Array

MEMBERS = ("", "vjp", "hvp")  # by order of the derivative
Results = list[Array | None]
Library = Callable[[str, Array], Results]


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


def softgrad(name: str, x: Array) -> Results:
    """Ours."""
    f: Any = ACTIVATIONS[name]
    one = np.ones_like(x)
    return [f(x), f.vjp(x, one), f.hvp(x, one, one)]


def _pairs(table: dict[str, activation_peers.Pair]) -> Library:
    def library(name: str, x: Array) -> Results:
        pair = table.get(name)
        return [None] * 3 if pair is None else [pair[0](x), pair[1](x), None]

    return library


def torch_() -> Library:
    """PyTorch with autograd, twice for the second derivative."""
    import torch

    values = activation_peers.torch_values()

    def library(name: str, x: Array) -> Results:
        if name not in values:
            return [None] * 3
        leaf = torch.from_numpy(x).requires_grad_()
        y = values[name](leaf)
        (slope,) = torch.autograd.grad(y.sum(), leaf, create_graph=True)
        second = np.zeros_like(x)
        if slope.requires_grad:
            (change,) = torch.autograd.grad(slope.sum(), leaf, allow_unused=True)
            second = second if change is None else change.numpy()
        return [y.detach().numpy(), slope.detach().numpy(), second]

    return library


def jax_() -> Library:
    """JAX with automatic differentiation."""
    import jax

    jax.config.update("jax_enable_x64", True)
    values = activation_peers.jax_values()

    def library(name: str, x: Array) -> Results:
        f = values[name]
        slope = jax.grad(lambda a: f(a).sum())
        curvature = jax.grad(lambda a: slope(a).sum())
        array = jax.numpy.asarray(x)
        return [np.asarray(f(array)), np.asarray(slope(array)), np.asarray(curvature(array))]

    return library


def libraries() -> dict[str, Library]:
    """Ours and the peers that are installed."""
    found: dict[str, Library] = {
        "softgrad": softgrad,
        "NumPy": _pairs(activation_peers.NUMPY),
        "SciPy": _pairs(activation_peers.SCIPY),
    }
    if machine.version("torch"):
        found["PyTorch"] = torch_()
    if machine.version("jax"):
        found["JAX"] = jax_()
    return found


def measure(
    dtype: type[np.floating[Any]],
    found: dict[str, Library],
    errors: Callable[[Array, Any, Any], float],
) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    """The largest error of every library in each member, by kind of numbers.

    ``errors`` is the largest error of a result, given the truth and the size of its terms.
    """
    for name in names():
        f: Any = ACTIVATIONS[name]
        parameter = 0.0 if f._parameter is None else f._parameter.default
        for kind, x in points(dtype).items():
            truths = exact(name, x, parameter)
            with np.errstate(all="ignore"):
                results = {library: run(name, x) for library, run in found.items()}
            for order, (truth, terms) in enumerate(truths):
                row: dict[str, float | None] = {}
                for library, got in results.items():
                    result = got[order]
                    row[library] = None if result is None else errors(result, truth, terms)
                yield f"{name}.{MEMBERS[order]}".rstrip("."), kind, row
