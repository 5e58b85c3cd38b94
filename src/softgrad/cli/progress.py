"""Training as it happens: a live line in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from softgrad.report.run import HistoryPoint

_SECONDS_BETWEEN_LINES = 5.0


class TrainingDisplay:
    """Loss, gap, accuracy and rate after each iteration.

    The bar measures the way of the gap's logarithm to its tolerance.
    """

    def __init__(self, out: Console, tol: float, n_rows: int) -> None:
        self.out = out
        self.tol = max(tol, 1e-12)
        self.n_rows = n_rows
        self.first_gap: float | None = None
        self.next_line = 1
        self.last_time = -math.inf
        self.progress = Progress(
            BarColumn(bar_width=9),
            TextColumn("{task.fields[figures]}"),
            console=out,
            transient=False,
            disable=not out.is_terminal,
        )
        self.task = self.progress.add_task("training", total=1.0, figures="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def show(self, point: HistoryPoint, evaluations: int) -> None:
        """One more iteration."""
        rate = evaluations * self.n_rows / max(point.seconds, 1e-9)
        text = (
            f"{point.iteration:4d}  loss {point.objective:.5f}  {_gap(point)}"
            f"  accuracy {point.validation_accuracy:6.2%}  {_rate(rate)}"
        )
        if self.out.is_terminal:
            self.progress.update(self.task, completed=self._way(point.gap), figures=text)
        elif self._line_is_due(point.iteration):
            self.out.print(text)

    def _way(self, gap: float) -> float:
        if not gap > 0.0:  # NaN: still on a path of penalties
            return 0.0 if math.isnan(gap) else 1.0
        if self.first_gap is None:
            self.first_gap = gap
        whole = math.log(max(self.first_gap / self.tol, 1.0 + 1e-9))
        done = math.log(max(self.first_gap / gap, 1.0))
        return min(1.0, done / whole)

    def _line_is_due(self, iteration: int) -> bool:
        now = time.monotonic()
        if iteration < self.next_line and now - self.last_time < _SECONDS_BETWEEN_LINES:
            return False
        self.last_time = now
        if iteration >= self.next_line:
            self.next_line *= 2
        return True


def _gap(point: HistoryPoint) -> str:
    if math.isnan(point.gap):
        return "gap        "
    return f"gap {point.gap:.0e} {'✓' if point.certified else '?'}"


def _rate(rows: float) -> str:
    if rows >= 1e6:
        return f"{rows / 1e6:.1f} M rows/s"
    return f"{rows / 1e3:.0f} k rows/s"
