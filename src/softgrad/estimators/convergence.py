"""Why a fit ended where it did, how far from the optimum, and what helps."""

from __future__ import annotations

import math

from softgrad.optimize import Solution, Status

_REMEDIES = {  # {max_iter} and so on: as options of Python or of the command line
    Status.CONVERGED: "",
    Status.ITERATION_LIMIT: (
        "Raise {max_iter}{resume}; a smaller {C} converges faster and often predicts better."
    ),
    Status.STALLED: "Raise {tol}: these coefficients are as good as double precision gives.",
    Status.SEPARABLE: (
        "Every row is on its own side already, and larger weights are always better: set {C}{l2}."
        " The predictions do not change; the probabilities mean nothing."
    ),
    Status.NOT_FINITE: "Divide the largest features by a constant: the logits overflow.",
    Status.INTERRUPTED: "{start}",
}
_IN_PYTHON = {
    "max_iter": "max_iter",
    "tol": "tol",
    "C": "C",
    "l2": " and penalty='l2'",
    "resume": ", or continue from here with warm_start=True",
    "start": "Continue from here with warm_start=True.",
}
_ON_THE_COMMAND_LINE = {
    "max_iter": "--max-iter",
    "tol": "--tol",
    "C": "-C",
    "l2": "",
    "resume": "",
    "start": "Train again for better ones.",
}


def relative_gap(solution: Solution) -> float:
    """The bound (or estimate) as a share of the objective."""
    if solution.gap == 0.0:
        return 0.0
    return solution.gap / abs(solution.value) if solution.value else math.inf


def explain(solution: Solution, *, tol: float, penalized: bool, command_line: bool = False) -> str:
    """One line: cause, gap, remedy, in the words of Python or of the command line."""
    words = _ON_THE_COMMAND_LINE if command_line else _IN_PYTHON
    n = solution.iterations
    iterations = f"{n} iteration{'s' * (n != 1)}"
    gap = relative_gap(solution)
    objective = f"the mean objective is {solution.value:.6g}"
    if solution.converged:
        among = "" if penalized else " of any weights up to ten times as large"
        return (
            f"Converged after {iterations}: {objective}, proven to be within"
            f" {gap:.1e} of its minimum{among} (relative; tol {tol:g})."
        )
    distance = ""
    # An estimate of 1 and more says nothing: no minimum lies below zero.
    if solution.status is not Status.SEPARABLE and gap < 1.0:
        how = "proven to be within" if solution.certified else "by estimate within"
        distance = f", {how} {gap:.0e} of its minimum (relative; tol {tol:g})"
    remedy = _REMEDIES[solution.status].format_map(words)
    if not penalized and solution.status is not Status.SEPARABLE:
        remedy += f" Without a penalty a separable problem has no minimum: set {words['C']}."
    return (
        f"SoftmaxRegression did not converge: after {iterations} {solution.status.value};"
        f" {objective}{distance}. {remedy}"
    )
