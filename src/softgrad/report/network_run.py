"""The record of one training of a network: what terminal, metrics.json and the report all show."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from softgrad.data import Dataset
from softgrad.estimators import NeuralNetClassifier
from softgrad.estimators.neural_net_file import parameters_as_json
from softgrad.network import Status
from softgrad.optimize import GradientCheck
from softgrad.report.metrics import Metrics


@dataclass(frozen=True)
class NetworkRun:
    """A finished (or interrupted) training. ``metrics`` are those of the validation rows."""

    model: NeuralNetClassifier
    train: Dataset
    validation: Dataset
    metrics: Metrics
    gradient_check: GradientCheck
    seconds: float
    peak_memory_bytes: int | None
    interrupted: bool

    @property
    def n_parameters(self) -> int:
        return int(self.model.network_.vector.size)

    @property
    def architecture(self) -> str:
        """784-256-128-10"""
        model = self.model
        hidden = parameters_as_json(model)["hidden"]
        widths = [model.n_features_in_, *hidden, len(model.classes_)]
        return "-".join(map(str, widths))

    @property
    def healthy(self) -> bool:
        """Whether the training came to an end of its own."""
        return self.model.status_ in (Status.FINISHED, Status.EARLY)

    @property
    def diverged(self) -> bool:
        """Whether the loss became nan or infinite."""
        return self.model.status_ is Status.NOT_FINITE

    @property
    def status(self) -> str:
        """Why the training ended and which weights were kept, in one sentence or two."""
        model = self.model
        epochs = f"{model.n_epochs_} epoch{'s' * (model.n_epochs_ != 1)}"
        kept = "the weights are those of where it stopped."
        if model.best_epoch_:
            loss = model.history_["validation_loss"][model.best_epoch_ - 1]
            kept = (
                f"the weights are those of epoch {model.best_epoch_}, which has the lowest"
                f" validation loss, {loss:.5f}."
            )
        reason = {
            Status.FINISHED: f"Finished {epochs}",
            Status.EARLY: f"Ended after {epochs}: the validation loss no longer fell",
            Status.STOPPED: f"Interrupted after {epochs}",
            Status.NOT_FINITE: f"Stopped after {epochs}",
        }[model.status_]
        if self.diverged:
            return f"{reason}. {model.message_} Kept: the last good weights."
        return f"{reason}; {kept}"

    def as_json(self) -> dict[str, Any]:
        """The contents of metrics.json."""
        model = self.model
        return {
            "accuracy": self.metrics.accuracy,
            "log_loss": self.metrics.log_loss,
            "ece": self.metrics.ece,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "gradient_check": asdict(self.gradient_check) | {"passed": self.gradient_check.passed},
            "data": self.train.name,
            "n_train": self.train.n_rows,
            "n_validation": self.validation.n_rows,
            "n_features": self.train.n_features,
            "classes": model.classes_.tolist(),
            "architecture": self.architecture,
            "n_parameters": self.n_parameters,
            "options": parameters_as_json(model),
            "epochs": model.n_epochs_,
            "best_epoch": model.best_epoch_,
            "history": {
                name: [None if math.isnan(value) else value for value in curve]
                for name, curve in model.history_.items()
            },
            "status": model.status_.name.lower(),
            "interrupted": self.interrupted,
            "confusion": self.metrics.confusion.tolist(),
        }
