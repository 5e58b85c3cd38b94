"""Logits far from 0: overflow, limits, and one maximum for rows that differ in size."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from softgrad.doctor import probes
from softgrad.doctor.evidence import (
    Evidence,
    Examination,
    across_rows,
    differs,
    first_difference,
    has_stage,
    not_finite,
    with_teacher,
)
from softgrad.doctor.probes import Probe

#: Levels at which a limit of the logits is looked for; where exp overflows there is no use in one.
_LEVELS = (12.0, 25.0, 60.0, 120.0, 600.0, 1000.0)
_GAPS = np.array([[0.0, -5.0, -8.0]])


def large_logits(ex: Examination) -> list[Evidence]:
    """Overflow, limits, and rows that are far below the largest of all."""
    if ex.kind.binary:
        return _large_log_odds(ex)
    offset = np.array([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 1.0, 3.0]])
    for c in (1000.0, -1000.0):
        shown = first_difference(ex, with_teacher(probes.of(offset + c, [1, 2, 0]), ex), 11)
        if shown and not across_rows(ex):
            one = with_teacher(probes.of(offset[:1, :2] + c, [1]), ex)
            shown = first_difference(ex, one, 11) or shown
        if shown and not_finite(shown.actual):
            return [shown, *_limited(ex, _LEVELS[:3] if c > 0 else _LEVELS)]
    return _limited(ex, _LEVELS) or _one_maximum(ex)


def _one_maximum(ex: Examination) -> list[Evidence]:
    if not ex.batch or has_stage(ex, "whole batch"):
        return []  # what is normalised together has to be far from the maximum of all
    far = [[1000.0, 1001.0, 999.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]]
    if has_stage(ex, "other axis"):
        far = [[1000.0, 0.0, 3.0], [1001.0, 1.0, 0.0], [999.0, 2.0, 1.0]]
    for rows in (2, 3):  # functions that have lost an axis work for N = C alone
        shown = first_difference(ex, with_teacher(probes.of(far[:rows], [1, 0, 2][:rows]), ex), 9)
        if shown:
            return [shown]
    return []


def _limited(ex: Examination, levels: tuple[float, ...]) -> list[Evidence]:
    """Finite but other values where all logits are large: cut off, or wrong in some other way."""
    if "float16" in ex.reading.observations[0].outcome.kind:
        return []  # it cannot tell 1001 from 1000
    lower = 4.0
    for level in levels:
        for above, width in itertools.product((True, False), (2, 3)):
            if _deviates(ex, level, above, width):
                limit = _where(ex, lower, level, above, width)
                found = _cut_off(ex, limit, above, width)
                return [found] if found else []
        lower = level
    return []


def _probe(ex: Examination, size: float, above: bool, width: int) -> Probe:
    """Logits that are all far above or below 0, with the same gaps wherever they are."""
    return with_teacher(probes.of(_GAPS[:, :width] + (size if above else 8.0 - size), [1]), ex)


def _deviates(ex: Examination, size: float, above: bool, width: int) -> Evidence | None:
    """Where the gaps give something else than they give near 0.

    That is the measure, so that another error in the tails is not taken for a limit.
    """
    far, near = _probe(ex, size, above, width), _probe(ex, 4.0, True, width)
    for here, there in zip(ex.compare(far), ex.compare(near), strict=False):
        if isinstance(here[2], Exception) or isinstance(there[2], Exception):
            continue
        expected = here[1] + (there[2] - there[1])
        if not not_finite(here[2]) and differs(expected, here[2]):
            return Evidence(12, far, here[0], here[1], here[2])
    return None


def _where(ex: Examination, low: float, high: float, above: bool, width: int) -> float:
    """The size from which on it deviates, by bisection."""
    for _ in range(10):
        middle = (low + high) / 2
        if _deviates(ex, middle, above, width):
            high = middle
        else:
            low = middle
    return high


def _cut_off(ex: Examination, limit: float, above: bool, width: int) -> Evidence | None:
    """Mistake 12 if the logits are cut off at the limit, else something that has no number."""
    size = float(np.ceil(limit)) + 3.0
    shown = _deviates(ex, size, above, width) or _deviates(ex, 2 * size, above, width)
    if shown is None:  # it deviates in between only
        shown = _deviates(ex, limit, above, width)
    if shown is None:
        return None  # another result now: the second call will tell
    fit = ex.reading.fits[shown.part]
    assert fit is not None
    x = shown.probe.x
    T = shown.probe.T  # x has been multiplied by it
    for at in (T * limit, float(np.round(T * limit)), T * float(np.floor(limit))):
        cut = replace(shown.probe, x=np.minimum(x, at) if above else np.maximum(x, -at))
        cut = replace(cut, W=cut.x)  # the features are unit vectors
        predicted = fit.predict(cut, ex.reading.convention)
        if np.all(np.isfinite(predicted)) and not differs(predicted, shown.actual, 2e-2):
            return shown
    side = "above" if above else "below -"
    note = f"only at large logits: {side} about {limit:.3g} it is wrong"
    return replace(shown, mistake=None, confidence=0.9, note=note.replace("- about ", "about -"))


def _large_log_odds(ex: Examination) -> list[Evidence]:
    x, y = np.array([1000.0, -1000.0]), np.array([1, 0])
    shown = first_difference(ex, probes.of(x, y, [1.0, 1.0]), 11)
    if shown is None or not not_finite(shown.actual):
        return []
    if ex.kind.family == "loss" and _logarithm_of_a_difference(ex):
        return []  # left to the check of confident and wrong answers
    return [shown]


def _logarithm_of_a_difference(ex: Examination) -> bool:
    """Whether it fails long before exp overflows, as log(1 - s) does, or log(s) at y = 1 alone.

    -log(1 / (1 + exp(-x))) and log(1 + exp(-x)) are the same numbers, infinite ones too; where the
    answer 0 is all right at large x, the former is the likelier.
    """
    early = first_difference(ex, probes.of(np.array([60.0]), [0]), 13)
    late = first_difference(ex, probes.of(np.array([720.0]), [0]), 13)
    return early is not None or late is None
