"""The smallest input that still shows a mistake: rows, classes and digits taken away one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.probes import Probe

Shown = TypeVar("Shown")
_TRIES = 80


def smallest(
    probe: Probe, shown: Shown, shows: Callable[[Probe], Shown | None]
) -> tuple[Probe, Shown]:
    """Simpler and simpler inputs as long as ``shows`` finds the same in them.

    Parameters
    ----------
    probe : Probe
        An input that shows something.
    shown : object
        What it shows.
    shows : callable
        What another input shows; None if it is not the same.
    """
    left = _TRIES
    simpler = _simpler(probe)
    while left > 0 and (trial := next(simpler, None)) is not None:
        left -= 1
        found = shows(trial)
        if found is not None:
            probe, shown = trial, found
            simpler = _simpler(probe)  # from the start: a row may be superfluous now
    return probe, shown


def _simpler(probe: Probe) -> Iterator[Probe]:
    """Inputs with a row or a class less, then with one number that is shorter."""
    rows = len(probe.x)
    for i in range(rows if rows > 1 else 0):
        yield _made(probe, rows=np.delete(np.arange(rows), i))
    if probe.x.ndim == 2:
        classes = probe.x.shape[1]
        for j in range(classes if classes > 2 else 0):
            if not np.any(probe.y == j):
                yield _made(probe, classes=np.delete(np.arange(classes), j))
    for place, value in np.ndenumerate(probe.x):
        for shorter in (0.0, _one_digit(float(value)), float(np.round(value))):
            if value != 0.0 and shorter != value:
                x = probe.x.copy()
                x[place] = shorter
                yield _made(replace(probe, x=x))


def _one_digit(value: float) -> float:
    return float(f"{value:.0e}")


def _made(probe: Probe, rows: Array | None = None, classes: Array | None = None) -> Probe:
    """Some rows and classes of a probe, with all that belongs to them."""

    def pick(array: Array | None) -> Array | None:
        if array is None:
            return None
        kept = array if rows is None else array[rows]
        return kept if classes is None else kept[:, classes]

    y = probe.y if rows is None else probe.y[rows]
    if classes is not None:
        y = np.searchsorted(classes, y)
    return probes.of(pick(probe.x), y, pick(probe.g), probe.T, pick(probe.teacher))
