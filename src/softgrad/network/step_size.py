"""The learning-rate finder: how the loss answers to step sizes from tiny to huge."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from softgrad._typing import Array, ArrayLike
from softgrad.errors import InputError
from softgrad.network.progress import Progress
from softgrad.network.sequential import Sequential
from softgrad.network.training import train
from softgrad.optimize.first_order import Adam, Optimizer
from softgrad.optimize.schedules import Exponential

_WINDOW = 9  # batches whose losses are averaged, against their noise
_DIVERGED = 4.0  # times the lowest average


@dataclass(frozen=True)
class StepSizeSearch:
    """Step sizes tried in turn and a batch's loss at each; ``suggestion`` is a safe one.

    It lies where the loss falls fastest; OneCycle's peak may be a few times larger.
    """

    suggestion: float
    step_sizes: Array
    losses: Array


def find_step_size(
    net: Sequential,
    X: Any,
    y: Any = None,
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    optimizer: Optimizer | None = None,
    batch_size: int = 128,
    smallest: float = 1e-6,
    largest: float = 10.0,
    steps: int = 100,
    seed: int = 0,
) -> StepSizeSearch:
    """Train a copy of the network with ever larger step sizes, until the loss explodes.

    Parameters
    ----------
    net : Sequential
        Left as it is.
    X, y, sample_weight, class_weight, classes, batch_size, seed
        As for ``train``.
    optimizer : Optimizer
        Whose step size to find; by default ``Adam()``.
    smallest, largest : float
        The range, walked through geometrically.
    steps : int
        At most so many; fewer where the loss explodes before.

    Returns
    -------
    StepSizeSearch

    Raises
    ------
    ValueError, TypeError
        As ``train``; and for a range that is not 0 < smallest < largest.

    References
    ----------
    L. Smith, Cyclical learning rates for training neural networks (2017), section 3.3.

    Examples
    --------
    >>> import numpy as np, softgrad as sg
    >>> from softgrad.network import Linear, Sequential, find_step_size
    >>> X = np.random.default_rng(0).normal(size=(512, 4))
    >>> net = Sequential([Linear(4, 2)], loss=sg.cross_entropy, seed=0)
    >>> search = find_step_size(net, X, (X[:, 0] > 0).astype(int))
    >>> 1e-4 < search.suggestion < 10
    True
    """
    schedule = Exponential(smallest, largest, steps=steps)
    optimizer = dataclasses.replace(optimizer or Adam(), step_size=schedule)
    sizes: list[float] = []
    losses: list[float] = []
    lowest = math.inf

    def note(progress: Progress) -> bool:
        nonlocal lowest
        sizes.append(progress.step_size)
        losses.append(progress.batch_loss)
        average = float(np.mean(losses[-_WINDOW:]))
        lowest = min(lowest, average)
        return len(losses) > steps or average > _DIVERGED * lowest

    result = train(
        net.copy(),
        X,
        y,
        sample_weight=sample_weight,
        class_weight=class_weight,
        classes=classes,
        optimizer=optimizer,
        epochs=steps + 1,
        batch_size=batch_size,
        seed=seed,
        on_step=note,
    )
    if not losses:
        raise InputError(f"No step could be made: {result.message}")
    return StepSizeSearch(_steepest(sizes, losses), np.array(sizes), np.array(losses))


def _steepest(sizes: list[float], losses: list[float]) -> float:
    """Where the averaged loss falls fastest."""
    if len(losses) < 2 * _WINDOW:
        return sizes[0]  # it exploded at once
    average = np.convolve(losses, np.full(_WINDOW, 1.0 / _WINDOW), mode="valid")
    middle = _WINDOW // 2
    until = int(np.argmin(average)) + 1
    slope = np.gradient(average)[:until]
    return sizes[middle + int(np.argmin(slope))]
