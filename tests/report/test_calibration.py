"""Calibration error and diagram: the report's own formula, for anybody's probabilities."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.special import log_softmax

import softgrad as sg
from softgrad.report import measure


def probabilities(rng, n_rows=500):
    log_p = log_softmax(rng.standard_normal((n_rows, 4)) * 2, axis=1)
    return log_p, rng.integers(0, 4, n_rows)


def test_it_is_the_reports_figure(rng):
    log_p, target = probabilities(rng)
    metrics = measure(log_p, target)
    assert sg.expected_calibration_error(np.exp(log_p), target) == metrics.ece
    diagram = sg.reliability_diagram(np.exp(log_p), target)
    assert diagram.bins == metrics.calibration
    assert diagram.error == metrics.ece


def test_labels_of_any_kind(rng):
    log_p, target = probabilities(rng)
    names = np.array(["wasp", "ant", "bee", "fly"])  # in the order of the columns
    expected = sg.expected_calibration_error(np.exp(log_p), target)
    assert sg.expected_calibration_error(np.exp(log_p), names[target], classes=names) == expected


def test_perfect_and_worst():
    sure = np.eye(2)[[0, 1, 1]]
    assert sg.expected_calibration_error(sure, [0, 1, 1]) == 0.0
    assert sg.expected_calibration_error(sure, [1, 0, 0]) == 1.0


def test_the_figure_stands_alone(rng, tmp_path):
    log_p, target = probabilities(rng)
    diagram = sg.reliability_diagram(np.exp(log_p), target)
    diagram.save(tmp_path / "d.svg")
    text = (tmp_path / "d.svg").read_text()
    ElementTree.fromstring(text)
    assert "var(" not in text
    assert "#2563c9" in text
    assert diagram._repr_svg_() == text


@pytest.mark.parametrize(
    ("p", "target", "options", "match"),
    [
        ([0.2, 0.8], [0, 1], {}, "must be .rows, classes."),
        ([[2.0, -1.0]], [0], {}, "not logits"),
        ([[np.nan, 1.0]], [0], {}, "not logits"),
        ([[0.2, 0.8]], [0, 1], {}, r"target has shape \(2,\)"),
        ([[0.2, 0.8]], [2], {}, "positions from 0 to 1"),
        ([[0.2, 0.8]], ["a"], {}, "give classes="),
        ([[0.2, 0.8]], ["c"], {"classes": ["a", "b"]}, "none of the 2 classes"),
        ([[0.2, 0.8]], ["a"], {"classes": ["a"]}, "2 columns"),
    ],
)
def test_what_is_refused(p, target, options, match):
    with pytest.raises(ValueError, match=match):
        sg.expected_calibration_error(p, target, **options)
