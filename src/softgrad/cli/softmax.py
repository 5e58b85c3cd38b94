"""softgrad softmax 1 2 3: value, logarithm and Jacobian of some numbers."""

from __future__ import annotations

import math

import numpy as np
from rich.table import Table

import softgrad as sg
from softgrad.cli.console import console
from softgrad.errors import OptionError


def softmax_command(texts: list[str], temperature: float) -> None:
    """Print p, log p and the Jacobian."""
    logits = np.array([_number(text) for text in texts])
    if not (math.isfinite(temperature) and temperature > 0):
        raise OptionError(f"--temperature must be above 0, but is {temperature:g}. Try 1.")
    p = sg.softmax(logits, temperature=temperature)
    log_p = sg.log_softmax(logits, temperature=temperature)
    jacobian = sg.softmax.jacobian(logits, temperature=temperature)

    out = console()
    values = _table("logit", "p", "log p")
    for row in zip(texts, p, log_p, strict=True):
        values.add_row(row[0], f"{row[1]:.9g}", f"{row[2]:.9g}")
    out.print(values)
    out.print("\nJacobian [dim](row i, column j: how p\\[i] changes with logit j)[/]")
    matrix = _table(*([""] * len(texts)))
    for row in jacobian:
        matrix.add_row(*(f"{value: .6g}" for value in row))
    out.print(matrix)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        what = "an unknown option" if text.startswith("-") else "not a number"
        raise OptionError(f"{text!r} is {what}. Give numbers: softgrad softmax 1 2 3.") from None


def _table(*headers: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    table.show_header = any(headers)
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    return table
