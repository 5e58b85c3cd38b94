"""The numbers of a network: parameters, which are parts of one vector, and running statistics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike, Shape
from softgrad.errors import ShapeError
from softgrad.network.layer import Layer
from softgrad.network.structure import next_activation, place


def split(vector: Array, shapes: Iterable[Shape]) -> list[Array]:
    """The parts of a vector, one a shape."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(vector[start:stop].reshape(shape))
        start = stop
    return parts


class ParameterList(list[Array]):
    """A list of a network's own arrays; assigning to an entry writes into the network.

    Parameters
    ----------
    arrays : sequence of ndarray
    names : sequence of str
        How messages call them.
    """

    def __init__(self, arrays: Sequence[Array], names: Sequence[str]) -> None:
        super().__init__(arrays)
        self._names = names

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for i, entry in zip(range(*index.indices(len(self))), value, strict=True):
                self[i] = entry
            return
        self[index][...] = self._checked(value, range(len(self))[index], "parameter")

    def assign(self, values: Sequence[ArrayLike]) -> None:
        """Take the numbers of all of them, or of none if one does not fit."""
        for own, value in zip(self, self.checked(values, "parameter"), strict=True):
            own[...] = value

    def checked(self, values: Sequence[ArrayLike], what: str) -> list[Array]:
        """As many arrays as there are parameters, of their shapes and type."""
        if len(values) != len(self):
            raise ShapeError(
                f"{len(values)} arrays were passed; the network has {len(self)} parameters: "
                f"{', '.join(self._names)}."
            )
        return [self._checked(value, i, what) for i, value in enumerate(values)]

    def _checked(self, value: ArrayLike, i: int, what: str) -> Array:
        array, _ = _checks.floats(value, what)
        if array.shape != self[i].shape:
            raise ShapeError(
                f"The {what} for {self._names[i]} has shape {array.shape}; the network's has shape "
                f"{self[i].shape}."
            )
        return np.asarray(array, self[i].dtype)


class Numbers:
    """The arrays that belong to the layers of one network.

    ``vector`` holds all parameters, ``parameters`` are its parts, in the order of the layers.
    ``decayed`` are the parts of the vector that weight decay applies to: matrices alone.
    """

    def __init__(self, layers: Sequence[Layer], dtype: np.dtype[Any]) -> None:
        self.names, self.shapes = _named(layers, "parameter_shapes")
        sizes = [math.prod(shape) for shape in self.shapes]
        self.vector: Array = np.empty(sum(sizes), dtype)
        self.parameters = split(self.vector, self.shapes)
        borders = pairwise([0, *np.cumsum(sizes).tolist()])
        self.decayed = [
            slice(start, stop)
            for shape, (start, stop) in zip(self.shapes, borders, strict=True)
            if len(shape) > 1
        ]
        names, shapes = _named(layers, "statistic_shapes")
        self.statistics: dict[str, Array] = {
            name: np.empty(shape, dtype) for name, shape in zip(names, shapes, strict=True)
        }

    def all(self) -> dict[str, Array]:
        """Parameters and statistics, by name."""
        return {**dict(zip(self.names, self.parameters, strict=True)), **self.statistics}

    def initialize(self, layers: Sequence[Layer], seed: int | None) -> None:
        """Draw them as at the beginning."""
        seeds = np.random.SeedSequence(seed).spawn(len(layers))
        own = self.all()
        for i, layer in enumerate(layers):
            rng = np.random.default_rng(seeds[i])
            following = next_activation(layers[i + 1 :])
            for name in (*layer.parameter_shapes(), *layer.statistic_shapes()):
                initial, array = layer.initial(name, rng, following), own[f"{i}.{name}"]
                if initial.shape != array.shape:
                    raise ShapeError(
                        f"{place(layers, i)}: init returned shape {initial.shape} for the {name}, "
                        f"which has shape {array.shape}."
                    )
                array[...] = initial

    def load(self, state: Mapping[str, ArrayLike]) -> None:
        """Take the numbers of a network of the same architecture."""
        own = self.all()
        for name in [*own, *state]:
            if name not in state or name not in own:
                where = "the network" if name in own else "the saved state"
                raise ShapeError(
                    f"Only {where} has {name!r}: the state was saved from another architecture."
                )
            if np.shape(state[name]) != own[name].shape:
                raise ShapeError(
                    f"{name} has shape {np.shape(state[name])} in the saved state and "
                    f"{own[name].shape} in the network: it was saved from another architecture."
                )
        for name, array in own.items():
            array[...] = state[name]


def _named(layers: Sequence[Layer], member: str) -> tuple[list[str], list[Shape]]:
    names, shapes = [], []
    for i, layer in enumerate(layers):
        for name, shape in getattr(layer, member)().items():
            names.append(f"{i}.{name}")
            shapes.append(shape)
    return names, shapes
