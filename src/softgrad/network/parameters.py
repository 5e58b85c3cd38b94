"""The parameters of a network: parts of one vector, as a list of arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike, Shape
from softgrad.errors import ShapeError


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
