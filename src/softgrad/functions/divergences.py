"""How far one distribution is from another: the Kullback-Leibler divergence, and distillation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.errors import OptionError, TargetError
from softgrad.functions import _entries
from softgrad.functions._entries import Entries
from softgrad.functions._members import GRAD, LOSS, LOSS_AND_GRAD, RowsLoss
from softgrad.functions._problem import (
    Problem,
    prepare_loss,
    times_rows,
    weighted,
    without_classes,
)
from softgrad.functions._rows import Rows, times


@final
class KLDivergence(RowsLoss):
    """Return the Kullback-Leibler divergence of target probabilities from log-probabilities.

    loss_i = s_i sum_c w_c y_ic (log y_ic - x_ic),    grad = -s_i w y

    The target is the reference distribution, D(y || exp x), as in PyTorch's ``kl_div``.

    Parameters
    ----------
    x : array_like
        Log-probabilities (nats) along the class axis, such as `log_softmax` returns. float16,
        bfloat16, float32, float64, integers or booleans. Never written.
    target : array_like
        Probabilities y along the class axis, of x's shape and a floating dtype, finite and not
        negative.
    axis, reduction, sample_weight, class_weight, where
        As in `nll`.

    Returns
    -------
    NumPy scalar or ndarray
        The divergence in nats, as in `nll`.

    Raises
    ------
    ValueError
        If the target holds class indices, or as in `nll`.
    TypeError
        As in `nll`.

    Notes
    -----
    Linear in x: the Hessian is 0. By the target the gradient is s_i w (log y + 1 - x), which is
    -inf at y = 0. A class of target 0 contributes 0, whatever its log-probability.

    The terms of a divergence cancel: where y is close to exp x the loss is much smaller than they
    are. Each is y times a difference taken in extended precision, so that the error is within 4 ULP
    of |loss| + sum y (|log y| + |x|) / 16, for the numbers given; their own rounding matters more.

    References
    ----------
    T. Cover, J. Thomas, Elements of Information Theory (2006), section 2.3, equation 2.26.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.kl_divergence([[-1.0, -0.5]], [[0.5, 0.5]])
    np.float64(0.05685281944005469)
    >>> sg.kl_divergence.grad([[-1.0, -0.5]], [[0.5, 0.5]])
    array([[-0.5, -0.5]])
    """

    name = "kl_divergence"
    takes = "log_probabilities"
    targets = frozenset({"probabilities"})

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
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        problem = prepare_loss(x, target, **options)
        if problem.indexed:
            raise TargetError(
                "target holds class indices; a divergence is from probabilities of x's shape. For "
                "indices use nll."
            )
        return _entries.of_classes(problem, _entries.DIVERGENCE)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        if getattr(target, "dtype", None) != getattr(x, "dtype", None):
            return NotImplemented  # indices are not for this loss
        return _entries.attempt(
            _entries.DIVERGENCE, mode, out, x, target, options, range_of="probabilities"
        )


class DistillationProblem(NamedTuple):
    """A student's logits beside a teacher's probabilities, both at temperature T.

    The gradient is that of the cross-entropy with the teacher, whose entropy does not depend on the
    student; T^2 makes its size that of a loss at temperature 1. A T that is a power of two is
    divided out of the logits, which is exact; the problem's own temperature is then 1.
    """

    problem: Problem
    temperature: float  # T
    log_teacher: Array | None  # log t in the rows' layout, if the teacher was given by logits

    @classmethod
    def of(cls, problem: Problem, log_teacher: Array | None) -> DistillationProblem:
        """The problem at a temperature of 1, if that can be had exactly."""
        rows, t = problem.rows, problem.rows.temperature
        scaled, rest = _divided(rows.logits, t)
        problem = problem._replace(rows=rows._replace(logits=scaled, temperature=rest))
        return cls(problem, t, log_teacher)

    @property
    def from_logits(self) -> bool:
        return self.log_teacher is not None

    @property
    def rows(self) -> Rows:
        return self.problem.rows

    @property
    def target(self) -> Array:
        return self.problem.target

    @property
    def reduction(self) -> str:
        return self.problem.reduction

    def log_student(self) -> Array:
        """log p."""
        rows = self.rows
        log_p: Array = _native.log_softmax(rows.logits, rows.axis, rows.temperature, None)
        return log_p

    def mean_difference(self) -> Entries:
        """sum w t (log t - log p), where log t has the digits that t = 1 - tiny has lost."""
        with np.errstate(invalid="ignore"):  # -inf less -inf, where t is 0
            difference = self.log_student() - self.log_teacher
        problem = self.problem._replace(rows=self.rows._replace(logits=difference))
        return _entries.of_classes(problem, _entries.LOG_PROBABILITY)

    def divergence(self) -> Entries:
        """The divergence from the student's log-probabilities."""
        rows, log_p = self.rows, self.log_student()
        problem = self.problem._replace(rows=rows._replace(logits=log_p))
        return _entries.of_classes(problem, _entries.DIVERGENCE)

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """The loss, its gradient, or both."""
        if not self.rows.classes:
            return without_classes(self.rows, self.reduction, mode)
        loss = None
        if mode != GRAD:
            entries = self.mean_difference() if self.from_logits else self.divergence()
            loss = entries.run(LOSS) * entries.rows.logits.dtype.type(self.temperature**2)
        if mode == LOSS:
            return loss
        gradient = self.gradient(buffer, cotangent)
        return (loss, gradient) if mode == LOSS_AND_GRAD else gradient

    def gradient(self, buffer: Array | None, cotangent: Array | None) -> Array:
        """s_i T (p sum w t - w t)."""
        problem, rows = self.problem, self.rows
        if not self.from_logits or problem.class_weight is not None:
            factor = np.asarray(self.temperature * rows.temperature)
            if cotangent is None and self.reduction == "none":
                cotangent = np.broadcast_to(factor, rows.row_shape)
            else:
                cotangent = factor if cotangent is None else factor * cotangent
            by_kernel: Array = problem.run(GRAD, buffer, cotangent)
            return by_kernel
        p: Array = _native.softmax(rows.logits, rows.axis, rows.temperature, buffer)
        np.subtract(p, self.target, out=p)
        weight, scale = weighted(problem.weight(), cotangent, rows, self.reduction)
        divisor = problem.divisor()
        scale = scale * self.temperature / divisor if divisor else 0.0
        if weight is None:
            times(p, p.dtype.type(scale))
        else:
            times_rows(p, rows.per_row(weight * scale))
        return p

    def product(self, tangent: Array) -> Array:
        """The cross-entropy's, times T^2."""
        change = self.problem.product(tangent)
        change *= change.dtype.type(self.rows.temperature**2)
        return change

    def hessian(self) -> Array:
        """The cross-entropy's, times T^2."""
        hessian = self.problem.hessian()
        hessian *= hessian.dtype.type(self.rows.temperature**2)
        return hessian

    def grad_target(self) -> Array:
        """By the probabilities; by the teacher's logits through its softmax."""
        rows, t = self.rows, self.temperature
        gradient: Array = self.divergence().grad_target() * rows.logits.dtype.type(t**2)
        if not self.from_logits:
            return gradient
        gradient = np.where(self.target > 0, gradient, gradient.dtype.type(0))
        # An infinite loss has no gradient by what its probabilities share: NaN in that row.
        finite = np.all(np.isfinite(gradient), axis=rows.axis, keepdims=True)
        gradient = np.where(finite, gradient, gradient.dtype.type(0))
        by_logits: Array = _native.softmax_vjp(self.target, gradient, rows.axis, 1.0 / t, None)
        return np.where(finite, by_logits, by_logits.dtype.type(np.nan))


@final
class Distillation(RowsLoss):
    """Return how far a student's softmax is from a teacher's, both softened by a temperature.

    loss_i = s_i T^2 sum_c w_c t_c (log t_c - log p_c)    with    p = softmax(x / T),
    t = softmax(teacher / T), or the teacher's probabilities as they are

    Parameters
    ----------
    x : array_like
        The student's logits in any shape with a class axis; float16, bfloat16, float32, float64,
        integers or booleans. Never written.
    target : array_like
        The teacher's logits in the same shape; or, with teacher="probabilities", its probabilities
        at the same temperature, finite and not negative.
    axis, reduction, sample_weight, class_weight, where
        As in `cross_entropy`; ``where`` masks the teacher's classes too.
    temperature : float
        T, finite and > 0.
    teacher : {"logits", "probabilities"}
        What the target holds.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, of the student's type: one number, or with reduction="none" one a row. It
        is 0 where the student agrees with the teacher.

    Raises
    ------
    ValueError
        If a probability is negative or not finite, a teacher's row has no finite largest logit, or
        a shape, axis or option out of range.
    TypeError
        If the logits are complex or not numeric, or an option of the wrong type.

    Notes
    -----
    grad = s_i T (p sum_c w_c t_c - w t),    Hessian s_i sum_c w_c t_c (diag(p) - p p^T)

    The factor T^2 keeps the size of the gradient when T is changed, so that the loss can be added
    to a cross-entropy with labels. The gradient is that of T^2 times the cross-entropy, from which
    the loss differs by the teacher's entropy. ``grad_target`` is by what the target holds: by the
    teacher's logits, s_i T t (h - sum t h) with h = w (log t - log p).

    The gradient is within 4 ULP of its terms, s_i T (p + t); the loss within 4 ULP of
    s_i T^2 sum t (|log t| + |log p|), which is more than itself where the two agree.

    References
    ----------
    G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network (2015), section 2,
    equations 2 to 4.

    Examples
    --------
    >>> import softgrad as sg
    >>> student, teacher = [[2.0, 0.0, 0.0]], [[3.0, 1.0, 0.0]]
    >>> sg.distillation(student, teacher, temperature=2.0).round(4)
    np.float64(0.0678)
    >>> sg.distillation.grad(student, teacher, temperature=2.0).round(4)
    array([[-0.1048, -0.0386,  0.1434]])
    """

    name = "distillation"
    takes = "logits"
    targets = frozenset({"values", "probabilities"})

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
        where: ArrayLike | None = None,
        temperature: float = 1.0,
        teacher: Literal["logits", "probabilities"] = "logits",
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
            temperature=temperature,
            teacher=teacher,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> DistillationProblem:
        teacher = options.pop("teacher")
        if teacher not in ("logits", "probabilities"):
            raise OptionError(f"teacher={teacher!r}; accepted are 'logits' and 'probabilities'.")
        logarithm: Array | None = None
        if teacher == "logits":
            array, _ = _checks.floats(x, "logits")
            target, logarithm = _softened(target, array, options)
        problem = prepare_loss(x, target, **options)
        if problem.indexed:
            raise TargetError(
                "target holds class indices; a teacher gives probabilities of the student's shape. "
                "For indices use cross_entropy."
            )
        if logarithm is not None:
            logarithm = problem.rows.merge(logarithm)
        return DistillationProblem.of(problem, logarithm)


def _divided(logits: Array, temperature: float) -> tuple[Array, float]:
    """Logits and the temperature that is still to be applied: 1 where dividing by it is exact."""
    if temperature == 1.0 or math.frexp(temperature)[0] != 0.5:
        return logits, temperature
    return logits * logits.dtype.type(1.0 / temperature), 1.0


def _softened(teacher: ArrayLike, student: Array, options: dict[str, Any]) -> tuple[Array, Array]:
    """The teacher's probabilities and their logarithms in the student's type."""
    from softgrad.functions.softmax import log_softmax, softmax

    logits = _checks.floats_like(teacher, "target", student.shape, student.dtype, "logits")
    logits, rest = _divided(logits, _checks.temperature(options["temperature"]))
    how: Any = {"axis": options["axis"], "temperature": rest, "where": options["where"]}
    t = softmax(logits, **how)
    if not np.all(np.isfinite(t)):
        raise TargetError(
            "target holds teacher logits without a finite largest one: a NaN, +inf, or -inf in a "
            "whole row."
        )
    return np.asarray(t), np.asarray(log_softmax(logits, **how))


kl_divergence = KLDivergence()
distillation = Distillation()
