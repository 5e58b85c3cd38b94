"""What a training reports while it runs, and what it returns."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from softgrad._typing import Array

NAN = float("nan")


class Status(enum.Enum):
    """Why a training ended."""

    FINISHED = "all epochs were run"
    EARLY = "the validation loss no longer fell"
    STOPPED = "the callback ended it"
    NOT_FINITE = "the loss was no longer finite"


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a step, or after an epoch (then with validation figures).

    ``loss`` and ``accuracy`` are means over the batches of this epoch so far; accuracy is NaN
    where there are no classes. ``rate`` is in rows a second, ``elapsed`` and ``remaining`` in
    seconds; what a stream cannot tell yet is None.
    """

    epoch: int  # the first is 1
    epochs: int
    batch: int  # of the epoch, the first is 1
    batches: int | None
    step: int  # of the whole training
    loss: float
    accuracy: float
    step_size: float
    rate: float
    elapsed: float
    remaining: float | None
    batch_loss: float = NAN
    validation_loss: float = NAN
    validation_accuracy: float = NAN
    best_epoch: int = 0
    snapshot: Callable[[], dict[str, Array]] = field(default=dict, repr=False, compare=False)

    def state(self) -> dict[str, Array]:
        """The training as names and arrays, from which ``train(..., state=)`` goes on."""
        return self.snapshot()


@dataclass(frozen=True)
class TrainingResult:
    """Why a training ended, and how it went.

    ``history`` has one number an epoch under "loss", "accuracy", "validation_loss" and
    "validation_accuracy". ``best_epoch`` is the one whose weights the network has now, 0 where
    there was no validation. ``state`` continues the training, with more epochs; ``memory``, the
    optimiser's part of it, a training on other data.
    """

    status: Status
    message: str
    epochs: int
    steps: int
    best_epoch: int
    history: dict[str, list[float]]
    state: dict[str, Array] = field(repr=False)
    memory: dict[str, Array] = field(repr=False)

    @property
    def best_loss(self) -> float:
        """The validation loss of the best epoch; NaN where there was no validation."""
        return self.history["validation_loss"][self.best_epoch - 1] if self.best_epoch else NAN
