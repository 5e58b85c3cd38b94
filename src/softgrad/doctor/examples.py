"""The smallest input on which a function is visibly wrong because of one of its mistakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import understanding
from softgrad.doctor.calling import displayed_result
from softgrad.doctor.evidence import Evidence, Examination, differs, not_finite
from softgrad.doctor.probes import Probe
from softgrad.doctor.reading import Fit, probes_of
from softgrad.doctor.report import Example
from softgrad.doctor.truth import truth, without

_VISIBLY = 1e-3


def example_of(ex: Examination, evidence: Evidence) -> Example:
    """Evidence as it is reported."""
    convention, probe, part = ex.reading.convention, evidence.probe, evidence.part
    expected, actual = (
        displayed_result(part, value, convention, probe)
        for value in (evidence.expected, evidence.actual)
    )
    return Example(understanding.inputs(convention, probe), expected, actual, part)


def example(ex: Examination, number: int | None, mean: bool = False) -> Example | None:
    """The smallest input that shows a mistake of the fitted formula, or that nothing fits (None).

    ``mean``: beside the mean of the rows, although the function was read as their sum.
    """
    inputs = [seen.probe for seen in ex.reading.observations]
    if ex.reading.square_only is not None:  # that it fails where N != C is the mistake itself
        inputs += probes_of(ex.kind, False, ex.reading.convention.takes_role("T"))
    for probe in inputs:
        found = _shown(ex, number, mean, probe)
        if found is not None:
            return example_of(ex, ex.smallest(found))
    return None


def example_of_class_0(ex: Examination) -> Example:
    """What becomes of class 0 in a function that expects labels from 1."""
    from_0 = replace(
        ex, reading=replace(ex.reading, convention=replace(ex.reading.convention, target="index"))
    )
    part = next(iter(ex.reading.fits))
    right = truth(ex, part)

    def shows(probe: Probe) -> Evidence | None:
        seen = from_0.recall(probe)
        expected = right.predict(probe, from_0.reading.convention)
        actual: Any = seen.parts.get(part)
        if actual is None:
            actual = seen.outcome.error or seen.outcome.value
        elif not differs(expected, actual, _VISIBLY):
            return None
        if np.any(probe.y != 0):
            return None
        return Evidence(24, probe, part, expected, actual, shows=shows)

    first = ex.reading.observations[0].probe
    first = replace(first, y=np.zeros_like(first.y))
    unseen = Evidence(24, first, part, right.predict(first, from_0.reading.convention), None)
    return example_of(ex, from_0.smallest(replace(shows(first) or unseen, shows=shows)))


def _shown(ex: Examination, number: int | None, mean: bool, probe: Probe) -> Evidence | None:
    """Evidence if the fitted formula, with this mistake in it, explains why a result is wrong."""

    def shows(probe: Probe) -> Evidence | None:
        seen = ex.recall(probe)
        for part in _parts(ex, number):
            right = truth(ex, part, mean)
            expected = right.predict(probe, ex.reading.convention)
            found = Evidence(number, probe, part, expected, seen.parts.get(part), shows=shows)
            if part not in seen.parts:
                error = seen.outcome.error
                if error is not None and ex.reading.square_only is not None:
                    return replace(found, actual=error)
                continue
            if not _off(expected, seen.parts[part]):
                continue
            fit = ex.reading.fits[part]
            if fit is None or number is None or _due_to(ex, fit, number, right, found):
                return found
        return None

    def alike(probe: Probe) -> Evidence | None:
        """Without a formula: wrong in the same way as before."""
        found = shows(probe)
        if found is None or first is None or _manner(found) == _manner(first):
            return found and replace(found, shows=alike)
        return None

    first = shows(probe)
    if first is not None and ex.reading.fits[first.part] is None:
        return replace(first, shows=alike)
    return first


def _parts(ex: Examination, number: int | None) -> list[str]:
    """The parts of the result that may show it: those with this mistake, if any has it."""
    fits = {p: f for p, f in ex.reading.fits.items() if p in ex.reading.observations[0].parts}
    if number is None:
        return [part for part, fit in fits.items() if fit is None]
    return [part for part, fit in fits.items() if fit and number in fit.mistakes] or list(fits)


def _due_to(ex: Examination, fit: Fit, number: int, right: Fit, found: Evidence) -> bool:
    """Whether the fitted formula gives this result, and another one without the mistake."""
    convention = ex.reading.convention
    predicted = fit.predict(found.probe, convention)
    if _off(predicted, found.actual, max(_VISIBLY, 4 * fit.residual)):
        return False
    mended = without(ex, fit, number, right)
    return mended is None or _off(mended.predict(found.probe, convention), predicted)


def _off(expected: Array, actual: Array, share: float = _VISIBLY) -> bool:
    """Whether the numbers differ: of a single row the axes alone say little."""
    if expected.size == actual.size and expected.shape != actual.shape:
        expected, actual = expected.reshape(-1), actual.reshape(-1)
    return differs(expected, actual, share)


def _manner(found: Evidence) -> tuple[bool, bool, bool]:
    actual = found.actual
    error = isinstance(actual, Exception)
    return error, not_finite(actual), not error and np.shape(actual) == np.shape(found.expected)
