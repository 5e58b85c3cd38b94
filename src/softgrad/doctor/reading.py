"""What a function made of the probes, in one convention, and what explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor import probes
from softgrad.doctor.calling import Convention, Outcome, OvertimeError, call, call_key
from softgrad.doctor.formulas import Form, View
from softgrad.doctor.kinds import Kind
from softgrad.doctor.parts import sort_parts
from softgrad.doctor.probes import Probe
from softgrad.doctor.subject import Subject

#: What float32 arithmetic leaves on ordinary inputs, with room to spare.
TOLERANCE = 3e-5
HALF_TOLERANCE = 2e-2


@dataclass(frozen=True)
class Power:
    """A factor c N^a C^b T^d."""

    c: float
    a: int
    b: int
    d: int

    def at(self, probe: Probe) -> float:
        rows, classes = sizes(probe)
        return float(self.c * rows**self.a * classes**self.b * probe.T**self.d)


@dataclass(frozen=True)
class Fit:
    """A formula that explains one part of the results."""

    part: str
    form: Form
    stage: str
    shifted: bool
    power: Power
    reduced: bool  # one number for all rows
    mistakes: tuple[int, ...]
    residual: float
    exact_zero: bool = False

    def predict(self, probe: Probe, convention: Convention) -> Array:
        """What this formula makes of a probe."""
        view = View(probe, convention, self.stage, self.shifted)
        with np.errstate(all="ignore"):
            values = self.form.evaluate(view)
        total = values.sum() if self.reduced else values
        return np.asarray(self.power.at(probe) * total)


@dataclass
class Observation:
    """What a function made of a probe, part by part."""

    probe: Probe
    parts: dict[str, Array]
    outcome: Outcome


@dataclass
class Reading:
    """A convention, what was observed in it, and what explains it."""

    convention: Convention
    observations: list[Observation]
    fits: dict[str, Fit | None] = field(default_factory=dict)
    square_only: Outcome | None = None  # the failure for N != C, if only N = C works
    cost: float = math.inf
    _views: dict[tuple[int, str, bool], View] = field(default_factory=dict)

    @cached_property
    def groups(self) -> dict[tuple[int, int, float], list[int]]:
        """The places of the observations by number of rows, of classes, and temperature."""
        found: dict[tuple[int, int, float], list[int]] = {}
        for place, seen in enumerate(self.observations):
            found.setdefault((*sizes(seen.probe), seen.probe.T), []).append(place)
        return found

    def view(self, place: int, stage: str, shifted: bool) -> View:
        """An observation's probe as a formula sees it, computed once."""
        key = (place, stage, shifted)
        if key not in self._views:
            probe = self.observations[place].probe
            self._views[key] = View(probe, self.convention, stage, shifted)
        return self._views[key]

    @property
    def explained(self) -> bool:
        return bool(self.fits) and all(fit is not None for fit in self.fits.values())

    @property
    def nothing(self) -> bool:
        """Whether nothing but zeros came back."""
        return all(fit is not None and fit.power.c == 0 for fit in self.fits.values())

    @property
    def mistakes(self) -> tuple[int, ...]:
        found = {m for fit in self.fits.values() if fit for m in fit.mistakes}
        return tuple(sorted(found | ({10} if self.square_only else set())))

    @property
    def tolerance(self) -> float:
        half = any(word in self.observations[0].outcome.kind for word in ("float16", "bfloat16"))
        return HALF_TOLERANCE if half else TOLERANCE


def sizes(probe: Probe) -> tuple[int, int]:
    return (probe.x.shape[0], probe.x.shape[1]) if probe.x.ndim == 2 else (len(probe.x), 1)


def probes_of(kind: Kind, square: bool, with_temperature: bool) -> list[Probe]:
    """Ordinary inputs; where there is a temperature, at several temperatures."""
    seeds = (
        (0, 1, 2) if kind.family in ("loss", "both", "distillation", "step", "layer") else (0, 1)
    )
    if kind.binary:
        return [probes.random_binary(n, seed) for n in (4, 6) for seed in seeds]
    shapes: tuple[tuple[int, int], ...] = probes.SQUARE if square else probes.SHAPES
    base = 2.0 if with_temperature else 1.0
    found = [probes.random(n, c, seed, base) for n, c in shapes for seed in seeds]
    if with_temperature:
        found += [probes.random(*shapes[0], seed, t) for t in (3.0, 1.0) for seed in seeds]
    return [_consistent(p, kind) for p in found]


def _consistent(probe: Probe, kind: Kind) -> Probe:
    """For layers the logits are those of the layer."""
    if kind.family in ("layer", "step"):
        assert probe.X is not None
        assert probe.W is not None
        return replace(probe, x=probe.X @ probe.W + probe.b)
    return probe


def observe(
    subject: Subject,
    kind: Kind,
    convention: Convention,
    probe: Probe,
    options: dict[str, Any] | None = None,
    time_limit: float = 10.0,
) -> Observation:
    """Call the function and sort what it returns into parts; no parts if that failed."""
    outcome = call(subject.function, convention, probe, options, time_limit)
    parts: dict[str, Array] = {}
    if outcome.error is None:
        parts = sort_parts(kind, convention, probe, outcome)
    return Observation(probe, parts, outcome)


def recalled(
    subject: Subject, kind: Kind, convention: Convention, probe: Probe, time_limit: float
) -> Observation:
    """The same, without calling again for what has been asked before."""
    key = call_key(convention, probe)
    if key not in subject.calls:
        subject.calls[key] = call(subject.function, convention, probe, None, time_limit)
    outcome = subject.calls[key]
    parts = {} if outcome.error else sort_parts(kind, convention, probe, outcome)
    return Observation(probe, parts, outcome)


def read(
    subject: Subject, kind: Kind, convention: Convention, time_limit: float
) -> tuple[Reading | None, Outcome]:
    """Observe a function in one convention; None if it does not work in it at all.

    What it returns for a probe is remembered: other kinds ask for the same.
    """
    heated = convention.takes_role("T")
    first: Outcome | None = None
    for square in (False, True):
        inputs = probes_of(kind, square, heated)
        observations = []
        for probe in inputs:
            seen = recalled(subject, kind, convention, probe, time_limit)
            if not seen.parts:
                break
            observations.append(seen)
        if len(observations) == len(inputs):
            alike = {tuple(o.parts) for o in observations}
            if len(alike) == 1:
                return Reading(convention, observations, square_only=first), observations[0].outcome
        first = first or seen.outcome
        if isinstance(seen.outcome.error, OvertimeError):
            break
        if kind.binary or convention.layout in ("row", "C1", "CN") or convention.nested:
            break
    return None, first or Outcome()
