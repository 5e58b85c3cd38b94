"""The catalogue of mistakes, a page each: the doctor's own words on a function that has it.

Cause and cure are the doctor's (``softgrad.doctor.catalogue``). The function is one of those on
which the doctor is tested, and what the page shows of it the doctor has found while the page was
built. Only the symptom, in the words of those who meet it, is written here, in ``symptoms.toml``.
"""

from __future__ import annotations

import inspect
import textwrap
import tomllib
from pathlib import Path
from typing import Any

from softgrad_site.pages import write_pages

#: Where a cure belongs, by the families of functions that the doctor tells apart.
PLACES = {
    "": "In the softmax or the gradient",
    "rows": "In the softmax",
    "log_softmax": "In a log-softmax",
    "logsumexp": "In a logsumexp",
    "vjp": "In a product with the Jacobian",
    "jacobian": "In the Jacobian",
    "loss": "In the loss",
    "grad": "In the gradient of the loss",
    "both": "In loss and gradient together",
    "binary": "For a sigmoid or a yes/no loss",
    "distillation": "In a distillation",
    "distillation_grad": "In the gradient of a distillation",
    "layer": "In the gradients of a layer",
    "step": "In a training step",
}

FOLDER = Path(__file__).resolve().parents[2] / "mistakes"


def symptoms() -> dict[int, str]:
    """What people see, by the mistake's number."""
    table = tomllib.loads((FOLDER / "symptoms.toml").read_text("utf-8"))
    return {int(number): text for number, text in table.items()}


def patients() -> dict[int, Any]:
    """For every mistake the shortest function that has it and no other."""
    from tests.doctor.patients import PATIENTS

    found: dict[int, Any] = {}
    for patient in PATIENTS:
        if len(patient.mistakes) == 1:
            (number,) = patient.mistakes
            if number not in found or _length(patient) < _length(found[number]):
                found[number] = patient
    return found


def _length(patient: Any) -> int:
    return len(source(patient))


def source(patient: Any) -> str:
    """The function as it is written, without what registers it for the tests."""
    lines = textwrap.dedent(inspect.getsource(patient.function)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(("def ", "class ")))
    return "\n".join(line.replace(": Any", "").replace(" -> Any", "") for line in lines[start:])


def page(number: int, symptom: str, patient: Any) -> str:
    """The page of a mistake, as Markdown."""
    import softgrad as sg
    from softgrad.doctor.catalogue import MISTAKES

    mistake = MISTAKES[number]
    report = sg.examine(patient.function, patient.kind, **patient.options)
    finding = next((f for f in report.findings if f.mistake == number), None)
    if finding is None:
        raise ValueError(f"The doctor does not find mistake {number} in {patient.id}.")
    parts = [f"# {number}. {mistake.title}", "## Symptom", symptom]
    parts += [_code(source(patient)), "The doctor's smallest example:"]
    parts += [_code(str(finding.example), "text")]
    parts += [f"{text}." for text in (finding.note, finding.structure) if text and text[-1] != "."]
    parts += ["## Cause", _verbatim(mistake.why), "## Cure", _code(finding.fix)]
    places: dict[str, list[str]] = {}
    for family, cure in mistake.fix.items():
        if cure != finding.fix:
            places.setdefault(cure, []).append(PLACES[family] if family else _place(cure))
    for cure, names in places.items():
        names = list(dict.fromkeys(names))
        parts += [
            ", ".join([names[0], *(n[0].lower() + n[1:] for n in names[1:])]) + ":",
            _code(cure),
        ]
    call = f'sg.examine({patient.function.__name__}, "{patient.kind}")'
    parts += ["---", f"The doctor names this mistake in your own function: `{call}`."]
    return "\n\n".join(parts) + "\n"


def _place(cure: str) -> str:
    """Where the cure of most functions belongs, by what its last line computes."""
    name = cure.splitlines()[-1].partition(" = ")[0]
    of_name = {"loss": "loss", "grad": "grad", "grad_x": "vjp", "J": "jacobian", "p": "rows"}
    return PLACES[of_name.get(name, "")]


def _code(text: str, language: str = "python") -> str:
    return f"```{language}\n{text}\n```"


def _verbatim(text: str) -> str:
    """Plain text in which Markdown finds nothing of its own."""
    for character in "\\`*_[]<>|$#":
        text = text.replace(character, "\\" + character)
    return text


def pages() -> dict[str, str]:
    """All pages and the table that leads to them."""
    from softgrad.doctor.catalogue import MISTAKES

    seen, cases = symptoms(), patients()
    result = {f"{n}.md": page(n, seen[n], cases[n]) for n in MISTAKES}
    rows = ["| | mistake | symptom |", "| --: | --- | --- |"]
    rows += [f"| {n} | [{_verbatim(m.title)}]({n}.md) | {seen[n]} |" for n, m in MISTAKES.items()]
    toc = ["```{toctree}", ":hidden:", "", *(f"{n}" for n in MISTAKES), "```"]
    result["table.md"] = "\n".join([*rows, "", *toc, ""])
    return result


def setup(app: Any) -> None:
    """Write the pages before Sphinx looks for them."""
    app.connect(
        "builder-inited",
        lambda app: write_pages(FOLDER, pages(), "[0-9t]*.md"),
    )
