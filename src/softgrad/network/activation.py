"""Any differentiable function of the library as a layer."""

from __future__ import annotations

from typing import Any, final

import numpy as np

import softgrad
from softgrad._protocol import Differentiable
from softgrad._typing import Array
from softgrad.errors import OptionError, OptionTypeError, ShapeError
from softgrad.network.layer import Layer, Pass

#: Functions whose derivative has the same bits at f(x) as at x, since both have the same sign:
#: the output may take the input's place.
_SIGN_DECIDES = frozenset({"identity", "relu", "leaky_relu"})

#: Functions that compare the units of a row with one another.
NORMALIZERS = frozenset({"softmax", "log_softmax", "softmin", "sparsemax"})


@final
class Activation(Layer):
    """A differentiable function as a layer, with its options.

    Parameters
    ----------
    function : Differentiable
        ``sg.sigmoid``, ``sg.softmax``, ...: any function of the library that maps rows to rows.
        A bare function in a list of layers means ``Activation(function)``.
    **options
        What the function takes: ``temperature``, ``alpha``, ...

    Raises
    ------
    TypeError
        If it is no function of the library.
    ValueError
        If the function has no such option.

    Examples
    --------
    >>> import softgrad as sg
    >>> from softgrad.network import Activation
    >>> Activation(sg.softmax, temperature=2.0)
    Activation(softmax, temperature=2.0)
    """

    def __init__(self, function: Differentiable, /, **options: Any) -> None:
        if not isinstance(function, Differentiable):
            raise OptionTypeError(
                f"{function!r} is a {type(function).__name__}; an activation is a differentiable "
                "function of softgrad: sg.sigmoid, sg.softmax, ..."
            )
        unknown = sorted(set(options) - set(function.options))
        if unknown:
            has = ", ".join(function.options) or "no options"
            raise OptionError(f"{function.name} has no option {unknown[0]!r}; it takes {has}.")
        check_axis(options, function.name, "a function of each row")
        if "where" not in options:
            function(np.zeros((1, 2)), **options)  # refuses options out of range here and now
        self.function = function
        self.options = options
        self._overwrites = function.name in _SIGN_DECIDES and options.get("negative_slope", 1) > 0
        self._keeps_shape = function.elementwise or function.name in NORMALIZERS
        self.disposable = function.elementwise and not self._overwrites
        self.reads_output = not function.elementwise

    def __repr__(self) -> str:
        if not self.options:
            return self.function.name
        shown = ", ".join(f"{k}={v!r}" for k, v in self.options.items())
        return f"Activation({self.function.name}, {shown})"

    def config(self) -> dict[str, Any]:
        for name, value in self.options.items():
            if not isinstance(value, int | float | str | None):
                raise OptionError(f"{self!r} cannot be saved: its option {name} is an array.")
        return {"layer": "Activation", "function": self.function.name, "options": self.options}

    def gives(self, width: int | None) -> int | None:
        if width is None:
            return None
        if width == 1 and self.function.name in NORMALIZERS:
            constant = 0 if self.function.name == "log_softmax" else 1
            raise ShapeError(
                f"{self!r} on one unit is always {constant}, whatever comes in, and its "
                "derivative is 0. Use sigmoid for one unit, or one unit for each class."
            )
        shape = np.shape(self.function(np.zeros((2, width)), **self.options))
        if shape == (2,):
            return 0
        if len(shape) != 2 or shape[0] != 2:
            raise ShapeError(f"{self!r} maps rows to the shape {shape[1:]}, which is no row.")
        return int(shape[1])

    def forward(self, x: Any, call: Pass) -> Array:
        if not self._keeps_shape:
            return np.asarray(self.function(x, **self.options))
        in_place = call.in_place and self._overwrites
        y = x if in_place else call.buffer("y", x.shape)
        return np.asarray(self.function(x, out=y, **self.options))

    def _value(self, y: Array) -> Array | None:
        # Elementwise derivatives are computed from x alone: a value would only be checked.
        return None if self.function.elementwise else y

    def backward(self, x: Any, y: Array, g: Array, call: Pass, wanted: bool) -> Array | None:
        if not wanted:
            return None
        out = g if g.shape == x.shape else call.cotangent(x, g)
        return self.function.vjp(x, g, value=self._value(y), out=out, **self.options)

    def tangent(
        self, x: Any, y: Array, dx: Array | None, directions: list[Array], call: Pass
    ) -> Array:
        if dx is None:
            return np.zeros_like(y)
        return np.asarray(self.function.jvp(x, dx, value=self._value(y), **self.options))

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
        value = self._value(y)
        gx = self.function.vjp(x, g, value=value, **self.options)
        dgx = self.function.vjp(x, dg, value=value, **self.options)
        if dx is not None:
            dgx = dgx + self.function.hvp(x, g, dx, value=value, **self.options)
        return gx, dgx


def check_axis(options: dict[str, Any], name: str, what: str) -> None:
    """Refuse to mix the rows of a batch: results would depend on which rows came together."""
    axis = options.get("axis", -1)
    if axis not in (-1, 1, (-1,), (1,)):
        raise OptionError(
            f"{name} with axis={axis!r} mixes the rows of a batch, which are separate examples; "
            f"in a network it is {what}, and units lie along axis -1. Omit axis."
        )


def function_named(name: str) -> Differentiable:
    """The library's function of this name."""
    function = getattr(softgrad, name, None)
    if not isinstance(function, Differentiable):
        raise OptionError(f"softgrad has no differentiable function {name!r}.")
    return function
