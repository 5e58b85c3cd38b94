"""Every mistake of the catalogue is named, alone and in pairs."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.doctor.catalogue import MISTAKES
from tests.doctor import patients_styles
from tests.doctor.pair_matrix import MATRIX
from tests.doctor.pairs import PAIRS
from tests.doctor.patients import PATIENTS, Patient

assert patients_styles  # adds to PATIENTS


@pytest.mark.parametrize("case", PATIENTS, ids=lambda case: case.id)
def test_the_mistake_is_named(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    assert report.mistakes == case.mistakes, str(report)
    assert not report.healthy
    (finding,) = report.findings
    assert finding.title == MISTAKES[case.mistakes[0]].title
    assert finding.fix
    assert finding.why
    assert finding.confidence > 0.5
    assert finding.example is not None
    assert str(finding.actual) != str(finding.expected)


def test_every_row_of_the_catalogue_has_a_patient() -> None:
    assert {m for case in PATIENTS for m in case.mistakes} == set(range(1, 31)) == set(MISTAKES)


@pytest.mark.parametrize("case", [*PAIRS, *MATRIX], ids=lambda case: case.id)
def test_both_mistakes_are_named(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    assert report.mistakes == case.mistakes, str(report)
    assert all(finding.example is not None for finding in report.findings)


@pytest.mark.parametrize(
    "case",
    [p for p in PATIENTS if p.function.__name__.startswith(p.kind[:7]) and not p.options],
    ids=lambda case: case.id,
)
def test_the_mistake_is_named_without_being_told_the_kind(case: Patient) -> None:
    if case.function.__name__ == "sigmoid_by_softmax":
        pytest.skip("its name says that it is a softmax, and that it is")
    report = sg.examine(case.function)
    assert report.mistakes == case.mistakes, str(report)


@pytest.mark.parametrize(
    ("number", "family"), [(m.number, f) for m in MISTAKES.values() for f in m.fix]
)
def test_the_corrected_lines_run_and_are_right(number: int, family: str) -> None:
    """In them x, p, log_p are logits and their softmax, y class indices, Y one-hot rows."""
    rng = np.random.default_rng(number)
    x, q = rng.normal(size=(4, 3)), np.asarray(sg.softmax(rng.normal(size=(4, 3))))
    y, labels = np.array([2, 0, 1, 2]), np.array([3, 1, 2, 3])
    if number == 25:
        y = np.array([2, -1, 1, 2])
    p, log_p, w, T = np.asarray(sg.softmax(x)), np.asarray(sg.log_softmax(x)), y + 2.0, 2.0
    losses = -log_p[np.arange(4), y]
    mask = np.array([[True, True, False]] * 4)
    right: dict[str, object] = {
        "p": sg.softmax(x, where=mask) if number == 27 else p,
        "log_p": log_p,
        "lse": sg.logsumexp(x),
        "J": sg.softmax.jacobian(x) / (T if number == 22 else 1.0),
        "grad_x": sg.softmax.vjp(x, q) / (T if number == 22 else 1.0),
        "loss": sg.cross_entropy(x, y, ignore_index=-1),
        "grad": sg.cross_entropy.grad(x, y, ignore_index=-1),
    }
    if number == 20:
        right["loss"] = sg.cross_entropy(x, y, sample_weight=w)
        right["grad"] = sg.cross_entropy.grad(x, y, sample_weight=w)
    if number == 6:
        right["grad"] = 2 * np.asarray(sg.softmax.vjp(x, p - np.eye(3)[y])) / 4
    if family == "distillation" and number in (5, 18, 19, 21, 22, 23):
        right["loss"] = T * T * (q * (np.log(q) - log_p)).sum() / 4
        right["grad"] = T * (p - q) / 4
    if number == 22 and family == "":
        right["grad"] = np.asarray(right["grad"]) / T
    if number == 23:
        right["loss"] = T * T * (q * (np.log(q) - log_p)).sum() / 4
    if number == 29 and not family:
        right["grad"] = 4 * np.asarray(right["grad"])
    if family == "vjp" and number == 29:
        right["grad"] = right["grad_x"]
    if family == "binary" or number == 26:
        x, y = x[:, 0], np.array([1, 0, 1, 1])
        right = {
            "s": sg.sigmoid(x),
            "loss": np.mean(np.logaddexp(0, x) - x * y),
            "grad": (sg.sigmoid(x) - y) / 4,
        }
    space: dict[str, object] = {
        "np": np,
        "softmax": lambda z: np.asarray(sg.softmax(z)),
        "sigmoid": lambda z: np.asarray(sg.sigmoid(z)),
        "f": lambda z: z.sum(),
        "x": x.copy(),
        "y": y,
        "Y": np.eye(3)[y],
        "p": p.copy(),
        "log_p": log_p,
        "g": q,
        "q": q,
        "log_q": np.log(q),
        "T": T,
        "w": w,
        "losses": losses,
        "mask": mask,
        "labels": labels,
        "dloss_dp": q,
        "e": np.exp(x),
        "lr": 0.1,
        "X": np.ones((4, 2)),
        "W": np.zeros((2, 3)),
        "b": np.zeros(3),
    }
    exec(MISTAKES[number].fix[family], space)
    for name, value in right.items():
        if name in space:
            np.testing.assert_allclose(space[name], value, rtol=1e-12, err_msg=name)
