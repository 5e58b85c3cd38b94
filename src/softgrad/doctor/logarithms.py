"""The logarithm of a probability that has become 0, or that is kept away from 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.evidence import (
    Evidence,
    Examination,
    across_rows,
    differs,
    not_finite,
    numeric,
    with_teacher,
)


def confident_and_wrong(ex: Examination) -> list[Evidence]:
    """The logarithm of a probability that has become 0, or that is kept away from 0."""
    kind = ex.kind
    if not ({"loss", "grad"} & set(ex.reading.fits) or kind.name == "log_softmax"):
        return []
    if kind.name in ("nll", "sigmoid_grad") and ex.reading.convention.takes != "probabilities":
        return []
    if kind.binary:
        return _confident_log_odds(ex)
    low = 1500.0 if ex.reading.convention.takes_role("T") else 800.0
    if not ex.takes_logits:
        low = 60.0
    short, wide = [[-low, 0.0]], [[-low, 0.0, -1.0]]
    if ex.batch and across_rows(ex):
        short = wide = []  # a single row would be divided by itself
    return _at_low(ex, short if _two_classes_work(ex) else wide, [0]) or (
        _at_low(ex, [[-low, 0.0, -1.0], [0.5, -low, 0.0]], [0, 1]) if ex.batch else []
    )


def _at_low(ex: Examination, x: list[list[float]], y: list[int]) -> list[Evidence]:
    if not x:
        return []
    fits = ex.reading.fits
    if any(fit is not None and fit.shifted for fit in fits.values()):
        y = [(label + 1) % len(x[0]) for label in y]  # what it takes for the low one
    probe = with_teacher(probes.of(x, y), ex)
    for part, predicted, actual in ex.compare(probe):
        fit = fits[part]
        if isinstance(actual, Exception):
            if numeric(actual) and ex.takes_logits:
                mistake = 11 if isinstance(actual, OverflowError) else 13
                return [Evidence(mistake, probe, part, predicted, actual)]
            continue
        if fit is None or not differs(predicted, actual):
            continue
        if not_finite(actual):
            if ex.takes_logits:
                return [Evidence(13, probe, part, predicted, actual)]
            continue
        near = with_teacher(probes.of(np.maximum(x, -50.0), y), ex)
        at_50 = next((e for e in ex.compare(near) if e[0] == part), None)
        # In a binary cross-entropy log(1 - p) has lost its digits long before p is 0: there a limit
        # is one only if the loss stays below what it should be.
        yes_no = 17 in fit.mistakes
        if at_50 and not isinstance(at_50[2], Exception) and differs(at_50[1], at_50[2]):
            above = bool(np.abs(at_50[2]).max() >= np.abs(at_50[1]).max())
            if not (yes_no and above):
                return [Evidence(14, near, part, at_50[1], at_50[2], note=_floor(at_50[2]))]
        if not yes_no:
            return [Evidence(14, probe, part, predicted, actual, note=_floor(actual))]
    return []


def _two_classes_work(ex: Examination) -> bool:
    return all(
        not isinstance(actual, Exception)
        for _, _, actual in ex.compare(with_teacher(probes.of([[0.0, 1.0]], [0]), ex))
    )


def _floor(actual: Any) -> str:
    value = float(np.abs(actual).max(initial=0.0))
    return f"the loss stops at {value:.4g} = -log({np.exp(-value):.2g})" if value > 2 else ""


def _confident_log_odds(ex: Examination) -> list[Evidence]:
    low = 800.0 if ex.takes_logits else 60.0
    for x, y in (([-low], [1]), ([low], [0]), ([low], [1])):
        probe = probes.of(np.array(x), np.array(y), np.ones(1))
        if not ex.takes_logits and x[0] > 0:
            continue  # 1 - p is 0 already in the argument
        for part, predicted, actual in ex.compare(probe):
            if isinstance(actual, Exception):
                if numeric(actual) and ex.takes_logits:
                    mistake = 11 if isinstance(actual, OverflowError) else 13
                    return [Evidence(mistake, probe, part, predicted, actual)]
                continue
            if not differs(predicted, actual):
                continue
            if not_finite(actual):
                if ex.takes_logits:
                    return [Evidence(13, probe, part, predicted, actual)]
                continue
            near = probes.of(np.array(x) / 16 if ex.takes_logits else np.array(x), y, np.ones(1))
            at_50 = next((e for e in ex.compare(near) if e[0] == part), None)
            if at_50 and not isinstance(at_50[2], Exception) and differs(at_50[1], at_50[2]):
                actual, predicted, probe = at_50[2], at_50[1], near
            mistake = 12 if part == "loss" and ex.takes_logits and _whole(actual) else 14
            note = "" if mistake == 12 else _floor(actual)
            return [Evidence(mistake, probe, part, predicted, actual, note=note)]
    return []


def _whole(loss: Array) -> bool:
    """Whether a loss stops at a whole number: clipped log-odds do that, eps = 10^-k does not."""
    top = float(np.abs(loss).max())
    return top > 4 and abs(top - round(top)) < 1e-6 * top
