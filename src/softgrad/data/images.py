"""Arrays of images as rows of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError

Array = npt.NDArray[Any]


def as_rows(X: Array, name: str) -> tuple[Array, tuple[int, int] | None, float]:
    """Rows (N, D), height and width of an image (if it is one), and the value that means one.

    Images of uint8 count from 0 to 255, unless none of their pixels is brighter than 16.
    """
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: features of type {X.dtype} are not numbers. Convert them first.")
    if X.ndim < 2 or X.size == 0:
        raise DataError(
            f"{name}: the features have shape {X.shape}, but must have rows and columns."
        )
    shape = X.shape[1:-1] if X.ndim == 4 and X.shape[-1] == 1 else X.shape[1:]
    image_shape = (int(shape[0]), int(shape[1])) if len(shape) == 2 else None
    unit = 255.0 if image_shape and X.dtype == np.uint8 and X.max() > 16 else 1.0
    if X.dtype not in (np.float32, np.float64, np.uint8):
        X = X.astype(np.float64)
    return np.ascontiguousarray(X.reshape(len(X), -1)), image_shape, unit
