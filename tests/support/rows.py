"""Rows that break softmax implementations, by name, for any number of classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Row = NDArray[np.float64]


def ordinary(rng: Generator, classes: int) -> Row:
    return rng.normal(size=classes)


def wide(rng: Generator, classes: int) -> Row:
    """Probabilities over the whole range, down to subnormal ones."""
    return rng.uniform(-100, 0, size=classes)


def very_wide(rng: Generator, classes: int) -> Row:
    """Below float64's subnormals too, where the answer is 0."""
    return rng.uniform(-800, 3, size=classes)


def confident(rng: Generator, classes: int) -> Row:
    """One class leads by so much that its probability rounds to 1 (float32: from 17 on)."""
    row = rng.normal(size=classes)
    row[rng.integers(classes)] = row.max() + rng.uniform(16, 45)
    return row


def extremely_confident(rng: Generator, classes: int) -> Row:
    """The other probabilities are close to the smallest float32 numbers, or below them."""
    row = rng.normal(size=classes)
    row[rng.integers(classes)] = row.max() + rng.uniform(80, 110)
    return row


def two_leaders(rng: Generator, classes: int) -> Row:
    """Two classes nearly tied, far ahead of the rest."""
    row = rng.normal(size=classes)
    first, second = rng.integers(classes), rng.integers(classes)
    row[first] = 30.0
    row[second] = 30.0 - rng.uniform(0, 1e-3)
    return row


def ties(rng: Generator, classes: int) -> Row:
    """Few distinct values: the maximum occurs several times."""
    return rng.integers(-3, 3, size=classes).astype(np.float64)


def uniform(rng: Generator, classes: int) -> Row:
    return np.full(classes, rng.normal())


def offset(rng: Generator, classes: int) -> Row:
    return rng.normal(size=classes) * 3 + 1e4


def negative_offset(rng: Generator, classes: int) -> Row:
    return rng.normal(size=classes) * 3 - 1e4


def huge_offset(rng: Generator, classes: int) -> Row:
    """Around 1e30, a few units in the last place apart: ties, or a distance of 1e14 and more."""
    return 1e30 * (1 + rng.integers(-2, 3, size=classes) * 2.0**-20)


def mixed_magnitudes(rng: Generator, classes: int) -> Row:
    """Logits of every size and both signs, in one row."""
    return rng.normal(size=classes) * 10.0 ** rng.uniform(-30, 30, size=classes)


def tiny(rng: Generator, classes: int) -> Row:
    """So close to 0 that exp rounds to 1."""
    return rng.normal(size=classes) * 1e-30


def with_minus_inf(rng: Generator, classes: int) -> Row:
    """Some logits are -inf, never all of them."""
    row = rng.normal(size=classes) * 4
    row[rng.random(classes) < 0.4] = -np.inf
    row[rng.integers(classes)] = 1.5
    return row


def logsumexp_near_zero(rng: Generator, classes: int) -> Row:
    """Shifted so that the logsumexp nearly vanishes, where its digits cancel."""
    row = rng.normal(size=classes)
    return row - np.log(np.sum(np.exp(row)))


def all_negative_leader(rng: Generator, classes: int) -> Row:
    """A leader just below 0: the row that makes `max + log(sum)` lose its digits."""
    row = rng.uniform(-60, -20, size=classes)
    row[rng.integers(classes)] = -1e-6
    return row


KINDS: dict[str, Callable[[Generator, int], Row]] = {
    make.__name__: make
    for make in (
        ordinary,
        wide,
        very_wide,
        confident,
        extremely_confident,
        two_leaders,
        ties,
        uniform,
        offset,
        negative_offset,
        huge_offset,
        mixed_magnitudes,
        tiny,
        with_minus_inf,
        logsumexp_near_zero,
        all_negative_leader,
    )
}


def hardest_float64(rng: Generator, classes: int) -> Row:
    """Around 1e300: beyond float32."""
    return 1e300 * (1 + rng.integers(-2, 3, size=classes) * 2.0**-40)


def few_distinct(rng: Generator, row: Row, distinct: int = 300) -> Row:
    """A row as long, made of few of its values, so that exact sums stay affordable."""
    if len(row) <= distinct:
        return row
    pool = np.unique(rng.choice(row, size=distinct))
    pool = np.append(pool, row.max())
    return rng.permutation(np.append(rng.choice(pool, size=len(row) - len(pool)), pool))
