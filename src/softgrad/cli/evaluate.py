"""softgrad evaluate: a saved model on labelled data."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from softgrad.cli.check_features import check_features
from softgrad.cli.console import console, figures_table
from softgrad.cli.metrics import metrics_rows, print_confusion
from softgrad.data import labelled_parts, matched_parts
from softgrad.modelfile import load_model
from softgrad.report import Measured
from softgrad.report.units import count_text


def evaluate_command(
    model_path: Path, source: str, target: str | None, labels: Path | None, as_json: bool
) -> None:
    """Print accuracy, log-loss, calibration error and confusion matrix; rows are read in parts."""
    model, trained_on = load_model(model_path)
    measured = Measured(len(model.classes_))
    parts = labelled_parts(source, trained_on.layout, target or trained_on.target_name, labels)
    for part, index in matched_parts(parts, model.classes_):
        data = part if trained_on.text is None else trained_on.text.encode(part)
        check_features(data, model)
        measured.add(model.predict_log_proba(data.X), index)
    metrics = measured.metrics()
    classes = [str(label) for label in model.classes_]
    if as_json:
        figures = asdict(metrics) | {"confusion": metrics.confusion.tolist(), "classes": classes}
        print(json.dumps(figures, indent=2))
        return
    out = console()
    rows = {"": f"[dim]on {count_text(metrics.n_rows)} rows[/]"} | metrics_rows(metrics)
    out.print(figures_table(rows))
    out.print()
    print_confusion(out, metrics, classes)
