r"""The cross-entropy of logits with index or probability targets, and its derivatives.

With z = x / T, p = softmax(z), K classes taking part, class weights w and sample weights s:

    y'_c   = (1 - eps) y_c + eps / K           label smoothing
    Y_i    = sum_c w_c y'_c
    loss_i = s_i sum_c w_c y'_c (-log p_c)
    grad_i = s_i / T (Y_i p - w y')
    hess_i = s_i Y_i / T^2 (diag(p) - p p^T)

The mean divides by the weight that took part: W = sum_i s_i Y_i with class weights, sum_i s_i
without; an ignored row has s_i = 0, and W = 0 makes the mean and its gradient 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softgrad._reference.axes import Float64, diagonal, outer, taking_part
from softgrad._reference.rows import log_softmax, softmax


@dataclass(frozen=True)
class _Rows:
    """Logits and target with the class axis last, and what every formula above shares."""

    axis: int
    temperature: float
    smoothing: float
    reduction: str
    p: Float64
    log_p: Float64
    weight: Float64  # w, one a class
    target: Float64  # y', smoothed
    total: Float64  # Y_i
    sample: Float64  # s_i, 0 for ignored rows
    mass: float  # W, or 1 unless the reduction is the mean
    weighted: bool  # whether class weights were given

    def restore(self, values: Float64) -> Float64:
        """The class axis back where the caller had it."""
        return np.moveaxis(values, -1, self.axis)


def _prepare(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    reduction: str = "mean",
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> _Rows:
    x = np.moveaxis(np.asarray(logits, dtype=np.float64), axis, -1)
    mask = np.moveaxis(taking_part(np.asarray(logits), where), axis, -1)
    classes = x.shape[-1]
    labels = np.asarray(target)
    sample = np.ones(x.shape[:-1])
    if sample_weight is not None:
        sample = sample * np.asarray(sample_weight, dtype=np.float64)
    if np.issubdtype(labels.dtype, np.integer):
        ignored = np.zeros(labels.shape, dtype=np.bool_)
        if ignore_index is not None:
            ignored = labels == ignore_index
        sample = np.where(ignored, 0.0, sample)
        y = np.eye(classes)[np.where(ignored, 0, labels)]
    else:
        y = np.moveaxis(labels.astype(np.float64), axis, -1)
    parts = np.maximum(np.sum(mask, axis=-1, keepdims=True), 1)
    y = np.where(mask, (1.0 - label_smoothing) * y + label_smoothing / parts, 0.0)
    w = np.ones(classes)
    if class_weight is not None:
        w = np.asarray(class_weight, dtype=np.float64)
    total = np.sum(w * y, axis=-1)
    mass = 1.0
    if reduction == "mean":
        mass = float(np.sum(sample if class_weight is None else sample * total))
    return _Rows(
        axis,
        temperature,
        label_smoothing,
        reduction,
        softmax(x, temperature=temperature, where=mask),
        log_softmax(x, temperature=temperature, where=mask),
        w,
        y,
        total,
        sample,
        mass,
        class_weight is not None,
    )


def _share(rows: _Rows) -> Float64:
    """What one row's loss counts for in the result: s_i, s_i / W for the mean, 0 if W = 0."""
    return rows.sample / rows.mass if rows.mass else np.zeros_like(rows.sample)


def _surprise(rows: _Rows) -> Float64:
    """sum_c w_c y'_c (-log p_c); a class without weight contributes 0, even at log p = -inf."""
    weight = rows.weight * rows.target
    with np.errstate(invalid="ignore"):
        value: Float64 = np.sum(np.where(weight == 0, 0.0, -weight * rows.log_p), axis=-1)
    return value


def cross_entropy(logits: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
    """loss_i, or their sum or weighted mean."""
    rows = _prepare(logits, target, **options)
    share = _share(rows)
    loss = np.where(share == 0, 0.0, share * _surprise(rows))
    return np.asarray(loss if rows.reduction == "none" else np.sum(loss), dtype=np.float64)


def cross_entropy_grad(logits: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
    """The gradient by the logits; for reduction "none" that of each row's own loss."""
    rows = _prepare(logits, target, **options)
    share = (_share(rows) / rows.temperature)[..., None]
    error = rows.total[..., None] * rows.p - rows.weight * rows.target
    return rows.restore(np.where(share == 0, 0.0, share * error))


#: Each row's loss by its own logits; for the sum and the mean that is the gradient.
cross_entropy_jacobian = cross_entropy_grad


def cross_entropy_vjp(
    logits: ArrayLike, target: ArrayLike, g: ArrayLike, *, axis: int = -1, **options: Any
) -> Float64:
    """g times the gradient, for a cotangent of the loss's shape."""
    grad = cross_entropy_grad(logits, target, axis=axis, **options)
    cotangent = np.asarray(g, dtype=np.float64)
    return grad * (np.expand_dims(cotangent, axis) if cotangent.ndim else cotangent)


def cross_entropy_jvp(
    logits: ArrayLike, target: ArrayLike, v: ArrayLike, *, axis: int = -1, **options: Any
) -> Float64:
    """How the loss changes when the logits move in direction v."""
    grad = cross_entropy_grad(logits, target, axis=axis, **options)
    change = np.sum(grad * np.asarray(v, dtype=np.float64), axis=axis)
    if options.get("reduction", "mean") != "none":
        change = np.sum(change)
    return np.asarray(change, dtype=np.float64)


def cross_entropy_hvp(
    logits: ArrayLike, target: ArrayLike, v: ArrayLike, **options: Any
) -> Float64:
    """How the gradient changes when the logits move in direction v."""
    rows = _prepare(logits, target, **options)
    v = np.moveaxis(np.asarray(v, dtype=np.float64), rows.axis, -1)
    scale = (_share(rows) * rows.total / rows.temperature**2)[..., None]
    change = rows.p * (v - np.sum(rows.p * v, axis=-1, keepdims=True))
    return rows.restore(np.where(scale == 0, 0.0, scale * change))


def cross_entropy_hessian(logits: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
    """The second derivatives of each row, of shape (..., C, C); rows do not mix."""
    rows = _prepare(logits, target, **options)
    scale = (_share(rows) * rows.total / rows.temperature**2)[..., None, None]
    return scale * (diagonal(rows.p) - outer(rows.p, rows.p))


def cross_entropy_grad_target(logits: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
    """The gradient by the probabilities of a soft target.

    Each row's own loss gives s_i (1 - eps) w_c (-log p_c).  The mean with class weights divides by
    W, which depends on the target too, so that the quotient rule subtracts the mean.
    """
    rows = _prepare(logits, target, **options)
    surprise = -rows.log_p
    if rows.reduction == "mean" and rows.weighted:
        surprise = surprise - float(cross_entropy(logits, target, **options))
    share = (_share(rows) * (1.0 - rows.smoothing))[..., None]
    with np.errstate(invalid="ignore"):  # 0 inf, at masked classes
        grad = share * rows.weight * surprise
    return rows.restore(np.where(np.isfinite(rows.log_p) | (rows.target > 0), grad, 0.0))
