"""softgrad predict: the class of every row, as CSV."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np

from softgrad.cli.check_features import check_features
from softgrad.data import read_unlabelled
from softgrad.data.atomic import atomic_write
from softgrad.modelfile import load_model
from softgrad.report.write import OutputError


def predict_command(model_path: Path, source: str, out: Path | None, probabilities: bool) -> None:
    """Print or write one line a row: the predicted class and its probability."""
    model, trained_on = load_model(model_path)
    data = read_unlabelled(source, trained_on.layout)
    if trained_on.text is not None:
        data = trained_on.text.encode(data)
    check_features(data, model)
    table = np.exp(model.predict_log_proba(data.X))
    best = table.argmax(axis=1)

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    header = ["prediction", "probability"]
    if probabilities:
        header += [f"p({label})" for label in model.classes_]
    writer.writerow(header)
    for row, index in zip(table, best, strict=True):
        values = [row[index], *row] if probabilities else [row[index]]
        writer.writerow([model.classes_[index], *(f"{value:.6g}" for value in values)])
    if out is None:
        sys.stdout.write(stream.getvalue())
        return
    if not out.parent.is_dir():
        raise OutputError(f"There is no folder {str(out.parent)!r}. Create it, or change --out.")
    with atomic_write(out) as file:
        file.write(stream.getvalue().encode())
