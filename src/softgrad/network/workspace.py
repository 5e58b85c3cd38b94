"""Buffers that one pass leaves behind for the next one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from softgrad._typing import Array, Shape

_MOST_VIEWS = 256  # of buffers in shapes seen before


class Workspace:
    """Named buffers, allocated when first asked for and kept for the next pass.

    A batch with fewer rows uses the front of what a larger one allocated. ``plan`` is a place for
    whatever its user prepared the last time.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.plan: Any = None
        self.nbytes = 0  # of the memory that it holds
        self._memory: dict[object, Array] = {}
        self._views: dict[object, Array] = {}

    def array(self, key: object, shape: Shape, dtype: Any = None) -> Array:
        """A C-contiguous array with arbitrary contents; the same memory for the same key."""
        view = self._views.get((key, shape))
        if view is not None:
            return view
        size = math.prod(shape)
        memory = self._memory.get(key)
        if memory is None or memory.size < size:
            self.nbytes -= 0 if memory is None else memory.nbytes
            self._memory[key] = memory = np.empty(size, self.dtype if dtype is None else dtype)
            self.nbytes += memory.nbytes
            self._views.clear()  # some were of the memory that this one replaces
        if len(self._views) >= _MOST_VIEWS:
            self._views.clear()
        self._views[key, shape] = view = memory[:size].reshape(shape)
        return view

    def holds(self, key: object, array: Array) -> bool:
        """Whether the array lies in the memory of this key."""
        memory = self._memory.get(key)
        return memory is not None and np.may_share_memory(memory, array)
