"""Every mistake of the catalogue is named, alone and in pairs."""

from __future__ import annotations

import pytest

import softgrad as sg
from softgrad.doctor.catalogue import MISTAKES
from tests.doctor.pairs import PAIRS
from tests.doctor.patients import PATIENTS, Patient


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


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case.id)
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
