"""Training and validation rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.intp]


def stratified_split(
    labels: npt.NDArray[Any], validation_fraction: float, seed: int
) -> tuple[Index, Index]:
    """Rows for training and for validation, each class in the same proportion.

    A class with one row keeps it for training, so that every class can be learnt.
    """
    rng = np.random.default_rng(seed)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    by_class = np.argsort(classes + rng.random(len(labels)), kind="stable")  # shuffled within each
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    size = counts[classes[by_class]]
    # Round up or down at random, so that the sizes add up even where every class is small.
    wanted = np.floor(counts * validation_fraction + rng.random(len(counts))).astype(np.intp)
    wanted = np.minimum(wanted, counts - 1)[classes[by_class]]
    validation = rank >= size - wanted
    return np.sort(by_class[~validation]), np.sort(by_class[validation])
