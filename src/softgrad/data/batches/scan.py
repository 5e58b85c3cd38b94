"""One pass over the data: what a solver must know before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.batches.arrays import as_batches
from softgrad.data.batches.blocks import reblock
from softgrad.data.dataset import DataError, check_numbers

Float = npt.NDArray[np.float64]

_ROWS = 4096  # of a block of the scan; a constant, since sums depend on where blocks end


@dataclass(frozen=True)
class Summary:
    """What :func:`scan` found.

    ``classes`` (K,) in rising order; ``class_counts`` (K,) rows of each and ``class_weights`` (K,)
    their summed weights; ``mean`` and ``variance`` (D,) of every feature, weighted, in the unit of
    the feature and its square; ``total_weight`` the sum of all weights, ``n_rows`` without any.
    ``dtype`` and ``sparse`` say how the rows are stored.
    """

    n_rows: int
    n_features: int
    classes: npt.NDArray[Any]
    class_counts: npt.NDArray[np.int64]
    class_weights: Float
    mean: Float
    variance: Float
    total_weight: float
    feature_names: list[str] | None
    dtype: np.dtype[Any]
    sparse: bool


def scan(batches: Any) -> Summary:
    """Classes, moments and counts from one pass in constant memory, with every value checked.

    Parameters
    ----------
    batches : Batches, or what :func:`as_batches` takes

    Returns
    -------
    Summary
        Mean and variance come from the moments of blocks of 4096 rows, merged by the formula of
        Chan, Golub and LeVeque (1979): a mean far larger than the deviation costs no digits, and
        the batches of the source change no bit.

    Raises
    ------
    DataError
        The first NaN, infinity, text or missing value by row and column; a changed number of
        columns; no rows.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.data.batches import scan
    >>> found = scan([(np.array([[1e9], [1e9 + 2]]), [0, 1]), (np.array([[1e9 + 4]]), [1])])
    >>> found.variance.round(3), found.class_counts
    (array([2.667]), array([1, 2]))
    """
    source = as_batches(batches)
    moments: _Moments | None = None
    counts: dict[Any, tuple[int, float]] = {}
    n_rows = 0
    for batch in reblock(source, _ROWS):
        sparse = not isinstance(batch.X, np.ndarray)
        _check_finite(batch.X, source.name, source.feature_names, n_rows)
        weight = np.ones(len(batch.y)) if batch.sample_weight is None else batch.sample_weight
        if moments is None:
            moments = _Moments(batch.X.shape[1])
            dtype, is_sparse = batch.X.dtype, sparse
        with np.errstate(over="ignore", invalid="ignore"):  # squares of huge numbers
            moments.add(batch.X, weight)
        values, position = np.unique(batch.y, return_inverse=True)
        added = zip(
            values.tolist(),
            np.bincount(position).tolist(),
            np.bincount(position, weight).tolist(),
            strict=True,
        )
        for value, count, mass in added:
            before = counts.get(value, (0, 0.0))
            counts[value] = (before[0] + count, before[1] + mass)
        n_rows += len(batch.y)
    if moments is None:
        raise DataError(f"{source.name} has no rows. Give data with at least one row.")
    classes = np.array(sorted(counts))
    return Summary(
        n_rows=n_rows,
        n_features=source.n_features,
        classes=classes,
        class_counts=np.array([counts[value][0] for value in classes.tolist()], dtype=np.int64),
        class_weights=np.array([counts[value][1] for value in classes.tolist()]),
        mean=moments.mean,
        variance=moments.variance(),
        total_weight=moments.weight,
        feature_names=source.feature_names,
        dtype=dtype,
        sparse=is_sparse,
    )


class _Moments:
    """Weighted mean and summed squared deviation of columns, block by block."""

    def __init__(self, n_features: int) -> None:
        self.weight = 0.0
        self.mean = np.zeros(n_features)
        self.squares = np.zeros(n_features)

    def add(self, X: Any, weight: Float) -> None:
        """Chan's merge of the block's moments into those so far."""
        block_weight = float(weight.sum())
        if block_weight == 0.0:
            return
        dense = isinstance(X, np.ndarray)
        mean, squares = (_dense if dense else _sparse)(X, weight, block_weight)
        together = self.weight + block_weight
        shift = mean - self.mean
        self.squares += squares + shift**2 * (self.weight * block_weight / together)
        self.mean += shift * (block_weight / together)
        self.weight = together

    def variance(self) -> Float:
        return self.squares / (self.weight or 1.0)


def _dense(X: npt.NDArray[Any], weight: Float, total: float) -> tuple[Float, Float]:
    # einsum without optimize runs NumPy's own loops: BLAS might split the sum over its threads.
    X = X.astype(np.float64)
    mean: Float = np.einsum("i,ij->j", weight, X) / total
    X -= mean
    squares: Float = np.einsum("i,ij,ij->j", weight, X, X)
    return mean, squares


def _sparse(X: Any, weight: Float, total: float) -> tuple[Float, Float]:
    n_features = X.shape[1]
    stored = np.repeat(weight, np.diff(X.indptr))
    values = X.data.astype(np.float64)
    mean = np.bincount(X.indices, stored * values, minlength=n_features) / total
    deviation = values - mean[X.indices]
    squares = np.bincount(X.indices, stored * deviation**2, minlength=n_features)
    zeros = total - np.bincount(X.indices, stored, minlength=n_features)
    return mean, squares + np.maximum(zeros, 0.0) * mean**2


def _check_finite(X: Any, name: str, names: list[str] | None, first_row: int) -> None:
    if isinstance(X, np.ndarray):
        check_numbers(X, name, names, first_row)
        return
    bad = np.flatnonzero(~np.isfinite(X.data))
    if len(bad):
        row = int(np.searchsorted(X.indptr, bad[0], side="right")) - 1
        one_row = X[row].toarray()
        check_numbers(one_row, name, names, first_row + row)
