"""The same input must give the same result, and must still be there afterwards."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from softgrad.doctor.calling import call, material
from softgrad.doctor.evidence import Evidence, Examination, differs
from softgrad.doctor.probes import Probe


def second_call(ex: Examination) -> list[Evidence]:
    """What a call leaves behind: in the results to come, in its arguments, in the object."""
    probe = ex.reading.observations[0].probe
    for look in (_another_result, _changed_input, _backward_twice):
        shows = partial(look, ex)
        found = shows(probe)
        if found is not None:
            return [replace(found, shows=shows)]
    return []


def _another_result(ex: Examination, probe: Probe) -> Evidence | None:
    first, second = ex.see(probe), ex.see(probe)
    part = next(iter(first.parts), "")
    if not part or part not in second.parts:
        return None
    a, b = first.parts[part], second.parts[part]
    if a.shape == b.shape and np.array_equal(a, b, equal_nan=True):
        return None
    third = ex.see(probe)
    changing = part in third.parts and not np.array_equal(third.parts[part], b, equal_nan=True)
    note = "every call gives another result" if changing else "the second call differs"
    random = changing and a.shape == b.shape and not differs(a, b, 1e-3)
    if random and not differs(a, b, 1e-9):
        return None
    return Evidence(None if random else 29, probe, part, a, b, 0.9, note=note)


def _changed_input(ex: Examination, probe: Probe) -> Evidence | None:
    if ex.kind.family == "step":
        return None  # that is what it is for
    outcome = ex.see(probe).outcome
    if not outcome.mutated:
        return None
    role = outcome.mutated[0]
    given: Any = material(role, ex.reading.convention, probe)
    before = np.asarray(given, dtype=np.float64)
    return Evidence(29, probe, "input", before, outcome.after[role], note="input changed")


def _backward_twice(ex: Examination, probe: Probe) -> Evidence | None:
    if ex.subject.again is None:
        return None
    limit = ex.request.time_limit
    outcome = call(ex.subject.again, ex.reading.convention, probe, None, limit)
    if outcome.error is not None or not isinstance(outcome.value, tuple):
        return None
    a, b = outcome.value[:2]
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and differs(a, b, 1e-9):
        return Evidence(29, probe, "backward", a, b, note="a second backward differs")
    return None
