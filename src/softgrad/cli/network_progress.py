"""The training of a network as it happens: a live line in a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from softgrad.network import Progress
from softgrad.report.units import count_text, seconds_text

_SECONDS_BETWEEN_UPDATES = 0.1
_SECONDS_BETWEEN_LINES = 5.0


class NetworkDisplay:
    """Loss, accuracy, rows a second and the time that remains."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self.updated = self.printed = -math.inf
        self.next_line = 1
        self.unprinted = ""
        self.bar = Bar(
            BarColumn(bar_width=9),
            TextColumn("{task.fields[figures]}"),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )
        self.task = self.bar.add_task("training", total=1.0, figures="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()
        if self.unprinted:  # the last line says where it ended
            self.out.print(self.unprinted, soft_wrap=True)

    def step(self, progress: Progress) -> None:
        """One more batch."""
        now = time.monotonic()
        if not self.out.is_terminal or now - self.updated < _SECONDS_BETWEEN_UPDATES:
            return
        self.updated = now
        batches = progress.batches or 1
        done = (progress.epoch - 1) * batches + progress.batch
        self.bar.update(
            self.task,
            total=progress.epochs * batches,
            completed=done,
            figures=f"{_figures(progress)}  {_speed(progress)}",
        )

    def epoch(self, progress: Progress) -> None:
        """One more epoch: a line that stays, of every epoch in a terminal."""
        best = " [green]best[/]" if progress.best_epoch == progress.epoch else ""
        line = (
            f"{_figures(progress)}  validation loss {progress.validation_loss:.5f}"
            f"{_accuracy(progress.validation_accuracy)}{best}"
        )
        if self.out.is_terminal:
            self.out.print(line)
        elif self._line_is_due(progress.epoch):
            self.unprinted = ""
            self.out.print(f"{line}  {_speed(progress)}", soft_wrap=True)
        else:
            self.unprinted = line

    def _line_is_due(self, epoch: int) -> bool:
        now = time.monotonic()
        if epoch < self.next_line and now - self.printed < _SECONDS_BETWEEN_LINES:
            return False
        self.printed = now
        if epoch >= self.next_line:
            self.next_line *= 2
        return True


def _figures(progress: Progress) -> str:
    epoch = f"epoch {progress.epoch:3d}/{progress.epochs}"
    return f"{epoch}  loss {progress.loss:.5f}{_accuracy(progress.accuracy)}"


def _accuracy(share: float) -> str:
    return "" if math.isnan(share) else f"  accuracy {share:6.2%}"


def _speed(progress: Progress) -> str:
    left = "" if progress.remaining is None else f"  {seconds_text(progress.remaining)} left"
    return f"{count_text(round(progress.rate))} rows/s{left}"
