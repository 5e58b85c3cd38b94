"""A derivation for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from softgrad.derivation.document import Derivation, Step, Table
from softgrad.derivation.notation import lines
from softgrad.derivation.notation.layout import width as columns_of
from softgrad.derivation.render import parts

_INDENT = "    "
_KEPT = "\u00a0"  # a space at which no line is broken

#: A line is a sequence of texts with their Rich styles.
Line = list[tuple[str, str]]


def text(derivation: Derivation, width: int = 80) -> str:
    """Plain text of so many columns."""
    rows = ("".join(piece for piece, _ in line).rstrip() for line in _lines(derivation, width))
    return "\n".join(rows)


def rich(derivation: Derivation, width: int = 80) -> Any:
    """The same with colours, for Rich's console."""
    from rich.text import Text

    result = Text(no_wrap=True, overflow="ignore")
    for line in _lines(derivation, width):
        for piece, style in line:
            result.append(piece, style=style or None)
        result.append("\n")
    result.rstrip()
    return result


def _lines(derivation: Derivation, width: int) -> Iterator[Line]:
    yield [(derivation.title, "bold")]
    yield from _prose(derivation.summary, width, "")
    for number, step in enumerate(derivation.steps, start=1):
        yield []
        yield [(f"{number}. ", "bold cyan"), (step.title, "bold")]
        yield from _step(step, width, derivation.digits)
    yield []
    yield [(parts.verdict(derivation), "bold green" if derivation.passed else "bold red")]


def _step(step: Step, width: int, digits: int) -> Iterator[Line]:
    if step.prose:
        yield from _prose(step.prose, width, "")
    for formula in step.formula_latex:
        yield []
        for part in parts.fitted(formula, width - len(_INDENT)):
            for row in _formula(part, width - len(_INDENT)):
                yield [(_INDENT + row, "")]
    for table in step.numbers:
        yield []
        yield from _table(table, width, digits)
    if step.check:
        yield []
    for check in step.check:
        style = "green" if check.passed else "bold red"
        if check.difference is None:
            style = "yellow"
        what = f"{parts.plain(check.what)}: {parts.outcome(check)}"
        wrapped = textwrap.wrap(what, width - 2) or [""]
        yield [(f"{parts.mark(check)} ", style), (wrapped[0], "dim")]
        for rest in wrapped[1:]:
            yield [("  " + rest, "dim")]


def _formula(formula: str, width: int) -> list[str]:
    """The formula stacked, or where that is too wide on one line, wrapped."""
    rows = lines(formula)
    if max(map(columns_of, rows)) <= width:
        return rows
    return textwrap.wrap(parts.plain(f"${formula}$"), width, subsequent_indent="    ")


def _prose(prose: str, width: int, style: str) -> Iterator[Line]:
    whole = ""
    for math, piece in parts.pieces(prose):
        text = parts.plain(f"${piece}$") if math else piece
        # A short formula stays on one line.
        whole += text.replace(" ", _KEPT) if math and len(text) < width // 2 else text
    # textwrap breaks at a no-break space as well, unless it is something else meanwhile.
    whole = whole.replace(_KEPT, "\x00")
    for row in textwrap.wrap(whole, width, break_long_words=False, break_on_hyphens=False):
        yield [(row.replace("\x00", " "), style)]


def _table(table: Table, width: int, digits: int) -> Iterator[Line]:
    if table.caption:
        yield [(_INDENT + parts.plain(table.caption), "dim")]
    for headers, columns in parts.blocks(table, digits, width - len(_INDENT)):
        names = [parts.plain(h) for h in headers]
        sizes = [
            max(columns_of(name), *map(columns_of, column))
            for name, column in zip(names, columns, strict=True)
        ]
        head = "  ".join(_right(n, s) for n, s in zip(names, sizes, strict=True))
        yield [(_INDENT + head, "dim")]
        for k in range(len(columns[0])):
            row = "  ".join(_right(c[k], s) for c, s in zip(columns, sizes, strict=True))
            yield [(_INDENT + row, "bold" if k in table.bold else "")]


def _right(text: str, size: int) -> str:
    return " " * (size - columns_of(text)) + text
