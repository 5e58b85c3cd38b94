"""The types that signatures speak of."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

#: What is accepted where an array is expected: arrays, nested lists, pandas objects, numbers.
ArrayLike: TypeAlias = npt.ArrayLike

#: An array of any type; results that are 0-dimensional are NumPy scalars.
Array: TypeAlias = npt.NDArray[Any]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

#: A loss: a NumPy scalar for the reductions "sum" and "mean", an array of row losses for "none".
Value: TypeAlias = Any

#: The class axis, several class axes, or all of them.
Axis: TypeAlias = int | tuple[int, ...] | None

Shape: TypeAlias = tuple[int, ...]
Reduction: TypeAlias = Literal["none", "sum", "mean"]


class LossOptions(TypedDict, total=False):
    """The options that losses have; which of them a loss takes, its call's signature says."""

    axis: Axis
    reduction: Reduction
    sample_weight: ArrayLike | None
    class_weight: ArrayLike | None
    ignore_index: int | None
    label_smoothing: float
    temperature: float
    where: ArrayLike | None
    pos_weight: ArrayLike | None
    gamma: float
    alpha: float | None
    delta: float
    margin: float
    teacher: Literal["logits", "probabilities"]
