"""Hard rows of any length together with their exact results.

A row of a million classes is made of a few hundred distinct columns, so that its exact softmax
costs a few hundred exact exponentials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from softgrad._reference import exact
from tests.support import ulp
from tests.support.rows import KINDS

DISTINCT = 96


@dataclass(frozen=True)
class Problem:
    """One row: `pool` holds its distinct columns, `index` says which one stands where."""

    name: str
    pool: NDArray[Any]
    index: NDArray[np.int64]
    single: tuple[int, ...]  # columns that occur once, the first of them a maximum

    @property
    def row(self) -> NDArray[Any]:
        return self.spread(self.pool)

    def spread(self, columns: NDArray[Any]) -> NDArray[Any]:
        """A number for every distinct column as a number for every class."""
        return columns[self.index]

    def position(self, column: int) -> int:
        """The class at which a column that occurs once stands."""
        return int(np.flatnonzero(self.index == column)[0])

    def exact(self, temperature: float = 1.0) -> exact.Row:
        counts = np.bincount(self.index, minlength=len(self.pool))
        return exact.Row(self.pool, temperature=temperature, counts=counts)

    def errors(self, result: NDArray[Any], truth: Any, terms: Any = None) -> NDArray[np.float64]:
        """The errors of one number for every class, at the worst copy of every column."""
        order = np.argsort(self.index, kind="stable")
        starts = np.searchsorted(self.index[order], np.arange(len(self.pool)))
        smallest = np.minimum.reduceat(result[order], starts)
        largest = np.maximum.reduceat(result[order], starts)
        error = ulp.errors(smallest, truth, terms)
        if np.any(smallest != largest):
            error = np.maximum(error, ulp.errors(largest, truth, terms))
        return error


def make(kind: str, classes: int, dtype: Any, rng: Generator) -> Problem:
    """A row of that kind; its maximum and two more columns occur only once."""
    distinct = min(classes, DISTINCT)
    pool = KINDS[kind](rng, distinct).astype(dtype)
    leader = int(np.argmax(pool))
    others = np.array([c for c in rng.permutation(distinct) if c != leader], dtype=np.int64)
    single, repeated = others[:2], others[2:]
    index = np.arange(distinct)
    if classes > distinct:
        index = np.append(index, rng.choice(repeated, size=classes - distinct))
    return Problem(kind, pool, rng.permutation(index), (leader, *map(int, single)))
