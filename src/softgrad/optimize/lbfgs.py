"""L-BFGS over a callable that returns a value and its gradient.

SciPy's implementation does the steps. This module adds what a caller needs around it: every result
names the reason why it stopped, the best point seen is never lost (not even to Ctrl-C), and a
callback sees each iteration.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softgrad.optimize.solution import Array, Iterate, Solution, Status

ValueAndGrad = Callable[[Array], tuple[float, Array]]

_HISTORY = (
    20  # pairs kept; ten is SciPy's default, twenty saves a fifth of the passes over the data
)
_LINE_SEARCH_STEPS = 50
_SLOWEST_RATIO = 0.98  # of one third's decrease to that of the third before


def minimize_lbfgs(
    value_and_grad: ValueAndGrad,
    start: Array,
    *,
    tol: float,
    max_iter: int,
    callback: Callable[[Iterate], object] | None = None,
) -> Solution:
    """Minimize until the largest component of the gradient is at most ``tol``.

    A ``KeyboardInterrupt`` raised by the function or the callback ends the search; the solution
    then is the best point so far, with the status ``INTERRUPTED``.

    Parameters
    ----------
    value_and_grad : callable
        Takes x and returns the value and the gradient, in float64.
    start : array (n,) of float64
    tol : float
    max_iter : int
    callback : callable or None
        Called with an :class:`Iterate` after each iteration.

    Returns
    -------
    Solution

    References
    ----------
    D. Liu, J. Nocedal, On the limited memory BFGS method for large scale optimization (1989).

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.optimize import minimize_lbfgs
    >>> square = lambda x: (float(((x - 3) ** 2).sum()), 2 * (x - 3))
    >>> minimize_lbfgs(square, np.zeros(2), tol=1e-8, max_iter=50).x.round(6)
    array([3., 3.])
    """
    from scipy.optimize import minimize

    seen = _Best(value_and_grad)
    values: list[float] = []  # after each iteration

    def after_iteration(intermediate_result: object) -> None:
        values.append(seen.value)
        if callback is not None:
            callback(
                Iterate(len(values), seen.evaluations, seen.x.copy(), seen.value, seen.grad_norm)
            )

    try:
        value, _ = seen(start)
        if not np.isfinite(value):
            return seen.solution(Status.NOT_FINITE, values)
        if max_iter == 0:
            return seen.solution(Status.ITERATION_LIMIT, values)
        result = minimize(
            seen,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options={
                "maxcor": _HISTORY,
                "maxls": _LINE_SEARCH_STEPS,
                "maxiter": max_iter,
                "maxfun": np.iinfo(np.int32).max,
                "gtol": tol,
                "ftol": 0.0,
            },
        )
    except KeyboardInterrupt:
        if not np.isfinite(seen.value):
            raise
        return seen.solution(Status.INTERRUPTED, values)
    # A trial point of a line search may lie lower than the end of the path, but not be stationary.
    last_norm = float(np.abs(result.jac).max())
    if last_norm <= tol:
        seen.x, seen.value, seen.grad_norm = result.x, float(result.fun), last_norm
        return seen.solution(Status.CONVERGED, values)
    status = Status.ITERATION_LIMIT if len(values) >= max_iter else Status.STALLED
    return seen.solution(status, values)


def remaining_decrease(values: list[float]) -> float:
    """How far the last value lies above the limit, if the decrease goes on as it went.

    The decreases over the last third of the iterations and the third before are taken for two
    terms of a geometric series. (The solver's own quadratic model sees twenty directions only, and
    promised as little as a thousandth of the true distance.)
    """
    third = max(1, (len(values) - 1) // 3)
    if len(values) < 2 * third + 1:
        return float("nan")
    before = values[-1 - 2 * third] - values[-1 - third]
    last = values[-1 - third] - values[-1]
    if last <= 0.0:
        return 0.0
    ratio = min(last / before, _SLOWEST_RATIO) if before > 0.0 else _SLOWEST_RATIO
    return last * ratio / (1.0 - ratio)


class _Best:
    """Calls the function and remembers the lowest value with its point and gradient."""

    def __init__(self, function: ValueAndGrad) -> None:
        self.function = function
        self.evaluations = 0
        self.x: Array = np.empty(0)
        self.value = np.inf
        self.grad_norm = np.inf

    def __call__(self, x: Array) -> tuple[float, Array]:
        value, grad = self.function(x)
        self.evaluations += 1
        if value <= self.value or self.evaluations == 1:
            self.x, self.value, self.grad_norm = x.copy(), value, float(np.abs(grad).max())
        return value, grad

    def solution(self, status: Status, values: list[float]) -> Solution:
        return Solution(
            x=self.x,
            value=self.value,
            grad_norm=self.grad_norm,
            gap=remaining_decrease(values),
            certified=False,
            status=status,
            iterations=len(values),
            evaluations=self.evaluations,
        )
