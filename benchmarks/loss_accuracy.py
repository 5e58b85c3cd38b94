"""Errors of the losses and of their peers in ULP, for ``benchmarks.accuracy``.

A problem is one row. Class losses have the likeliest class, another one, and a soft target; the
gradient by the target is that of soft targets. Errors are in units of the last place of the truth
or, where this is a sum of terms that cancel, of these terms (`softgrad._reference.exact_losses`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

import softgrad as sg
from softgrad._reference.exact import number
from softgrad._reference.exact_losses import Derivatives, Sum, exact
from softgrad.functions import LOSSES

from . import autodiff, loss_peers, machine, ulp
from .autodiff import Members
from .cases import Array

MEMBERS = ("", "grad", "vjp", "jvp", "hvp", "hessian", "grad_target")
COUNT = 12  # of classes or numbers: JAX compiles anew for another
REGRESSION = ("squared_error", "half_squared_error", "absolute_error", "huber")
Float = type[np.floating[Any]]


@dataclass(frozen=True)
class Problem:
    """A row, its target as softgrad takes it, a tangent, and the cotangent of a mean."""

    name: str
    x: Array
    target: Any  # a class, or a number for each
    v: Array
    g: Array  # one number

    @property
    def soft(self) -> bool:
        """Whether the target is one number a class."""
        return np.ndim(self.target) > 0

    @property
    def dense(self) -> Array:
        """One number a class."""
        dense: Array = np.eye(len(self.x), dtype=self.x.dtype)[0 if self.soft else self.target]
        return self.target if self.soft else dense

    @property
    def options(self) -> dict[str, float]:
        """What is not the default."""
        return {"temperature": loss_peers.HEAT} if self.name == "distillation" else {}


def inputs(name: str, dtype: Float) -> dict[str, list[Array]]:
    """Rows that the loss takes, by what is hard about them."""
    loss, rng = LOSSES[name], np.random.default_rng(2)
    lowest = float(np.log(np.finfo(dtype).smallest_subnormal))

    def signs() -> NDArray[np.int64]:
        return rng.choice([-1, 1], COUNT)

    def confident(lead: float) -> NDArray[np.float64]:
        x = rng.standard_normal(COUNT)
        x[rng.integers(COUNT)] = x.max() + lead
        return x

    if loss.multi_label or name in REGRESSION:
        steep = [signs() * rng.uniform(8, -lowest, COUNT) for _ in range(4)]
        kinds: dict[str, list[NDArray[np.float64]]] = {
            "ordinary: normal, deviation 2": [2 * rng.standard_normal(COUNT) for _ in range(4)],
            "confident: from 8 to the smallest subnormal": steep,
            "small: from 1e-30 to 0.1": [signs() * 10.0 ** rng.uniform(-30, -1, COUNT)],
        }
    else:
        far = [offset + 10 * rng.standard_normal(COUNT) for offset in (-5000.0, 700.0, 3e4)]
        kinds = {
            "wide: normal, deviation 10": [10 * rng.standard_normal(COUNT) for _ in range(4)],
            "offset: the same far from zero": far,
            "flat: equal classes": [np.full(COUNT, 1.7)],
            "confident: one logit leads by 8 to 60": [
                confident(lead) for lead in (8, 12, 16, 25, 36, 60)
            ],
        }
    if name == "multiclass_hinge":
        del kinds["flat: equal classes"]  # which of several largest rivals counts is a convention
    given = {kind: [x.astype(dtype) for x in rows] for kind, rows in kinds.items()}
    makers: dict[str, Callable[[Any], Any]] = {
        "probabilities": sg.sigmoid if loss.multi_label else sg.softmax,
        "log_probabilities": sg.log_softmax,
    }
    make = makers.get(loss.takes, np.array)
    made = {kind: [make(x) for x in rows] for kind, rows in given.items()}
    if loss.takes != "probabilities":
        return made
    inside = np.finfo(dtype).smallest_subnormal, 1 - np.finfo(dtype).epsneg
    return {kind: [np.clip(x, *inside).astype(dtype) for x in rows] for kind, rows in made.items()}


def targets(name: str, x: Array, rng: np.random.Generator) -> Iterator[Any]:
    """Targets of every kind that the loss takes."""
    loss, dtype = LOSSES[name], x.dtype
    if "indices" in loss.targets:
        yield int(x.argmax())
        yield int(rng.integers(len(x)))
    if loss.multi_label:
        yield (x > np.median(x)).astype(dtype)
        yield rng.integers(2, size=len(x)).astype(dtype)
        yield rng.random(len(x)).astype(dtype)
    elif name == "distillation":
        yield rng.normal(size=len(x)).astype(dtype)
        yield (x + rng.normal(size=len(x)) / 8).astype(dtype)
    elif "values" in loss.targets:
        yield rng.normal(size=len(x)).astype(dtype)
        # Never x itself: libraries take different subgradients at the kink of |x - y|.
        units = rng.choice([-3, -2, -1, 1, 2, 3], len(x))
        yield (x * (1 + units * np.finfo(dtype).eps)).astype(dtype)
    elif "probabilities" in loss.targets:
        yield rng.dirichlet(np.ones(len(x))).astype(dtype)


def problems(name: str, dtype: Float) -> Iterator[tuple[str, Problem]]:
    """All problems of a loss, with the kind of row."""
    rng = np.random.default_rng(4)
    for kind, rows in inputs(name, dtype).items():
        for x in rows:
            for target in targets(name, x, rng):
                v = rng.normal(size=len(x)).astype(dtype)
                yield kind, Problem(name, x, target, v, np.asarray(rng.uniform(0.5, 2), dtype))


def truth(problem: Problem) -> dict[str, Sum]:
    """Every member's result."""
    found: Derivatives = exact(problem.name, problem.x, problem.dense, **problem.options)
    v, g = number(problem.v), number(problem.g)[()]
    grad, hessian = found.grad, found.hessian
    members = {
        "": found.value,
        "grad": grad,
        "vjp": Sum(grad.value * g, grad.terms * g),
        "jvp": Sum(mpmath.fdot(grad.value, v), mpmath.fdot(grad.terms, abs(v))),
        "hvp": Sum(hessian.value @ v, hessian.terms @ abs(v)),
        "hessian": hessian,
    }
    return {**members, "grad_target": found.grad_target} if problem.soft else members


# --- The libraries -------------------------------------------------------------------------------


def softgrad(problem: Problem) -> Members:
    """Ours."""
    loss: Any = LOSSES[problem.name]
    x, y, options = problem.x, np.asarray(problem.target), problem.options
    if loss.multi_label or "values" in loss.targets:
        options = {**options, "axis": -1}
    value, grad = loss.value_and_grad(x, y, **options)
    found = {
        "": value,
        "grad": grad,
        "vjp": loss.vjp(x, y, problem.g, **options),
        "jvp": loss.jvp(x, y, problem.v, **options),
        "hvp": loss.hvp(x, y, problem.v, **options),
        "hessian": loss.hessian(x, y, **options),
    }
    if problem.soft:
        found["grad_target"] = loss.grad_target(x, y, **options)
    return found


def _by_formulas(table: dict[str, loss_peers.Pair]) -> Callable[[Problem], Members]:
    """Those that have formulas for class indices alone leave out soft targets."""

    def library(problem: Problem) -> Members:
        if problem.name not in table:
            return {}
        if problem.soft and "indices" in LOSSES[problem.name].targets:
            return {}
        value, slope = table[problem.name]
        x, y = problem.x[None], np.asarray(problem.target)[None]
        grad = slope(x, y)[0]
        return {
            "": value(x, y),
            "grad": grad,
            "vjp": grad * problem.g,
            "jvp": (grad * problem.v).sum(),
        }

    return library


def torch_() -> Callable[[Problem], Members]:
    """PyTorch with autograd."""
    import torch

    losses = loss_peers.torch_losses()

    def library(problem: Problem) -> Members:
        target = torch.from_numpy(np.array(problem.target))[None]
        if problem.soft and problem.name in ("nll", "categorical_cross_entropy", "focal"):
            return {}  # class indices only

        def loss(x: Any) -> Any:
            return losses[problem.name](x[None], target)

        one = np.ones((), problem.x.dtype)
        found = autodiff.torch_(loss, problem.x, problem.g, problem.v, False)
        grad = autodiff.torch_(loss, problem.x, one, problem.v, False)
        leaf = torch.from_numpy(problem.x)
        hessian = torch.autograd.functional.hessian(loss, leaf).numpy()
        found |= {"grad": grad["vjp"], "hvp": grad["hvp"], "hessian": hessian}
        found["jvp"] = (grad["vjp"] * problem.v).sum()  # few losses have a forward mode
        if problem.soft:
            y = target.clone().requires_grad_()
            try:
                (by,) = torch.autograd.grad(losses[problem.name](leaf[None], y), y)
                found["grad_target"] = by[0].numpy()
            except RuntimeError:
                pass  # not differentiable by its target
        return found

    return library


def jax_() -> Callable[[Problem], Members]:
    """JAX with automatic differentiation."""
    import jax

    jax.config.update("jax_enable_x64", True)
    losses = loss_peers.jax_losses()

    def library(problem: Problem) -> Members:
        target = jax.numpy.asarray(problem.target)[None]
        if problem.soft and problem.name == "focal":
            return {}  # class indices only

        def loss(x: Any, y: Any = target) -> Any:
            return losses[problem.name](x[None], y)

        x = jax.numpy.asarray(problem.x)
        one = np.ones((), problem.x.dtype)
        found = autodiff.jax_(loss, problem.x, problem.g, problem.v, False)
        grad = autodiff.jax_(loss, problem.x, one, problem.v, False)
        found |= {"grad": grad["vjp"], "hvp": grad["hvp"], "hessian": jax.hessian(loss)(x)}
        if problem.soft:
            found["grad_target"] = jax.grad(loss, argnums=1)(x, target)[0]
        return {name: np.asarray(a) for name, a in found.items()}

    return library


def libraries() -> dict[str, Callable[[Problem], Members]]:
    """Ours and the peers that are installed."""
    found: dict[str, Callable[[Problem], Members]] = {
        "softgrad": softgrad,
        "NumPy": _by_formulas(loss_peers.NUMPY),
        "SciPy": _by_formulas(loss_peers.SCIPY),
    }
    if machine.version("torch"):
        found["PyTorch"] = torch_()
    if machine.version("jax"):
        found["JAX"] = jax_()
    return found


def measure(
    dtype: Float,
) -> Iterator[tuple[str, str, dict[str, float | None]]]:
    """Function and member, kind of row, and the largest error of every library there."""
    found = libraries()
    for name in LOSSES:
        for kind, problem in problems(name, dtype):
            exactly = truth(problem)
            with np.errstate(all="ignore"):
                results = {library: run(problem) for library, run in found.items()}
            for member in MEMBERS:
                if member not in exactly:
                    continue
                errors = {
                    library: ulp.largest(np.asarray(of[member]), *exactly[member])
                    if member in of
                    else None
                    for library, of in results.items()
                }
                yield f"{name}.{member}".rstrip("."), kind, errors
