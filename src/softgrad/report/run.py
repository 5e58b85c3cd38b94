"""The record of one training run: what the terminal, metrics.json and the report all show."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from softgrad.data import Dataset
from softgrad.data.streamed import StreamedData
from softgrad.estimators import SoftmaxRegression
from softgrad.optimize import GradientCheck
from softgrad.report.metrics import Metrics


@dataclass(frozen=True)
class HistoryPoint:
    """One iteration. Losses are means; ``gap`` is relative, NaN where it is not known yet."""

    iteration: int
    seconds: float
    objective: float
    gap: float
    certified: bool
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) training run. ``metrics`` are those of the validation rows."""

    model: SoftmaxRegression
    C: float
    train: Dataset | StreamedData
    validation: Dataset | StreamedData
    metrics: Metrics
    history: list[HistoryPoint]
    gradient_check: GradientCheck
    seconds: float
    peak_memory_bytes: int | None
    status: str
    interrupted: bool

    def as_json(self) -> dict[str, Any]:
        """The contents of metrics.json."""
        solution = self.model.solution_
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
            "classes": self.model.classes_.tolist(),
            "C": self.C,
            "objective": solution.value,
            # JSON has no NaN: the gap is not known when stopped on a path of penalties
            "gap": self.model.gap_ if math.isfinite(self.model.gap_) else None,
            "gap_certified": solution.certified,
            "solver": self.model.solver_,
            "iterations": solution.iterations,
            "evaluations": solution.evaluations,
            "hessian_products": solution.products,
            "converged": solution.converged,
            "interrupted": self.interrupted,
            "confusion": self.metrics.confusion.tolist(),
        }
