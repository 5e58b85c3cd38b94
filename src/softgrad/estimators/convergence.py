"""Why a fit stopped early, how far from the optimum, and what helps."""

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
    Status.NOT_FINITE: "Divide the largest features by a constant: the logits overflow.",
    Status.INTERRUPTED: "Continue from here with warm_start=True.",
}


def explain(solution: Solution, *, tol: float, penalized: bool) -> str:
    """One line: cause, distance, remedy."""
    distance = ""
    if math.isfinite(solution.expected_decrease):
        distance = f", by estimate {solution.expected_decrease:.0e} above its minimum"
    remedy = _REMEDIES[solution.status]
    if not penalized:
        remedy += " Without a penalty a separable problem has no minimum: set C."
    return (
        f"SoftmaxRegression did not converge: {solution.status.value} after {solution.iterations}"
        f" iterations. The gradient is {solution.grad_norm:.2g} (tol {tol:.2g}), the mean objective"
        f" {solution.value:.6g}{distance}. {remedy}"
    )
