"""Helpers that the reference formulas share: class axes, masks, and the Jacobian's layout."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64: TypeAlias = NDArray[np.float64]
Axis: TypeAlias = int | tuple[int, ...] | None


def logits(x: ArrayLike, axis: Axis, temperature: float, where: ArrayLike | None) -> Float64:
    """The scaled logits x / T in float64, with -inf where the mask leaves an entry out."""
    z = np.asarray(x, dtype=np.float64) / temperature
    if where is not None:
        z = np.where(where, z, -np.inf)
    return z


def taking_part(x: ArrayLike, where: ArrayLike | None) -> NDArray[np.bool_]:
    """The mask as an array of x's shape; every entry takes part when there is none."""
    mask = True if where is None else np.asarray(where, dtype=np.bool_)
    return np.broadcast_to(mask, np.shape(x))


def zero_outside(values: Any, x: ArrayLike, where: ArrayLike | None) -> Float64:
    """The values (cotangents, tangents, derivatives), with 0 where the mask leaves one out."""
    values = np.asarray(values, dtype=np.float64)
    return values if where is None else np.where(taking_part(x, where), values, 0.0)


def classes_last(values: Float64, axis: Axis) -> Float64:
    """The class axes moved to the end, in ascending order, and joined into one axis."""
    if axis is None:
        return values.reshape(-1)
    axes = sorted(a % values.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    moved = np.moveaxis(values, axes, range(-len(axes), 0))
    batch = moved.shape[: moved.ndim - len(axes)]
    return moved.reshape(*batch, int(np.prod(moved.shape[len(batch) :])))


def diagonal(values: Float64) -> Float64:
    """Rows of C numbers as C x C diagonal matrices."""
    return values[..., :, None] * np.eye(values.shape[-1])


def outer(a: Float64, b: Float64) -> Float64:
    """a b^T for every row of the batch."""
    return a[..., :, None] * b[..., None, :]
