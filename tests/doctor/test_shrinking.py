"""The example of a finding is the smallest input that shows it."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.doctor import probes
from softgrad.doctor.shrinking import smallest
from tests.doctor import patients_styles
from tests.doctor.pair_matrix import MATRIX
from tests.doctor.pairs import PAIRS
from tests.doctor.patients import PATIENTS, Patient, one_hot, softmax

assert patients_styles  # adds to PATIENTS
#: Rows that a mistake needs to show at all; one does for the others.
ROWS = {3: 2, 7: 2, 9: 2, 10: 3, 18: 2, 25: 2}
ACROSS = {7, 8, 10}  # with these a row alone may be all right, whatever else is wrong


@pytest.mark.parametrize(
    "case", [*PATIENTS, *PAIRS[::3], *MATRIX[::3]], ids=lambda case: f"{case.kind}{case.id}"
)
def test_no_row_no_class_and_no_digit_is_superfluous(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    for finding in report.findings:
        assert finding.example is not None
        given = finding.example.inputs
        # A layer's logits are its weights: the features are unit vectors.
        x = np.asarray(given["W"] if "W" in given else next(iter(given.values())))
        rows = ROWS.get(finding.mistake, 1)
        assert len(x) <= max(rows, 2 if ACROSS & set(report.mistakes) else 1), str(report)
        if x.ndim == 2:
            # 19 and 22 together cancel for C = T.
            assert x.shape[1] == (3 if {19, 22} <= set(report.mistakes) else 2), str(report)
        assert np.array_equal(x, np.round(x)), str(report)
        assert np.count_nonzero(x) <= (2 if finding.mistake in (12, 30) else 1), str(report)


def test_the_example_is_due_to_the_mistake_that_it_stands_for() -> None:
    """One row shows a wrong sign; that the mean is lost takes two."""

    def cross_entropy_grad(x, y):
        return one_hot(y, x.shape[1]) - softmax(x)

    report = sg.examine(cross_entropy_grad, reduction="mean")
    sizes = {f.mistake: len(f.example.inputs["logits"]) for f in report.findings if f.example}
    assert sizes == {18: 2, 21: 1}


def test_what_is_expected_is_right_even_where_two_things_are_wrong() -> None:
    def cross_entropy(x, y):
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return np.log(p)[np.arange(len(y)), y].mean()

    report = sg.examine(cross_entropy)
    assert report.mistakes == (11, 13, 21) or report.mistakes == (11, 21)
    for finding in report.findings:
        assert finding.example is not None
        x, y = finding.example.inputs["logits"], finding.example.inputs["target"]
        np.testing.assert_allclose(finding.expected, sg.cross_entropy(x, y), rtol=1e-12)


def test_a_bug_that_nobody_knows_has_a_small_example_too() -> None:
    def softmax_wrong(x):
        p = softmax(x)
        p[:, -1] *= 1.1
        return p

    (finding,) = sg.examine(softmax_wrong).findings
    assert finding.mistake is None
    assert finding.example is not None
    np.testing.assert_array_equal(finding.example.inputs["logits"], [[0.0, 0.0]])


def test_an_overflow_is_shown_by_one_number() -> None:
    def unshifted(x):
        return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)

    (finding,) = sg.examine(unshifted, "softmax").findings
    assert np.count_nonzero(finding.example.inputs["logits"]) == 1


def test_what_is_needed_stays() -> None:
    probe = probes.of([[3.2, 1.0, 7.7], [0.3, 5.5, 2.0], [1.0, 1.0, 4.1]], [2, 1, 0])

    def shows(probe):
        return True if (probe.x > 5).any(axis=1).sum() >= 2 else None

    found, _ = smallest(probe, True, shows)
    assert sorted(found.x.max(axis=1)) == [6.0, 8.0]
    assert found.x.shape[0] == 2
    assert np.count_nonzero(found.x) == 2
    assert softmax(found.x).shape == found.x.shape


def columns_without_mean(Z, Y):
    P = np.exp(Z - Z.max(axis=0)) / np.exp(Z - Z.max(axis=0)).sum(axis=0)
    return (Y - P) / Z.shape[1]


def one_hot_rows(logits, labels):
    P = np.exp(logits - logits.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    return (labels - P) / len(P)


def indices_in_a_column(logits, y):
    P = np.exp(logits - logits.max(1, keepdims=True))
    P /= P.sum(1, keepdims=True)
    return (np.eye(P.shape[1])[y[:, 0]] - P) / len(P)


def columns_backward(P, G):
    return P * (1 - P) * G


@pytest.mark.parametrize(
    ("function", "options"),
    [
        (columns_without_mean, {"layout": "CN"}),
        (one_hot_rows, {}),
        (indices_in_a_column, {}),
        (columns_backward, {"layout": "CN", "takes": "probabilities", "kind": "softmax_vjp"}),
    ],
)
def test_the_example_can_be_given_to_the_function_as_it_stands(function, options):
    report = sg.examine(function, **{"kind": "cross_entropy_grad"} | options)
    assert report.findings
    for finding in report.findings:
        given = dict(finding.example.inputs)
        if "p = softmax of" in given:
            axis = 0 if options.get("layout") == "CN" else -1
            given["p = softmax of"] = sg.softmax(given["p = softmax of"], axis=axis)
        np.testing.assert_allclose(
            function(*given.values()), finding.example.actual, rtol=1e-12, atol=1e-15
        )
        assert np.shape(finding.example.expected) == np.shape(finding.example.actual)
