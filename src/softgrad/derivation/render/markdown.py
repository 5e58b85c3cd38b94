"""A derivation as Markdown, with formulas in dollar signs."""

from __future__ import annotations

from collections.abc import Iterator

from softgrad.derivation.document import Derivation, Step, Table
from softgrad.derivation.render import parts

_LIMIT = 110


def markdown(derivation: Derivation) -> str:
    """The document, its program in NumPy at the end."""
    rows = [f"# {derivation.title}", "", derivation.summary]
    for number, step in enumerate(derivation.steps, start=1):
        rows += ["", f"## {number}. {step.title}"]
        rows += _step(step, derivation.digits)
    rows += ["", f"**{parts.verdict(derivation)}**"]
    rows += ["", "## Code", "", "```python", derivation.code("numpy").rstrip(), "```", ""]
    return "\n".join(rows)


def _step(step: Step, digits: int) -> Iterator[str]:
    if step.prose:
        yield ""
        yield step.prose
    for formula in step.formula_latex:
        for part in parts.fitted(formula, _LIMIT):
            yield from ("", "$$", _protected(part), "$$")
    for table in step.numbers:
        yield from _table(table, digits)
    if step.check:
        yield ""
    for check in step.check:
        yield f"- {parts.mark(check)} {check.what}: {parts.outcome(check)}"


def _protected(formula: str) -> str:
    """A line that begins with + or - would begin a list, one with = make a heading."""
    return rf"{{}}{formula}" if formula[0] in "=+-" else formula


def _table(table: Table, digits: int) -> Iterator[str]:
    if table.caption:
        yield from ("", f"{table.caption}:")
    for headers, columns in parts.blocks(table, digits, _LIMIT):
        yield ""
        yield f"| {' | '.join(headers)} |"
        yield "|" + "---:|" * len(headers)
        for k in range(len(columns[0])):
            cells = [column[k].rstrip() for column in columns]
            if k in table.bold:
                cells = [f"**{cell}**" for cell in cells]
            yield f"| {' | '.join(cells)} |"
