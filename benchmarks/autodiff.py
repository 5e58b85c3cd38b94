"""The members of a function as PyTorch and JAX derive them, by the names that softgrad has.

A function takes one array, and gives an array or a number; g is a cotangent of its result's shape,
v a tangent of x's. A member that a library cannot derive is left out.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import Array

Members = dict[str, Any]
Function = Callable[[Any], Any]
Derive = Callable[[Function, Array, Array, Array, bool], Members]


def torch_(f: Function, x: Array, g: Array, v: Array, square: bool) -> Members:
    """With autograd, twice for the second derivative; ``square``: the Jacobian too."""
    import torch

    leaf = torch.from_numpy(np.array(x)).requires_grad_()
    cotangent, tangent = (torch.from_numpy(np.asarray(a)) for a in (g, v))
    y = f(leaf)
    found = {"": y}
    (found["vjp"],) = torch.autograd.grad(y, leaf, cotangent, create_graph=True)
    found["hvp"] = torch.zeros_like(leaf)
    if found["vjp"].requires_grad:
        (second,) = torch.autograd.grad(found["vjp"], leaf, tangent, allow_unused=True)
        found["hvp"] = found["hvp"] if second is None else second
    with contextlib.suppress(NotImplementedError, RuntimeError):  # not all have a forward mode
        _, found["jvp"] = torch.func.jvp(f, (leaf.detach(),), (tangent,))
    if square:
        found["jacobian"] = torch.autograd.functional.jacobian(f, leaf)
    return {name: np.asarray(value.detach().numpy(force=True)) for name, value in found.items()}


def jax_(f: Function, x: Array, g: Array, v: Array, square: bool) -> Members:
    """With automatic differentiation; ``square``: the Jacobian too."""
    import jax

    jax.config.update("jax_enable_x64", True)
    array, cotangent, tangent = (jax.numpy.asarray(a) for a in (x, g, v))

    def vjp(a: Any) -> Any:
        return jax.vjp(f, a)[1](cotangent)[0]

    found = {
        "": f(array),
        "vjp": vjp(array),
        "jvp": jax.jvp(f, (array,), (tangent,))[1],
        "hvp": jax.jvp(vjp, (array,), (tangent,))[1],
    }
    if square:
        found["jacobian"] = jax.jacobian(f)(array)
    return {name: np.asarray(value) for name, value in found.items()}
