"""Training and validation rows of data larger than memory, told apart by their number alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.batches.protocol import Batch, Batches

Hash = npt.NDArray[np.uint64]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_SEEDS_APART = 0xD1342543DE82EF95


def row_hash(first: int, count: int, seed: int) -> Hash:
    """A number for each of the rows ``first``, ``first + 1``, ..., evenly spread over 64 bits.

    SplitMix64 (Steele, Lea and Flood, 2014) of the row's number: any row at once, in any order.
    """
    z = np.arange(first + 1, first + 1 + count, dtype=np.uint64) * _STEP
    z ^= np.uint64(seed * _SEEDS_APART % (1 << 64))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed: Hash = z ^ (z >> np.uint64(31))
    return hashed


def is_validation(first: int, count: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which of ``count`` rows, counted from ``first``, are kept for validation."""
    return row_hash(first, count, seed) < np.uint64(int(share * 2.0**64))


class PartOfRows:
    """The rows of a source that are (or are not) kept for validation, in their order."""

    def __init__(self, source: Batches, share: float, seed: int, *, validation: bool) -> None:
        self.source = source
        self.share, self.seed, self.validation = share, seed, validation
        self.name = source.name
        self.n_features = source.n_features
        self.feature_names = source.feature_names
        self.n_rows: int | None = None

    def __iter__(self) -> Iterator[Batch]:
        first = 0
        for batch in self.source:
            count = len(batch.y)
            rows = is_validation(first, count, self.share, self.seed) == self.validation
            first += count
            if rows.any():
                yield take(batch, rows)


def split_batches(source: Batches, share: float, seed: int) -> tuple[PartOfRows, PartOfRows]:
    """Rows for training and for validation; no row is held.

    Parameters
    ----------
    source : Batches
    share : float
        Of the rows for validation, about: every row is drawn by a hash of its number, so that the
        parts are the same at every reading, whatever the batches. Classes are not balanced.
    seed : int

    Returns
    -------
    tuple of two Batches
        The rows for training, the rows for validation.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.data.batches import ArrayBatches, split_batches
    >>> source = ArrayBatches(np.arange(1000.0)[:, None], np.arange(1000) % 2)
    >>> train, validation = split_batches(source, 0.2, seed=0)
    >>> [sum(len(batch.y) for batch in part) for part in (train, validation)]
    [804, 196]
    """
    return (
        PartOfRows(source, share, seed, validation=False),
        PartOfRows(source, share, seed, validation=True),
    )


def take(batch: Batch, rows: Any) -> Batch:
    """Some rows of a batch, by mask or position."""
    weight = batch.sample_weight
    return Batch(batch.X[rows], batch.y[rows], None if weight is None else weight[rows])
