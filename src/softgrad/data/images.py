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
    image_shape = image_shape_of(X.shape)
    largest = float(X.max()) if image_shape and X.dtype == np.uint8 else 0.0
    unit = unit_of(image_shape, X.dtype, largest)
    if X.dtype not in (np.float32, np.float64, np.uint8):
        X = X.astype(np.float64)
    return np.ascontiguousarray(X.reshape(len(X), -1)), image_shape, unit


def image_shape_of(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Height and width, where an array of this shape holds images."""
    each = shape[1:-1] if len(shape) == 4 and shape[-1] == 1 else shape[1:]
    return (int(each[0]), int(each[1])) if len(each) == 2 else None


def unit_of(image_shape: tuple[int, int] | None, dtype: np.dtype[Any], largest: float) -> float:
    """The value that means one: 255 for images of uint8 with a pixel brighter than 16, else 1."""
    return 255.0 if image_shape and dtype == np.uint8 and largest > 16 else 1.0
