"""The losses as users of each library write them, by the names that softgrad has for them.

By the one function that a library has for it, or where it has none by the usual few lines. They are
functions of a batch x of shape (N, C) and its target, and give the mean over the rows. NumPy and
SciPy have no automatic differentiation: there the formula of the gradient stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

Loss = Callable[[Any, Any], Any]
Pair = tuple[Loss, Loss]  # the loss and its gradient by x

GAMMA, ALPHA, DELTA, HEAT = 2.0, 0.25, 1.0, 2.0  # the options that all of them use

# --- PyTorch -------------------------------------------------------------------------------------


def torch_losses() -> dict[str, Loss]:
    """PyTorch's; raises ImportError where it is absent."""
    import torch
    import torch.nn.functional as F

    def focal(x: Any, y: Any) -> Any:
        """As written by most: the cross-entropy of each row, weighted by its own probability."""
        surprise = F.cross_entropy(x, y, reduction="none")
        return ((1 - torch.exp(-surprise)) ** 2 * surprise).mean()

    def sigmoid_focal(x: Any, y: Any) -> Any:
        """torchvision.ops.sigmoid_focal_loss, line by line."""
        p = torch.sigmoid(x)
        surprise = F.binary_cross_entropy_with_logits(x, y, reduction="none")
        p_t = p * y + (1 - p) * (1 - y)
        loss = surprise * ((1 - p_t) ** 2)
        return ((0.25 * y + 0.75 * (1 - y)) * loss).sum() / len(x)

    def hinge(x: Any, y: Any) -> Any:
        """Crammer and Singer's, of which PyTorch has only Weston and Watkins's."""
        mine = x.gather(1, y[:, None])[:, 0]
        rival = x.scatter(1, y[:, None], -torch.inf).amax(1)
        return torch.relu(1 + rival - mine).mean()

    def distillation(x: Any, y: Any) -> Any:
        """PyTorch's tutorial on knowledge distillation."""
        log_p, log_t = torch.log_softmax(x / HEAT, -1), torch.log_softmax(y / HEAT, -1)
        return HEAT**2 * F.kl_div(log_p, log_t, reduction="batchmean", log_target=True)

    def over_rows(loss: Any) -> Loss:
        """The mean over rows of their sums."""
        return lambda x, y: loss(x, y, reduction="sum") / len(x)

    return {
        "cross_entropy": F.cross_entropy,
        "nll": F.nll_loss,
        "categorical_cross_entropy": lambda x, y: F.nll_loss(x.log(), y),
        "binary_cross_entropy": over_rows(F.binary_cross_entropy_with_logits),
        "binary_cross_entropy_probabilities": over_rows(F.binary_cross_entropy),
        "focal": focal,
        "sigmoid_focal": sigmoid_focal,
        "squared_error": over_rows(F.mse_loss),
        "half_squared_error": lambda x, y: 0.5 * F.mse_loss(x, y, reduction="sum") / len(x),
        "absolute_error": over_rows(F.l1_loss),
        "huber": over_rows(F.huber_loss),
        "kl_divergence": lambda x, y: F.kl_div(x, y, reduction="batchmean"),
        "multiclass_hinge": hinge,
        "distillation": distillation,
    }


# --- JAX -----------------------------------------------------------------------------------------


def jax_losses() -> dict[str, Loss]:
    """JAX has no losses: the lines of its documentation and of optax, which is made of them."""
    import jax
    from jax import numpy as jnp

    def nll(log_p: Any, y: Any) -> Any:
        if jnp.issubdtype(y.dtype, jnp.integer):
            return -jnp.take_along_axis(log_p, y[:, None], -1).mean()
        return -(y * log_p).sum(-1).mean()

    def focal(x: Any, y: Any) -> Any:
        log_p = jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], -1)
        return (-((1 - jnp.exp(log_p)) ** GAMMA) * log_p).mean()

    def binary(x: Any, y: Any) -> Any:
        return -(y * jax.nn.log_sigmoid(x) + (1 - y) * jax.nn.log_sigmoid(-x))

    def sigmoid_focal(x: Any, y: Any) -> Any:
        p = jax.nn.sigmoid(x)
        p_t = p * y + (1 - p) * (1 - y)
        weight = ALPHA * y + (1 - ALPHA) * (1 - y)
        return (weight * binary(x, y) * (1 - p_t) ** GAMMA).sum(-1).mean()

    def huber(x: Any, y: Any) -> Any:
        size = jnp.abs(x - y)
        inside = jnp.minimum(size, DELTA)
        return (0.5 * inside**2 + DELTA * (size - inside)).sum(-1).mean()

    def hinge(x: Any, y: Any) -> Any:
        mine = jnp.take_along_axis(x, y[:, None], -1)[:, 0]
        others = jnp.where(jax.nn.one_hot(y, x.shape[-1], dtype=bool), -jnp.inf, x)
        return jax.nn.relu(1 + others.max(-1) - mine).mean()

    def distillation(x: Any, y: Any) -> Any:
        log_p, log_t = jax.nn.log_softmax(x / HEAT), jax.nn.log_softmax(y / HEAT)
        return HEAT**2 * (jnp.exp(log_t) * (log_t - log_p)).sum(-1).mean()

    def over_rows(entries: Loss) -> Loss:
        return lambda x, y: entries(x, y).sum(-1).mean()

    return {
        "cross_entropy": lambda x, y: nll(jax.nn.log_softmax(x), y),
        "nll": nll,
        "categorical_cross_entropy": lambda x, y: nll(jnp.log(x), y),
        "binary_cross_entropy": over_rows(binary),
        "binary_cross_entropy_probabilities": over_rows(
            lambda x, y: -(jax.scipy.special.xlogy(y, x) + jax.scipy.special.xlog1py(1 - y, -x))
        ),
        "focal": focal,
        "sigmoid_focal": sigmoid_focal,
        "squared_error": over_rows(lambda x, y: (x - y) ** 2),
        "half_squared_error": over_rows(lambda x, y: 0.5 * (x - y) ** 2),
        "absolute_error": over_rows(lambda x, y: jnp.abs(x - y)),
        "huber": huber,
        "kl_divergence": over_rows(lambda x, y: jax.scipy.special.xlogy(y, y) - y * x),
        "multiclass_hinge": hinge,
        "distillation": distillation,
    }


# --- NumPy and SciPy -----------------------------------------------------------------------------


def _log_softmax(x: Any) -> Any:
    z = x - x.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _one_hot(x: Any, y: Any) -> Any:
    return np.eye(x.shape[-1], dtype=x.dtype)[y]


def _mean(rows: Any) -> Any:
    return rows.sum(-1).mean()


def _of_entries(value: Loss, grad: Loss) -> Pair:
    return lambda x, y: _mean(value(x, y)), lambda x, y: grad(x, y) / x.dtype.type(len(x))


def _of_classes(log_softmax: Callable[[Any], Any], xlogy: Loss) -> dict[str, Pair]:
    """What is made of log_softmax and of y log p."""

    def focal(x: Any, y: Any) -> Any:
        u = (log_softmax(x) * _one_hot(x, y)).sum(-1)
        return (-((1 - np.exp(u)) ** 2) * u).mean()

    def focal_grad(x: Any, y: Any) -> Any:
        y, u = _one_hot(x, y), log_softmax(x)
        p = np.exp(u)
        q = 1 - (p * y).sum(-1, keepdims=True)
        slope = 2 * q * (p * u * y).sum(-1, keepdims=True) - q * q
        return slope * (y - p) / x.dtype.type(len(x))

    def distillation(x: Any, y: Any) -> Any:
        log_p, log_t = log_softmax(x / x.dtype.type(HEAT)), log_softmax(y / y.dtype.type(HEAT))
        return x.dtype.type(HEAT**2) * _mean(np.exp(log_t) * (log_t - log_p))

    def distillation_grad(x: Any, y: Any) -> Any:
        heat = x.dtype.type(HEAT)
        p, t = np.exp(log_softmax(x / heat)), np.exp(log_softmax(y / heat))
        return heat * (p - t) / x.dtype.type(len(x))

    return {
        "cross_entropy": _of_entries(
            lambda x, y: -log_softmax(x) * _one_hot(x, y),
            lambda x, y: np.exp(log_softmax(x)) - _one_hot(x, y),
        ),
        "nll": _of_entries(lambda x, y: -x * _one_hot(x, y), lambda x, y: -_one_hot(x, y)),
        "categorical_cross_entropy": _of_entries(
            lambda x, y: -xlogy(_one_hot(x, y), x), lambda x, y: -_one_hot(x, y) / x
        ),
        "focal": (focal, focal_grad),
        "kl_divergence": _of_entries(lambda x, y: xlogy(y, y) - y * x, lambda x, y: -y),
        "distillation": (distillation, distillation_grad),
    }


def _hinge(x: Any, y: Any) -> Any:
    others = np.where(_one_hot(x, y) == 1, -np.inf, x).max(-1).astype(x.dtype)
    return np.maximum(1 + others - x[np.arange(len(x)), y], 0).mean()


def _hinge_grad(x: Any, y: Any) -> Any:
    mine = _one_hot(x, y)
    others = np.where(mine == 1, -np.inf, x)
    active = 1 + others.max(-1, keepdims=True) - (x * mine).sum(-1, keepdims=True) > 0
    return (active * (_one_hot(x, others.argmax(-1)) - mine)).astype(x.dtype) / len(x)


NUMPY: dict[str, Pair] = {
    **_of_classes(_log_softmax, lambda y, x: np.where(y == 0, 0, y * np.log(x))),
    "binary_cross_entropy": _of_entries(
        lambda x, y: np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))),
        lambda x, y: _logistic(x) - y,
    ),
    "binary_cross_entropy_probabilities": _of_entries(
        lambda x, y: -(y * np.log(x) + (1 - y) * np.log(1 - x)),
        lambda x, y: (x - y) / (x * (1 - x)),
    ),
    "squared_error": _of_entries(lambda x, y: (x - y) ** 2, lambda x, y: 2 * (x - y)),
    "half_squared_error": _of_entries(lambda x, y: (x - y) ** 2 / 2, lambda x, y: x - y),
    "absolute_error": _of_entries(lambda x, y: np.abs(x - y), lambda x, y: np.sign(x - y)),
    "huber": _of_entries(
        lambda x, y: np.where(
            np.abs(x - y) <= 1, (x - y) ** 2 / 2, np.abs(x - y) - x.dtype.type(0.5)
        ),
        lambda x, y: np.clip(x - y, -1, 1),
    ),
    "multiclass_hinge": (_hinge, _hinge_grad),
}

SCIPY: dict[str, Pair] = {
    **_of_classes(lambda x: scipy.special.log_softmax(x, axis=-1), scipy.special.xlogy),
    "binary_cross_entropy": _of_entries(
        lambda x, y: -(y * scipy.special.log_expit(x) + (1 - y) * scipy.special.log_expit(-x)),
        lambda x, y: scipy.special.expit(x) - y,
    ),
    "binary_cross_entropy_probabilities": _of_entries(
        lambda x, y: -(scipy.special.xlogy(y, x) + scipy.special.xlog1py(1 - y, -x)),
        lambda x, y: (x - y) / (x * (1 - x)),
    ),
    "huber": _of_entries(
        lambda x, y: scipy.special.huber(x.dtype.type(1), x - y), lambda x, y: np.clip(x - y, -1, 1)
    ),
}
