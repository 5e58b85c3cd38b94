"""softgrad predict: the class of every row, as CSV."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from softgrad.cli.check_features import check_features
from softgrad.data import unlabelled_parts
from softgrad.data.atomic import atomic_write
from softgrad.modelfile import load_model
from softgrad.report.write import OutputError

_IN_MEMORY = 16 << 20


def predict_command(model_path: Path, source: str, out: Path | None, probabilities: bool) -> None:
    """Print or write one line a row: the predicted class and its probability.

    Rows are read in parts. Nothing is printed before all of them have proved good: what waits until
    then waits in a temporary file.
    """
    if out is None:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="") as kept:
            for text in _predictions(model_path, source, probabilities):
                kept.write(text)
            kept.seek(0)
            shutil.copyfileobj(kept, sys.stdout)
        return
    if not out.parent.is_dir():
        raise OutputError(f"There is no folder {str(out.parent)!r}. Create it, or change --out.")
    with atomic_write(out) as file:
        _write(file, _predictions(model_path, source, probabilities))


def _write(file: IO[bytes], texts: Iterator[str]) -> None:
    for text in texts:
        file.write(text.encode())


def _predictions(model_path: Path, source: str, probabilities: bool) -> Iterator[str]:
    """Lines of CSV, those of some rows at a time."""
    model, trained_on = load_model(model_path)
    header = ["prediction", "probability"]
    if probabilities:
        header += [f"p({label})" for label in model.classes_]
    yield _lines([header])
    for part in unlabelled_parts(source, trained_on.layout):
        data = part if trained_on.text is None else trained_on.text.encode(part)
        check_features(data, model)
        table = np.exp(model.predict_log_proba(data.X))
        rows = []
        for row, index in zip(table, table.argmax(axis=1), strict=True):
            values = [row[index], *row] if probabilities else [row[index]]
            rows.append([str(model.classes_[index]), *(f"{value:.6g}" for value in values)])
        yield _lines(rows)


def _lines(rows: list[list[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
