"""Every mistake of the catalogue is named, alone and in pairs."""

from __future__ import annotations

from typing import Any

import pytest

import softgrad as sg
from softgrad.doctor.catalogue import MISTAKES
from tests.doctor.patients import PATIENTS, Patient


@pytest.mark.parametrize("case", PATIENTS, ids=lambda case: case.id)
def test_the_mistake_is_named(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    assert report.mistakes == case.mistakes, str(report)
    assert not report.healthy
    for finding in report.findings:
        assert finding.title == MISTAKES[case.mistakes[0]].title
        assert finding.fix
        assert finding.why
        assert finding.confidence > 0.5
        assert finding.example is not None, str(report)
        assert len(str(report).splitlines()) > 5


def test_every_row_of_the_catalogue_has_a_patient() -> None:
    assert {m for case in PATIENTS for m in case.mistakes} == set(range(1, 31)) == set(MISTAKES)
