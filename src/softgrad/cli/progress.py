"""Training as it happens: a live line in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from softgrad.report.run import HistoryPoint
from softgrad.report.units import seconds_text

_SECONDS_BETWEEN_LINES = 5.0
_EASIER = "      a hard problem: first with stronger penalties, where the gap is not known"


class TrainingDisplay:
    """Loss, gap, accuracy and time after each iteration.

    The gap is the distance to the minimum as a share of the objective: ~ estimated, ≤ proven. The
    bar measures the way of its logarithm to the tolerance, and never goes back; it only moves to
    and fro while the solver looks at easier problems, where the gap is not known.
    """

    def __init__(self, out: Console, tol: float) -> None:
        self.out = out
        self.tol = max(tol, 1e-12)
        self.first_gap: float | None = None
        self.way = 0.0
        self.next_line = 1
        self.last_time = -math.inf
        self.unprinted = ""
        self.explained = False
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
        if self.unprinted:  # the last line says where it ended
            self.out.print(self.unprinted)

    def show(self, point: HistoryPoint) -> None:
        """One more iteration."""
        text = (
            f"{point.iteration:4d}  loss {_loss(point.objective)}  {gap_text(point):<10}"
            f"  accuracy {point.validation_accuracy:6.2%}  {seconds_text(point.seconds)}"
        )
        easier = math.isnan(point.gap)
        if easier and not self.explained:
            self.explained = True
            self.out.print(_EASIER, style="dim")
        if self.out.is_terminal:
            self.way = max(self.way, self._way(point))
            # update() takes None for "as before", and without a total the bar moves to and fro.
            self.progress.tasks[0].total = None if easier else 1.0
            self.progress.update(self.task, completed=self.way, figures=text)
        elif self._line_is_due(point.iteration):
            self.unprinted = ""
            self.out.print(text)
        else:
            self.unprinted = text

    def _way(self, point: HistoryPoint) -> float:
        if not point.gap > 0.0:  # or NaN
            return float(point.gap == 0.0)
        if self.first_gap is None:
            self.first_gap = min(1.0, point.gap)
        whole = math.log(max(self.first_gap / self.tol, 1.0 + 1e-9))
        done = math.log(max(self.first_gap / point.gap, 1.0))
        # Only a proof fills the bar.
        return min(1.0 if point.certified else 0.95, done / whole)

    def _line_is_due(self, iteration: int) -> bool:
        now = time.monotonic()
        if iteration < self.next_line and now - self.last_time < _SECONDS_BETWEEN_LINES:
            return False
        self.last_time = now
        if iteration >= self.next_line:
            self.next_line *= 2
        return True


def gap_text(point: HistoryPoint) -> str:
    """``gap ≤1e-08`` proven, ``gap ~4e-01`` estimated, ``gap ?`` not known."""
    if math.isnan(point.gap):
        return "gap ?"
    # The minimum of the objective is not negative: no more than all of it can be too much.
    return f"gap {'≤' if point.certified else '~'}{min(1.0, point.gap):.0e}"


def _loss(loss: float) -> str:
    return f"{loss:7.5f}" if loss >= 0.01 else f"{loss:.1e}"
