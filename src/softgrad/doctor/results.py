"""What a function returned, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from softgrad._typing import Array


def to_numpy(result: Any) -> Any:
    """Arrays for arrays, flat tuples of arrays for tuples and dictionaries; None stays None.

    Lists of one length are the rows of a matrix, and so are tuples within a tuple.
    """
    if result is None:
        return None
    if isinstance(result, Mapping):
        return _flat(to_numpy(v) for v in result.values())
    if isinstance(result, tuple) and not _rows(result):
        return _flat(to_numpy(v) for v in result)
    if isinstance(result, list) and not _is_matrix(result):
        return _flat(to_numpy(v) for v in result)
    if hasattr(result, "detach"):
        result = result.detach().cpu()
        if str(result.dtype) == "torch.bfloat16":
            result = result.float()
        result = result.numpy()
    array = np.asarray(result)
    if array.dtype.kind == "O":
        array = np.asarray([to_numpy(v) for v in result], dtype=np.float64)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"it returned {kind_of(result)}, which is no array of real numbers")
    return array.astype(np.float64)


def _flat(parts: Any) -> tuple[Any, ...]:
    """Tuples within a tuple are parts like the others."""
    found: list[Any] = []
    for part in parts:
        found += part if isinstance(part, tuple) else [part]
    return tuple(found)


def _rows(result: tuple[Any, ...]) -> bool:
    return bool(result) and all(isinstance(v, tuple) for v in result) and _is_matrix(result)


def _is_matrix(result: Any) -> bool:
    """Whether it is one array: all numbers, or all sequences of one length."""
    try:
        return np.asarray(result).dtype.kind in "fiub"
    except (ValueError, RuntimeError, TypeError):
        return False


def kind_of(result: Any) -> str:
    """The type's name, and the dtype where there is one."""
    dtype = getattr(result, "dtype", None)
    if isinstance(result, tuple) and result:
        return "tuple of " + ", ".join(kind_of(v) for v in result)
    return type(result).__name__ + (f" of {dtype}" if dtype is not None else "")


def holds_numbers(value: Any) -> bool:
    """Whether an argument is one that a function might write to."""
    return isinstance(value, (np.ndarray, list)) or hasattr(value, "detach")


def array_or_nan(value: Any) -> Array:
    """An argument after the call, as an array of whatever it holds."""
    try:
        return np.asarray(to_numpy(value), dtype=np.float64)
    except (TypeError, ValueError):
        return np.array(np.nan)
