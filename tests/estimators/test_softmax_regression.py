"""SoftmaxRegression against scikit-learn's LogisticRegression, and what only it promises."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

import softgrad as sg
from softgrad.estimators import SoftmaxRegression
from softgrad.optimize import Status

DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}


@parametrize_with_checks([SoftmaxRegression()])
@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def exact(X, y, C, sample_weight=None, solver="newton-cholesky", **options):
    """scikit-learn's Newton solvers, as far as double precision goes."""
    model = LogisticRegression(C=C, solver=solver, tol=1e-11, max_iter=10_000, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, sample_weight)


def assert_same_model(model, oracle, rtol):
    size = np.abs(oracle.coef_).max()
    assert np.abs(model.coef_ - oracle.coef_).max() <= rtol * size
    size = np.abs(oracle.intercept_).max() or 1.0
    assert np.abs(model.intercept_ - oracle.intercept_).max() <= rtol * size


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("C", [0.01, 1.0])
def test_coefficients_are_those_of_logistic_regression(name, C):
    X, y = DATA[name](return_X_y=True)
    X, y = X[:600], y[:600]
    model = SoftmaxRegression(C, tol=1e-11).fit(X, y)
    assert model.solution_.converged
    # 650 parameters are too many for a factorised Hessian in a test.
    oracle = exact(X, y, C, solver="newton-cg" if name == "digits" else "newton-cholesky")
    assert_same_model(model, oracle, rtol=3e-5)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 2: 0.3}])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weighted", [True, False])
def test_options_mean_what_they_mean_there(rng, fit_intercept, class_weight, n_classes, weighted):
    X, y = load_wine(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    if n_classes == 2 and isinstance(class_weight, dict):
        class_weight = {0: 2.0}
    s = rng.random(len(y)) * 3 if weighted else None
    options = {"fit_intercept": fit_intercept, "class_weight": class_weight}
    model = SoftmaxRegression(0.1, tol=1e-9, max_iter=5000, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 1e-9 is at the edge of rounding
        model.fit(X, y, s)
    assert_same_model(model, exact(X, y, 0.1, s, **options), rtol=1e-5)


def test_the_objective_is_scikit_learns(rng):
    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression(2.0, tol=1e-8).fit(X, y)
    oracle = exact(X, y, 2.0)
    loss = -np.log(oracle.predict_proba(X)[np.arange(len(y)), y]).sum()
    expected = (2.0 * loss + 0.5 * (oracle.coef_**2).sum()) / (2.0 * len(y))
    assert model.objective_ == pytest.approx(expected, rel=1e-12)


def test_no_penalty_is_an_infinite_c(rng):
    X, y = rng.standard_normal((300, 3)), rng.integers(0, 3, 300)
    without = SoftmaxRegression(penalty=None, tol=1e-8).fit(X, y)
    infinite = SoftmaxRegression(np.inf, tol=1e-8).fit(X, y)
    assert without.coef_.tobytes() == infinite.coef_.tobytes()
    assert_same_model(without, exact(X, y, np.inf), rtol=1e-6)


@pytest.mark.parametrize("convert", [sparse.csr_matrix, sparse.csr_array, np.float32, np.uint8])
def test_storage_does_not_change_the_model(convert):
    X, y = load_digits(return_X_y=True)  # pixels 0..16: exact in every type
    X, y = X[:400], y[:400]
    stored = (
        X.astype(convert)
        if isinstance(convert, type(np.uint8))
        and convert
        in (
            np.float32,
            np.uint8,
        )
        else convert(X)
    )
    model = SoftmaxRegression(0.01, tol=1e-13).fit(stored, y)
    dense = SoftmaxRegression(0.01, tol=1e-13).fit(X, y)
    assert_same_model(model, dense, rtol=1e-6)
    assert np.allclose(model.predict_proba(stored), dense.predict_proba(X), rtol=1e-5, atol=0)


def test_unscaled_features_converge():
    """Wine: features from 0.1 to 1700. scikit-learn's L-BFGS stops at its limit here."""
    X, y = load_wine(return_X_y=True)
    units = 10.0 ** np.linspace(-6, 6, X.shape[1])
    for data in (X, X * units):
        model = SoftmaxRegression(1e-2).fit(data, y)
        assert model.solution_.converged
        assert model.n_iter_ < 40


def test_a_large_offset_costs_no_accuracy():
    X, y = load_iris(return_X_y=True)
    X = np.round(X * 16) / 16
    near = SoftmaxRegression(tol=1e-12).fit(X, y)
    far = SoftmaxRegression(tol=1e-12).fit(X + 2.0**32, y)
    assert_same_model_without_intercept(far, near)


def assert_same_model_without_intercept(model, oracle):
    assert np.abs(model.coef_ - oracle.coef_).max() <= 1e-4 * np.abs(oracle.coef_).max()


def test_log_probabilities_keep_what_probabilities_lose():
    X, y = np.array([[0.0], [1.0], [2.0]]), np.array([0, 1, 2])
    model = SoftmaxRegression().fit(X, y)
    model.coef_ = np.array([[-1000.0], [0.0], [1000.0]])
    model.intercept_ = np.zeros(3)
    log_p = model.predict_log_proba([[1.0]])
    assert log_p.tolist() == [[-2000.0, -1000.0, 0.0]]
    model = SoftmaxRegression().fit(X[:2], y[:2])
    model.coef_, model.intercept_ = np.array([[1000.0]]), np.zeros(1)
    assert model.predict_log_proba([[1.0]]).tolist() == [[-1000.0, 0.0]]
    assert model.predict_proba([[-0.04], [0.04]])[0, 1] == pytest.approx(np.exp(-40), rel=1e-14)


def test_stopping_early_says_why_how_far_and_what_helps():
    X, y = load_digits(return_X_y=True)
    model = SoftmaxRegression(max_iter=3)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    message = str(caught[0].message)
    for part in (
        "limit of iterations",
        "after 3 iterations",
        "Raise max_iter, or continue",
        "tol 1e-06",
        "of its minimum",
    ):
        assert part in message
    assert "Raise max_iter" in message
    assert model.n_iter_ == 3
    assert model.solution_.status is Status.ITERATION_LIMIT
    assert caught[0].filename == __file__


def test_unreachable_tolerance_is_not_called_convergence():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="no longer decreases in double precision"):
        SoftmaxRegression(tol=0.0, max_iter=10_000).fit(X, y)


def test_logits_that_overflow_are_named():
    X = np.array([[1e99], [-1e99], [3e99]])
    with (
        np.errstate(all="ignore"),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        model = SoftmaxRegression().fit(X, [0, 1, 2])
    assert model.solution_.converged or any(
        issubclass(warning.category, ConvergenceWarning) for warning in caught
    )


def test_warm_start_continues():
    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression(warm_start=True, tol=1e-12).fit(X, y)
    first, coef = model.n_iter_, model.coef_.copy()
    model.fit(X, y)
    assert model.n_iter_ <= 2 < first
    assert np.allclose(model.coef_, coef, rtol=1e-5)
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X[:, :2], y)


def test_an_interrupted_fit_keeps_the_best_model_so_far():
    X, y = load_digits(return_X_y=True)
    seen = []

    def stop(progress):
        seen.append(progress)
        if len(seen) == 7:
            raise KeyboardInterrupt

    model = SoftmaxRegression(callback=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.solution_.status is Status.INTERRUPTED
    assert model.objective_ == min(progress.objective for progress in seen)
    assert model.coef_.tobytes() == seen[-1].coef.tobytes()
    assert model.score(X, y) > 0.9


def test_the_callback_sees_the_way_down():
    X, y = load_iris(return_X_y=True)
    seen = []
    model = SoftmaxRegression(callback=seen.append).fit(X, y)
    assert [progress.iteration for progress in seen] == list(range(1, model.n_iter_ + 1))
    assert all(a.objective >= b.objective for a, b in itertools.pairwise(seen))
    assert seen[-1].coef.shape == (3, 4)


def test_verbose_prints_each_iteration(capsys):
    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression(verbose=1).fit(X, y)
    assert len(capsys.readouterr().out.splitlines()) == model.n_iter_


@pytest.mark.parametrize(
    ("option", "value", "match"),
    [
        ("C", 0, "C must be"),
        ("C", -1.0, "C must be"),
        ("C", np.nan, "C must be"),
        ("C", "1", "C must be"),
        ("C", True, "C must be"),
        ("penalty", "l1", "penalty must be"),
        ("tol", -1e-3, "tol must be"),
        ("solver", "lbfgs", "solver must be"),
        ("max_iter", 1.5, "max_iter must be"),
        ("max_iter", -1, "max_iter must be"),
    ],
)
def test_bad_options_are_named(option, value, match):
    model = SoftmaxRegression(**{option: value})
    with pytest.raises(ValueError, match=match):
        model.fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, "batches"])
def test_numbers_whose_squares_overflow_are_named(convert):
    X, y = load_iris(return_X_y=True)
    X = X.copy()
    X[3, 2] = 1e300  # a placeholder for a missing value
    model = sg.SoftmaxRegression()
    rows = ([(X[:70], y[:70]), (X[70:], y[70:])],) if convert == "batches" else (convert(X), y)
    with pytest.raises(ValueError, match=r"feature 2 has values beyond 1e\+100.*missing values"):
        model.fit(*rows)
    frame = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b", "width", "d"])
    with pytest.raises(ValueError, match="feature 'width' has values beyond"):
        model.fit(frame, y)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 3, 5, 9, 5, 3, 3, 3]),
        np.array([-128, 127, -128] * 100, np.int8),
        np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], np.uint64),
        np.array([-(2**63), 2**63 - 1, 0]),
        np.array([7, 7]),
        np.array([True, False, True]),
        np.array([0.0, 2.0, 1.0]),
        np.array(["b", "a", "b"]),
    ],
)
def test_classes_and_positions_are_those_of_unique(labels):
    from softgrad.estimators.softmax_regression import _classes_and_positions

    classes, positions = _classes_and_positions(labels)
    expected, inverse = np.unique(labels, return_inverse=True)
    assert classes.dtype == expected.dtype
    assert classes.tolist() == expected.tolist()
    assert positions.tolist() == inverse.tolist()


def test_a_gap_is_never_below_zero():
    X, y = np.full((30, 2), 7.0), np.arange(30) % 3  # nothing to learn: the start is the optimum
    assert sg.SoftmaxRegression().fit(X, y).gap_ >= 0.0


def test_one_class_is_named():
    with pytest.raises(ValueError, match=r"at least 2 classes.*only one class"):
        SoftmaxRegression().fit([[0.0], [1.0]], ["a", "a"])


def test_threads_change_no_bit(rng):
    X, y = rng.standard_normal((20_000, 60)), rng.integers(0, 5, 20_000)
    with sg.num_threads(1):
        one = SoftmaxRegression().fit(X, y)
    with sg.num_threads(3):
        three = SoftmaxRegression().fit(X, y)
    assert one.coef_.tobytes() == three.coef_.tobytes()
    assert one.intercept_.tobytes() == three.intercept_.tobytes()


def test_it_is_the_public_name():
    assert sg.SoftmaxRegression is SoftmaxRegression
