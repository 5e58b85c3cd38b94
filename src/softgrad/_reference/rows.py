r"""softmax, log_softmax and logsumexp over the class axes, with their derivatives.

With z = x / T and the probabilities p = softmax(z), for cotangents g and tangents v:

                  J                          g^T J                      J v
    softmax       (diag(p) - p p^T) / T      p (g - sum p g) / T        p (v - sum p v) / T
    log_softmax   (I - 1 p^T) / T            (g - p sum g) / T          (v - sum p v) / T
    logsumexp     p^T   (here T = 1)         g p                        sum p v

`hvp(x, g, v)` is the derivative of `vjp(x, g)` when x moves in direction v.  It follows from
dp = p (v - sum p v) / T.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softgrad._reference.axes import (
    Axis,
    Float64,
    classes_last,
    diagonal,
    logits,
    outer,
    taking_part,
    zero_outside,
)


def _row_sum(values: Float64, axis: Axis) -> Float64:
    total: Float64 = np.sum(values, axis=axis, keepdims=True)
    return total


def _row_max(z: Float64, axis: Axis) -> Float64:
    largest: Float64 = np.max(z, axis=axis, keepdims=True, initial=-np.inf)
    return largest


# --- softmax -------------------------------------------------------------------------------------


def softmax(
    x: ArrayLike, *, axis: Axis = -1, temperature: float = 1.0, where: ArrayLike | None = None
) -> Float64:
    """exp(z - max z) / sum exp(z - max z); a row masked entirely is 0."""
    z = logits(x, axis, temperature, where)
    with np.errstate(invalid="ignore"):  # rows of -inf, or with +inf, are NaN
        e = np.exp(z - _row_max(z, axis))
        return zero_outside(e / _row_sum(e, axis), x, where)


def softmax_vjp(
    x: ArrayLike,
    g: ArrayLike,
    *,
    axis: Axis = -1,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> Float64:
    """p (g - sum p g) / T."""
    p = softmax(x, axis=axis, temperature=temperature, where=where)
    g = zero_outside(g, x, where)
    return p * (g - _row_sum(p * g, axis)) / temperature


#: The Jacobian of softmax is symmetric.
softmax_jvp = softmax_vjp


def softmax_jacobian(
    x: ArrayLike, *, axis: Axis = -1, temperature: float = 1.0, where: ArrayLike | None = None
) -> Float64:
    """(diag(p) - p p^T) / T, of shape (..., C, C)."""
    p = classes_last(softmax(x, axis=axis, temperature=temperature, where=where), axis)
    return (diagonal(p) - outer(p, p)) / temperature


def softmax_hvp(
    x: ArrayLike,
    g: ArrayLike,
    v: ArrayLike,
    *,
    axis: Axis = -1,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> Float64:
    """(dp (g - sum p g) - p sum dp g) / T."""
    p = softmax(x, axis=axis, temperature=temperature, where=where)
    dp = softmax_jvp(x, v, axis=axis, temperature=temperature, where=where)
    g = zero_outside(g, x, where)
    return (dp * (g - _row_sum(p * g, axis)) - p * _row_sum(dp * g, axis)) / temperature


# --- log_softmax ---------------------------------------------------------------------------------


def log_softmax(
    x: ArrayLike, *, axis: Axis = -1, temperature: float = 1.0, where: ArrayLike | None = None
) -> Float64:
    """(z - max z) - log sum exp(z - max z); a masked entry is -inf."""
    z = logits(x, axis, temperature, where)
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = z - _row_max(z, axis)
        value = shifted - np.log(_row_sum(np.exp(shifted), axis))
    return np.where(taking_part(x, where), value, -np.inf)


def log_softmax_vjp(
    x: ArrayLike,
    g: ArrayLike,
    *,
    axis: Axis = -1,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> Float64:
    """(g - p sum g) / T."""
    p = softmax(x, axis=axis, temperature=temperature, where=where)
    g = zero_outside(g, x, where)
    return (g - p * _row_sum(g, axis)) / temperature


def log_softmax_jvp(
    x: ArrayLike,
    v: ArrayLike,
    *,
    axis: Axis = -1,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> Float64:
    """(v - sum p v) / T."""
    p = softmax(x, axis=axis, temperature=temperature, where=where)
    v = zero_outside(v, x, where)
    return zero_outside((v - _row_sum(p * v, axis)) / temperature, x, where)


def log_softmax_jacobian(
    x: ArrayLike, *, axis: Axis = -1, temperature: float = 1.0, where: ArrayLike | None = None
) -> Float64:
    """(I - 1 p^T) / T, of shape (..., C, C); the rows and columns of masked entries are 0."""
    p = classes_last(softmax(x, axis=axis, temperature=temperature, where=where), axis)
    part = classes_last(taking_part(x, where).astype(np.float64), axis)
    return (diagonal(part) - outer(part, p)) / temperature


def log_softmax_hvp(
    x: ArrayLike,
    g: ArrayLike,
    v: ArrayLike,
    *,
    axis: Axis = -1,
    temperature: float = 1.0,
    where: ArrayLike | None = None,
) -> Float64:
    """-dp sum g / T."""
    dp = softmax_jvp(x, v, axis=axis, temperature=temperature, where=where)
    return -dp * _row_sum(zero_outside(g, x, where), axis) / temperature


# --- softmin: softmax at -x ----------------------------------------------------------------------


def softmin(x: ArrayLike, **options: Any) -> Float64:
    """exp(-x / T) over their sum."""
    return softmax(-np.asarray(x, dtype=np.float64), **options)


def softmin_vjp(x: ArrayLike, g: ArrayLike, **options: Any) -> Float64:
    """The chain rule gives the sign; the Jacobian is symmetric."""
    return -softmax_vjp(-np.asarray(x, dtype=np.float64), g, **options)


softmin_jvp = softmin_vjp


def softmin_jacobian(x: ArrayLike, **options: Any) -> Float64:
    """(p p^T - diag(p)) / T."""
    return -softmax_jacobian(-np.asarray(x, dtype=np.float64), **options)


def softmin_hvp(x: ArrayLike, g: ArrayLike, v: ArrayLike, **options: Any) -> Float64:
    """Two inner derivatives of -1."""
    return softmax_hvp(-np.asarray(x, dtype=np.float64), g, v, **options)


# --- sparsemax -----------------------------------------------------------------------------------


def sparsemax(x: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None) -> Float64:
    """Algorithm 1 of Martins and Astudillo (2016): sort, and find the size k of the support.

    k is the largest with 1 + k z_(k) > S_k = z_(1) + ... + z_(k), and tau = (S_k - 1) / k.
    """
    z = logits(x, axis, 1.0, where)
    with np.errstate(invalid="ignore"):  # rows of -inf, or with +inf, are NaN
        z = z - _row_max(z, axis)
        rows = classes_last(z, axis)
        ordered = -np.sort(-rows, axis=-1)
        size = np.arange(1, rows.shape[-1] + 1)
        sums = np.cumsum(np.where(ordered > -1, ordered, -np.inf), axis=-1)
        k = np.sum((1 + size * ordered > sums) & (ordered > -1), axis=-1, keepdims=True)
        if not rows.shape[-1]:
            return np.zeros_like(z)
        last = np.take_along_axis(sums, np.maximum(k - 1, 0), axis=-1)
        tau = np.where(np.isnan(rows).any(axis=-1, keepdims=True), np.nan, (last - 1) / k)
        p = np.maximum(rows - tau, 0.0)
    return zero_outside(_unmerge(p, z, axis), x, where)


def _unmerge(rows: Float64, like: Float64, axis: Axis) -> Float64:
    """The inverse of `classes_last`."""
    if not like.ndim:
        return rows.reshape(())
    chosen = range(like.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    gone = sorted(k % like.ndim for k in chosen)
    kept = [n for k, n in enumerate(like.shape) if k not in gone]
    apart = rows.reshape(*kept, *(like.shape[k] for k in gone))
    result: Float64 = np.moveaxis(apart, range(-len(gone), 0), gone)
    return result


def _support(x: ArrayLike, axis: Axis, where: ArrayLike | None) -> Float64:
    return np.sign(sparsemax(x, axis=axis, where=where))


def sparsemax_vjp(
    x: ArrayLike, g: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None
) -> Float64:
    """s (g - sum s g / k)."""
    s = _support(x, axis, where)
    g = zero_outside(g, x, where)
    with np.errstate(invalid="ignore"):
        result: Float64 = s * (g - _row_sum(s * g, axis) / np.maximum(_row_sum(s, axis), 1))
    return result


sparsemax_jvp = sparsemax_vjp


def sparsemax_jacobian(x: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None) -> Float64:
    """diag(s) - s s^T / k."""
    s = classes_last(_support(x, axis, where), axis)
    k = np.maximum(np.sum(s, axis=-1), 1)
    result: Float64 = diagonal(s) - outer(s, s) / k[..., None, None]
    return result


def sparsemax_hvp(
    x: ArrayLike, g: ArrayLike, v: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None
) -> Float64:
    """0: the Jacobian is constant where it exists; NaN rows stay."""
    return np.multiply(0, _support(x, axis, where), dtype=np.float64)


# --- logsumexp -----------------------------------------------------------------------------------


def logsumexp(
    x: ArrayLike, *, axis: Axis = -1, keepdims: bool = False, where: ArrayLike | None = None
) -> Float64:
    """max x + log sum exp(x - max x); -inf where nothing takes part."""
    z = logits(x, axis, 1.0, where)
    largest = _row_max(z, axis)
    shift = np.where(np.isinf(largest), 0.0, largest)
    with np.errstate(divide="ignore", over="ignore"):  # log 0 = -inf, exp(inf) = inf
        value = shift + np.log(_row_sum(np.exp(z - shift), axis))
    return value if keepdims else np.squeeze(value, axis=_all_axes(value, axis))


def logsumexp_vjp(
    x: ArrayLike,
    g: ArrayLike,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Float64:
    """g p, for a cotangent g of the value's shape."""
    g = np.asarray(g, dtype=np.float64)
    if not keepdims:
        g = np.expand_dims(g, _all_axes(np.asarray(x), axis))
    return zero_outside(g * softmax(x, axis=axis, where=where), x, where)


def logsumexp_jvp(
    x: ArrayLike,
    v: ArrayLike,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Float64:
    """sum p v, of the value's shape."""
    p = softmax(x, axis=axis, where=where)
    change: Float64 = np.sum(p * zero_outside(v, x, where), axis=axis, keepdims=keepdims)
    return change


def logsumexp_jacobian(x: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None) -> Float64:
    """p: one row of C derivatives for every value."""
    return classes_last(softmax(x, axis=axis, where=where), axis)


def logsumexp_hvp(
    x: ArrayLike,
    g: ArrayLike,
    v: ArrayLike,
    *,
    axis: Axis = -1,
    keepdims: bool = False,
    where: ArrayLike | None = None,
) -> Float64:
    """g p (v - sum p v)."""
    g = np.asarray(g, dtype=np.float64)
    if not keepdims:
        g = np.expand_dims(g, _all_axes(np.asarray(x), axis))
    return g * softmax_jvp(x, v, axis=axis, where=where)


def _all_axes(values: Float64, axis: Axis) -> int | tuple[int, ...]:
    return tuple(range(values.ndim)) if axis is None else axis
