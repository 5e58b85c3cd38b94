"""Inexact Newton with preconditioned conjugate gradients, for convex functions that certify.

A step d minimizes the quadratic model g.d + d.Hd/2 until the residual, in the norm of the
preconditioner, has fallen by min(1/4, sqrt(|g| / |g_0|)) (superlinear: Eisenstat and Walker, SIAM
J. Sci. Comput. 17, 1996). Two things keep it from crawling where the model is useless:

- If of an early step next to nothing can be taken, the function is solved along a path: first as an
  easier function (a stronger penalty), loosely, then by decades as itself. (Steps that crawl are
  hundredths of Newton's; from a third of it on the path costs more than it saves.)
- Else a step that fails is shortened, and a preconditioner that lets conjugate gradients take long
  is asked to become finer, whatever the steps' lengths: the last ones need it most.

No decision depends on time or on the number of threads; sums are BLAS's, so for the same bits with
any number of threads the caller keeps BLAS on one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import blas

from softgrad.optimize.solution import Array, Iterate, Solution, Status

_LARGEST_FORCING = 0.25
_ARMIJO = 1e-4
_ROUNDING = 4e-16  # relative rise of the value that is no rise
_NOTHING = 1e-17  # relative decrease below which there is nothing left to gain
_NEARLY_NOTHING = 1e-12  # the same, where only the proof is still missing
_MOST_PRODUCTS = 300  # in one step
_MOST_AT_FIRST = 50  # in an early step, while it is open whether the path has to be taken
_FINEST = 1e-6  # residual, relative, beyond which products in single precision do not help
_SLOW = 25  # products in one step from which a better preconditioner is asked for
_EARLY = 1e-2  # relative decrease promised by a step that may start the path
_SHORT = 0.1  # length to which such a step has to be cut for that
_LOOSE = 1e-2  # relative decrease at which a stage of the path is left
_NEAR = 2.0  # times the tolerance: where a certificate is worth its pass over the data


class CurvedFunction(Protocol):
    """A convex function with second derivatives, whose minimum can be bounded from below.

    ``value_and_grad`` looks at a trial point; ``accept`` makes the last trial the current point.
    All other members speak of the current point.
    """

    def value_and_grad(self, x: Array, /) -> tuple[float, Array]: ...
    def accept(self) -> None: ...
    def hessian_product(self, v: Array, /) -> Array:
        """May be overwritten by the next product."""

    def precondition(self, residual: Array, /) -> Array:
        """May be overwritten by the next call."""

    def rebuild(self, *, finer: bool) -> None:
        """Fit the preconditioner to the current model; ``finer``: it was not good enough."""

    @property
    def rebuild_cost(self) -> float:
        """Of a rebuild, in Hessian products."""

    def residual_gap(self, residual: Array, /) -> float:
        """What a residual of the Newton equation costs the certificate."""

    def certify(self, x: Array, step: Array, /) -> tuple[float, float]:
        """The value at x + step and a bound on its distance to the minimum."""

    def unbounded(self) -> bool:
        """Whether the current point proves that the function has no minimum."""

    def path(self) -> Sequence[float]:
        """Strengths of the easier functions, falling to 1, the function itself."""

    def strengthen(self, strength: float, /) -> None:
        """Become the easier function of this strength; the current point stays.

        It is solved loosely: a value to six digits is enough.
        """

    def true_value(self, value: float, x: Array, /) -> float:
        """The value of the function itself (strength 1), given that of the easier one."""


def minimize_newton(
    function: CurvedFunction,
    start: Array,
    *,
    tol: float,
    max_iter: int,
    callback: Callable[[Iterate], object] | None = None,
) -> Solution:
    """Minimize until the certified gap is at most ``tol`` times the value.

    A ``KeyboardInterrupt`` raised by the function or the callback ends the search; the solution
    then is the best point so far, with the status ``INTERRUPTED``.

    Parameters
    ----------
    function : CurvedFunction
        Value, gradient, Hessian products, preconditioner and certificate.
    start : array of float64
        In the shape that ``function`` takes.
    tol : float
        The gap to reach, as a share of the value.
    max_iter : int
    callback : callable or None
        Called with an :class:`Iterate` after each iteration.

    Returns
    -------
    Solution
        Its ``status`` says why the search ended, ``certified`` whether the gap is proven.

    References
    ----------
    J. Nocedal, S. Wright, Numerical Optimization (2006), section 7.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import softgrad as sg
    >>> from softgrad.optimize import minimize_newton
    >>> objective = sg.SoftmaxRegression().objective(*load_iris(return_X_y=True))
    >>> minimize_newton(objective, objective.start(), tol=1e-6, max_iter=50).certified
    True
    """
    return _Search(function, start, tol, max_iter, callback).run()


@dataclass
class _Step:
    direction: Array
    slope: float  # g.d


class _Search:
    def __init__(
        self,
        function: CurvedFunction,
        start: Array,
        tol: float,
        max_iter: int,
        callback: Callable[[Iterate], object] | None,
    ) -> None:
        self.function = function
        self.tol, self.max_iter, self.callback = tol, max_iter, callback
        self.start = start
        self.iterations = self.evaluations = self.products = 0
        self.gap, self.certified = float("nan"), False
        self.built = False
        self.products_since_build = 0.0
        self.on_path = False
        self.strength = 1.0
        self.first_norm = 0.0
        self.x = start
        self.value = np.inf
        self.grad = np.zeros_like(start)
        self.best: tuple[float, Array, Array] | None = None  # on a path the last is not the best

    # --- the search -------------------------------------------------------------------------

    def run(self) -> Solution:
        try:
            status = self._run()
        except KeyboardInterrupt:
            if not np.isfinite(self.value):
                raise
            status = Status.INTERRUPTED
        if self.strength != 1.0:  # stopped on the way along a path: the best so far, unproven
            self.gap, self.certified = float("nan"), False
            if self.best is not None:
                self.value, self.x, self.grad = self.best
                self.strength = 1.0
        self.value = self._true_value()
        return Solution(
            x=self.x,
            value=self.value,
            grad_norm=float(np.abs(self.grad).max(initial=0.0)),
            gap=self.gap,
            certified=self.certified,
            status=status,
            iterations=self.iterations,
            evaluations=self.evaluations,
            products=self.products,
        )

    def _run(self) -> Status:
        self._move_to(self.start)
        if not np.isfinite(self.value):
            return Status.NOT_FINITE
        status = self._descend(self.tol, may_leave=True)
        if status is not None:
            return status
        # An early step failed: the path, from the start.
        self.on_path = True
        self.best = self.value, self.x, self.grad
        strengths = self.function.path()
        self._move_to(self.start)
        for strength in strengths:
            self.function.strengthen(strength)
            self.strength = strength
            self._move_to(self.x)  # the same point of another function
            loose = strength != 1.0
            status = self._descend(_LOOSE if loose else self.tol, loose=loose)
            if status is not None and (not loose or status is not Status.CONVERGED):
                return status
        raise AssertionError("a path ends with the function itself")

    def _descend(
        self, tol: float, *, loose: bool = False, may_leave: bool = False
    ) -> Status | None:
        """Newton steps until ``tol``; None: the path should be taken instead."""
        function = self.function
        self.first_norm = 0.0
        smallest_gap, fruitless = np.inf, 0
        while True:
            if self.iterations >= self.max_iter:
                return Status.ITERATION_LIMIT
            if not self.built or self.products_since_build >= function.rebuild_cost:
                self._rebuild(finer=False)
            products = self.products
            step = self._newton_step(0.0 if loose else tol, may_leave=may_leave)
            if not -step.slope > _NOTHING * abs(self.value) or not np.isfinite(step.slope):
                return self._at_the_end(step, tol, loose)
            decrease = -step.slope / 2  # promised by the model
            self.gap = decrease
            if not loose and decrease < _NEAR * tol * abs(self.value):
                value, gap = function.certify(self.x, step.direction)
                if gap <= tol * abs(value):
                    self._take(self.x + step.direction, value, gap)
                    return Status.CONVERGED
                if decrease < _NEARLY_NOTHING * abs(self.value) and gap > 0.5 * smallest_gap:
                    fruitless += 1
                    if fruitless >= 3:
                        return self._at_the_end(step, tol, loose)
                smallest_gap = min(smallest_gap, gap)
            # --- the full step, or what can be had instead ---
            trial = self._try(self.x + step.direction)
            early = may_leave and decrease > _EARLY * abs(self.value)
            length = 1.0
            for _ in range(60):
                if self._decreased(trial[0], length * step.slope):
                    break
                length = _shorter(length, trial[0] - self.value, step.slope)
                if early and length < _SHORT and len(function.path()) > 1:
                    return None
                trial = self._try(self.x + length * step.direction)
            else:
                return self._at_the_end(step, tol, loose)
            self.x, (self.value, self.grad) = self.x + length * step.direction, trial
            function.accept()
            self.iterations += 1
            self._report()
            if function.unbounded():
                return Status.SEPARABLE
            if loose and decrease < tol * abs(self.value):
                return Status.CONVERGED  # and here the next stage begins
            used = self.products - products
            self.products_since_build += used
            if used > _SLOW:
                self._rebuild(finer=True)

    def _at_the_end(self, step: _Step, tol: float, loose: bool) -> Status:
        """No further decrease in double precision: certify what there is."""
        if loose:
            return Status.CONVERGED
        for direction in (step.direction, np.zeros_like(step.direction)):
            value, gap = self.function.certify(self.x, direction)
            if np.isfinite(gap) and value <= self.value + _ROUNDING * abs(self.value):
                self._take(self.x + direction, value, gap)
                return Status.CONVERGED if gap <= tol * abs(value) else Status.STALLED
        return Status.STALLED

    # --- one step ---------------------------------------------------------------------------

    def _newton_step(self, tol: float, *, may_leave: bool) -> _Step:
        """Conjugate gradients on H d = -g, with the forcing of Eisenstat and Walker.

        Near the end they go on until the residual is small in the norm of the certificate too.
        """
        function = self.function
        d = np.zeros(self.grad.shape)
        residual = np.ascontiguousarray(-self.grad, dtype=np.float64)
        z = function.precondition(residual)
        q = z.copy()
        norm2 = first = max(0.0, _dot(residual, z))
        self.first_norm = self.first_norm or np.sqrt(first)
        forcing = min(_LARGEST_FORCING, np.sqrt(np.sqrt(first) / (self.first_norm or 1.0)))
        for product_number in range(_MOST_PRODUCTS):
            long = may_leave and product_number == _MOST_AT_FIRST
            if long and -_dot(self.grad, d) / 2 > _EARLY * abs(self.value):
                break
            if not norm2 > 0.0:
                break
            product = function.hessian_product(q)
            self.products += 1
            curvature = _dot(q, product)
            if not curvature > 0.0:
                break
            alpha = norm2 / curvature
            _add(d, alpha, q)
            _add(residual, -alpha, product)
            z = function.precondition(residual)
            before, norm2 = norm2, _dot(residual, z)
            if norm2 <= forcing**2 * first:
                near = -_dot(self.grad, d) / 2 <= _NEAR * tol * abs(self.value)
                if not near or norm2 <= _FINEST**2 * first:
                    break
                if function.residual_gap(residual) <= 0.3 * tol * abs(self.value):
                    break
            q *= norm2 / before
            q += z
        return _Step(d, _dot(self.grad, d))

    def _try(self, x: Array) -> tuple[float, Array]:
        self.evaluations += 1
        return self.function.value_and_grad(x)

    def _decreased(self, value: float, slope: float) -> bool:
        return bool(value <= self.value + _ARMIJO * slope + _ROUNDING * abs(self.value))

    def _rebuild(self, *, finer: bool) -> None:
        self.function.rebuild(finer=finer)
        self.built = True
        self.products_since_build = 0.0

    def _move_to(self, x: Array) -> None:
        self.x = x
        self.value, self.grad = self._try(x)
        self.function.accept()
        self.built = False

    def _take(self, x: Array, value: float, gap: float) -> None:
        self.x, self.value, self.gap, self.certified = x, value, gap, True
        self.iterations += 1
        self._report()

    def _true_value(self) -> float:
        if self.strength == 1.0:
            return self.value
        return self.function.true_value(self.value, self.x)

    def _report(self) -> None:
        value = self._true_value()
        if self.on_path and (self.best is None or value <= self.best[0]):
            self.best = value, self.x, self.grad
        if self.callback is None:
            return
        norm = float(np.abs(self.grad).max(initial=0.0))
        self.callback(
            Iterate(
                self.iterations,
                self.evaluations,
                self.x,
                value,
                norm,
                self.gap if self.strength == 1.0 else float("nan"),
                self.certified,
            )
        )


def _add(a: Array, factor: float, b: Array) -> None:
    """a += factor b in one pass over memory; ``a`` is contiguous."""
    blas.daxpy(b.reshape(-1), a.reshape(-1), a=factor)


def _dot(a: Array, b: Array) -> float:
    return float(np.vdot(a, b))


def _shorter(length: float, rise: float, slope: float) -> float:
    """The minimum of the parabola through value, slope and the failed trial, within bounds."""
    if not np.isfinite(rise):
        return 0.1 * length
    parabola = -slope * length**2 / (2.0 * (rise - length * slope))
    return float(np.clip(parabola, 0.1 * length, 0.5 * length))
