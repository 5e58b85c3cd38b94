"""What an examination found, as an object and as text."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

WIDTH = 80


@dataclass(frozen=True)
class Example:
    """The smallest input that was found to show a mistake, with what should have come out."""

    inputs: dict[str, Any]
    expected: Any
    actual: Any
    part: str = ""

    def __str__(self) -> str:
        lines = [f"{name} = {show(value)}" for name, value in self.inputs.items()]
        return "\n".join(
            [*lines, f"expected {show(self.expected)}", f"actual   {show(self.actual)}"]
        )


@dataclass(frozen=True)
class Finding:
    """One mistake.

    Attributes
    ----------
    mistake : int or None
        Its number in the catalogue; None if nothing there fits.
    title, why, fix : str
        What it is, why it is wrong with the formula, and the corrected code.
    confidence : float
        From 0 to 1.
    example : Example or None
        Input, expected and actual numbers.
    structure : str
        For what is not in the catalogue: how the result differs from the right one.
    """

    mistake: int | None
    title: str
    why: str
    fix: str
    confidence: float
    example: Example | None = None
    structure: str = ""
    note: str = ""

    @property
    def expected(self) -> Any:
        """What should have come out of the example."""
        return None if self.example is None else self.example.expected

    @property
    def actual(self) -> Any:
        """What came out of the example."""
        return None if self.example is None else self.example.actual


@dataclass(frozen=True)
class Report:
    """The result of `examine`.

    Attributes
    ----------
    name : str
        The function's name.
    kind : str
        What it was taken for.
    guessed : bool
        Whether the kind was guessed.
    understood : dict of str to str
        How it was called and read: arguments, layout, target, reduction, ...
    findings : list of Finding
        What is wrong; empty if it is healthy.
    remarks : list of Finding
        What is right as it stands, but wrong if more was meant: say, a gradient of the sum where
        the loss is a mean.
    notes : list of str
        What else was noticed.
    code : str
        A right implementation of the kind.
    """

    name: str
    kind: str
    guessed: bool
    understood: dict[str, str]
    findings: list[Finding] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    code: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def mistakes(self) -> tuple[int | None, ...]:
        """The numbers of the findings."""
        return tuple(finding.mistake for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data for JSON: arrays as lists, errors as text."""
        result = dict(self.__dict__)
        for name in ("findings", "remarks"):
            result[name] = [_plain_finding(finding) for finding in result[name]]
        return result

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """The report that `to_dict` has written."""
        made = dict(data)
        for name in ("findings", "remarks"):
            made[name] = [_finding_of(finding) for finding in made[name]]
        return cls(**made)

    def __bool__(self) -> bool:
        return self.healthy

    def __str__(self) -> str:
        stream = io.StringIO()
        console = Console(file=stream, width=WIDTH, no_color=True, highlight=False)
        console.print(self)
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())

    def __repr__(self) -> str:
        state = "healthy" if self.healthy else f"mistakes {list(self.mistakes)}"
        return f"<softgrad report on {self.name} ({self.kind}): {state}>"

    def __rich__(self) -> RenderableType:
        return _rich(self)

    def _repr_html_(self) -> str:
        from softgrad.doctor.page import fragment

        return fragment(self)

    def to_html(self) -> str:
        """The report as one HTML document that needs nothing else."""
        from softgrad.doctor.page import document

        return document(self)


def _plain_finding(finding: Finding) -> dict[str, Any]:
    result = dict(finding.__dict__)
    example = finding.example
    if example is not None:
        result["example"] = {
            "inputs": {name: _plain(value) for name, value in example.inputs.items()},
            "expected": _plain(example.expected),
            "actual": _plain(example.actual),
            "part": example.part,
        }
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Exception):
        return show(value)
    return value if isinstance(value, str) or value is None else np.asarray(value).tolist()


def _finding_of(data: dict[str, Any]) -> Finding:
    made = dict(data)
    if made["example"] is not None:
        plain = made["example"]
        made["example"] = Example(
            {name: _array(value) for name, value in plain["inputs"].items()},
            _array(plain["expected"]),
            _array(plain["actual"]),
            plain["part"],
        )
    return Finding(**made)


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value


def show(value: Any) -> str:
    """Numbers as a person writes them, to six digits."""
    if isinstance(value, Exception):
        first = (str(value) or "no message").strip().splitlines()[0]
        return f"{type(value).__name__}: {first}"
    if isinstance(value, str) or value is None:
        return str(value)
    array = np.asarray(value)
    if array.ndim == 0:
        return _number(array.item())
    if array.size > 60:
        return f"an array of shape {array.shape}"
    return "[" + ", ".join(show(v) for v in array) + "]"


def _number(value: Any) -> str:
    if isinstance(value, (bool, int)):
        return str(value)
    if value == 0:
        return "0"
    return f"{value:.6g}"


def lines_of(value: Any, indent: int) -> str:
    """Matrices one row a line, under one another."""
    if isinstance(value, np.ndarray) and value.ndim >= 2 and value.size <= 60:
        rows = [[_number(v) for v in row.reshape(-1)] for row in value]
        if value.ndim == 2:
            widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
            rows = [[v.rjust(w) for v, w in zip(row, widths, strict=True)] for row in rows]
            texts = ["[" + ", ".join(row) + "]" for row in rows]
        else:
            texts = [show(v) for v in value]
        if len(texts) == 1:
            return f"[{texts[0]}]"
        joined = (",\n" + " " * (indent + 1)).join(texts)
        return f"[{joined}]"
    return show(value)


def _rich(report: Report) -> RenderableType:
    blocks: list[RenderableType] = [_headline(report), _understood(report)]
    for number, finding in enumerate(report.findings, 1):
        blocks.append(_finding(finding, number if len(report.findings) > 1 else None))
    if report.remarks:
        blocks.append(Text("\nNot wrong as it stands, but", style="bold"))
        blocks += [_remark(finding) for finding in report.remarks]
    for note in report.notes:
        blocks.append(Padding(Text(f"Note: {note}", style="dim"), (1, 0, 0, 0)))
    if report.code and not report.healthy:
        blocks.append(Text(f"\nA right {report.kind}, to copy:", style="bold"))
        blocks.append(_code(report.code))
    return Group(*blocks)


def headline(report: Report) -> str:
    """The verdict in one sentence."""
    if report.healthy:
        return f"{report.name}: healthy"
    known = [f for f in report.findings if f.mistake is not None]
    count = len(report.findings)
    what = "mistake" if len(known) == count else "finding"
    return f"{report.name}: {count} {what}{'s' if count > 1 else ''}"


def _headline(report: Report) -> Text:
    mark, style = ("✔", "bold green") if report.healthy else ("✘", "bold red")
    return Text(f"{mark} {headline(report)}", style=style)


def _understood(report: Report) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    kind = report.kind + (" (guessed)" if report.guessed else "")
    for key, value in {"kind": kind, **report.understood}.items():
        table.add_row(key, value)
    return Padding(table, (0, 0, 0, 2))


def label(finding: Finding) -> str:
    """The number in the catalogue and how sure it is."""
    if finding.mistake is None:
        return "not in the catalogue"
    return f"mistake {finding.mistake}, {finding.confidence:.0%} sure"


def _finding(finding: Finding, number: int | None) -> RenderableType:
    head = Text("\n")
    head.append(f"{number}. " if number else "", style="bold")
    head.append(finding.title, style="bold")
    head.append(f"  ({label(finding)})", style="dim")
    body: list[RenderableType] = []
    if finding.example is not None:
        body.append(_example(finding.example))
    if finding.note:
        body.append(Text(finding.note, style="dim"))
    if finding.structure:
        body.append(Padding(Text(finding.structure), (1, 0, 0, 0)))
    if finding.why:
        body.append(Padding(Text(finding.why), (1, 0, 0, 0)))
    if finding.fix:
        body.append(Padding(_code(finding.fix), (1, 0, 0, 0)))
    return Group(head, Padding(Group(*body), (0, 0, 0, 3)))


def _remark(finding: Finding) -> RenderableType:
    text = Text(finding.note or finding.why)
    text.append(f" ({label(finding).split(',')[0]})", style="dim")
    return Padding(text, (0, 0, 0, 3))


def _example(example: Example) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in example.inputs.items():
        table.add_row(name, Text(lines_of(value, 0)))
    table.add_row("expected", Text(lines_of(example.expected, 0), style="green"))
    table.add_row("actual", Text(lines_of(example.actual, 0), style="red"))
    return table


def _code(code: str) -> RenderableType:
    syntax = Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    return Padding(syntax, (0, 0, 0, 2))
