"""Right implementations in many styles; none may be blamed."""

from __future__ import annotations

import importlib.util

from tests.doctor.healthy import (
    classes,
    gradients,
    jacobians,
    layers,
    libraries,
    losses,
    rows,
)
from tests.doctor.healthy.registry import HEALTHY, healthy

assert classes, gradients
assert jacobians, layers
assert libraries, losses
assert rows  # they add to HEALTHY
if importlib.util.find_spec("torch"):
    importlib.import_module("tests.doctor.healthy.pytorch")

__all__ = ["HEALTHY", "healthy"]
