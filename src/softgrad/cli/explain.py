"""softgrad explain 1 2 3 --target 2: the derivation with these numbers."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import softgrad as sg
from softgrad.cli.console import console
from softgrad.data.atomic import atomic_write
from softgrad.derivation import Derivation
from softgrad.derivation.render.text import rich
from softgrad.errors import OptionError, TargetError

PROGRAMS = ("numpy", "torch", "jax")
FORMATS = ("text", "markdown", "latex", "html", *PROGRAMS)
_SUFFIXES = {".md": "markdown", ".tex": "latex", ".html": "html", ".htm": "html", ".py": "numpy"}
_WIDTHS = (60, 100)  # of what is printed: narrower breaks formulas, wider is hard to read


@dataclass(frozen=True)
class Request:
    """The command line of ``softgrad explain``."""

    logits: list[str]
    target: str | None
    temperature: float
    loss: str
    activation: str
    features: str | None
    label_smoothing: float
    where: str | None
    row: int
    digits: int | None
    format: str | None
    out: Path | None
    options: list[str] = field(default_factory=list)


def explain_command(request: Request) -> None:
    """Print the derivation, or write it to a file."""
    form = _format(request)
    if request.out is not None:
        _check_place(request.out)
    rows = _rows(request.logits, request.digits is not None)
    single = len(rows) == 1
    features = None if request.features is None else _rows(request.features.split(), False)
    derivation = sg.explain(
        rows[0] if single else rows,
        _target(request.target, len(rows), len(rows[0]), request.digits is not None),
        temperature=request.temperature,
        loss=request.loss,
        activation=request.activation,
        features=features,
        label_smoothing=request.label_smoothing,
        where=_mask(request.where, len(rows[0])),
        row=request.row,
        digits=request.digits,
        **_options(request.options),
    )
    if request.out is None:
        _print(derivation, form)
        return
    with atomic_write(request.out) as stream:
        stream.write(_text(derivation, form).encode())
    print(f"wrote {request.out}")


def _format(request: Request) -> str:
    if request.format is None:
        suffix = "" if request.out is None else request.out.suffix.lower()
        return _SUFFIXES.get(suffix, "text")
    if request.format not in FORMATS:
        raise OptionError(f"--format {request.format!r}: accepted are {', '.join(FORMATS)}.")
    return request.format


def _check_place(out: Path) -> None:
    if not out.parent.is_dir():
        raise OptionError(f"There is no folder {str(out.parent)!r}. Create it, or change --out.")
    if out.is_dir():
        raise OptionError(f"{str(out)!r} is a folder. Give a file, such as derivation.html.")


def _print(derivation: Derivation, form: str) -> None:
    if form != "text":
        sys.stdout.write(_text(derivation, form))
        return
    out = console()
    narrowest, widest = _WIDTHS
    width = max(narrowest, min(out.width, widest))
    out.print(rich(derivation, width), soft_wrap=True)


def _text(derivation: Derivation, form: str) -> str:
    if form in PROGRAMS:
        return derivation.code(form)
    if form == "text":
        return derivation.text() + "\n"
    result: str = getattr(derivation, form)()
    return result


def _rows(texts: list[str], exact: bool) -> list[list[Any]]:
    """Rows of numbers, separated by '/'; as text where every digit counts."""
    rows: list[list[Any]] = [[]]
    for text in texts:
        for part in re.split(r"(/)|[\s,;]+", text):
            if part == "/":
                rows.append([])
            elif part:
                rows[-1].append(_value(part, exact))
    lengths = {len(row) for row in rows}
    if len(lengths) > 1 or 0 in lengths:
        counts = ", ".join(str(len(row)) for row in rows)
        raise OptionError(f"The rows hold {counts} numbers; '/' stands between rows of one length.")
    return rows


def _value(text: str, exact: bool) -> Any:
    """A number; its text, once it is known to be one, where every digit counts."""
    number = _number(text)
    return text if exact else number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        what = "an unknown option" if text.startswith("-") else "not a number"
        raise OptionError(f"{text!r} is {what}. Give numbers: softgrad explain 1 2 3.") from None


def _target(text: str | None, rows: int, classes: int, exact: bool) -> Any:
    """One index a row, or as many numbers as there are logits."""
    if text is None:
        return None
    parts = [part for part in re.split(r"[\s,;/]+", text.strip()) if part]
    if len(parts) == rows and all(re.fullmatch(r"[+-]?\d+", part) for part in parts):
        indices = [int(part) for part in parts]
        return indices[0] if rows == 1 else indices
    if len(parts) != rows * classes:
        raise TargetError(
            f"--target holds {len(parts)} numbers; accepted are {rows} class"
            f"{' index' if rows == 1 else ' indices'} (whole numbers), or {rows * classes} numbers,"
            " one for each logit."
        )
    values: list[Any] = [
        part if exact and _number(part) is not None else _number(part) for part in parts
    ]
    table = [values[n * classes : (n + 1) * classes] for n in range(rows)]
    return table[0] if rows == 1 else table


def _mask(text: str | None, classes: int) -> list[bool] | None:
    """One 0 or 1 for each class."""
    if text is None:
        return None
    parts = [part for part in re.split(r"[\s,;]+", text.strip()) if part]
    if len(parts) != classes or not set(parts) <= {"0", "1"}:
        raise OptionError(
            f"--where {text!r}: accepted are {classes} numbers, 1 for a class that takes part and "
            f"0 for a masked one, such as {','.join(['1'] * (classes - 1) + ['0'])}."
        )
    return [part == "1" for part in parts]


def _options(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise OptionError(f"--option {text!r}: write name=number, such as delta=0.5.")
        found[name] = _number(value)
    return found
