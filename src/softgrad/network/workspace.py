"""Buffers that one pass leaves behind for the next one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softgrad._typing import Array, Shape


class Workspace:
    """Named buffers, allocated when first asked for and kept for the next pass.

    A batch with fewer rows uses the front of what a larger one allocated.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._memory: dict[object, Array] = {}

    def array(self, key: object, shape: Shape, dtype: Any = None) -> Array:
        """A C-contiguous array with arbitrary contents; the same memory for the same key."""
        wanted = self._dtype if dtype is None else np.dtype(dtype)
        size = math.prod(shape)
        memory = self._memory.get(key)
        if memory is None or memory.size < size or memory.dtype != wanted:
            self._memory[key] = memory = np.empty(size, wanted)
        return memory[:size].reshape(shape)

    @property
    def nbytes(self) -> int:
        """The memory that it holds."""
        return sum(memory.nbytes for memory in self._memory.values())
