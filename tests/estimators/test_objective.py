"""The objective that the solver sees is scikit-learn's, and its gradient belongs to it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax

import softgrad as sg
from softgrad.optimize import check_gradient


def data(rng, n_classes):
    X = rng.standard_normal((60, 5)) * [1, 1e3, 1e-3, 1, 0] + [0, 5e3, 0, 1e-2, 7]
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, 60 - n_classes)])
    return X, y


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.01, 3.0, np.inf])
def test_value_is_the_formula(rng, n_classes, fit_intercept, C):
    X, y = data(rng, n_classes)
    s = rng.random(60) + 0.1
    model = sg.SoftmaxRegression(C, fit_intercept=fit_intercept)
    objective = model.objective(X, y, s)
    n_outputs = 1 if n_classes == 2 else n_classes
    coef = rng.standard_normal((n_outputs, 5)) * [1, 1e-3, 1e3, 1, 1]
    intercept = rng.standard_normal(n_outputs) if fit_intercept else np.zeros(n_outputs)

    value, _ = objective(objective.parameters(coef, intercept))

    outputs = X @ coef.T + intercept
    logits = np.column_stack([np.zeros(60), outputs]) if n_classes == 2 else outputs
    loss = -(s * log_softmax(logits, axis=1)[np.arange(60), y]).sum()
    expected = (loss + (coef**2).sum() / (2 * C)) / s.sum()
    assert value == pytest.approx(expected, rel=1e-12)
    back = objective.coef_intercept(objective.parameters(coef, intercept))
    assert np.allclose(back[0], coef, rtol=1e-13, atol=0)
    assert np.allclose(back[1], intercept, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("as_sparse", [True, False])
def test_gradient_belongs_to_the_value(rng, n_classes, fit_intercept, as_sparse):
    X, y = data(rng, n_classes)
    X = sparse.csr_array(X) if as_sparse else X
    model = sg.SoftmaxRegression(0.7, fit_intercept=fit_intercept, class_weight={0: 3.0})
    objective = model.objective(X, y, rng.random(60))
    point = rng.standard_normal(objective.start().size)
    assert check_gradient(objective, point, directions=40).relative_error < 1e-9


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1])
def test_a_constant_feature_without_a_penalty_is_harmless(rng, constant):
    """The mean of 0.1 is not 0.1: what remains must not be taken for a feature and blown up."""
    X, y = data(rng, 3)
    X[:, 4] = constant
    objective = sg.SoftmaxRegression(penalty=None).objective(X, y)
    _, grad = objective(objective.start())
    assert np.abs(grad.reshape(6, 3)[4]).max() < 1e-12
    model = sg.SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y)
    without = sg.SoftmaxRegression(penalty=None, tol=1e-12).fit(X[:, :4], y)
    assert np.allclose(model.predict_proba(X), without.predict_proba(X[:, :4]), rtol=1e-5)


def test_start_is_the_best_constant_model(rng):
    X, y = data(rng, 4)
    objective = sg.SoftmaxRegression().objective(np.zeros_like(X), y)
    value, _ = objective(objective.start())
    share = np.bincount(y) / len(y)
    entropy = -(share * np.log(share)).sum()
    assert entropy <= value < entropy + 0.01
