"""Why a fit ended where it did, how far from the optimum, and what helps."""

from __future__ import annotations

import math

from softgrad.optimize import Solution, Status

_REMEDIES = {
    Status.CONVERGED: "",
    Status.ITERATION_LIMIT: (
        "Raise max_iter, or continue from here with warm_start=True; a smaller C converges faster"
        " and often predicts better."
    ),
    Status.STALLED: "Raise tol: these coefficients are as good as double precision gives.",
    Status.SEPARABLE: (
        "Every row is on its own side already, and larger weights are always better: set C and"
        " penalty='l2'. The predictions do not change; the probabilities mean nothing."
    ),
    Status.NOT_FINITE: "Divide the largest features by a constant: the logits overflow.",
    Status.INTERRUPTED: "Continue from here with warm_start=True.",
}


def relative_gap(solution: Solution) -> float:
    """The bound (or estimate) as a share of the objective."""
    if solution.gap == 0.0:
        return 0.0
    return solution.gap / abs(solution.value) if solution.value else math.inf


def explain(solution: Solution, *, tol: float, penalized: bool) -> str:
    """One line: cause, gap, remedy."""
    gap = relative_gap(solution)
    objective = f"the mean objective is {solution.value:.6g}"
    if solution.converged:
        among = "" if penalized else " of any weights up to ten times as large"
        return (
            f"Converged after {solution.iterations} iterations: {objective}, proven to be within"
            f" {gap:.1e} of its minimum{among} (relative; tol {tol:g})."
        )
    distance = ""
    if solution.status is not Status.SEPARABLE and math.isfinite(gap):
        how = "proven to be within" if solution.certified else "by estimate within"
        distance = f", {how} {gap:.0e} of its minimum (relative; tol {tol:g})"
    remedy = _REMEDIES[solution.status]
    if not penalized and solution.status is not Status.SEPARABLE:
        remedy += " Without a penalty a separable problem has no minimum: set C."
    return (
        f"SoftmaxRegression did not converge: {solution.status.value} after {solution.iterations}"
        f" iterations; {objective}{distance}. {remedy}"
    )
