"""What shows a mistake: an input on which a function does not do what its fitted formula says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor.kinds import Kind
from softgrad.doctor.probes import Probe
from softgrad.doctor.reading import Observation, Reading, observe, recalled
from softgrad.doctor.request import Request
from softgrad.doctor.shrinking import smallest
from softgrad.doctor.subject import Subject

#: Far out, float32 logits are themselves only good to this share.
CLOSE = 2e-3


@dataclass(frozen=True)
class Evidence:
    """A mistake that an input has shown.

    ``shows`` looks for the same in another input. Where it is left out, that is the same failure of
    the same part of the result, beside what the fitted formula predicts.
    """

    mistake: int | None
    probe: Probe
    part: str
    expected: Any
    actual: Any
    confidence: float = 0.97
    note: str = ""
    remark: bool = False  # only wrong if more is asked of the function than it says
    mask: str = ""  # how a mask is meant, where one was given
    shows: Callable[[Probe], Evidence | None] | None = None


@dataclass
class Examination:
    """A function, how it is called and what it computes on ordinary inputs."""

    request: Request
    kind: Kind
    reading: Reading

    @property
    def subject(self) -> Subject:
        return self.request.subject

    def see(self, probe: Probe, **options: Any) -> Observation:
        return observe(
            self.subject,
            self.kind,
            self.reading.convention,
            probe,
            options,
            self.request.time_limit,
        )

    def recall(self, probe: Probe) -> Observation:
        """The same, without calling again for what has been asked before."""
        return recalled(
            self.subject, self.kind, self.reading.convention, probe, self.request.time_limit
        )

    def compare(self, probe: Probe) -> Iterator[tuple[str, Array, Array | Exception]]:
        """Each part of the result at a probe beside what the fitted formula predicts."""
        seen = self.recall(probe)
        for part, fit in self.reading.fits.items():
            if fit is None:
                continue
            try:
                predicted = fit.predict(probe, self.reading.convention)
            except (ValueError, IndexError):
                continue
            if not np.all(np.isfinite(predicted)):
                continue
            error = seen.outcome.error
            if part in seen.parts:
                yield part, predicted, seen.parts[part]
            elif error is not None:
                yield part, predicted, error

    def smallest(self, evidence: Evidence) -> Evidence:
        """The same evidence on the smallest input that gives it."""
        shows = evidence.shows or (lambda probe: same_failure(self, evidence, probe))
        arrays = ("x", *(n for n in ("g", "teacher") if self.reading.convention.takes_role(n)))
        return smallest(evidence.probe, evidence, shows, arrays)[1]

    @property
    def batch(self) -> bool:
        return not self.reading.convention.single

    @property
    def takes_logits(self) -> bool:
        return self.reading.convention.takes == "logits"


def same_failure(ex: Examination, evidence: Evidence, probe: Probe) -> Evidence | None:
    """The same part of the result failing in the same way: an error, NaN, or another number."""
    for part, predicted, actual in ex.compare(probe):
        if part != evidence.part:
            continue
        if not (isinstance(actual, Exception) or differs(predicted, actual)):
            continue
        text = isinstance(evidence.actual, Exception)
        if isinstance(actual, Exception) == text and not_finite(actual) == not_finite(
            evidence.actual
        ):
            return replace(evidence, probe=probe, expected=predicted, actual=actual)
    return None


def differs(predicted: Array, actual: Array, share: float = CLOSE) -> bool:
    """Whether a result is not the predicted one, by this share of the largest number."""
    if predicted.shape != actual.shape:
        return True
    if not np.all(np.isfinite(actual)):
        return True
    scale = max(1e-3, float(np.abs(predicted).max(initial=0.0)))
    return bool(np.abs(predicted - actual).max(initial=0.0) > share * scale)


def numeric(error: Exception) -> bool:
    """Whether an error is what plain Python says where NumPy says inf or NaN."""
    domain = isinstance(error, ValueError) and "math domain" in str(error)
    return domain or isinstance(error, ArithmeticError)


def with_teacher(probe: Probe, ex: Examination) -> Probe:
    """The teacher stays ordinary while the student's logits grow, and x / T is as far out as x."""
    fixed = ex.reading.convention.temperature
    if not ex.reading.convention.takes_role("T") and fixed == 1.0:
        return probe
    teacher = np.tile([0.5, -0.3, 0.1], (len(probe.x), 1))[:, : probe.x.shape[1]]
    T = 2.0 if fixed == 1.0 else fixed
    return replace(probe, x=T * probe.x, T=T, teacher=teacher)


def first_difference(ex: Examination, probe: Probe, mistake: int) -> Evidence | None:
    for part, predicted, actual in ex.compare(probe):
        if isinstance(actual, Exception):
            if numeric(actual):
                return Evidence(mistake, probe, part, predicted, actual)
            continue
        if differs(predicted, actual):
            return Evidence(mistake, probe, part, predicted, actual)
    return None


def not_finite(actual: Any) -> bool:
    return isinstance(actual, Exception) or not bool(np.all(np.isfinite(actual)))


def has_stage(ex: Examination, *names: str) -> bool:
    """Whether the probabilities are fitted as normalised in such a way."""
    fits = ex.reading.fits.values()
    return any(f.stage.startswith(names) for f in fits if f is not None)


def across_rows(ex: Examination) -> bool:
    """Whether a row's probabilities depend on other rows."""
    return has_stage(ex, "other axis", "whole batch")
