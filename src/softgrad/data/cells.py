"""Cells of a table that should be numbers and are not: what they are, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from softgrad.data.dataset import DataError

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
_MOST_SHOWN = 8
_LONGEST_SHOWN = 40
_HINTS = (
    (r"[+-]?\d+,\d+", "has a decimal comma. Export the file with decimal points"),
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", "separates thousands. Export the file without separators"),
    (r"[+-]?[\d.]+ ?%", "is a percentage. Export the file with plain numbers"),
    (r"(?i)true|false|yes|no", "is a yes or no. Write 1 and 0"),
    (
        r"\d{4}-\d\d-\d\d.*|\d{1,2}[./]\d{1,2}[./]\d{2,4}",
        "is a date. Turn it into a number of days",
    ),
)


def is_number(text: str) -> bool:
    """Whether ``float`` reads it; NaN and infinity included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_missing(text: str) -> bool:
    """Whether it stands for a value that is not there."""
    return text.lower() in _MISSING


def refuse_cell(
    where: str, column: str, text: str, columns: Mapping[str, Sequence[str]], *, of_model: bool
) -> DataError:
    """The error for the first cell that is no number; ``columns`` are the cells of some rows.

    Columns of nothing but text are named all at once, with the options that leave them out. Those
    of a model cannot be left out.
    """
    place = f"{where}, column {column!r}"
    if is_missing(text):
        return DataError(f"{place} has no value. Remove the line or fill in a number.")
    text = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    drop = f"leave it out with --drop {column!r}"
    for pattern, what in _HINTS:
        if re.fullmatch(pattern, text):
            end = "" if of_model else f", or {drop}"
            return DataError(f"{place} holds {text!r}, which {what}{end}.")
    if of_model:
        return DataError(
            f"{place} holds {text!r}, which is not a number; the model was trained on numbers"
            " there. Mend the cell, or remove the line."
        )
    texts = [name for name, cells in columns.items() if _all_text(cells)]
    if column not in texts:
        return DataError(
            f"{place} holds {text!r}, which is not a number. Mend the cell, or {drop}."
        )
    others = ""
    if len(texts) > 1:
        shown = " ".join(f"--drop {name!r}" for name in texts[:_MOST_SHOWN])
        drop = f"leave out all columns of text: {shown}"
        others = f" ({len(texts)} columns in all)" if len(texts) > _MOST_SHOWN else ""
    return DataError(
        f"{place} holds {text!r}, which is not a number. Encode it, as a column of 0 and 1 for"
        f" each value, or {drop}{others} (for a column of sentences: --text)."
    )


def _all_text(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if not is_missing(cell)]
    return bool(present) and not any(map(is_number, present))
