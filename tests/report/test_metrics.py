"""Metrics against scikit-learn, and the calibration error against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn import metrics as oracle

from softgrad.report import Measured, measure
from softgrad.report.metrics import CALIBRATION_BINS, calibration_bins


@pytest.mark.parametrize("n_classes", [2, 3, 20])
def test_against_scikit_learn(rng, n_classes):
    log_p = log_softmax(rng.standard_normal((500, n_classes)) * 2, axis=1)
    target = rng.integers(0, n_classes, 500)
    labels = np.arange(n_classes)
    measured = measure(log_p, target)
    predicted = log_p.argmax(axis=1)
    assert measured.accuracy == oracle.accuracy_score(target, predicted)
    expected = oracle.log_loss(target, np.exp(log_p), labels=labels)
    assert measured.log_loss == pytest.approx(expected, rel=1e-13)
    expected = oracle.confusion_matrix(target, predicted, labels=labels)
    assert (measured.confusion == expected).all()
    assert measured.n_rows == 500


def test_rows_in_batches_give_the_metrics_of_all(rng):
    log_p = log_softmax(rng.standard_normal((500, 4)) * 2, axis=1)
    target = rng.integers(0, 4, 500)
    measured = Measured(4)
    for rows in (slice(0, 1), slice(1, 300), slice(300, 500)):
        measured.add(log_p[rows], target[rows])
    parts, whole = measured.metrics(), measure(log_p, target)
    assert (parts.confusion == whole.confusion).all()
    assert (parts.n_rows, parts.accuracy) == (500, whole.accuracy)
    assert [parts.log_loss, parts.ece] == pytest.approx([whole.log_loss, whole.ece], rel=1e-13)
    assert [bin.count for bin in parts.calibration] == [bin.count for bin in whole.calibration]


def test_calibration_error_by_its_definition(rng):
    log_p = log_softmax(rng.standard_normal((800, 4)) * 3, axis=1)
    target = rng.integers(0, 4, 800)
    confidence, right = np.exp(log_p.max(axis=1)), log_p.argmax(axis=1) == target
    expected = 0.0
    for b in range(CALIBRATION_BINS):
        low, high = b / CALIBRATION_BINS, (b + 1) / CALIBRATION_BINS
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert measure(log_p, target).ece == pytest.approx(expected, rel=1e-12)


def test_bins_hold_what_lies_between_their_bounds(rng):
    confidence = np.concatenate([rng.random(300), np.arange(1, 16) / 15])
    bins = calibration_bins(confidence, rng.random(315) < confidence)
    assert sum(bin.count for bin in bins) == 315
    for bin in bins:
        inside = (confidence > bin.low) & (confidence <= bin.high)
        assert bin.count == inside.sum()
        assert bin.confidence == pytest.approx(confidence[inside].mean())


def test_a_calibrated_model_has_a_small_error(rng):
    log_p = log_softmax(rng.standard_normal((20_000, 3)) * 2, axis=1)
    target = (np.exp(log_p).cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(0, 2)
    assert measure(log_p, target).ece < 0.02


def test_an_impossible_class_is_an_infinite_loss_and_confidence_one_has_a_bin():
    log_p = np.array([[0.0, -np.inf]])
    assert measure(log_p, np.array([0])).log_loss == 0.0
    assert measure(log_p, np.array([1])).log_loss == np.inf
    (bin,) = calibration_bins(np.array([1.0]), np.array([True]))
    assert (bin.high, bin.count, bin.accuracy) == (1.0, 1, 1.0)
