"""The smallest input that still shows a mistake: rows, classes and digits taken away one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.probes import Probe

Shown = TypeVar("Shown")
_TRIES = 250
_SECONDS = 1.0  # for functions that are slow themselves: 250 calls take a few hundredths otherwise
#: The axes of what belongs to a probe: its rows, its classes, or both.
_AXES = {"mask": "rows and classes", "w": "rows", "cw": "classes"}


def smallest(
    probe: Probe,
    shown: Shown,
    shows: Callable[[Probe], Shown | None],
    numbers: Sequence[str] = ("x",),
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
    numbers : sequence of str
        Which of the probe's arrays matter and are to be written with short numbers.
    """
    left, end = _TRIES, time.monotonic() + _SECONDS
    before: Probe | None = None
    while before is not probe:  # once more: a row may be superfluous now
        before = probe
        for simplify in (_fewer_rows, _lower_targets, _fewer_classes, _rounded, _shorter):
            place = 0
            while (trial := simplify(probe, place, numbers)) is not None:
                for simpler in trial:
                    if left == 0 or time.monotonic() > end:
                        return probe, shown
                    left -= 1
                    found = shows(simpler)
                    if found is not None:
                        # What came to this place in a shorter probe is tried next.
                        place -= simpler.shape != probe.shape
                        probe, shown = simpler, found
                        break
                place += 1
    return probe, shown


# Each takes a place within the probe and gives the probes that are simpler there, the simplest
# first; None beyond the last place.


def _fewer_rows(probe: Probe, place: int, _: Sequence[str]) -> Iterator[Probe] | None:
    rows = len(probe.x)
    if place >= rows or rows == 1:
        return None
    return iter([_made(probe, rows=np.delete(np.arange(rows), place))])


def _lower_targets(probe: Probe, place: int, _: Sequence[str]) -> Iterator[Probe] | None:
    """Labels that are used by no row free their class."""
    if place >= len(probe.y):
        return None

    def lower() -> Iterator[Probe]:
        for label in range(max(0, int(probe.y[place]))):
            y = probe.y.copy()
            y[place] = label
            yield replace(probe, y=y)

    return lower()


def _fewer_classes(probe: Probe, place: int, _: Sequence[str]) -> Iterator[Probe] | None:
    if probe.x.ndim < 2 or probe.x.shape[1] <= 2 or place >= probe.x.shape[1]:
        return None
    if np.any(probe.y == place):
        return iter([])
    return iter([_made(probe, classes=np.delete(np.arange(probe.x.shape[1]), place))])


def _rounded(probe: Probe, place: int, numbers: Sequence[str]) -> Iterator[Probe] | None:
    """All numbers of an array at once."""
    if place >= len(numbers):
        return None
    array = getattr(probe, numbers[place])
    whole = np.round(array) + 0.0  # never -0
    if np.array_equal(whole, array):
        return iter([])
    return iter([_made(replace(probe, **{numbers[place]: whole}))])


def _shorter(probe: Probe, place: int, numbers: Sequence[str]) -> Iterator[Probe] | None:
    for name in numbers:
        array = getattr(probe, name)
        if place < array.size:
            return _shorter_at(probe, name, np.unravel_index(place, array.shape))
        place -= array.size
    return None


def _shorter_at(probe: Probe, name: str, index: tuple[np.intp, ...]) -> Iterator[Probe]:
    value = float(getattr(probe, name)[index])
    for shorter in (0.0, 1.0, 2.0, -1.0, float(np.round(value)) + 0.0, float(f"{value:.0e}")):
        if _length(shorter) < _length(value):
            array = getattr(probe, name).copy()
            array[index] = shorter
            yield _made(replace(probe, **{name: array}))


def _length(value: float) -> tuple[bool, bool, int, float, bool]:
    """0 is shortest; then whole numbers, few digits, small numbers: 1000 is shorter than 999."""
    digits = len(f"{value:.15g}".partition("e")[0].replace(".", "").strip("-0"))
    return value != 0, value != round(value), digits, abs(value), value < 0


def _made(probe: Probe, rows: Array | None = None, classes: Array | None = None) -> Probe:
    """Some rows and classes of a probe, with all that belongs to them."""

    def pick(array: Array | None, axes: str = "rows and classes") -> Array | None:
        if array is None:
            return None
        kept = array if rows is None or "rows" not in axes else array[rows]
        if classes is None or "classes" not in axes:
            return kept
        return kept[:, classes] if "rows" in axes else kept[classes]

    y = probe.y if rows is None else probe.y[rows]
    if classes is not None:
        y = np.where(y < 0, y, np.searchsorted(classes, y))  # a mark stays one
    made = probes.of(pick(probe.x), y, pick(probe.g), probe.T, pick(probe.teacher))
    extra = {name: pick(value, _AXES[name]) for name, value in probe.extra.items()}
    return replace(made, alpha=probe.alpha, lr=probe.lr, extra=extra)
