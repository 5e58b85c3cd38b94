"""NeuralNetClassifier: scikit-learn's checks, and what only it promises."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from softgrad.estimators import NeuralNetClassifier


@parametrize_with_checks([NeuralNetClassifier()])
@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn(estimator, check):
    check(estimator)
