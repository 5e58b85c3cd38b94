"""Networks, rows and targets that the tests of networks share."""

from __future__ import annotations

from typing import Any

import numpy as np

import softgrad as sg
from softgrad.network import BatchNorm, Dropout, LayerNorm, Linear, Sequential

ACTIVATIONS = (
    *("identity", "sigmoid", "log_sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu"),
    *("softplus", "softsign", "gelu", "gelu_tanh", "silu", "mish"),
    *("softmax", "log_softmax", "softmin", "sparsemax"),
)

#: A last activation (or none), a loss, and the kind of target it takes.
ENDS = (
    (None, "cross_entropy", "indices"),
    ("softmax", "categorical_cross_entropy", "indices"),
    ("softmin", "categorical_cross_entropy", "probabilities"),
    ("log_softmax", "nll", "indices"),
    ("softmax", "squared_error", "probabilities"),
    (None, "binary_cross_entropy", "yes"),
    ("sigmoid", "binary_cross_entropy_probabilities", "yes"),
    (None, "focal", "indices"),
    (None, "sigmoid_focal", "yes"),
    ("tanh", "half_squared_error", "values"),
    (None, "huber", "values"),
    ("log_softmax", "kl_divergence", "probabilities"),
    ("softplus", "multiclass_hinge", "indices"),
)


def function(name: str) -> Any:
    """The library's function, activation or loss, of this name."""
    return getattr(sg, name)


def rows(n: int = 7, features: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, features))


def target(kind: str, n: int = 7, classes: int = 4, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "indices":
        return rng.integers(classes, size=n)
    if kind == "yes":
        return rng.integers(2, size=(n, classes)).astype(float)
    if kind == "values":
        return rng.normal(size=(n, classes))
    weight = rng.random((n, classes)) + 0.1
    return weight / weight.sum(axis=1, keepdims=True)


def deep(last: Any = None, loss: Any = None, dtype: Any = np.float64) -> Sequential:
    """A network with every kind of layer."""
    layers = [
        Linear(5, 6),
        sg.sigmoid,
        LayerNorm(6),
        Linear(6, 8, bias=False),
        BatchNorm(8),
        sg.softmax,
        Dropout(0.3),
        Linear(8, 4),
        *([] if last is None else [last]),
    ]
    net = Sequential(layers, loss=loss or sg.cross_entropy, dtype=dtype, seed=3)
    rng = np.random.default_rng(5)
    for parameter in net.parameters:  # no zero biases and no unit scales: they hide mistakes
        parameter += 0.3 * rng.normal(size=parameter.shape)
    state = net.state()
    for name in net.statistic_names:
        state[name] = state[name] + 0.5 * rng.random(state[name].shape)
    net.load_state(state)
    return net
