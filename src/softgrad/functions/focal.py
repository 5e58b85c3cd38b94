"""The focal loss of logits with one class out of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.functions import _entries
from softgrad.functions._entries import Entries
from softgrad.functions._members import GRAD, LOSS, LOSS_AND_GRAD, RowsLoss
from softgrad.functions._problem import (
    Problem,
    prepare_loss,
    refuse_indices,
    weighted,
    without_classes,
)
from softgrad.functions._rows import Rows, complement, diagonal


class FocalProblem(NamedTuple):
    """phi(log p_c) = -(1 - p_c)^gamma log p_c of the target's class, or summed over a soft target.

    With a_c = w_c y'_c phi'(log p_c) and S = sum a the gradient is a - p S. For class indices only
    a at the target is not 0, and it is the cross-entropy's gradient times -a. Otherwise the entries
    are computed from the log-probabilities in float64.
    """

    problem: Problem
    gamma: float

    @property
    def rows(self) -> Rows:
        return self.problem.rows

    @property
    def target(self) -> Array:
        return self.problem.target

    @property
    def reduction(self) -> str:
        return self.problem.reduction

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """The loss, its gradient, or both."""
        problem, rows = self.problem, self.rows
        if not rows.classes:
            return without_classes(rows, self.reduction, mode)
        loss = 0 if mode == GRAD else 2 if self.reduction == "none" else 1
        if not problem.indexed or problem.smoothing:
            return Softened.of(self).run(mode, cotangent)
        weight, scale = weighted(problem.row_weight(), cotangent, rows, self.reduction)
        return _native.focal_loss(
            int(mode != LOSS),
            loss,
            rows.logits,
            problem.target,
            rows.axis,
            weight,
            self.gamma,
            problem.divisor(),
            scale,
            buffer,
        )

    def product(self, tangent: Array) -> Array:
        """How a - p S changes: da - p sum da - dp S."""
        return Softened.of(self).product(tangent)

    def hessian(self) -> Array:
        """The products with all unit vectors."""
        return Softened.of(self).hessian()

    def grad_target(self) -> Array:
        """s_i w phi(log p)."""
        refuse_indices(self.target)
        return Softened.of(self).grad_target()


class Softened(NamedTuple):
    """Rows in float64 with the classes last, and a target for each class."""

    rows: Rows  # the caller's
    entries: Entries  # of log-probabilities
    p: Array
    q: Array  # 1 - p

    @classmethod
    def of(cls, focal: FocalProblem) -> Softened:
        """The log-probabilities and the target with the classes last."""
        problem = focal.problem
        rows = problem.rows
        x = np.ascontiguousarray(np.moveaxis(rows.logits, rows.axis, -1), dtype=np.float64)
        last = rows._replace(logits=x, axis=x.ndim - 1, mask=None)
        y = problem.target
        if not problem.indexed:
            y = np.ascontiguousarray(np.moveaxis(y, rows.axis, -1), dtype=np.float64)
        p = _native.softmax(x, last.axis, 1.0, None)
        log_p = _native.log_softmax(x, last.axis, 1.0, None)
        wide = problem._replace(rows=last._replace(logits=log_p), target=y)
        entries = _entries.of_classes(wide, _entries.FOCAL_LOG_PROBABILITY, parameter=focal.gamma)
        return cls(rows, entries, p, complement(p))

    def run(self, mode: int, cotangent: Array | None) -> Any:
        """The loss, its gradient, or both."""
        result = self.entries.run(mode, None, cotangent)
        if mode == LOSS:
            return self._back(result)
        loss, slope = result if mode == LOSS_AND_GRAD else (None, result)
        gradient = self._back(np.moveaxis(self._pull(slope), -1, self.rows.axis))
        return gradient if mode == GRAD else (self._back(loss), gradient)

    def product(self, tangent: Array) -> Array:
        """da - p sum da - dp S."""
        v = np.ascontiguousarray(np.moveaxis(tangent, self.rows.axis, -1), dtype=np.float64)
        change = _native.center(self.p, v, v.ndim - 1, 1.0, None)  # of log p
        with np.errstate(invalid="ignore"):
            da = self._curvature() * change
        result = self._pull(da) - self.p * change * _sum(self.entries.call(1, 0))
        return self._back(np.moveaxis(result, -1, self.rows.axis))

    def hessian(self) -> Array:
        """Row k of the symmetric matrix is the product with the unit vector k."""
        if self.entries.target.dtype.kind == "i" and not self.entries.spread:
            return self._hessian_of_one_class()
        p, q = self.p[..., None, :], self.q
        change = -self.p[..., :, None] + np.zeros_like(
            p
        )  # of log p_c by x_k at [k, c]: [k=c] - p_k
        np.einsum("...ii->...i", change)[...] = q
        with np.errstate(invalid="ignore"):
            da: Array = self._curvature()[..., None, :] * change
        total = _sum(self.entries.call(1, 0))[..., None]
        whole = _pull(da, np.broadcast_to(p, da.shape), np.broadcast_to(q[..., None, :], da.shape))
        return self._back(whole - p * change * total)

    def _hessian_of_one_class(self) -> Array:
        """b d d^T - a (diag(p) - p p^T): of the target t alone a = phi' and b = phi'', d = e_t - p.

        Where neither row nor column is t it is p p^T (a + b), which has fewer roundings.
        """
        p, q = self.p, self.q
        at = self.entries.target[..., None] == np.arange(p.shape[-1])
        with np.errstate(invalid="ignore"):
            a, b = _sum(self.entries.call(1, 0)), _sum(self._curvature())
        of_target = _sum(np.where(at, b * q - a * p, 0.0))
        rows = p[..., :, None] * p[..., None, :] * (a + b)[..., None]
        beside = -p * of_target
        result = np.where(at[..., :, None], beside[..., None, :], rows)
        result = np.where(at[..., None, :], beside[..., :, None], result)
        diagonal(result)[...] = np.where(at, q * (b * q - a * p), p * (b * p - a * q))
        return self._back(result)

    def grad_target(self) -> Array:
        """Of the entries."""
        return self._back(np.moveaxis(self.entries.grad_target(), -1, self.rows.axis))

    def _curvature(self) -> Array:
        """phi'', which is proportional to p where p is small.

        The kernel has exp(log p) for p, whose error is that of log p times |log p|.
        """
        with np.errstate(under="ignore"):
            again = np.exp(self.entries.rows.logits)
        curvature: Array = self.entries.call(2, 0)
        small = (again > 0) & (self.p < 0.5)
        np.multiply(curvature, self.p / np.where(small, again, 1.0), out=curvature, where=small)
        return curvature

    def _pull(self, a: Array) -> Array:
        return _pull(a, self.p, self.q)

    def _back(self, array: Any) -> Array:
        return np.asarray(array).astype(self.rows.logits.dtype)


def _sum(a: Array) -> Array:
    """Along the last axis, which stays, with the bits of a row alone."""
    return np.asarray(_native.dot(a, np.ones_like(a), a.ndim - 1))[..., None]


def _pull(a: Array, p: Array, q: Array) -> Array:
    """a - p sum a; at a probability above 1/2 a (1 - p) - p times the sum of the others."""
    if not p.shape[-1]:
        return np.array(a)
    largest = np.argmax(p, axis=-1)[..., None]
    others = np.array(a)
    np.put_along_axis(others, largest, 0.0, axis=-1)
    rest, at = _sum(others), np.take_along_axis(a, largest, -1)
    result: Array = a - p * (rest + at)
    top = np.take_along_axis(p, largest, -1)
    careful = at * np.take_along_axis(q, largest, -1) - top * rest
    plain = np.take_along_axis(result, largest, -1)
    np.put_along_axis(result, largest, np.where(top > 0.5, careful, plain), axis=-1)
    return result


@final
class Focal(RowsLoss):
    """Return the focal loss of logits with a target: rows that are easy count for little.

    loss_i = s_i sum_c w_c y'_c (1 - p_c)^gamma (-log p_c)    with    p = softmax(x),
    y' = (1 - eps) y + eps / K

    Parameters
    ----------
    x : array_like
        Logits in any shape with a class axis; float16, bfloat16, float32, float64, integers or
        booleans. Never written.
    target, axis, reduction, sample_weight, ignore_index, label_smoothing, where
        As in `cross_entropy`.
    class_weight : array_like of shape (C,), optional
        w, finite and not negative: the alpha of the paper.
    gamma : float
        The focusing exponent, finite and not negative; 0 is the cross-entropy.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, of x's type: one number, or with reduction="none" one a row.

    Raises
    ------
    ValueError, TypeError
        As in `cross_entropy`.

    Notes
    -----
    With u = log p, phi(u) = -(1 - p)^gamma u, a_c = w_c y'_c phi'(u_c),

        phi' = -(1 - p)^gamma (1 - gamma p u / (1 - p)),    grad = s_i (a - p sum a).

    For class indices the loss is within 3 + gamma / 2 ULP and the gradient within 4 + gamma / 2,
    also for rows so confident that p rounds to 1: 1 - p is the sum of the others, and a is the
    factor of the cross-entropy's own gradient. With a soft target the parts of a gradient cancel;
    its error is then relative to the largest. The loss is not convex: its Hessian has negative
    directions where the target's class is very unlikely. It is computed in float64 whatever x's
    type is: rounded once in float32, within 8 ULP of its terms in float64.

    References
    ----------
    T.-Y. Lin et al., Focal Loss for Dense Object Detection (2017), section 3.2, equation 4.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.focal([[2.0, 0.0, 0.0]], [0]).round(6)
    np.float64(0.010869)
    >>> sg.focal.grad([[40.0, 0.0, 0.0]], [0], gamma=1.0)
    array([[-1.44388111e-34,  7.21940555e-35,  7.21940555e-35]])
    """

    name = "focal"
    takes = "logits"
    targets = frozenset({"indices", "probabilities"})

    def __call__(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        where: ArrayLike | None = None,
        gamma: float = 2.0,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            where=where,
            gamma=gamma,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> FocalProblem:
        gamma = _checks.not_negative(options.pop("gamma"), "gamma")
        return FocalProblem(prepare_loss(x, target, **options), gamma)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        options = dict(options)
        gamma = _checks.not_negative(options.pop("gamma"), "gamma")
        return _entries.attempt_index(_native.focal_loss, gamma, mode, out, x, target, options)


focal = Focal()
