"""The dense layer."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, final

import numpy as np

from softgrad._typing import Array, Shape
from softgrad.errors import OptionError, OptionTypeError
from softgrad.network.initialization import initialize, known
from softgrad.network.layer import Layer, Pass

Initialization = str | Callable[[np.random.Generator, Shape], Array]


def positive(value: object, name: str) -> int:
    """A width or a count: an int of at least 1."""
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise OptionTypeError(f"{name}={value!r} is not an int; accepted is at least 1.") from None
    if number < 1:
        raise OptionError(f"{name}={number} is out of range; accepted is at least 1.")
    return number


@final
class Linear(Layer):
    """A dense layer, y = x W^T + b.

    Parameters
    ----------
    inputs, outputs : int
        Features of a row of x and of y.
    bias : bool
        Whether there is a b.
    init : str or callable, optional
        How W starts: "glorot", "he" or "lecun" (normal numbers; append "_uniform" for uniform
        ones), "orthogonal", or a function of (generator, shape). By default what fits the
        activation that follows. b starts at 0.

    Raises
    ------
    ValueError
        If a width is not positive or the initialization unknown.

    Notes
    -----
    W has shape (outputs, inputs). x may be a SciPy CSR matrix if this is the first layer. The
    products are NumPy's, so their rounding depends on its BLAS.

    Examples
    --------
    >>> from softgrad.network import Linear
    >>> Linear(784, 256)
    Linear(784, 256)
    """

    disposable = True
    reads_output = False

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, init: Initialization | None = None
    ) -> None:
        self.inputs = positive(inputs, "inputs")
        self.outputs = positive(outputs, "outputs")
        self.bias = bool(bias)
        self.init = init
        if isinstance(init, str):
            known(init)

    def __repr__(self) -> str:
        more = "" if self.bias else ", bias=False"
        if self.init is not None:
            more += f", init={self.init!r}"
        return f"Linear({self.inputs}, {self.outputs}{more})"

    def config(self) -> dict[str, Any]:
        init = self.init if isinstance(self.init, str) else None  # only matters at the start
        return {
            "layer": "Linear",
            "inputs": self.inputs,
            "outputs": self.outputs,
            "bias": self.bias,
            "init": init,
        }

    def parameter_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"weight": (self.outputs, self.inputs)}
        if self.bias:
            shapes["bias"] = (self.outputs,)
        return shapes

    def initial(self, name: str, rng: np.random.Generator, following: Layer | None) -> Array:
        if name == "bias":
            return np.zeros(self.outputs)
        shape = (self.outputs, self.inputs)
        if callable(self.init):
            return np.asarray(self.init(rng, shape))
        return initialize(self.init, rng, shape, following)

    def wants(self) -> int | None:
        return self.inputs

    def gives(self, width: int | None) -> int | None:
        return self.outputs

    def forward(self, x: Any, call: Pass) -> Array:
        weight = call.parameters[0]
        y = call.buffer("y", (x.shape[0], self.outputs))
        if isinstance(x, np.ndarray):
            np.matmul(x, weight.T, out=y)
        else:
            np.copyto(y, x @ weight.T)
        if self.bias:
            np.add(y, call.parameters[1], out=y)
        return y

    def backward(self, x: Any, y: Array, g: Array, call: Pass, wanted: bool) -> Array | None:
        if call.gradients:
            _times_rows(g, x, call.gradients[0])
            if self.bias:
                np.add.reduce(g, axis=0, out=call.gradients[1])
        if not wanted:
            return None
        return np.matmul(g, call.parameters[0], out=call.cotangent(x, g))

    def tangent(
        self, x: Any, y: Array, dx: Array | None, directions: list[Array], call: Pass
    ) -> Array:
        dy: Array = x @ directions[0].T
        if dx is not None:
            dy += dx @ call.parameters[0].T
        if self.bias:
            dy += directions[1]
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
        _times_rows(dg, x, call.gradients[0])
        if dx is not None:
            call.gradients[0] += g.T @ dx
        if self.bias:
            np.add.reduce(dg, axis=0, out=call.gradients[1])
        weight = call.parameters[0]
        return g @ weight, dg @ weight + g @ directions[0]

    def per_row(self, x: Any, g: Array, call: Pass) -> list[Array]:
        rows = x if isinstance(x, np.ndarray) else x.toarray()
        weight = g[:, :, None] * rows[:, None, :]
        return [weight, g.copy()] if self.bias else [weight]


def _times_rows(g: Array, x: Any, out: Array) -> None:
    """g^T x."""
    if isinstance(x, np.ndarray):
        np.matmul(g.T, x, out=out)
    else:
        np.copyto(out, (x.T @ g).T)
