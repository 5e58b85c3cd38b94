"""The solver's promises: it says why it stopped, and never loses the best point."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from softgrad.optimize import Status, minimize_lbfgs
from softgrad.optimize.lbfgs import remaining_decrease


def rosenbrock(x):
    return float(rosen(x)), rosen_der(x)


START = np.array([-1.2, 1.0])


def test_converges_to_the_minimum():
    solution = minimize_lbfgs(rosenbrock, START, tol=1e-8, max_iter=500)
    assert solution.status is Status.CONVERGED
    assert solution.converged
    assert np.allclose(solution.x, 1.0, atol=1e-7)
    assert solution.grad_norm == np.abs(rosen_der(solution.x)).max() <= 1e-8
    assert solution.value == rosen(solution.x)


def test_a_start_at_the_minimum_needs_no_iteration():
    solution = minimize_lbfgs(rosenbrock, np.ones(2), tol=1e-8, max_iter=500)
    assert (solution.status, solution.iterations) == (Status.CONVERGED, 0)


@pytest.mark.parametrize("max_iter", [0, 1, 5])
def test_limit_of_iterations(max_iter):
    solution = minimize_lbfgs(rosenbrock, START, tol=1e-8, max_iter=max_iter)
    assert solution.status is Status.ITERATION_LIMIT
    assert solution.iterations == max_iter
    assert (solution.value < rosen(START)) == (max_iter > 0)


def test_a_value_that_does_not_follow_its_gradient_stalls():
    solution = minimize_lbfgs(lambda x: (1.0, np.ones(3)), np.ones(3), tol=1e-8, max_iter=500)
    assert solution.status is Status.STALLED


def test_not_finite_at_the_start():
    solution = minimize_lbfgs(lambda x: (np.nan, x), np.ones(2), tol=1e-8, max_iter=5)
    assert solution.status is Status.NOT_FINITE
    assert solution.x.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("when", [2, 3, 9])
@pytest.mark.parametrize("where", ["function", "callback"])
def test_interrupted_keeps_the_best_point(when, where):
    seen = []

    def function(x):
        if where == "function" and len(seen) == when:
            raise KeyboardInterrupt
        seen.append((rosen(x), x.copy()))
        return rosenbrock(x)

    def callback(iterate):
        if where == "callback" and iterate.iteration == when:
            raise KeyboardInterrupt

    solution = minimize_lbfgs(function, START, tol=1e-8, max_iter=500, callback=callback)
    assert solution.status is Status.INTERRUPTED
    value, x = min(seen, key=lambda pair: pair[0])
    assert solution.value == value
    assert solution.x.tolist() == x.tolist()


def test_interrupted_before_any_value_is_an_interruption():
    def function(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize_lbfgs(function, START, tol=1e-8, max_iter=500)


def test_iterates_go_down_and_count():
    seen = []
    solution = minimize_lbfgs(rosenbrock, START, tol=1e-8, max_iter=500, callback=seen.append)
    assert [iterate.iteration for iterate in seen] == list(range(1, solution.iterations + 1))
    values = [iterate.value for iterate in seen]
    assert values == sorted(values, reverse=True)
    assert all(iterate.value == rosen(iterate.x) for iterate in seen)


def test_the_start_is_not_written():
    start = START.copy()
    start.flags.writeable = False
    minimize_lbfgs(rosenbrock, start, tol=1e-8, max_iter=50)
    assert start.tolist() == START.tolist()


@pytest.mark.parametrize("ratio", [0.5, 0.9])
def test_the_rest_of_a_geometric_decrease(ratio):
    values = [3.0 + ratio**k for k in range(25)]
    assert remaining_decrease(values) == pytest.approx(values[-1] - 3.0, rel=1e-6)
    assert np.isnan(remaining_decrease([2.0, 1.0]))
