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
    """In the usual names, and given what comes before them in the function."""
    rng = np.random.default_rng(number)
    X, W, b = rng.normal(size=(4, 2)), rng.normal(size=(2, 3)), rng.normal(size=3)
    x, teacher, T, w = X @ W + b, rng.normal(size=(4, 3)), 2.0, np.array([1.0, 2.0, 5.0, 3.0])
    y = np.array([2, -1, 1, 2]) if number == 25 else np.array([2, 0, 1, 2])
    given: dict[str, object] = {"np": np, "X": X, "W": W.copy(), "b": b.copy(), "x": x.copy()}
    given |= {"y": y, "T": T, "w": w, "teacher": teacher, "lr": 0.1, "f": lambda z: z.sum()}
    distilled, heated = family.startswith("distillation"), number == 22
    z = x / T if distilled else x
    p, q = np.asarray(sg.softmax(z)), np.asarray(sg.softmax(teacher / T))
    given |= {"p": p, "log_p": np.log(p), "q": q, "log_q": np.log(q), "g": q, "dloss_dp": q}
    options = {"ignore_index": -1, "sample_weight": w if number == 20 else None}
    grad = np.asarray(sg.cross_entropy.grad(x, y, **options)) / (T if heated else 1.0)
    right: dict[str, object] = {
        "p": p,
        "log_p": np.log(p),
        "lse": sg.logsumexp(x),
        "J": sg.softmax.jacobian(x) / (T if heated else 1.0),
        "grad_x": sg.softmax.vjp(x, q) / (T if heated else 1.0),
        "loss": sg.cross_entropy(x, y, **options),
        "grad": grad,
        "dW": X.T @ grad,
        "db": grad.sum(axis=0),
        "W": W - 0.1 * X.T @ grad if family == "step" else W,
        "b": b - 0.1 * grad.sum(axis=0) if family == "step" else b,
    }
    if number == 6:
        right["grad"] = 2 * np.asarray(sg.softmax.vjp(x, p - np.eye(3)[y])) / 4
    if distilled or number == 23:
        given |= {"x": x} if distilled else {}
        right["loss"] = T * T * (q * (np.log(q) - np.log(p))).sum() / 4
        right["grad"] = T * (p - q) / 4
    if number == 27:
        given["mask"] = mask = np.array([[True, True, False]] * 4)
        right |= {"p": sg.softmax(x, where=mask), "log_p": sg.log_softmax(x, where=mask)}
    if family == "binary" or number == 26:
        x, y = x[:, 0], np.array([1, 0, 1, 1])
        given |= {"x": x, "y": y}
        right = {
            "s": sg.sigmoid(x),
            "loss": np.mean(np.logaddexp(0, x) - x * y),
            "grad": (sg.sigmoid(x) - y) / 4,
        }
    space = dict(given)
    exec(MISTAKES[number].fix[family], space)
    written = {n for n in right if n in space and space[n] is not given.get(n)}
    assert written or family == "step" or number == 30
    for name in {*written, *({"W", "b"} if family == "step" else ())}:
        np.testing.assert_allclose(space[name], right[name], rtol=1e-12, atol=1e-15, err_msg=name)
