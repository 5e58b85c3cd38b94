"""Losses that are a sum of one number l(x, y) per entry, in the form that their kernel takes.

With entry weights u (class weights, 0 where masked), sample weights s and the smoothed target y':

    loss_i = s_i sum_c u_c l(x_ic, y'_ic)          mean: over W = sum_i s_i of rows that take part
    grad_ic = s_i u_c dl/dx,    H_i = s_i diag(u_c d2l/dx2),    by the target: s_i u_c dl/dy

For losses of a distribution over classes W counts class weights as cross_entropy does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, BoolArray
from softgrad.errors import OptionError
from softgrad.functions._members import GRAD, LOSS
from softgrad.functions._problem import Problem, refuse_indices, weighted, without_classes
from softgrad.functions._rows import Rows, diagonal, prepare, times

# The kinds of loss and the derivatives, numbered as loss_kernels.hpp does.
(
    LOG_PROBABILITY,
    PROBABILITY,
    DIVERGENCE,
    BINARY,
    BINARY_PROBABILITY,
    BINARY_FOCAL,
    FOCAL_LOG_PROBABILITY,
    SQUARED,
    HALF_SQUARED,
    ABSOLUTE,
    HUBER,
) = range(11)
_NONE, _SLOPE, _CURVATURE, _TARGET = range(4)
_TARGETS = {"values": (-np.inf, np.inf), "binary": (0.0, 1.0), "probabilities": (0.0, np.inf)}
_LOSS_OF = {"none": 2, "sum": 1, "mean": 1}  # what the kernel calls them


class Entries(NamedTuple):
    """A validated loss of entries."""

    rows: Rows
    target: Array  # int64 class indices, or y of the rows' shape
    reduction: str
    kind: int
    weight: Array | None  # s, 0 for rows that take no part
    class_weight: Array | None
    mask: BoolArray | None
    divisor: float
    keep: float = 1.0  # y' = keep y + spread
    spread: float = 0.0
    positive: Array | float = 1.0
    negative: float = 1.0
    parameter: float = 0.0  # gamma or delta
    mass_depends_on_target: bool = False
    mixed: float = 1.0  # the share of the caller's target in a target that was smoothed before

    def call(
        self,
        derivative: int,
        loss: int,
        buffer: Array | None = None,
        cotangent: Array | None = None,
    ) -> Any:
        """What the kernel returns."""
        rows = self.rows
        weight, scale = weighted(self.weight, cotangent, rows, self.reduction)
        return _native.element_loss(
            self.kind,
            derivative,
            loss,
            rows.logits,
            self.target,
            rows.axis,
            self.mask,
            weight,
            self.class_weight,
            self.positive,
            self.keep,
            self.spread,
            self.negative,
            self.parameter,
            self.divisor,
            scale,
            buffer,
        )

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """The loss, its gradient, or both."""
        if not self.rows.classes:
            return without_classes(self.rows, self.reduction, mode)
        loss = 0 if mode == GRAD else 2 if self.reduction == "none" else 1
        return self.call(_NONE if mode == LOSS else _SLOPE, loss, buffer, cotangent)

    def product(self, tangent: Array) -> Array:
        """The curvature of each entry times its tangent."""
        change: Array = self.call(_CURVATURE, 0)
        with np.errstate(invalid="ignore"):
            times(change, tangent)
        return change

    def hessian(self) -> Array:
        """A diagonal matrix for every row."""
        curvature = np.moveaxis(self.call(_CURVATURE, 0), self.rows.axis, -1)
        hessian: Array = np.zeros((*curvature.shape, curvature.shape[-1]), curvature.dtype)
        diagonal(hessian)[...] = curvature
        return hessian

    def grad_target(self) -> Array:
        """The gradient by y; the mean's weight may depend on y too."""
        refuse_indices(self.target)
        gradient: Array = self.call(_TARGET, 0)
        gradient *= gradient.dtype.type(self.mixed)
        if not self.mass_depends_on_target or self.divisor == 0:
            return gradient
        return less_the_mean(gradient, self, float(self.run(LOSS)))


def less_the_mean(gradient: Array, entries: Entries, mean: float) -> Array:
    """The gradient of a mean whose weight is W = sum_i s_i sum_c w_c y'_ic: quotient rule."""
    rows, w = entries.rows, entries.class_weight
    assert w is not None
    along = [1] * rows.logits.ndim
    along[rows.axis] = rows.classes
    s = np.ones(rows.row_shape) if entries.weight is None else entries.weight
    each = s * (mean * entries.keep * entries.mixed / entries.divisor)
    result: Array = (gradient - rows.per_row(each) * w.reshape(along)).astype(gradient.dtype)
    return result


def of_classes(problem: Problem, kind: int, *, parameter: float = 0.0) -> Entries:
    """A loss of a distribution over classes, of a problem that is validated as cross_entropy's.

    Masked classes have the target 0, which makes their entries 0.
    """
    smoothing = problem.smoothing
    rows = problem.rows
    return Entries(
        rows=rows,
        target=problem.target,
        reduction=problem.reduction,
        kind=kind,
        weight=problem.weight(),
        class_weight=problem.class_weight,
        mask=None,
        divisor=problem.divisor(),
        keep=1.0 - smoothing,
        spread=smoothing / rows.classes if smoothing and rows.classes else 0.0,
        parameter=parameter,
        mass_depends_on_target=problem.class_weight is not None and problem.reduction == "mean",
        mixed=1.0 if smoothing else problem.keep,
    )


def of_values(
    kind: int,
    x: ArrayLike,
    target: ArrayLike,
    *,
    axis: Axis,
    reduction: object,
    sample_weight: ArrayLike | None,
    class_weight: ArrayLike | None,
    where: ArrayLike | None,
    binary: bool = False,
    ignore_index: object = None,
    label_smoothing: object = 0.0,
    parameter: float = 0.0,
    name: str = "values",
) -> Entries:
    """A loss of real numbers, or of yes/no questions (`binary`)."""
    rows = prepare(x, axis, 1.0, where, name)
    reduced = _checks.reduction(reduction)
    eps = _checks.label_smoothing(label_smoothing)
    ignored = _checks.ignore_index(ignore_index)
    given = _checks.entries(target, rows.shape, name)
    mask = _checks.mask(where, rows.shape)
    if ignored is not None:
        if given.dtype.kind not in "iu":
            raise OptionError(
                f"ignore_index={ignored} marks integers, but the target is of dtype "
                f"{given.dtype}; leave entries out with where=(target != ...)."
            )
        taking_part = given != ignored
        mask = taking_part if mask is None else mask & taking_part
    if mask is not None:
        given = np.where(mask, given, given.dtype.type(0))
    _checks.entries_in_range(given, binary)
    y = rows.merge(given.astype(rows.logits.dtype, copy=False))
    s = _checks.weights(sample_weight, "sample_weight", rows.row_shape, "one weight a row")
    w = _checks.weights(class_weight, "class_weight", (rows.classes,), "one weight a class")
    if mask is not None:
        mask = rows.merge(mask)
        if ignored is not None:
            rows = rows._replace(mask=mask)
        idle = ~np.any(mask, axis=rows.axis)
        if np.any(idle):
            s = np.where(idle, 0.0, 1.0 if s is None else s)
    count = np.prod(rows.row_shape, dtype=np.float64) if s is None else np.sum(s)
    return Entries(
        rows=rows,
        target=y,
        reduction=reduced,
        kind=kind,
        weight=s,
        class_weight=w,
        mask=mask,
        divisor=float(count) if reduced == "mean" else 1.0,
        keep=1.0 - eps,
        spread=eps / 2,
        parameter=parameter,
    )


def attempt(
    kind: int,
    mode: int,
    out: Array | None,
    x: Any,
    target: Any,
    options: Mapping[str, Any],
    *,
    range_of: str = "values",
    parameter: float = 0.0,
    positive: float = 1.0,
    negative: float = 1.0,
) -> Any:
    """The kernel's result for arrays that need no conversion and options that say nothing."""
    plain = _plain_rows(x, target, options)
    if not plain:
        return NotImplemented
    axis, reduction, rows = plain
    if range_of != "probabilities" and target.dtype != x.dtype:
        return NotImplemented  # the kernel would take indices for one-hot rows
    if target.dtype.kind == "f" and _native.within(target, *_TARGETS[range_of], False) is not True:
        return NotImplemented
    return _native.element_loss(
        kind,
        _NONE if mode == LOSS else _SLOPE,
        0 if mode == GRAD else _LOSS_OF[reduction],
        x,
        target,
        axis,
        None,
        None,
        None,
        positive,
        1.0,
        0.0,
        negative,
        parameter,
        float(rows) if reduction == "mean" else 1.0,
        1.0,
        out,
    )


def attempt_index(
    kernel: Any,
    parameter: float,
    mode: int,
    out: Array | None,
    x: Any,
    target: Any,
    options: Mapping[str, Any],
) -> Any:
    """The same for a loss of class indices with a kernel of its own."""
    plain = _plain_rows(x, target, options)
    if not plain or not x.size:
        return NotImplemented
    axis, reduction, rows = plain
    return kernel(
        int(mode != LOSS),
        0 if mode == GRAD else _LOSS_OF[reduction],
        x,
        target,
        axis,
        None,
        parameter,
        float(rows) if reduction == "mean" else 1.0,
        1.0,
        out,
    )


def _plain_rows(x: Any, target: Any, options: Mapping[str, Any]) -> tuple[int, str, int] | None:
    """Axis, reduction and number of rows, unless an option or an array needs Python's checks."""
    axis, reduction = options["axis"], options["reduction"]
    if (
        type(x) is not np.ndarray
        or type(target) is not np.ndarray
        or type(axis) is not int
        or not -x.ndim <= axis < x.ndim
        or not isinstance(reduction, str)
        or reduction not in _LOSS_OF
    ):
        return None
    for name, value in options.items():
        unsaid = value is None or (type(value) is float and value == 0.0)
        if not unsaid and name not in ("axis", "reduction"):
            return None
    return axis, reduction, x.size // x.shape[axis] if x.shape[axis] else 0


def require_probabilities(problem: Entries, most: float) -> None:
    """Refuse numbers below 0 or above `most`, which no probabilities are; NaN passes."""
    rows, x = problem.rows, problem.rows.logits
    mask = rows.mask
    if mask is not None:
        x = np.where(mask, x, x.dtype.type(0))
    inside = _native.within(np.ascontiguousarray(x), 0.0, most, True)
    if not inside:
        _checks.not_probabilities(rows.split(x), most)
