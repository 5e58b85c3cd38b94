"""A cross-entropy in the one form that the kernel takes, and the formulas that it lacks.

The kernel has the loss and its gradient; the mass Y_i and the share s_i / W of a row, which the
second derivatives and the gradient by the target need, are here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, BoolArray
from softgrad.errors import OptionError, TargetError
from softgrad.functions._members import GRAD, LOSS, LOSS_AND_GRAD
from softgrad.functions._rows import Rows, prepare, times

REDUCTIONS = {name: code for code, name in enumerate(_checks.REDUCTIONS)}  # as the kernel has them


class Problem(NamedTuple):
    """A validated loss, in the form that the kernel takes."""

    rows: Rows
    target: Array  # int64 class indices, or y along the class axis
    sample_weight: Array | None  # s
    class_weight: Array | None  # w
    ignore_index: int | None
    smoothing: float  # eps, as far as the target does not contain it yet
    keep: float  # 1 - eps
    reduction: str

    @property
    def indexed(self) -> bool:
        return self.target.dtype.kind == "i"

    @property
    def ignored(self) -> BoolArray:
        if not self.indexed or self.ignore_index is None:
            return np.zeros(self.rows.row_shape, np.bool_)
        return np.asarray(self.target == self.ignore_index)

    # --- By the kernel ---------------------------------------------------------------------------

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """Loss, gradient or both, as the kernel returns them."""
        rows = self.rows
        row_weight, scale = weighted(self.sample_weight, cotangent, rows, self.reduction)
        if not rows.classes:
            return without_classes(rows, self.reduction, mode)
        return _native.cross_entropy(
            rows.logits,
            self.target,
            rows.axis,
            row_weight,
            self.class_weight,
            self.smoothing,
            rows.temperature,
            self.ignore_index,
            REDUCTIONS[self.reduction],
            mode,
            scale,
            buffer,
        )

    # --- By formulas over rows -------------------------------------------------------------------

    def mass(self) -> Array:
        """Y_i = sum_c w_c y'_c in float64."""
        w = np.ones(self.rows.classes) if self.class_weight is None else self.class_weight
        if self.indexed:
            ignored = self.ignored
            mass = np.zeros(self.rows.row_shape)
            mass[~ignored] = w[self.target[~ignored]]
        else:
            y = np.ascontiguousarray(np.moveaxis(self.target, self.rows.axis, -1))
            mass = np.sum(y * w, axis=-1)  # contiguous: its bits do not depend on the layout
        if self.smoothing:
            mass = (1.0 - self.smoothing) * mass + self.smoothing * np.mean(w)
        return np.asarray(mass)

    def weight(self) -> Array | None:
        """s_i, 0 for rows that are ignored; None for ones."""
        if not self.indexed or self.ignore_index is None:
            return self.sample_weight
        s = np.ones(self.rows.row_shape) if self.sample_weight is None else self.sample_weight
        return np.where(self.ignored, 0.0, s)

    def row_weight(self) -> Array | None:
        """s_i w_{y_i} for class indices, 0 for rows that are ignored; None for ones."""
        if self.class_weight is None:
            return self.weight()
        w = np.zeros(self.rows.row_shape)
        taking_part = ~self.ignored
        w[taking_part] = self.class_weight[self.target[taking_part]]
        return w if self.sample_weight is None else w * self.sample_weight

    def divisor(self) -> float:
        """What the sum of all rows is divided by: W for the mean."""
        if self.reduction != "mean":
            return 1.0
        weight = self.weight()
        if self.class_weight is not None:
            mass = self.mass()
            return float(np.sum(mass if weight is None else weight * mass))
        return float(math.prod(self.rows.row_shape) if weight is None else np.sum(weight))

    def share(self) -> Array:
        """What the loss of a row counts for in the result: s_i, over W for the mean."""
        weight, divisor = self.weight(), self.divisor()
        share = np.ones(self.rows.row_shape) if weight is None else weight
        return np.asarray(share / divisor if divisor > 0 else np.zeros_like(share))

    def curvature(self) -> Array:
        """The factor of diag(p) - p p^T in the Hessian of each row, by z = x / T."""
        return self.share() * self.mass()

    def product(self, tangent: Array) -> Array:
        """s_i Y_i / T^2 p (v - sum p v)."""
        rows = self.rows
        change: Array = _native.softmax_vjp(
            rows.probabilities(), tangent, rows.axis, rows.scale, None
        )
        times_rows(change, rows.per_row(self.curvature() * rows.scale))
        return change

    def hessian(self) -> Array:
        """s_i Y_i / T^2 (diag(p) - p p^T): the Jacobian of softmax, times what is one a row."""
        rows = self.rows
        hessian = rows.jacobian()
        times_rows(hessian, (self.curvature() * rows.scale)[..., None, None])
        return hessian

    def grad_target(self) -> Array:
        """The gradient by y, in the logits' layout."""
        rows = self.rows
        refuse_indices(self.target)
        log_p: Array = _native.log_softmax(rows.logits, rows.axis, rows.temperature, None)
        surprise: Array = np.negative(log_p, dtype=np.float64)
        if self.reduction == "mean" and self.class_weight is not None:
            surprise -= float(self.run(LOSS))
        factor = rows.per_row(self.keep * self.share())
        if self.class_weight is not None:
            along = [1] * rows.logits.ndim
            along[rows.axis] = rows.classes
            factor = factor * self.class_weight.reshape(along)
        times_rows(surprise, factor)
        if not self.smoothing:
            surprise[(self.target == 0) & (log_p == -np.inf)] = 0.0
        return surprise.astype(rows.logits.dtype, copy=False)


def prepare_loss(
    logits: ArrayLike,
    target: ArrayLike,
    axis: Axis,
    reduction: object,
    sample_weight: ArrayLike | None,
    class_weight: ArrayLike | None,
    where: ArrayLike | None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
) -> Problem:
    """Validate everything that a member of the loss is given."""
    rows = prepare(logits, axis, temperature, where, "logits")
    reduced = _checks.reduction(reduction)
    eps = _checks.label_smoothing(label_smoothing)
    ignored = _checks.ignore_index(ignore_index)
    y = _checks.target(target, rows.shape, rows.class_axes, rows.logits.dtype)
    if y.dtype.kind == "f":
        if ignored is not None:
            raise OptionError(
                f"ignore_index={ignored} is a class index, but the target holds probabilities; "
                "leave rows out with sample_weight=0."
            )
        y = rows.merge(_checks.probabilities(y))
    else:
        y = _checks.class_indices(y, rows.classes, ignored)
    s = _checks.weights(sample_weight, "sample_weight", rows.row_shape, "one weight a row")
    w = _checks.weights(class_weight, "class_weight", (rows.classes,), "one weight a class")
    problem = Problem(rows, y, s, w, ignored, eps, 1.0 - eps, reduced)
    return problem if rows.mask is None else _within_mask(problem, rows.mask)


def _within_mask(problem: Problem, mask: BoolArray) -> Problem:
    """The problem of the classes that take part: rows without any weigh nothing."""
    rows, y, ignored = problem.rows, problem.target, problem.ignored
    if problem.indexed:
        one_hot = np.arange(rows.classes) == np.where(ignored, -1, y)[..., None]
        one_hot = np.moveaxis(one_hot, -1, rows.axis)
        _checks.target_within_mask(np.all(mask | ~one_hot, axis=rows.axis), "is")
    else:
        _checks.target_within_mask(rows.split(mask | (y == 0)), "gives weight to")
    idle = ignored | ~np.any(mask, axis=rows.axis)
    if np.any(idle):
        s = 1.0 if problem.sample_weight is None else problem.sample_weight
        finite = np.where(rows.per_row(idle), rows.logits.dtype.type(0), rows.logits)
        problem = problem._replace(
            rows=rows._replace(logits=finite), sample_weight=np.where(idle, 0.0, s)
        )
    if problem.smoothing:
        count = np.maximum(np.sum(mask, axis=rows.axis, keepdims=True), 1)
        spread = problem.keep * (one_hot if problem.indexed else y) + problem.smoothing / count
        smooth = np.where(mask & ~rows.per_row(idle), spread, 0.0).astype(rows.logits.dtype)
        problem = problem._replace(target=smooth, smoothing=0.0, ignore_index=None)
    return problem


def refuse_indices(target: Array) -> None:
    """No gradient by class indices."""
    if target.dtype.kind == "i":
        raise TargetError(
            "target holds class indices, which have no gradient; grad_target takes probabilities "
            "of the logits' shape, for instance one-hot rows as floats."
        )


def weighted(
    weight: Array | None, cotangent: Array | None, rows: Rows, reduction: str
) -> tuple[Array | None, float]:
    """The weights of the rows and the one of all, with a cotangent of the loss's shape in them."""
    if cotangent is None:
        return weight, 1.0
    if reduction != "none":
        return weight, float(cotangent)
    each = cotangent if weight is None else np.where(weight == 0, 0.0, cotangent * weight)
    return np.ascontiguousarray(each).reshape(rows.row_shape), 1.0


def without_classes(rows: Rows, reduction: str, mode: int) -> Any:
    """No class, no loss."""
    losses = np.zeros(rows.row_shape, rows.logits.dtype)
    loss = losses if reduction == "none" else losses.sum()
    gradient = np.empty_like(rows.logits)
    return {LOSS: loss, GRAD: gradient, LOSS_AND_GRAD: (loss, gradient)}[mode]


def times_rows(array: Array, factor: Array) -> None:
    """Multiply in place; a factor of 0 gives 0, whatever the row holds."""
    times(array, factor)
    if not np.all(factor):
        np.copyto(array, array.dtype.type(0), where=factor == 0)
