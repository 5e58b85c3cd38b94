"""The list of right implementations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.doctor.patients import Patient

HEALTHY: list[Patient] = []


def healthy(kind: str, **options: Any) -> Callable[[Any], Any]:
    """A right function of this kind, examined with these options."""

    def register(function: Any) -> Any:
        HEALTHY.append(Patient(function, kind, (), options))
        return function

    return register
