"""Layers that bring units to mean 0 and variance 1: over the batch, or over the row.

With c = x - mean(x), s = 1 / sqrt(mean(c^2) + eps) and h = c s, a direction dx moves

    h by      P(dx) = s (dx - mean(dx) - h mean(h dx))
    log s by  -s mean(h dx)

and since P is symmetric the gradient by x is P(g). The means are over the normalized axis.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, final

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, Shape
from softgrad.errors import ShapeError
from softgrad.network.layer import Layer, Pass
from softgrad.network.linear import positive


class _Normalization(Layer):
    """y = h gamma + beta, with h normalized along ``_axis``."""

    disposable = True
    reads_input = reads_output = False
    _axis: ClassVar[int]

    def __init__(self, features: int, *, epsilon: float = 1e-5) -> None:
        self.features = positive(features, "features")
        self.epsilon = _checks.number(
            epsilon, "epsilon", "a finite number > 0", lambda e: 0.0 < e < np.inf
        )

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"gamma": (self.features,), "beta": (self.features,)}

    def initial(self, name: str, rng: np.random.Generator, following: Layer | None) -> Array:
        return np.zeros(self.features) if name in ("beta", "mean") else np.ones(self.features)

    def wants(self) -> int | None:
        return self.features

    @abstractmethod
    def _fixed(self, call: Pass) -> bool:
        """Whether mean and variance are given numbers that no input moves."""

    def _mean(self, a: Array) -> Array:
        mean: Array = np.mean(a, axis=self._axis, keepdims=True)
        return mean

    def _project(self, dx: Array, h: Array, s: Array, call: Pass, scratch: Array) -> Array:
        """P(dx), in dx's place."""
        if not self._fixed(call):
            mean = self._mean(dx)
            along = self._mean(np.multiply(h, dx, out=scratch))
            dx -= mean
            dx -= np.multiply(h, along, out=scratch)
        dx *= s
        return dx

    def _normalize(self, x: Array, call: Pass) -> tuple[Array, Array]:
        self._check(len(x))
        mean = self._mean(x)
        h = np.subtract(x, mean, out=call.buffer("h", x.shape))
        y = np.multiply(h, h, out=call.buffer("y", x.shape))
        variance = self._mean(y)
        self._learn(mean, variance, len(x), call)
        s = 1.0 / np.sqrt(variance + x.dtype.type(self.epsilon))
        h *= s
        return h, s

    def _check(self, rows: int) -> None:
        """Refuses batches without a variance."""

    def _learn(self, mean: Array, variance: Array, rows: int, call: Pass) -> None:
        """Moves the running statistics, where there are any."""

    def forward(self, x: Any, call: Pass) -> Array:
        gamma, beta = call.parameters
        if self._fixed(call):
            mean, variance = call.statistics
            s = 1.0 / np.sqrt(variance + x.dtype.type(self.epsilon))
            h = np.subtract(x, mean, out=call.buffer("h", x.shape))
            h *= s
        else:
            h, s = self._normalize(x, call)
        call.kept["h"], call.kept["s"] = h, s
        y: Array = np.multiply(h, gamma, out=call.buffer("y", x.shape))
        y += beta
        return y

    def backward(self, x: Any, y: Array, g: Array, call: Pass, wanted: bool) -> Array | None:
        h, s = call.kept["h"], call.kept["s"]
        scratch = call.cotangent(x, g)
        if call.gradients:
            np.add.reduce(np.multiply(g, h, out=scratch), axis=0, out=call.gradients[0])
            np.add.reduce(g, axis=0, out=call.gradients[1])
        if not wanted:
            return None
        g *= call.parameters[0]
        return self._project(g, h, s, call, scratch)

    def tangent(
        self, x: Any, y: Array, dx: Array | None, directions: list[Array], call: Pass
    ) -> Array:
        h, s = call.kept["h"], call.kept["s"]
        dy: Array = h * directions[0] + directions[1]
        if dx is not None:
            call.kept["dh"] = self._project(dx.copy(), h, s, call, np.empty_like(h))
            dy += call.kept["dh"] * call.parameters[0]
        return dy

    def backward_tangent(
        self,
        x: Any,
        y: Array,
        dx: Array | None,
        g: Array,
        dg: Array,
        directions: list[Array],
        call: Pass,
    ) -> tuple[Array, Array]:
        h, s, gamma = call.kept["h"], call.kept["s"], call.parameters[0]
        dgamma = dg * h
        gh = g * gamma
        dgh = dg * gamma + g * directions[0]
        scratch = np.empty_like(h)
        gx = self._project(gh.copy(), h, s, call, scratch)
        dgx = self._project(dgh, h, s, call, scratch)
        if dx is not None:
            dh = call.kept["dh"]
            dgamma += g * dh
            if not self._fixed(call):
                dgx -= s * (dh * self._mean(gh * h) + h * self._mean(gh * dh))
                dgx -= s * self._mean(h * dx) * gx
        np.add.reduce(dgamma, axis=0, out=call.gradients[0])
        np.add.reduce(dg, axis=0, out=call.gradients[1])
        return gx, dgx

    def per_row(self, x: Any, g: Array, call: Pass) -> list[Array]:
        return [g * call.kept["h"], g.copy()]


@final
class LayerNorm(_Normalization):
    """Bring each row to mean 0 and variance 1, then scale and shift each unit.

    y = (x - mean) / sqrt(variance + epsilon) gamma + beta    over the units of a row

    Parameters
    ----------
    features : int
        Units of a row.
    epsilon : float
        Added to the variance.

    References
    ----------
    J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization (2016), equation 4.

    Examples
    --------
    >>> from softgrad.network import LayerNorm
    >>> LayerNorm(256)
    LayerNorm(256)
    """

    _axis = 1

    def __repr__(self) -> str:
        return f"LayerNorm({self.features})"

    def config(self) -> dict[str, Any]:
        return {"layer": "LayerNorm", "features": self.features, "epsilon": self.epsilon}

    def _fixed(self, call: Pass) -> bool:
        return False


@final
class BatchNorm(_Normalization):
    """Bring each unit to mean 0 and variance 1 over the batch, then scale and shift it.

    y = (x - mean) / sqrt(variance + epsilon) gamma + beta    over the rows of a batch

    Outside of training, mean and variance are running averages over the batches trained on.

    Parameters
    ----------
    features : int
        Units of a row.
    momentum : float
        The weight in 0..1 of a new batch in the running averages.
    epsilon : float
        Added to the variance.

    References
    ----------
    S. Ioffe, C. Szegedy, Batch Normalization (2015), algorithms 1 and 2. The running variance is
    the unbiased one, as there and in PyTorch.

    Examples
    --------
    >>> from softgrad.network import BatchNorm
    >>> BatchNorm(256)
    BatchNorm(256)
    """

    _axis = 0

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__(features, epsilon=epsilon)
        self.momentum = _checks.number(
            momentum, "momentum", "a number in 0..1", lambda m: 0.0 <= m <= 1.0
        )

    def __repr__(self) -> str:
        return f"BatchNorm({self.features})"

    def config(self) -> dict[str, Any]:
        return {
            "layer": "BatchNorm",
            "features": self.features,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }

    def statistic_shapes(self) -> dict[str, Shape]:
        return {"mean": (self.features,), "variance": (self.features,)}

    def _fixed(self, call: Pass) -> bool:
        return not call.training

    def _check(self, rows: int) -> None:
        if rows < 2:
            raise ShapeError(
                f"{self!r} needs at least 2 rows in a batch of training, and got {rows}: one row "
                "has no variance. Use larger batches, or LayerNorm."
            )

    def _learn(self, mean: Array, variance: Array, rows: int, call: Pass) -> None:
        if call.learning:
            unbiased = variance * (rows / (rows - 1))
            for running, new in zip(call.statistics, (mean, unbiased), strict=True):
                running += running.dtype.type(self.momentum) * (new[0] - running)
