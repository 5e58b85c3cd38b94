"""What people write in courses, tutorials and repositories is understood, right or wrong."""

from __future__ import annotations

import importlib
import importlib.util

import numpy as np
import pytest

import softgrad as sg
from tests.doctor.field import FIELD
from tests.doctor.patients import Patient, log_softmax, one_hot

for library in ("torch", "jax"):
    if importlib.util.find_spec(library):
        importlib.import_module(f"tests.doctor.field_{library}")  # adds to FIELD


@pytest.mark.parametrize("case", FIELD, ids=lambda case: case.id)
def test_it_is_understood(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    assert report.mistakes == case.mistakes, str(report)


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.137])
@pytest.mark.parametrize("over", ["all", "others"])
def test_label_smoothing_that_is_fixed_inside_is_understood(smoothing: float, over: str) -> None:
    def target(y, C):
        hot = one_hot(y, C)
        spread = (1 - hot) / (C - 1) if over == "others" else 1 / C
        return (1 - smoothing) * hot + smoothing * spread

    def cross_entropy(x, y):
        return -(target(y, x.shape[1]) * log_softmax(x)).sum(axis=1).mean()

    def cross_entropy_grad(x, y):
        return target(y, x.shape[1]) - np.exp(log_softmax(x))

    right, wrong = sg.examine(cross_entropy), sg.examine(cross_entropy_grad)
    assert right.healthy, str(right)
    assert right.understood["label smoothing"].startswith(f"{smoothing:g}, fixed inside, over")
    assert over.split("s")[0] in right.understood["label smoothing"]
    assert 21 in wrong.mistakes, str(wrong)
    assert "label smoothing" in wrong.understood
