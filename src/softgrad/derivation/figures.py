"""Numbers as they are shown: six significant digits in aligned columns, or all that are wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from softgrad.derivation.document import Table

GAP = "⋮"


def cells(table: Table, digits: int) -> list[list[str]]:
    """The texts of a table's columns; within a column the points stand below each other."""
    if table.matrix:
        flat = [v for c in table.columns for v in c.values if _number(v)]
        decimals = None if _exact(flat) else _decimals(flat)
        return [_column(c.values, digits, decimals) for c in table.columns]
    return [_column(c.values, digits, None) for c in table.columns]


def number(value: Any, digits: int = 6) -> str:
    """One number by itself, without trailing zeros."""
    if isinstance(value, int | np.integer):
        return str(value)
    if _exact([value]):
        text = value.context.nstr(value, digits, min_fixed=-6, max_fixed=max(digits, 6))
        return str(text).removesuffix(".0")
    return f"{float(value) + 0.0:.{digits}g}".replace("e+0", "e").replace("e-0", "e-")


def latex(value: Any, digits: int = 6) -> str:
    """One number as LaTeX: 1.2e-07 as a power of ten."""
    mantissa, _, power = number(value, digits).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(power)}}}" if power else mantissa


def _number(value: Any) -> bool:
    return value is not None and not isinstance(value, str)


def _exact(values: Sequence[Any]) -> bool:
    return any(hasattr(v, "_mpf_") for v in values)


def _decimals(values: Sequence[Any]) -> int | None:
    """Digits after the point for all of them; None where they need powers of ten."""
    finite = [abs(float(v)) for v in values if math.isfinite(float(v))]
    largest = max(finite, default=0.0)
    short = max((_places(v) for v in finite), default=0)
    if short <= 3 and largest < 1e12:  # such as logits: as they were typed
        return short
    if largest and not 1e-4 <= largest < 1e7:
        return None
    return min(short, 6 - max(0, math.floor(math.log10(largest)) if largest else 0))


def _places(value: float) -> int:
    """Places after the point of the shortest text that is this number."""
    text = np.format_float_positional(value, trim="-")
    return len(text.partition(".")[2])


def _column(values: Sequence[Any], digits: int, decimals: int | None) -> list[str]:
    numbers = [v for v in values if _number(v)]
    if _exact(numbers):
        texts = [_text_exact(v, digits) for v in values]
    else:
        if decimals is None:
            decimals = _decimals(numbers)
        texts = [_text(v, decimals) for v in values]
    return texts


def _text_exact(value: Any, digits: int) -> str:
    if not _number(value):
        return GAP if value is None else value
    if not value:
        return "0"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return str(value.context.nstr(value, digits, strip_zeros=False, min_fixed=-6, max_fixed=digits))


def _text(value: Any, decimals: int | None) -> str:
    if not _number(value):
        return GAP if value is None else value
    value = float(value) + 0.0  # no -0
    if not math.isfinite(value):
        return str(value)
    if decimals is None:
        return f"{value:.5e}" if value else "0"
    text = f"{value:.{decimals}f}"
    if abs(value) < 10.0 ** (2 - decimals) and float(text) != value:
        return f"{value:.1e}".replace("e-0", "e-")  # too small to be seen otherwise
    return text
