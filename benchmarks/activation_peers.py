"""The activations as users of each library write them, by the names that softgrad has for them.

Functions of one of the library's own arrays. NumPy and SciPy have no automatic differentiation:
there the formula of the derivative stands beside that of the value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

Unary = Callable[[Any], Any]
Pair = tuple[Unary, Unary]  # f and f'

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
GELU_SCALE, GELU_CUBIC = (2 / np.pi) ** 0.5, 0.044715


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _phi(x: Any) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi).astype(x.dtype)


def _tanh_of_gelu(x: Any) -> Any:
    return np.tanh(GELU_SCALE * (x + GELU_CUBIC * x**3))


def _gelu_tanh_slope(x: Any) -> Any:
    t = _tanh_of_gelu(x)
    return (1 + t) / 2 + x / 2 * (1 - t * t) * GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x)


def _mish_slope(x: Any) -> Any:
    t = np.tanh(np.log1p(np.exp(x)))
    return t + x * (1 - t * t) * _logistic(x)


NUMPY: dict[str, Pair] = {
    "identity": (np.copy, np.ones_like),
    "sigmoid": (_logistic, lambda x: _logistic(x) * (1 - _logistic(x))),
    "log_sigmoid": (lambda x: -np.log1p(np.exp(-x)), lambda x: 1 - _logistic(x)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(x.dtype)),
    "leaky_relu": (
        lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)),
        lambda x: np.where(x > 0, 1, 0.01).astype(x.dtype),
    ),
    "elu": (
        lambda x: np.where(x > 0, x, np.exp(x) - 1),
        lambda x: np.where(x > 0, 1, np.exp(x)).astype(x.dtype),
    ),
    "selu": (
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(x) - 1)),
        lambda x: SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(x)).astype(x.dtype),
    ),
    "softplus": (lambda x: np.log1p(np.exp(x)), _logistic),
    "softsign": (lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "gelu_tanh": (lambda x: x / 2 * (1 + _tanh_of_gelu(x)), _gelu_tanh_slope),
    "silu": (
        lambda x: x * _logistic(x),
        lambda x: _logistic(x) * (1 + x * (1 - _logistic(x))),
    ),
    "mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), _mish_slope),
}


def _normal(x: Any) -> Any:
    return scipy.special.ndtr(x)


SCIPY: dict[str, Pair] = {
    "sigmoid": (
        scipy.special.expit,
        lambda x: scipy.special.expit(x) * (1 - scipy.special.expit(x)),
    ),
    "log_sigmoid": (scipy.special.log_expit, lambda x: scipy.special.expit(-x)),
    "elu": (
        lambda x: np.where(x > 0, x, scipy.special.expm1(x)),
        lambda x: np.where(x > 0, 1, np.exp(x)).astype(x.dtype),
    ),
    "softplus": (lambda x: -scipy.special.log_expit(-x), scipy.special.expit),
    "gelu": (lambda x: x * _normal(x), lambda x: _normal(x) + x * _phi(x)),
    "silu": (
        lambda x: x * scipy.special.expit(x),
        lambda x: scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)),
    ),
}


def torch_values() -> dict[str, Unary]:
    """PyTorch's own functions; raises ImportError where it is absent."""
    import torch
    from torch.nn import functional as F

    return {
        "sigmoid": torch.sigmoid,
        "log_sigmoid": F.logsigmoid,
        "tanh": torch.tanh,
        "relu": F.relu,
        "leaky_relu": F.leaky_relu,
        "elu": F.elu,
        "selu": F.selu,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "mish": F.mish,
        "softmax": lambda x: torch.softmax(x, -1),
        "log_softmax": lambda x: torch.log_softmax(x, -1),
        "softmin": lambda x: F.softmin(x, -1),
    }


def torch_vjps() -> dict[str, Callable[[Any, Any, Any], Any]]:
    """The kernels behind PyTorch's autograd, without its own cost: of g, x and what it saves."""
    import torch

    aten = torch.ops.aten

    def softsign(g: Any, x: Any, _: Any) -> Any:
        return g / (1 + x.abs()).square()  # PyTorch composes it

    return {
        "sigmoid": lambda g, x, y: aten.sigmoid_backward(g, y),
        "log_sigmoid": aten.log_sigmoid_backward,
        "tanh": lambda g, x, y: aten.tanh_backward(g, y),
        "relu": lambda g, x, y: aten.threshold_backward(g, y, 0),
        "leaky_relu": lambda g, x, y: aten.leaky_relu_backward(g, x, 0.01, False),
        "elu": lambda g, x, y: aten.elu_backward(g, 1.0, 1.0, 1.0, False, x),
        "selu": lambda g, x, y: aten.elu_backward(g, SELU_ALPHA, SELU_SCALE, 1.0, False, x),
        "softplus": lambda g, x, y: aten.softplus_backward(g, x, 1.0, 20.0),
        "softsign": softsign,
        "gelu": lambda g, x, y: aten.gelu_backward(g, x),
        "gelu_tanh": lambda g, x, y: aten.gelu_backward(g, x, approximate="tanh"),
        "silu": lambda g, x, y: aten.silu_backward(g, x),
        "mish": lambda g, x, y: aten.mish_backward(g, x),
        "softmax": lambda g, x, y: aten._softmax_backward_data(g, y, -1, x.dtype),
        "log_softmax": lambda g, x, y: aten._log_softmax_backward_data(g, y, -1, x.dtype),
        "softmin": lambda g, x, y: -aten._softmax_backward_data(g, y, -1, x.dtype),
    }


def torch_saved(name: str, x: Any, value: Any) -> Any:
    """What PyTorch's forward pass keeps for its vjp: the value, or exp(-abs(x))."""
    import torch

    return torch.ops.aten.log_sigmoid_forward(x)[1] if name == "log_sigmoid" else value


def jax_values() -> dict[str, Unary]:
    """JAX's own functions, not yet compiled; raises ImportError where it is absent."""
    import jax

    nn = jax.nn
    return {
        "identity": nn.identity,
        "sigmoid": nn.sigmoid,
        "log_sigmoid": nn.log_sigmoid,
        "tanh": jax.numpy.tanh,
        "relu": nn.relu,
        "leaky_relu": nn.leaky_relu,
        "elu": nn.elu,
        "selu": nn.selu,
        "softplus": nn.softplus,
        "softsign": nn.soft_sign,
        "gelu": lambda x: nn.gelu(x, approximate=False),
        "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
        "silu": nn.silu,
        "mish": nn.mish,
        "softmax": lambda x: nn.softmax(x, axis=-1),
        "log_softmax": lambda x: nn.log_softmax(x, axis=-1),
        "softmin": lambda x: nn.softmax(-x, axis=-1),
        "sparsemax": _jax_sparsemax,
    }


def numpy_sparsemax(x: Any) -> Any:
    """Algorithm 1 of Martins and Astudillo (2016), by sorting a row."""
    ordered = -np.sort(-x)
    sums = np.cumsum(ordered)
    k = int(np.sum(1 + np.arange(1, x.size + 1) * ordered > sums))
    return np.maximum(x - (sums[k - 1] - 1) / x.dtype.type(k), 0)


def _jax_sparsemax(x: Any) -> Any:
    """The sort of Martins and Astudillo (2016), algorithm 1: JAX has none of its own."""
    import jax.numpy as jnp

    ordered = -jnp.sort(-x, axis=-1)
    sums = jnp.cumsum(ordered, axis=-1)
    size = jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    k = jnp.sum(1 + size * ordered > sums, axis=-1, keepdims=True)
    tau = (jnp.take_along_axis(sums, k - 1, axis=-1) - 1) / k
    return jnp.maximum(x - tau, 0)
