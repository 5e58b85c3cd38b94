"""Comparing results bit by bit, and the same numbers in other places of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.members import BY_NAME, Array
from tests.support.rows import KINDS


def hard_rows(count: int, classes: int, dtype: str) -> Array:
    """Rows of every kind in turn, so that neighbours differ as much as they can."""
    rng = np.random.default_rng([count, classes])
    kinds = [kind for name, kind in KINDS.items() if name != "mixed_magnitudes"]
    return np.stack([kinds[i % len(kinds)](rng, classes) for i in range(count)]).astype(dtype)


def example(name: str, count: int, classes: int, dtype: str) -> tuple[Array, ...]:
    x = hard_rows(count, classes, dtype)
    return x, *BY_NAME[name].make_companions(np.random.default_rng(classes), x)


def run(name: str, *arguments: Any, **options: Any) -> Array:
    with np.errstate(all="ignore"):  # NumPy's own products of the extreme rows
        return np.asarray(BY_NAME[name](*arguments, **options))


def assert_same_bits(result: Any, expected: Any) -> None:
    result, expected = np.ascontiguousarray(result), np.ascontiguousarray(expected)
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    integer = f"i{result.dtype.itemsize}"
    different = (result.view(integer) != expected.view(integer)) & ~(
        np.isnan(result) & np.isnan(expected)
    )
    assert not different.any(), f"{different.sum()} of {different.size} differ"


def fortran(a: Array) -> Array:
    return np.asfortranarray(a)


def every_second(a: Array) -> Array:
    memory = np.full(tuple(2 * n for n in a.shape), 9, dtype=a.dtype)
    view = memory[tuple(slice(None, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def reversed_memory(a: Array) -> Array:
    backwards = tuple(slice(None, None, -1) for _ in a.shape)
    return np.ascontiguousarray(a[backwards])[backwards]


def broken_rows(a: Array) -> Array:
    """Contiguous rows with gaps between them."""
    if a.ndim < 2:
        return a
    memory = np.full((a.shape[0], a.shape[1] + 3), 9, dtype=a.dtype)
    memory[:, 1:-2] = a
    return memory[:, 1:-2]


def shifted(a: Array, elements: int) -> Array:
    """The same numbers, not aligned to a vector register."""
    memory = np.empty(a.size + elements, dtype=a.dtype)
    view = memory[elements:].reshape(a.shape)
    view[...] = a
    return view
