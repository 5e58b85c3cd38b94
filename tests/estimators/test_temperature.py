"""TemperatureScaling: the best temperature, for any classifier, and calibrated in the end."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_digits, load_iris, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import softgrad as sg
from softgrad.estimators.temperature import TemperatureStatus, fit_temperature


# Three folds, as scikit-learn's own checks of CalibratedClassifierCV: some have very few rows.
@parametrize_with_checks([sg.TemperatureScaling(sg.SoftmaxRegression(0.1), cv=3)])
@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def loss_at(log_t, logits, target, weight=None):
    return float(
        sg.cross_entropy(logits, target, temperature=float(np.exp(log_t)), sample_weight=weight)
    )


@pytest.mark.parametrize("n_classes", [2, 5, 30])
@pytest.mark.parametrize("scale", [1e-6, 0.3, 7.0, 1e8])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_temperature_is_the_best_there_is(rng, n_classes, scale, weighted):
    logits = rng.standard_normal((400, n_classes)) * 3
    noisy = logits + 2 * rng.gumbel(size=logits.shape)
    target, weight = noisy.argmax(axis=1), rng.random(400) if weighted else None
    found = fit_temperature(logits * scale, target, sample_weight=weight)
    best = minimize_scalar(
        lambda t: loss_at(t + np.log(scale), logits * scale, target, weight),
        bracket=(0.0, 1.0),
        options={"xtol": 1e-10},
    )
    assert found.status is TemperatureStatus.OPTIMAL
    assert found.loss <= best.fun * (1 + 1e-14)
    assert np.log(found.temperature / scale) == pytest.approx(best.x, abs=1e-6)
    assert found.loss_before == pytest.approx(loss_at(0.0, logits * scale, target, weight))
    assert 0 <= found.gap < 1e-12
    assert abs(found.derivative) < 1e-12
    assert found.iterations < 30


def test_the_gap_bounds_the_distance_anywhere(rng, monkeypatch):
    from softgrad.estimators import temperature

    logits = rng.standard_normal((200, 4)) * 5
    target = (logits + 3 * rng.gumbel(size=logits.shape)).argmax(axis=1)
    best = fit_temperature(logits, target).loss
    gaps = []
    for limit in range(1, 8):
        monkeypatch.setattr(temperature, "_ITERATIONS", limit)
        stopped = fit_temperature(logits, target)
        assert stopped.gap >= stopped.loss - best - 1e-15
        gaps.append(stopped.gap)
    assert gaps[0] > 1e-4 > gaps[-1]


def test_the_known_answer():
    """Right in three of four rows: T = 9 / log 3 for logits that differ by 9."""
    logits = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    assert fit_temperature(logits, [0, 0, 1, 1]).temperature == pytest.approx(9 / np.log(3))
    weighted = fit_temperature(logits, [0, 0, 1, 1], sample_weight=[2, 1, 1, 1])
    assert weighted.temperature == pytest.approx(9 / np.log(4))


def test_both_ends_are_named():
    eye = np.eye(3)
    right = fit_temperature(eye, [0, 1, 2])
    assert right.status is TemperatureStatus.SEPARABLE
    assert right.temperature < 1e-3
    wrong = fit_temperature(eye, [1, 2, 0])
    assert wrong.status is TemperatureStatus.UNINFORMATIVE
    assert wrong.temperature > 1e3
    assert fit_temperature(np.ones((4, 3)), [0, 1, 2, 0]).temperature == 1.0
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(C=1e4, max_iter=10_000).fit(X[y < 2], y[y < 2])
    with pytest.warns(ConvergenceWarning, match="every row is right"):
        sg.TemperatureScaling(model, cv="prefit").fit(X[y < 2], y[y < 2])


def test_impossible_classes():
    logits = np.array([[0.0, 2.0, -np.inf], [2.0, 0.0, -np.inf], [1.0, 0.0, 0.5]])
    found = fit_temperature(logits, [0, 0, 2])
    assert np.isfinite([found.loss, found.temperature]).all()
    with pytest.raises(ValueError, match="Row 2 has the logit -inf for its own class"):
        fit_temperature(logits, [0, 2, 2])


CLASSIFIERS = [
    GaussianNB(),
    SVC(),
    LinearSVC(),
    DecisionTreeClassifier(max_depth=8, random_state=0),
    RandomForestClassifier(20, random_state=0),
    KNeighborsClassifier(3),
    MLPClassifier((30,), max_iter=300, random_state=0, alpha=1e-6),
    sg.SoftmaxRegression(1.0),
]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: type(c).__name__)
def test_any_classifier_loses_less(classifier, n_classes):
    X, y = make_classification(
        900, 12, n_informative=6, n_classes=n_classes, flip_y=0.15, random_state=0
    )
    y = np.array(["ant", "bee", "cat"])[y]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = sg.TemperatureScaling(classifier, cv=3).fit(X[:600], y[:600])
    assert model.fit_.loss <= model.fit_.loss_before
    p = model.predict_proba(X[600:])
    assert p.shape == (300, n_classes)
    assert np.allclose(p.sum(axis=1), 1)
    assert np.allclose(np.log(p), model.predict_log_proba(X[600:]))
    # The classes that win stay the same (an SVC's votes may differ from its scores).
    if not isinstance(classifier, SVC):
        same = model.predict(X[600:]) == model.estimator_.predict(X[600:])
        assert same.mean() > 0.99
    if not isinstance(classifier, DecisionTreeClassifier | RandomForestClassifier):
        # Trees say zero where they mean little; one temperature cannot mend that.
        assert sg.expected_calibration_error(p, y[600:], classes=model.classes_) < 0.13
    pickle.loads(pickle.dumps(model)).predict(X[:3])


def test_prefit_keeps_the_classifier():
    X, y = load_digits(return_X_y=True)
    classifier = LogisticRegression(C=1e3, max_iter=5000).fit(X[:900], y[:900])
    before = classifier.predict_proba(X[1350:])
    model = sg.TemperatureScaling(classifier, cv="prefit").fit(X[900:1350], y[900:1350])
    assert model.estimator_ is classifier
    assert model.temperature_ > 2  # it is far too sure
    assert (model.predict(X[1350:]) == classifier.predict(X[1350:])).all()
    after = model.predict_proba(X[1350:])
    errors = [sg.expected_calibration_error(p, y[1350:]) for p in (before, after)]
    assert errors[1] < 0.5 * errors[0]
    with pytest.raises(NotFittedError, match="GaussianNB is not"):
        sg.TemperatureScaling(GaussianNB(), cv="prefit").fit(X, y)
    fewer = GaussianNB().fit(X[y < 9], y[y < 9])
    with pytest.raises(ValueError, match="label 9, which the estimator does not know"):
        sg.TemperatureScaling(fewer, cv="prefit").fit(X, y)


def test_weights_reach_the_temperature_and_the_classifier():
    X, y = make_classification(400, 6, flip_y=0.2, random_state=0)
    weight = np.where(np.arange(400) % 2, 1.0, 1e-9)
    odd = np.arange(400) % 2 == 1
    classifier = GaussianNB().fit(X, y)
    one = sg.TemperatureScaling(classifier, cv="prefit").fit(X, y, weight)
    two = sg.TemperatureScaling(classifier, cv="prefit").fit(X[odd], y[odd])
    assert one.temperature_ == pytest.approx(two.temperature_, rel=1e-6)
    model = sg.TemperatureScaling(GaussianNB()).fit(X, y, weight)
    assert np.allclose(model.estimator_.theta_, GaussianNB().fit(X, y, weight).theta_)
    with pytest.warns(UserWarning, match="takes no sample_weight"):
        sg.TemperatureScaling(KNeighborsClassifier(9)).fit(X, y, weight)


def test_kernels_and_data_frames_are_split_as_they_must():
    X, y = make_classification(300, 6, flip_y=0.1, random_state=0)
    kernel = X @ X.T
    precomputed = sg.TemperatureScaling(SVC(kernel="precomputed"), cv=3).fit(kernel, y)
    linear = sg.TemperatureScaling(SVC(kernel="linear"), cv=3).fit(X, y)
    assert precomputed.temperature_ == pytest.approx(linear.temperature_, rel=1e-2)
    frames = pytest.importorskip("pandas")
    frame = frames.DataFrame(X, columns=list("abcdef"))
    named = sg.TemperatureScaling(SVC(kernel="linear"), cv=3).fit(frame, frames.Series(y))
    assert named.temperature_ == linear.temperature_


def test_folds_that_cannot_be():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="less than 60 examples"):
        sg.TemperatureScaling(GaussianNB(), cv=60).fit(X, y)
    part = [(np.arange(100), np.arange(100, 150))]
    with pytest.raises(ValueError, match="leave out some rows"):
        sg.TemperatureScaling(GaussianNB(), cv=part).fit(X, y)
    # Folds in the order of the file: each leaves out a class altogether.
    model = sg.TemperatureScaling(GaussianNB(), cv=KFold(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    assert np.isfinite(model.predict_log_proba(X)).all()
    from sklearn.linear_model import LinearRegression

    with pytest.raises(ValueError, match="needs a classifier"):
        sg.TemperatureScaling(LinearRegression()).fit(X, y)
