"""What users hand over as a batch, as the arrays that a :class:`Batch` holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from softgrad.data.dataset import DataError
from softgrad.data.labels import check_labels

Array = npt.NDArray[Any]

_AS_THEY_ARE = (np.float32, np.float64, np.uint8)


def column_names(X: Any) -> list[str] | None:
    """The names of a data frame's columns (pandas, polars, pyarrow); None for arrays."""
    names = getattr(X, "column_names", None)
    if names is None:
        names = getattr(X, "columns", None)
    if names is None or callable(names) or not all(isinstance(name, str) for name in names):
        return None
    return [str(name) for name in names]


def as_matrix(X: Any, name: str, first_row: int) -> Any:
    """A C-ordered array of float32, float64 or uint8, or CSR; ``first_row`` is for messages."""
    if sparse.issparse(X):
        X = X.tocsr()
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64)
    names = column_names(X)
    X = np.asarray(X)
    if X.ndim != 2:
        raise DataError(
            f"{name}: a batch of features has shape {X.shape}, but must have rows and columns."
            " Reshape it to (rows, features)."
        )
    if X.dtype.kind in "OUS":
        X = _numbers(X, name, first_row, names)
    if X.dtype.kind not in "biuf":
        raise DataError(f"{name}: features of type {X.dtype} are not numbers. Convert them first.")
    if X.dtype not in _AS_THEY_ARE:
        X = X.astype(np.float64)
    return np.ascontiguousarray(X)


def as_labels(y: Any, name: str, n_rows: int, first_row: int) -> Array:
    """Labels (n,) of integers, booleans or text."""
    labels = np.asarray(y)
    if labels.dtype.kind == "O":
        labels = _labels_of_objects(labels, name, first_row)
    labels = check_labels(labels, name)
    if len(labels) != n_rows:
        raise DataError(
            f"{name}: a batch of {n_rows} rows has {len(labels)} labels."
            " Give (X, y) with one label for each row."
        )
    return labels


def as_weights(weight: Any, name: str, n_rows: int, first_row: int) -> npt.NDArray[np.float64]:
    """Weights (n,), finite and not negative."""
    try:
        weights = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"{name}: the sample weights are not numbers. Convert them first."
        ) from None
    if weights.shape != (n_rows,):
        raise DataError(
            f"{name}: a batch of {n_rows} rows has sample weights of shape {weights.shape}."
            " Give one weight for each row."
        )
    bad = ~(np.isfinite(weights) & (weights >= 0.0))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{name}: row {first_row + row + 1} has the sample weight {weights[row]:g}."
            " Weights must be finite and not negative."
        )
    return weights


def _numbers(X: Array, name: str, first_row: int, names: list[str] | None) -> Array:
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError):
        pass
    for (row, column), value in np.ndenumerate(X):
        try:
            float(value)
        except (TypeError, ValueError):
            where = repr(names[column]) if names else str(column + 1)
            holds = "no value" if value is None else f"{value!r}, which is not a number"
            raise DataError(
                f"{name}: row {first_row + row + 1}, column {where} holds {holds}."
                " Encode the column as numbers, or leave it out."
            ) from None
    raise DataError(f"{name}: features of type {X.dtype} are not numbers. Convert them first.")


def _labels_of_objects(labels: Array, name: str, first_row: int) -> Array:
    for row, label in enumerate(labels.flat):
        if label is None or label != label:
            raise DataError(
                f"{name}: row {first_row + row + 1} has no label."
                " Remove the row or fill in its class."
            )
    if all(isinstance(label, str) for label in labels.flat):
        return labels.astype(str)
    if all(isinstance(label, (bool, np.bool_)) for label in labels.flat):
        return labels.astype(bool)
    if all(isinstance(label, (int, np.integer)) for label in labels.flat):
        return labels.astype(np.int64)
    raise DataError(f"{name}: labels of several types are not classes. Use integers or text.")
