"""The same input must give the same result, and must still be there afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from softgrad.doctor import probes
from softgrad.doctor.calling import Outcome, call
from softgrad.doctor.evidence import (
    Evidence,
    Examination,
    differs,
)
from softgrad.doctor.probes import Probe


def second_call(ex: Examination) -> list[Evidence]:
    """The same input must give the same result, and must still be there afterwards."""
    probe = ex.reading.observations[0].probe
    first, second = ex.see(probe), ex.see(probe)
    part = next(iter(first.parts), "")
    if part and part in second.parts:
        a, b = first.parts[part], second.parts[part]
        if a.shape != b.shape or not np.array_equal(a, b, equal_nan=True):
            third = ex.see(probe)
            changing = part in third.parts and not np.array_equal(
                third.parts[part], b, equal_nan=True
            )
            note = "every call gives another result" if changing else "the second call differs"
            close = a.shape == b.shape and not differs(a, b, 1e-3)
            random = changing and close
            if not random or differs(a, b, 1e-9):
                return [Evidence(None if random else 29, probe, part, a, b, 0.9, note=note)]
    roles = [m for m in first.outcome.mutated if ex.kind.family != "step"]
    if roles:
        before = first.outcome.after[roles[0]]
        small = probes.of([[1.0, 2.0, 0.0]], [1]) if not ex.kind.binary else probe
        seen = ex.see(small)
        shown = small if roles[0] in seen.outcome.mutated else probe
        after = (seen if shown is small else first).outcome.after.get(roles[0], before)
        return [
            Evidence(29, shown, "input", _given(ex, shown, roles[0]), after, note="input changed")
        ]
    if ex.subject.again is not None:
        for shown in (probes.of([[1.0, 2.0, 0.0]], [1]), probe):
            twice = call(ex.subject.again, ex.reading.convention, shown, None, ex.time_limit)
            if found := _backward_twice(twice, shown):
                return found
    return []


def _given(ex: Examination, probe: Probe, role: str) -> Any:
    from softgrad.doctor.calling import _material

    return np.asarray(_material(role, ex.reading.convention, probe), dtype=np.float64)


def _backward_twice(outcome: Outcome, probe: Probe) -> list[Evidence]:
    if outcome.error is not None or not isinstance(outcome.value, tuple):
        return []
    a, b = outcome.value[:2]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and differs(a, b, 1e-9):
        return [Evidence(29, probe, "backward", a, b, note="a second backward differs")]
    return []
