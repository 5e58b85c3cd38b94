"""The catalogue of mistakes: a page for each, in the doctor's words."""

from __future__ import annotations

from importlib import import_module

import pytest

from softgrad.doctor.catalogue import MISTAKES

mistakes = import_module("softgrad_site.mistakes")


def test_every_mistake_has_a_symptom_and_a_function_that_shows_it() -> None:
    assert set(mistakes.symptoms()) == set(MISTAKES)
    assert set(mistakes.patients()) == set(MISTAKES)


def test_every_cure_has_a_place() -> None:
    families = {family for mistake in MISTAKES.values() for family in mistake.fix}
    assert families <= set(mistakes.PLACES)


@pytest.mark.parametrize("number", MISTAKES)
def test_a_page_shows_symptom_cause_and_cure(number: int) -> None:
    patient = mistakes.patients()[number]
    text = mistakes.page(number, "THE SYMPTOM", patient)
    assert text.startswith(f"# {number}. {MISTAKES[number].title}\n")
    symptom, cause, cure = (text.index(f"\n## {part}") for part in ("Symptom", "Cause", "Cure"))
    assert symptom < text.index("THE SYMPTOM") < text.index(patient.function.__name__) < cause
    assert "expected " in text[symptom:cause]
    assert "actual " in text[symptom:cause]
    assert cause < text.index(mistakes._verbatim(MISTAKES[number].why)) < cure
    assert all(fix in text[cure:] for fix in MISTAKES[number].fix.values())


def test_a_function_without_the_mistake_makes_no_page() -> None:
    with pytest.raises(ValueError, match="does not find mistake 8"):
        mistakes.page(8, "", mistakes.patients()[21])


def test_no_markup_in_the_doctors_words() -> None:
    assert mistakes._verbatim("p_i * [i = j] | $x$") == r"p\_i \* \[i = j\] \| \$x\$"
