"""Which kind a function is and how it wants to be called: the cheapest explanation of its results.

What speaks against an explanation is counted in mistakes: those that it needs, and what name,
signature and text of the function say against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.doctor.calling import Convention, Outcome, OvertimeError
from softgrad.doctor.conventions import candidates, conventions
from softgrad.doctor.evidence import Examination, differs
from softgrad.doctor.extremes import extremes
from softgrad.doctor.fitting import NOTHING_FITS, expected_power, fit_part
from softgrad.doctor.formulas import Form
from softgrad.doctor.inside import fit
from softgrad.doctor.kinds import Kind, kinds_of_name
from softgrad.doctor.reading import Fit, Reading, read
from softgrad.doctor.request import Request

_LEFT_OUT = 4.0  # more than three mistakes: results that are not looked at hide as many
_LOOSE = 3e-2
_VERY_LOOSE = 0.4  # what a step of 1e-5 leaves of a difference in float32


@dataclass
class Choice:
    """The search for the best kind and reading, and what has failed on the way."""

    request: Request
    kinds: list[Kind] = field(default_factory=list)
    overtime: bool = False
    failures: dict[str, list[tuple[Convention, Outcome]]] = field(default_factory=dict)
    _works: tuple[str, ...] = ()  # the frameworks in which it has worked

    def best(self) -> tuple[Kind, Reading] | None:
        """The cheapest explanation; None if the function works in no way at all."""
        self.kinds = candidates(self.request.subject, self.request.claimed)
        best: tuple[float, Kind, Reading] | None = None
        for place, kind in enumerate(self.kinds):
            if self.overtime:
                break
            if best is not None and self._settled(*best[1:]) and not self.named(kind):
                break  # what the name says has explained it
            # Earlier kinds are likelier by their name, which breaks ties.
            strange = any(map(self.named, self.kinds)) and not self.named(kind)
            enough = math.inf if best is None else best[0] - 0.05 * place - strange
            reading = self._best_reading(kind, enough)
            if reading is None or (strange and kind.binary and reading.mistakes):
                continue  # without a word for it nobody asks a yes/no question wrongly
            partly = self._leaves_out(reading)
            strange = strange or (kind.binary and not self.named(kind))
            rank = reading.cost + 0.05 * place + strange + _LEFT_OUT * partly
            if best is not None and self.named(best[1]) and reading.nothing:
                rank += NOTHING_FITS  # a result of zeros is no better than one that fits nothing
            if best is None or rank < best[0]:
                best = (rank, kind, reading)
            if best[2].explained and best[0] < 0.9:
                break
        return None if best is None else best[1:]

    def named(self, kind: Kind) -> bool:
        """Whether the function's name says that it is of this kind."""
        subject = self.request.subject
        return kind in kinds_of_name(subject.name) or bool(subject.two_phases)

    def _settled(self, kind: Kind, reading: Reading) -> bool:
        """Whether a kind that the name says explains the results well enough to stop there."""
        name = self.request.subject.name.lower()
        vague = kind.name == "softmax_backward" and "softmax" not in name
        few = self.named(kind) and reading.explained and len(reading.mistakes) <= 1
        return few and not vague and not self._leaves_out(reading)

    def _leaves_out(self, reading: Reading) -> bool:
        """Whether a guessed kind explains only one of several results."""
        value = reading.observations[0].outcome.value
        arrays = [v for v in value if v is not None] if isinstance(value, tuple) else []
        return self.request.claimed is None and len(reading.fits) < min(len(arrays), 2)

    def _best_reading(self, kind: Kind, enough: float) -> Reading | None:
        """The cheapest explanation over all conventions in which the function works.

        None if there is none that costs less than ``enough``.
        """
        request = self.request
        best: Reading | None = None
        worked: set[tuple[Any, ...]] = set()
        readings: list[Reading] = []
        open_: list[Reading] = []
        ways = [
            c
            for c in conventions(request.subject, kind, request.layout)
            if request.takes is None or c.takes == request.takes
        ]
        if request.takes is not None:
            ways = [replace(c, cost=0.0 if c.layout in ("NC", "N") else c.cost) for c in ways]
        for way in sorted(ways, key=lambda c: c.cost):
            if way.cost >= (enough if best is None else min(enough, best.cost)):
                break
            if self._works and way.framework not in self._works:
                continue  # one that takes these arrays takes no others
            if way.nested and any(r.convention.layout == "NC" for r in readings):
                continue  # only for functions that insist on more axes
            # Lists behave otherwise than arrays: a slice of a list is a copy.
            form = (
                way.arguments,
                way.takes,
                way.layout,
                way.target,
                way.mask,
                way.framework == "list",
            )
            if form in worked:
                continue
            reading, outcome = read(request.subject, kind, way, request.time_limit)
            if reading is None:
                self.failures.setdefault(kind.name, []).append((way, outcome))
                if isinstance(outcome.error, OvertimeError):
                    self.overtime = True
                    return best
                continue
            worked.add(form)
            plain = ("numpy", "list")
            self._works = plain if way.framework in plain else (way.framework,)
            fit(kind, reading, request.squared)
            readings.append(reading)
            if not reading.explained:
                open_.append(reading)
            if best is None or reading.cost < best.cost:
                best = reading
        if best is not None and not best.explained:
            for reading in open_[:3]:
                self._loosely(kind, reading)
            best = min(open_, key=lambda r: r.cost)
        if kind.has_target and not kind.binary and (best is None or not best.explained):
            return self._labels_from_one(kind, ways) or best
        return best

    def _labels_from_one(self, kind: Kind, ways: list[Convention]) -> Reading | None:
        for way in sorted(ways, key=lambda c: c.cost):
            if way.target != "index" or way.single:
                continue
            shifted = replace(way, target="index from 1", cost=way.cost + 1.0)
            reading, _ = read(self.request.subject, kind, shifted, self.request.time_limit)
            if reading is not None:
                fit(kind, reading, self.request.squared)
                if reading.explained:
                    return reading
        return None

    def _loosely(self, kind: Kind, reading: Reading) -> None:
        """A large eps within a logarithm, or noise, is visible on ordinary inputs already."""
        for part, found in list(reading.fits.items()):
            if found is not None:
                continue
            d = expected_power(kind, part, reading.convention)
            for tolerance in (_LOOSE, _VERY_LOOSE):
                loose = fit_part(kind, part, reading, d, tolerance, self.request.squared)
                if loose is None or (tolerance == _VERY_LOOSE and loose.mistakes):
                    continue
                ex = Examination(self.request, kind, replace(reading, fits={part: loose}))
                if _is_noise(ex, part, loose):
                    mistakes = tuple(sorted({*loose.mistakes, 30}))
                    reading.fits[part] = replace(loose, mistakes=mistakes)
                elif tolerance == _LOOSE and _is_eps(ex, part, loose):
                    reading.fits[part] = loose
                break
        if reading.explained:
            reading.cost = reading.convention.cost + len(reading.mistakes) + 0.5


def _is_eps(ex: Examination, part: str, loose: Fit) -> bool:
    """Whether the limit of the loss, -log eps, explains what it lacks on ordinary inputs too."""
    if loose.form.right == "squared error" or {16, 28} & set(loose.mistakes):
        return False  # there is no logarithm
    shown = next((e for e in extremes(ex) if e.mistake == 14 and e.part == part), None)
    if shown is None:
        return False
    if part != "loss" or loose.form.name != "-log p_y" or loose.power.c == 0:
        return True
    fit_of_ones = replace(loose, form=Form("1", (), lambda v: np.ones(len(v.probe.x))))
    unit = fit_of_ones.predict(shown.probe, ex.reading.convention)
    eps = np.exp(-np.max(np.asarray(shown.actual) / unit))

    def limited(way: Callable[[Array], Array]) -> Form:
        return Form("", (), lambda v: -(v.y * np.log(way(np.exp(v.log_p)))).sum(axis=1))

    ways = (lambda p: p + eps, lambda p: np.maximum(p, eps), lambda p: (p + eps) / (1 + eps))
    for way in ways:
        exact = replace(loose, form=limited(way))
        seen = ex.reading.observations
        pairs = [(exact.predict(o.probe, ex.reading.convention), o.parts[part]) for o in seen]
        if not any(differs(right, got) for right, got in pairs):
            return True
    return False


def _is_noise(ex: Examination, part: str, loose: Fit) -> bool:
    """Whether the error jumps when the input moves a little: rounding, not a formula."""
    if part not in ("grad", "jacobian", "vjp", "dW", "db", "dX"):
        return False
    probe = ex.reading.observations[0].probe
    again = ex.see(probe).parts.get(part)
    first = ex.reading.observations[0].parts[part]
    if again is None or not np.array_equal(again, first):
        return False
    near = replace(probe, x=probe.x + 1e-4)
    if probe.W is not None and ex.kind.family in ("layer", "step"):
        near = replace(probe, W=probe.W + 1e-4)
    moved = ex.see(near).parts.get(part)
    if moved is None or moved.shape != first.shape:
        return False
    before = first - loose.predict(probe, ex.reading.convention)
    after = moved - loose.predict(near, ex.reading.convention)
    return bool(np.linalg.norm(after - before) > 0.2 * np.linalg.norm(before))
