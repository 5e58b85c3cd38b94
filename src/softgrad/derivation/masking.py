"""Classes that take no part: the derivation is of the others, and the results hold zeros for them.

A masked logit stands for -inf. exp(-inf) = 0 adds nothing to any sum, so that all formulas are
those of the classes that are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softgrad import _checks
from softgrad._typing import Array, ArrayLike
from softgrad.errors import MaskError, TargetError


@dataclass(frozen=True)
class Mask:
    """Which classes take part in every row."""

    keep: Array

    @property
    def classes(self) -> list[int]:
        return [int(k) for k in np.flatnonzero(self.keep)]

    @property
    def masked(self) -> list[int]:
        return [int(k) for k in np.flatnonzero(~self.keep)]

    def drop(self, array: Array) -> Array:
        """The classes that take part, along the last axis."""
        return np.asarray(array[..., self.keep])

    def fill(self, array: Array, value: Any) -> Array:
        """All classes again, with a value for those that are masked."""
        full = np.full((*array.shape[:-1], len(self.keep)), value, dtype=array.dtype)
        full[..., self.keep] = array
        return full

    def target(self, target: ArrayLike | None, shape: tuple[int, ...], values: bool) -> Any:
        """A target of the classes that are left; ``values``: any numbers, not probabilities."""
        if target is None:
            return None
        given = np.asarray(target)
        if given.shape == shape:
            if not values:
                lost = np.argwhere(np.asarray(given[..., ~self.keep], dtype=np.float64) != 0)
                if len(lost):
                    raise TargetError(_refusal(self.masked[lost[0][-1]]))
            return self.drop(given)
        if given.dtype.kind not in "iu":
            return target  # refused where targets are checked
        indices = _checks.class_indices(given.reshape(-1), len(self.keep), None)
        for index in indices:
            if not self.keep[index]:
                raise TargetError(_refusal(int(index)))
        return (np.cumsum(self.keep) - 1)[indices].reshape(given.shape)


def mask_of(where: ArrayLike | None, logits: ArrayLike) -> Mask | None:
    """One mask for all rows; None where every class takes part."""
    shape = np.shape(np.asarray(logits, dtype=object))
    found = _checks.mask(where, shape)
    if found is None or not shape:
        return None
    rows = np.atleast_2d(found)
    if np.any(rows != rows[0]):
        raise MaskError(
            "where masks other classes in one row than in another; accepted is one mask of shape "
            f"({shape[-1]},) for all rows. Explain such rows one by one."
        )
    if not np.any(rows):
        raise MaskError("where masks every class; at least one has to take part.")
    return None if np.all(rows) else Mask(rows[0].copy())


def _refusal(index: int) -> str:
    return (
        f"target names class {index}, which is masked: its probability is 0 and its loss infinite. "
        "Accepted are classes that take part."
    )
