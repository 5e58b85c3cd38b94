"""The example of a finding is the smallest input that shows it."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.doctor import probes
from softgrad.doctor.shrinking import smallest
from tests.doctor.pair_matrix import MATRIX
from tests.doctor.pairs import PAIRS
from tests.doctor.patients import PATIENTS, Patient, softmax

#: Rows that a mistake far out needs at least; two classes do for all.
ROWS = {9: 2, 11: 1, 12: 1, 13: 1, 14: 1}
ACROSS = {7, 8, 10}  # with these a row alone may be all right


@pytest.mark.parametrize(
    "case",
    [c for c in (*PATIENTS, *PAIRS, *MATRIX) if set(c.mistakes) & set(ROWS)],
    ids=lambda case: case.id,
)
def test_no_row_and_no_class_is_superfluous(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    for finding in report.findings:
        if finding.mistake not in ROWS:
            continue
        assert finding.example is not None
        given = finding.example.inputs
        # A layer's logits are its weights: the features are unit vectors.
        x = np.asarray(given["W"] if "W" in given else next(iter(given.values())))
        rows = 3 if ACROSS & set(report.mistakes) else ROWS[finding.mistake]
        assert len(x) <= rows, str(report)
        if x.ndim == 2 and not ACROSS & set(report.mistakes):
            assert x.shape[1] == 2, str(report)


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
