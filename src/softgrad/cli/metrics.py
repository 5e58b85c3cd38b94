"""Metrics in a terminal: the figures, and the confusion matrix or the most frequent mistakes."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from softgrad.report import Metrics


def metrics_rows(metrics: Metrics) -> dict[str, str]:
    """The three figures that describe probabilities."""
    return {
        "accuracy": f"[bold]{metrics.accuracy:.2%}[/]",
        "log-loss": f"{metrics.log_loss:.4f}",
        "calibration error": f"{metrics.ece:.2%}",
    }


def print_confusion(out: Console, metrics: Metrics, classes: list[str]) -> None:
    """The confusion matrix where it fits the terminal; else the most frequent mistakes."""
    width = max(max(map(len, classes)), len(str(metrics.confusion.max())))
    if (width + 2) * (len(classes) + 1) <= out.width:
        out.print("Confusion matrix [dim](rows: true class, columns: predicted)[/]")
        out.print(_matrix(metrics, classes))
    else:
        _print_mistakes(out, metrics, classes)


def _matrix(metrics: Metrics, classes: list[str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(len(classes) + 1):
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(name, style="dim") for name in classes))
    for true, name in enumerate(classes):
        cells = [Text(name, style="dim")]
        for predicted in range(len(classes)):
            count = int(metrics.confusion[true, predicted])
            style = "bold blue" if true == predicted else "red" if count else "dim"
            cells.append(Text(str(count) if count else "·", style=style))
        table.add_row(*cells)
    return table


def _print_mistakes(out: Console, metrics: Metrics, classes: list[str]) -> None:
    mistakes = metrics.confusion.copy()
    np.fill_diagonal(mistakes, 0)
    out.print(f"Most frequent mistakes [dim](of {mistakes.sum():,} in {metrics.n_rows:,} rows)[/]")
    for index in np.argsort(-mistakes, axis=None, kind="stable")[:10]:
        true, predicted = np.unravel_index(index, mistakes.shape)
        if mistakes[true, predicted]:
            line = Text(f"  {mistakes[true, predicted]:6d}  ")
            line.append(f"{classes[true]} taken for {classes[predicted]}")
            out.print(line)
