"""How good a classifier's probabilities are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Metrics:
    """Measured on labelled rows. ``confusion[i, j]`` counts rows of class i predicted as class j.

    ``log_loss`` is the mean of -log p(true class), in nats, without clipping. ``ece`` is the
    expected calibration error of the top class over fifteen bins of equal width.
    """

    n_rows: int
    accuracy: float
    log_loss: float
    ece: float
    confusion: Index
    calibration: list[CalibrationBin]


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose top probability lies in (low, high]: how sure the model was, how often right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def measure(log_probabilities: Float, target: Index) -> Metrics:
    """Metrics of log-probabilities (N, K) against class positions (N,)."""
    predicted = log_probabilities.argmax(axis=1)
    correct = predicted == target
    rows = np.arange(len(target))
    confidence = np.exp(log_probabilities[rows, predicted])
    bins = calibration_bins(confidence, correct)
    return Metrics(
        n_rows=len(target),
        accuracy=float(correct.mean()),
        log_loss=float(-log_probabilities[rows, target].mean()),
        ece=calibration_error(bins),
        confusion=confusion_matrix(target, predicted, log_probabilities.shape[1]),
        calibration=bins,
    )


def calibration_error(bins: list[CalibrationBin]) -> float:
    """The distance of confidence and accuracy, on average over the rows of all bins."""
    gaps = [bin.count * abs(bin.confidence - bin.accuracy) for bin in bins]
    return float(sum(gaps) / sum(bin.count for bin in bins))


def confusion_matrix(target: Index, predicted: npt.NDArray[np.intp], n_classes: int) -> Index:
    """Counts (K, K): the true class by row, the predicted one by column."""
    pairs = target * n_classes + predicted
    counts = np.bincount(pairs, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def calibration_bins(confidence: Float, correct: npt.NDArray[np.bool_]) -> list[CalibrationBin]:
    """The bins that hold rows, by rising confidence."""
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, CALIBRATION_BINS - 1)
    return [
        CalibrationBin(
            float(edges[bin]),
            float(edges[bin + 1]),
            int(members.sum()),
            float(confidence[members].mean()),
            float(correct[members].mean()),
        )
        for bin in range(CALIBRATION_BINS)
        if (members := index == bin).any()
    ]
