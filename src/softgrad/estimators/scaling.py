"""Inputs of mean 0 and deviation 1, computed batch by batch: the data are never copied whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.errors import OptionError

Float = npt.NDArray[np.float64]

HOW = ("auto", "features", "jointly", None)
_BLOCK = 4096


@dataclass(frozen=True)
class Scaling:
    """(x - mean) / scale; sparse rows keep their zeros, so their mean is 0."""

    mean: Float
    scale: Float

    def rows(self, X: Any, dtype: np.dtype[Any]) -> Any:
        """Some rows, scaled, in a type; computed in the wider of both types."""
        if not isinstance(X, np.ndarray):
            return X.multiply(1.0 / self.scale).tocsr().astype(dtype, copy=False)
        wide = np.result_type(X.dtype, dtype)
        scaled = X.astype(wide)
        for part in in_parts(self.mean, wide):
            scaled -= part
        scaled /= self.scale.astype(wide)
        return scaled.astype(dtype, copy=False)


def in_parts(mean: Float, dtype: np.dtype[Any]) -> list[npt.NDArray[Any]]:
    """The mean as one number of the type, or as two where one would lose too many digits.

    Close to the mean the first difference is exact (P. Sterbenz, 1974), so that features far from
    zero keep what digits they have.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # infinite where the type is too small
        high = mean.astype(dtype)
        low = (mean - high.astype(np.float64)).astype(dtype)
    return [high, low] if low.any() else [high]


class ScaledRows:
    """An array seen through a scaling: what is taken from it is scaled, the rest waits."""

    def __init__(self, X: npt.NDArray[Any], scaling: Scaling, dtype: np.dtype[Any]) -> None:
        self._X, self._scaling = X, scaling
        self.shape, self.ndim, self.dtype = X.shape, X.ndim, dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> Any:
        return self._scaling.rows(self._X[rows], self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def learn_scaling(X: Any, how: Any, weight: npt.NDArray[Any] | None = None) -> Scaling:
    """Mean and deviation of the features of X, each row counted by its weight.

    "features": each feature by its own; "jointly": all by the same, as pixels are; "auto": jointly
    for uint8 and for sparse rows, else by feature; None: not at all. A constant feature becomes 0.
    """
    if how not in HOW:
        raise OptionError(
            f"standardize={how!r}; accepted are 'auto', 'features', 'jointly' and None."
        )
    n_features = int(X.shape[1])
    dense = isinstance(X, np.ndarray)
    if how is None:
        return Scaling(np.zeros(n_features), np.ones(n_features))
    if how == "auto":
        how = "features" if dense and X.dtype != np.uint8 else "jointly"
    total = float(X.shape[0]) if weight is None else float(weight.sum())
    if dense:
        mean, variance = _moments(X, weight, total, how == "jointly")
    else:
        # Without a mean of its own: zeros must stay zeros.
        counted = X.multiply(X)
        if weight is not None:
            counted = counted.multiply(weight[:, None])
        squares = np.asarray(counted.sum(axis=0), np.float64).ravel() / total
        mean = np.zeros(n_features)
        variance = np.full(n_features, squares.mean()) if how == "jointly" else squares
    # The variance of a constant, but for rounding (as scikit-learn decides it).
    eps = np.finfo(np.float64).eps
    constant = variance <= X.shape[0] * eps * variance + (X.shape[0] * mean * eps) ** 2
    return Scaling(mean, np.sqrt(np.where(constant, 1.0, variance)))


def _moments(
    X: npt.NDArray[Any], weight: npt.NDArray[Any] | None, total: float, jointly: bool
) -> tuple[Float, Float]:
    n_features = X.shape[1]

    def average(of: Any) -> Float:
        summed = np.zeros(n_features)
        for start in range(0, X.shape[0], _BLOCK):
            rows = of(X[start : start + _BLOCK].astype(np.float64))
            if weight is None:
                summed += rows.sum(axis=0)
            else:
                summed += weight[start : start + _BLOCK] @ rows
        result: Float = summed / total
        return np.full(n_features, result.mean()) if jointly else result

    mean = average(lambda rows: rows)
    return mean, average(lambda rows: (rows - mean) ** 2)
