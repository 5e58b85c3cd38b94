"""The solver: what it proves, where it gives up, and that it does not where others do."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning

from softgrad.estimators import SoftmaxRegression
from softgrad.optimize import Status, minimize_newton

DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
}
SOLVERS = ["newton-full", "newton-blocks", "newton-diagonal"]


def optimum(X, y, C, **options):
    """To far more digits than are proven: Newton's last step doubles them."""
    return SoftmaxRegression(C, tol=1e-9, **options).fit(X, y).objective_


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_gap_is_a_bound_at_every_iteration(name, C, fit_intercept):
    """Stopped anywhere, with a tolerance that accepts whatever is proven."""
    X, y = DATA[name](return_X_y=True)
    best = optimum(X, y, C, fit_intercept=fit_intercept)
    for max_iter in (0, 1, 3, 6, 10, 20):
        model = SoftmaxRegression(C, max_iter=max_iter, tol=1e-3, fit_intercept=fit_intercept)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        if model.solution_.certified:
            assert model.objective_ - best <= model.gap_ * model.objective_ + 1e-14


@pytest.mark.parametrize("name", DATA)
def test_the_certificate_holds_far_from_the_optimum_too(rng, name):
    """Any point and any step give a valid bound, good or bad."""
    X, y = DATA[name](return_X_y=True)
    for C in (0.1, 10.0):
        best = optimum(X, y, C)
        objective = SoftmaxRegression(C).objective(X, y)
        tight = SoftmaxRegression(C, tol=1e-9).fit(X, y)
        solution = objective.parameters(tight.coef_, tight.intercept_)
        for size in (0.0, 1e-4, 1e-2, 1.0):
            x = solution + size * rng.standard_normal(solution.shape)
            x[-1] -= x[-1].mean() if x.shape[1] > 1 else 0.0
            for step in (np.zeros_like(x), solution - x, rng.standard_normal(x.shape) * size):
                value, gap = objective.certify(x, step)
                assert value == pytest.approx(objective.value_and_grad(x + step)[0], rel=1e-12)
                assert value - best <= gap * (1 + 1e-9) + 1e-13
        value, gap = objective.certify(solution, np.zeros_like(solution))
        assert gap < 1e-3 * value  # and not a trivial one


@pytest.mark.parametrize("name", ["iris", "breast cancer"])
def test_a_wrong_intercept_is_not_certified(name):
    """It has no penalty, and where the weights are held at zero no other residual shows it."""
    X, y = DATA[name](return_X_y=True)
    objective = SoftmaxRegression(1e-9).objective(X, y)
    best = optimum(X, y, 1e-9)
    x = objective.start()
    x[-1, 0] += 1.0
    value, gap = objective.certify(x, np.zeros_like(x))
    assert value - best > 0.05
    assert value - best <= gap


def test_weights_enter_the_certificate(rng):
    X, y = load_wine(return_X_y=True)
    s = rng.integers(1, 4, len(y))
    repeated = SoftmaxRegression(tol=1e-11).fit(np.repeat(X, s, axis=0), np.repeat(y, s))
    weighted = SoftmaxRegression(tol=1e-11).fit(X, y, sample_weight=s)
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-11)
    assert weighted.gap_ <= 1e-11
    assert np.allclose(weighted.coef_, repeated.coef_, rtol=1e-4)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_finds_the_same_optimum(name, solver):
    X, y = DATA[name](return_X_y=True)
    X, y = X[:500], y[:500]
    model = SoftmaxRegression(0.5, solver=solver, tol=1e-9).fit(X, y)
    assert model.solver_ == solver
    assert model.gap_ <= 1e-9
    assert model.objective_ == pytest.approx(optimum(X, y, 0.5), rel=2e-9)


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_the_first_certificate_is_good_enough(monkeypatch, load):
    """What is left of the Newton equation of the intercepts costs it too, and linearly."""
    from softgrad.estimators import objective

    gaps = []
    certify = objective.Objective.certify

    def counted(self, x, step):
        value, gap = certify(self, x, step)
        gaps.append(gap / value)
        return value, gap

    monkeypatch.setattr(objective.Objective, "certify", counted)
    assert SoftmaxRegression().fit(*load(return_X_y=True)).solution_.certified
    assert len(gaps) == 1


def test_the_next_stage_begins_at_a_point_that_was_tried(monkeypatch):
    """A last step not looked at may lead from a stage's minimum to anywhere."""
    from softgrad.optimize import newton

    ends = []
    descend = newton._Search._descend

    def watched(self, tol, **options):
        status = descend(self, tol, **options)
        if options.get("loose"):
            ends.append((self.function.value_and_grad(self.x)[0], self.value))
        return status

    monkeypatch.setattr(newton._Search, "_descend", watched)
    X, y = rare_and_enormous()
    assert SoftmaxRegression(1000.0).fit(X, y).solution_.converged
    assert len(ends) > 2
    assert all(value == known for value, known in ends)


def rare_and_enormous():
    """Raw pixels, mislabelled rows and a few numbers far beyond all others."""
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(len(y)) < 0.1, rng.integers(0, 10, len(y)), y)
    return np.where(rng.random(X.shape) < 0.002, X + 4000.0, X), y


def test_a_step_that_is_cut_a_little_starts_no_path(monkeypatch):
    """Rows of words, one in eight of the topic: a third of Newton's step is far from crawling."""
    from softgrad.estimators import objective

    stages = []
    monkeypatch.setattr(objective.Objective, "strengthen", lambda _, s: stages.append(s))
    rng = np.random.default_rng(2)
    n_rows, n_words, n_classes = 1500, 4000, 20
    y = rng.integers(0, n_classes, n_rows)
    share = np.cumsum(1 / np.arange(1, n_words + 1))
    words = np.searchsorted(share / share[-1], rng.random((n_rows, 120)))
    topics = np.stack([rng.permutation(n_words) for _ in range(n_classes)])
    words = np.where(rng.random(words.shape) < 0.12, topics[y[:, None], words], words)
    index = np.repeat(np.arange(n_rows), 120), words.ravel()
    X = sparse.csr_matrix((np.ones(words.size), index), shape=(n_rows, n_words))
    X.data = 1 + np.log(X.data)
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    model = SoftmaxRegression(30.0).fit(sparse.diags(1 / norms) @ X, y)
    assert model.solution_.converged
    assert model.solution_.evaluations > model.n_iter_ + 1  # more than one try for some step
    assert not stages


def test_a_failed_early_step_starts_a_path(monkeypatch):
    """Raw pixels, hardly any penalty, mislabelled rows: the quadratic model is useless at first."""
    from softgrad.estimators import objective

    stages = []
    strengthen = objective.Objective.strengthen
    monkeypatch.setattr(
        objective.Objective,
        "strengthen",
        lambda self, strength: (stages.append(strength), strengthen(self, strength))[1],
    )
    X, y = rare_and_enormous()
    model = SoftmaxRegression(1000.0).fit(X, y)
    assert model.solution_.converged
    assert model.gap_ <= 1e-6
    assert stages == sorted(stages, reverse=True)
    assert len(stages) > 2
    assert stages[-1] == 1.0


def test_separable_without_a_penalty_is_said():
    X, y = load_wine(return_X_y=True)
    model = SoftmaxRegression(penalty=None)
    with pytest.warns(ConvergenceWarning, match="separable.*set C"):
        model.fit(X, y)
    assert model.solution_.status is Status.SEPARABLE
    assert model.score(X, y) == 1.0


def test_without_a_penalty_the_optimum_is_proven_where_there_is_one(rng):
    X = rng.standard_normal((400, 3))
    y = (X @ [1.0, -2.0, 0.5] + 2 * rng.standard_normal(400) > 0).astype(int)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    assert model.solution_.certified
    assert model.gap_ <= 1e-6
    oracle = SoftmaxRegression(1e9, tol=1e-12).fit(X, y)
    assert np.allclose(model.coef_, oracle.coef_, rtol=1e-3)


@pytest.mark.parametrize("penalty", ["l2", None])
@pytest.mark.parametrize("solver", SOLVERS)
def test_awkward_columns(rng, penalty, solver):
    """Constant, duplicate, far from zero, all zero, of one row only."""
    n = 300
    X = rng.standard_normal((n, 4))
    y = np.argmax(X[:, :3] + 1.5 * rng.standard_normal((n, 3)), axis=1)
    one_row = np.zeros(n)
    one_row[17] = 1.0
    far = 1e6 + rng.standard_normal(n)
    awkward = np.column_stack([X, np.full(n, 3.0), X[:, 0], far, np.zeros(n), one_row])
    if penalty is None:
        awkward = awkward[:, :-1]  # a column of one row separates that row
    model = SoftmaxRegression(1.0, penalty=penalty, solver=solver).fit(awkward, y)
    assert model.solution_.converged
    assert model.gap_ <= 1e-6
    assert np.isfinite(model.coef_).all()
    assert np.abs(model.coef_[:, [4, 7]]).max() < 1e-9


def test_more_features_than_rows_and_classes_of_one_row(rng):
    X = rng.standard_normal((40, 200))
    y = np.r_[0, 1, 2, rng.integers(3, 6, 37)]
    model = SoftmaxRegression(0.1).fit(X, y)
    assert model.gap_ <= 1e-6
    assert model.solver_ == "newton-diagonal"
    assert model.score(X, y) == 1.0


def test_the_message_of_a_converged_fit_names_the_proof():
    from softgrad.estimators.convergence import explain

    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression().fit(X, y)
    text = explain(model.solution_, tol=model.tol, penalized=True)
    assert "proven" in text
    assert f"{model.gap_:.1e}" in text
    unpenalized = explain(model.solution_, tol=model.tol, penalized=False)
    assert "ten times" in unpenalized


def test_all_weight_of_a_class_gone_is_named():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=r"class .*1.* weight 0"):
        SoftmaxRegression().fit(X, y, sample_weight=(y != 1).astype(float))


def test_an_interrupted_path_keeps_the_best_model(monkeypatch):
    X, y = load_digits(return_X_y=True)
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.002, X + 4000.0, X)
    seen = []

    def stop(progress):
        seen.append(progress.objective)
        if len(seen) == 6:
            raise KeyboardInterrupt

    model = SoftmaxRegression(1000.0, callback=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.objective_ <= min(seen)


def test_the_order_of_a_gradient_in_memory_does_not_matter():
    class Bowl:
        """A quadratic whose gradients lie column by column."""

        def __init__(self):
            self.scale, self.x = np.asfortranarray(np.arange(1.0, 7.0).reshape(2, 3)), None

        def value_and_grad(self, x):
            self.x = x
            value = 1.0 + 0.5 * (self.scale * (x - 1.0) ** 2).sum()
            return value, np.asfortranarray(self.scale * (x - 1.0))

        def accept(self): ...
        def hessian_product(self, v):
            return np.asfortranarray(self.scale * v)

        def precondition(self, residual):
            return residual.copy(order="F")

        def rebuild(self, *, finer): ...

        rebuild_cost = 1e9

        def residual_gap(self, residual):
            return float((residual**2).sum())

        def certify(self, x, step):
            value, grad = self.value_and_grad(x + step)
            return value, 0.5 * float((grad**2 / self.scale).sum())

        def unbounded(self):
            return False

        def path(self):
            return [1.0]

        def strengthen(self, strength): ...
        def true_value(self, value, x):
            return value

    start = np.zeros((2, 3))
    solution = minimize_newton(Bowl(), start, tol=1e-10, max_iter=50)
    assert solution.certified
    assert np.abs(solution.x - 1.0).max() < 1e-4
