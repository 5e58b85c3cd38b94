"""The elementwise functions with their derivatives.  Their Jacobians are diagonal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softgrad._reference.axes import Float64


def sigmoid(x: ArrayLike) -> Float64:
    """1 / (1 + exp(-x)), written so that exp never overflows."""
    x = np.asarray(x, dtype=np.float64)
    e = np.exp(-np.abs(x))
    value: Float64 = np.where(x >= 0, 1.0, e) / (1.0 + e)
    return value


def sigmoid_slope(x: ArrayLike) -> Float64:
    """s' = s(x) s(-x): never s (1 - s), which loses every digit where s is close to 1."""
    x = np.asarray(x, dtype=np.float64)
    return sigmoid(x) * sigmoid(-x)


def sigmoid_curvature(x: ArrayLike) -> Float64:
    """s'' = s' (1 - 2 s) = -s' tanh(x / 2)."""
    x = np.asarray(x, dtype=np.float64)
    return -sigmoid_slope(x) * np.tanh(x / 2)


def sigmoid_vjp(x: ArrayLike, g: ArrayLike) -> Float64:
    """g s'."""
    return np.asarray(g, dtype=np.float64) * sigmoid_slope(x)


#: The Jacobian is diagonal, hence symmetric.
sigmoid_jvp = sigmoid_vjp


def sigmoid_hvp(x: ArrayLike, g: ArrayLike, v: ArrayLike) -> Float64:
    """g v s''."""
    g, v = np.asarray(g, dtype=np.float64), np.asarray(v, dtype=np.float64)
    change: Float64 = g * v * sigmoid_curvature(x)
    return change
