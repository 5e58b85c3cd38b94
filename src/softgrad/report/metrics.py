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
    measured = Measured(log_probabilities.shape[1])
    measured.add(log_probabilities, target)
    return measured.metrics()


class Measured:
    """The sums that metrics are made of: rows come in batches and are not kept."""

    def __init__(self, n_classes: int) -> None:
        self.loss = 0.0
        self.confusion = np.zeros((n_classes, n_classes), np.int64)
        self.bins = _BinSums()

    def add(self, log_probabilities: Float, target: Index) -> None:
        """Some more rows: log-probabilities (N, K) and class positions (N,)."""
        predicted = log_probabilities.argmax(axis=1)
        rows = np.arange(len(target))
        self.loss -= float(log_probabilities[rows, target].sum())
        self.confusion += confusion_matrix(target, predicted, log_probabilities.shape[1])
        self.bins.add(np.exp(log_probabilities[rows, predicted]), predicted == target)

    def metrics(self) -> Metrics:
        """Of all rows so far."""
        n_rows = int(self.confusion.sum())
        bins = self.bins.bins()
        return Metrics(
            n_rows=n_rows,
            accuracy=float(np.trace(self.confusion) / n_rows),
            log_loss=self.loss / n_rows,
            ece=calibration_error(bins),
            confusion=self.confusion,
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
    sums = _BinSums()
    sums.add(confidence, correct)
    return sums.bins()


class _BinSums:
    """Rows, confidence and right predictions of each bin."""

    def __init__(self) -> None:
        self.edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
        self.count = np.zeros(CALIBRATION_BINS, np.int64)
        self.correct = np.zeros(CALIBRATION_BINS, np.int64)
        self.confidence = np.zeros(CALIBRATION_BINS)

    def add(self, confidence: Float, correct: npt.NDArray[np.bool_]) -> None:
        index = np.searchsorted(self.edges, confidence, side="left") - 1
        index = np.clip(index, 0, CALIBRATION_BINS - 1)
        self.count += np.bincount(index, minlength=CALIBRATION_BINS)
        self.correct += np.bincount(index[correct], minlength=CALIBRATION_BINS)
        self.confidence += np.bincount(index, confidence, minlength=CALIBRATION_BINS)

    def bins(self) -> list[CalibrationBin]:
        return [
            CalibrationBin(
                float(self.edges[bin]),
                float(self.edges[bin + 1]),
                int(self.count[bin]),
                float(self.confidence[bin] / self.count[bin]),
                float(self.correct[bin] / self.count[bin]),
            )
            for bin in np.flatnonzero(self.count)
        ]
