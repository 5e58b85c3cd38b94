"""Assertions for tests of your own gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softgrad._typing import ArrayLike
from softgrad.doctor.gradients import GradientReport, check_grad

__all__ = ["assert_gradient"]


def assert_gradient(
    f: Callable[[Any], Any],
    grad: Callable[[Any], Any] | ArrayLike,
    x: ArrayLike,
    *,
    hvp: Callable[[Any, Any], Any] | None = None,
    hessian: Callable[[Any], Any] | None = None,
    directions: int | None = None,
    rtol: float = 1e-6,
    seed: int = 0,
) -> GradientReport:
    """Fail a test if a gradient is wrong, with the report of `softgrad.check_grad` as the message.

    |grad - df/dx| <= rtol |df/dx| + 4 error    for every derivative that is checked

    Parameters
    ----------
    f, grad, x, hvp, hessian, directions, rtol, seed
        As for `softgrad.check_grad`.

    Returns
    -------
    GradientReport
        The report, if all is right.

    Raises
    ------
    AssertionError
        If a derivative is wrong, or the function too noisy to judge.

    Notes
    -----
    The numeric derivatives are good to about 11 digits; see `softgrad.check_grad`.

    References
    ----------
    C. Ridders, Accurate computation of F'(x) and F'(x) F''(x) (1982).

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.testing import assert_gradient
    >>> def test_my_gradient():
    ...     assert_gradient(lambda x: np.sum(x**2), lambda x: 2 * x, [1.0, -3.0])
    >>> test_my_gradient()
    """
    __tracebackhide__ = True  # pytest then shows the test's own line
    report = check_grad(
        f, grad, x, hvp=hvp, hessian=hessian, directions=directions, rtol=rtol, seed=seed
    )
    if not report.passed:
        raise AssertionError(f"\n{report}")
    return report
