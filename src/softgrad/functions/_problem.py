"""A cross-entropy in the one form that the kernel takes, and the formulas that it lacks.

The kernel has the loss and its gradient; the mass Y_i and the share s_i / W of a row, which the
second derivatives and the gradient by the target need, are here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import deliver
from softgrad._typing import Array, ArrayLike, Axis, BoolArray
from softgrad.errors import OptionError, TargetError
from softgrad.functions._rows import Rows, prepare, times

REDUCTIONS = {name: code for code, name in enumerate(_checks.REDUCTIONS)}  # as the kernel has them
LOSS, GRAD, LOSS_AND_GRAD = 1, 2, 3  # what the kernel computes


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

    def evaluate(self, mode: int, out: Array | None, cotangent: Array | None = None) -> Any:
        """Loss, gradient or both, in the caller's form; the gradient times a cotangent."""
        rows = self.rows
        result = self.run(mode, rows.buffer(out, self.target), cotangent)
        if mode == GRAD:
            return rows.deliver(result, out)
        loss, gradient = result if mode == LOSS_AND_GRAD else (result, None)
        loss = deliver(np.asarray(loss), rows.dtype, None)
        return loss if gradient is None else (loss, rows.deliver(gradient, out))

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """Loss, gradient or both, as the kernel returns them."""
        rows, row_weight, scale = self.rows, self.sample_weight, 1.0
        if cotangent is not None and self.reduction == "none":
            row_weight = cotangent if row_weight is None else cotangent * row_weight
            row_weight = np.ascontiguousarray(row_weight).reshape(rows.row_shape)
        elif cotangent is not None:
            scale = float(cotangent)
        if not rows.classes:  # no class, no loss
            losses = np.zeros(rows.row_shape, rows.logits.dtype)
            loss = losses if self.reduction == "none" else losses.sum()
            gradient = np.empty_like(rows.logits)
            return {LOSS: loss, GRAD: gradient, LOSS_AND_GRAD: (loss, gradient)}[mode]
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

    def share(self) -> Array:
        """What the loss of a row counts for in the result: s_i, over W for the mean."""
        ignored = self.ignored
        s = np.ones(ignored.shape) if self.sample_weight is None else self.sample_weight
        share = np.where(ignored, 0.0, s)
        if self.reduction == "mean":
            total = float(np.sum(share if self.class_weight is None else share * self.mass()))
            share = share / total if total > 0 else np.zeros_like(share)
        return np.asarray(share)

    def curvature(self) -> Array:
        """The factor of diag(p) - p p^T in the Hessian of each row, by z = x / T."""
        return self.share() * self.mass()

    def grad_target(self) -> Array:
        """The gradient by y, in the logits' layout."""
        rows = self.rows
        if self.indexed:
            raise TargetError(
                "target holds class indices, which have no gradient; grad_target takes "
                "probabilities of the logits' shape, for instance one-hot rows as floats."
            )
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
    ignore_index: int | None,
    label_smoothing: float,
    temperature: float,
    where: ArrayLike | None,
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


def times_rows(array: Array, factor: Array) -> None:
    """Multiply in place; a factor of 0 gives 0, whatever the row holds."""
    times(array, factor)
    if not np.all(factor):
        np.copyto(array, array.dtype.type(0), where=factor == 0)
