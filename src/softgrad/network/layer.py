"""What a layer is: a description of one step of a network, with its derivatives.

A layer holds no numbers. Its parameters and statistics belong to the network that it stands in, and
what one pass leaves for the next (the mask of a dropout, normalized rows) lies in that pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softgrad._typing import Array, Shape
from softgrad.network.workspace import Workspace


@dataclass(slots=True)
class Pass:
    """One layer's part of one pass over a batch.

    ``gradients`` is what ``backward`` writes, one array a parameter. With ``training`` off a layer
    is a fixed function of its input: no dropout, and the statistics that training has collected.
    """

    index: int
    parameters: list[Array]
    statistics: list[Array]
    workspace: Workspace
    training: bool = False
    learning: bool = False  # whether running statistics move
    rng: np.random.Generator | None = None
    in_place: bool = False  # whether the output may take the input's place
    gradients: list[Array] = field(default_factory=list)
    input_free: bool | None = None  # whether the gradient by the input may; None: not known yet
    kept: dict[str, Any] = field(default_factory=dict)

    def buffer(self, name: str, shape: Shape, dtype: Any = None) -> Array:
        """Memory of this layer alone."""
        return self.workspace.array((self.index, name), shape, dtype)

    def cotangent(self, x: Any, g: Array) -> Array:
        """Memory for the gradient by the input x, apart from ``g``, that by the output."""
        if self.input_free:
            assert isinstance(x, np.ndarray)
            return x
        taken = self.workspace.holds("cotangent", g)
        return self.workspace.array("other cotangent" if taken else "cotangent", x.shape)


class Layer(ABC):
    """One step of a network: y = f(x; parameters), row by row or with batch statistics."""

    #: Whether the output is an array of its own that no derivative of this layer reads, so that
    #: the next layer may overwrite it.
    disposable: bool = False

    #: What ``backward`` reads of the layer's own input and output. Where it reads neither and the
    #: next layer is done, their memory is free for gradients.
    reads_input: bool = True
    reads_output: bool = True

    def parameter_shapes(self) -> dict[str, Shape]:
        """Names and shapes of what training changes."""
        return {}

    def statistic_shapes(self) -> dict[str, Shape]:
        """Names and shapes of what training collects without gradients."""
        return {}

    def initial(self, name: str, rng: np.random.Generator, following: Layer | None) -> Array:
        """A parameter's or statistic's first value; ``following`` is the next activation."""
        raise NotImplementedError(f"{self!r} has no parameter {name!r}")

    def wants(self) -> int | None:
        """How many features the input must have; None for any number."""
        return None

    def gives(self, width: int | None) -> int | None:
        """How many features the output has; 0 for one number a row without a feature axis."""
        return width

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The layer as names, numbers and strings, from which it can be made again."""

    @abstractmethod
    def forward(self, x: Any, call: Pass) -> Array:
        """The output y."""

    @abstractmethod
    def backward(self, x: Any, y: Array, g: Array, call: Pass, wanted: bool) -> Array | None:
        """The gradient by x of sum(g * y), if wanted; those of the parameters go to the pass.

        ``g`` may be overwritten.
        """

    @abstractmethod
    def tangent(
        self, x: Any, y: Array, dx: Array | None, directions: list[Array], call: Pass
    ) -> Array:
        """dy, when x moves in direction dx (None: not at all) and the parameters in theirs."""

    @abstractmethod
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
        """The gradient by x and its derivative, when x, g and the parameters move.

        The derivatives of the parameters' gradients go to the pass.
        """

    def per_row(self, x: Any, g: Array, call: Pass) -> list[Array]:
        """The parameters' gradients of every row's own sum(g * y), each of shape (rows, ...)."""
        return []
