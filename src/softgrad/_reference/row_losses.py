r"""Losses of rows beside the cross-entropy: sums of terms, and three that are more than that.

A row's loss is s_i sum_c u_ic l(x_ic, y'_ic) with entry weights u (class weights, 0 where masked)
and the smoothed target y'. `TERMS` says l, dl/dx, d2l/dx2 and dl/dy. Three need the whole row:

    focal           a - p sum a with a_c = u_c y'_c phi'(log p_c), where l = phi(log p)
    distillation    T^2 KL(t || softmax(x / T)), for a teacher's t
    hinge           max(0, margin + max_{j != y} x_j - x_y)

Every derivative of a row is written as a Jacobian or Hessian of that row, and nothing is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softgrad._reference import activations
from softgrad._reference.axes import Float64, diagonal, outer
from softgrad._reference.rows import log_softmax, softmax

#: l, dl/dx, d2l/dx2 and dl/dy of arrays x and y with the loss's options.
Terms = Callable[[Float64, Float64, dict[str, Any]], tuple[Any, Any, Any, Any]]

MULTI_LABEL = ("binary_cross_entropy", "binary_cross_entropy_probabilities", "sigmoid_focal")
REGRESSION = ("squared_error", "half_squared_error", "absolute_error", "huber")


def sigmoid(x: Float64) -> Float64:
    return activations.FORMULAS["sigmoid"](x, 0.0)[0]


def _softplus(x: Float64) -> Float64:
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def _times(a: Any, b: Any) -> Float64:
    """a b, and 0 where a is 0 whatever b is."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.asarray(a) == 0, 0.0, np.asarray(a) * np.asarray(b))


def _nll(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return _times(y, -x), -y, 0 * y, -x


def _categorical(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return _times(y, -np.log(x)), _times(y, -1 / x), _times(y, 1 / x**2), -np.log(x)


def _divergence(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    log_y = np.log(y)
    return _times(y, log_y - x), -y, 0 * y, log_y + 1 - x


def _binary(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    yes = np.asarray(1.0 if o.get("pos_weight") is None else o["pos_weight"])
    p, q, log_p, log_q = sigmoid(x), sigmoid(-x), -_softplus(-x), -_softplus(x)
    value = _times(yes * y, -log_p) + _times(1 - y, -log_q)
    return value, (1 - y) * p - yes * y * q, (yes * y + 1 - y) * p * q, log_q - yes * log_p


def _binary_probabilities(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    yes = np.asarray(1.0 if o.get("pos_weight") is None else o["pos_weight"])
    value = _times(yes * y, -np.log(x)) + _times(1 - y, -np.log1p(-x))
    slope = _times(1 - y, 1 / (1 - x)) - _times(yes * y, 1 / x)
    curvature = _times(1 - y, 1 / (1 - x) ** 2) + _times(yes * y, 1 / x**2)
    return value, slope, curvature, np.log1p(-x) - yes * np.log(x)


def _sigmoid_focal(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    g, alpha = o.get("gamma", 2.0), o.get("alpha", 0.25)
    yes, no = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)

    def one(z: Float64) -> tuple[Any, Any, Any]:
        """q^g softplus(-z) with q = 1 - p, p = sigmoid(z), and its derivatives."""
        p, q, a = sigmoid(z), sigmoid(-z), _softplus(-z)
        power = np.exp(-g * _softplus(z))
        slope = -power * (g * p * a + q)
        return power * a, slope, p * power * (g * g * p * a + (2 * g + 1) * q - g * q * a)

    (v1, d1, h1), (v0, d0, h0) = one(x), one(-x)
    a, b = yes * y, no * (1 - y)
    return (
        _times(a, v1) + _times(b, v0),
        _times(a, d1) - _times(b, d0),
        _times(a, h1) + _times(b, h0),
        yes * v1 - no * v0,
    )


def _squared(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return (x - y) ** 2, 2 * (x - y), 2 + 0 * x, 2 * (y - x)


def _half_squared(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return (x - y) ** 2 / 2, x - y, 1 + 0 * x, y - x


def _absolute(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return np.abs(x - y), np.sign(x - y), 0 * x, np.sign(y - x)


def _huber(x: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    d, delta = x - y, o.get("delta", 1.0)
    inside = np.abs(d) <= delta
    value = np.where(inside, d**2 / 2, delta * (np.abs(d) - delta / 2))
    return value, np.clip(d, -delta, delta), inside * 1.0, np.clip(-d, -delta, delta)


def _focal_of_log(u: Float64, y: Float64, o: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    """phi(u) = -(1 - p)^g u of u = log p."""
    g = o.get("gamma", 2.0)
    p, q = np.exp(u), -np.expm1(u)
    slope = -(q**g) + g * _times(p * q ** (g - 1), u)
    second = g * _times(p * q ** (g - 1), 2 + u) - g * (g - 1) * _times(p * p * q ** (g - 2), u)
    value = _times(q**g, -u)
    return _times(y, value), _times(y, slope), _times(y, second), value


TERMS: dict[str, Terms] = {
    "nll": _nll,
    "categorical_cross_entropy": _categorical,
    "kl_divergence": _divergence,
    "binary_cross_entropy": _binary,
    "binary_cross_entropy_probabilities": _binary_probabilities,
    "sigmoid_focal": _sigmoid_focal,
    "squared_error": _squared,
    "half_squared_error": _half_squared,
    "absolute_error": _absolute,
    "huber": _huber,
}


class Reference:
    """One loss, with all its members."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _rows(
        self, x: ArrayLike, target: ArrayLike, options: dict[str, Any]
    ) -> tuple[Float64, Any, Any, Any, Any, Any]:
        """x and y' with the class axes last; l, gradient, Hessian by x, gradient by y, of rows."""
        ours = np.asarray(x, dtype=np.float64)
        axis = options.get("axis", -1)
        self.axes = _axes(axis, ours.ndim)
        self.shape = ours.shape
        z = self._last(ours)
        classes = z.shape[-1]
        mask = np.ones(z.shape, dtype=bool)
        if options.get("where") is not None:
            mask = self._last(np.broadcast_to(np.asarray(options["where"]), ours.shape))
        labels = np.asarray(target)
        share = np.ones(z.shape[:-1])
        if options.get("sample_weight") is not None:
            share = share * np.asarray(options["sample_weight"], dtype=np.float64)
        of_classes = self.name not in (*MULTI_LABEL, *REGRESSION)
        if labels.shape != ours.shape and of_classes:
            gone = labels == options.get("ignore_index")
            share = np.where(gone, 0.0, share)
            y = np.eye(classes)[np.where(gone, 0, labels)]
        else:
            y = self._last(labels.astype(np.float64))
            if options.get("ignore_index") is not None:
                mask = mask & (y != options["ignore_index"])
        y = np.where(mask, y, 0.0)
        eps = options.get("label_smoothing", 0.0)
        if of_classes and self.name != "distillation":
            parts = np.maximum(mask.sum(axis=-1, keepdims=True), 1)
            y = np.where(mask, (1 - eps) * y + eps / parts, 0.0)
        elif self.name in MULTI_LABEL:
            y = (1 - eps) * y + eps / 2
        w = np.ones(classes)
        if options.get("class_weight") is not None:
            w = np.asarray(options["class_weight"], dtype=np.float64)
        u = np.where(mask, w, 0.0)
        share = np.where(mask.any(axis=-1) | (classes == 0), share, 0.0)
        with np.errstate(all="ignore"):
            found = self._of_rows(z, y, u, mask, options)
        mass = share
        if of_classes and options.get("class_weight") is not None:
            mass = share * np.sum(w * found[4], axis=-1)
        if options.get("reduction", "mean") == "mean":
            share = share / mass.sum() if mass.sum() else 0 * share
        by_target = found[3] * (1 - eps)
        weighted = of_classes and options.get("class_weight") is not None
        if weighted and options.get("reduction", "mean") == "mean":
            mean = np.sum(_times(share, found[0]))
            by_target = by_target - (1 - eps) * mean * w
        return z, share, found[0], found[1], found[2], np.where(mask, by_target, 0.0)

    def _of_rows(
        self, x: Float64, y: Float64, u: Float64, mask: Any, options: dict[str, Any]
    ) -> tuple[Any, Any, Any, Any, Any]:
        """l, gradient, Hessian, gradient by y, and y, of each row without its weight."""
        if self.name in TERMS:
            value, slope, curvature, by_target = TERMS[self.name](x, y, options)
            rows = _times(u, value).sum(axis=-1)
            return rows, _times(u, slope), diagonal(_times(u, curvature)), _times(u, by_target), y
        if self.name == "focal":
            p, log_p = softmax(x, where=mask), log_softmax(x, where=mask)
            value, slope, second, by_target = _focal_of_log(log_p, y, options)
            a, da = _times(u, slope), _times(u, second)
            total = a.sum(axis=-1, keepdims=True)
            change = np.eye(x.shape[-1]) - p[..., None, :]  # of log p_c by x_k at [c, k]
            hessian = da[..., :, None] * change
            hessian = hessian - p[..., :, None] * hessian.sum(axis=-2, keepdims=True)
            hessian = hessian - total[..., None] * (diagonal(p) - outer(p, p))
            rows = _times(u, value).sum(axis=-1)
            return rows, a - p * total, hessian, _times(u, by_target), y
        if self.name == "multiclass_hinge":
            at = y.argmax(axis=-1)[..., None]
            lone = np.where(mask, x, -np.inf)
            mine = np.take_along_axis(lone, at, -1)
            np.put_along_axis(lone, at, -np.inf, -1)
            rival = lone.argmax(axis=-1)[..., None]
            gap = options.get("margin", 1.0) + np.take_along_axis(lone, rival, -1) - mine
            slope = np.zeros(x.shape)
            np.put_along_axis(slope, at, -1.0, -1)
            np.put_along_axis(slope, rival, 1.0, -1)
            w = (u * y).sum(axis=-1)
            slope = np.where(gap > 0, slope, 0.0) * w[..., None]
            rows = w * np.maximum(gap[..., 0], 0.0)
            return rows, slope, np.zeros((*x.shape, x.shape[-1])), slope, y
        t = options.get("temperature", 1.0)
        p, log_p = softmax(x / t, where=mask), log_softmax(x / t, where=mask)
        by_logits = options.get("teacher", "logits") == "logits"
        teacher = softmax(y / t, where=mask) if by_logits else y
        value, slope, _, by_target = _divergence(log_p, teacher, options)
        total = (u * teacher).sum(axis=-1, keepdims=True)
        by_target = t * t * _times(u, by_target)
        if by_logits:
            by_target = np.where(teacher > 0, by_target, 0.0)
            by_target = (
                teacher * (by_target - (teacher * by_target).sum(axis=-1, keepdims=True)) / t
            )
        hessian = total[..., None] * (diagonal(p) - outer(p, p))
        rows = t * t * _times(u, value).sum(axis=-1)
        return rows, t * (total * p - u * teacher), hessian, by_target, teacher

    def _last(self, a: Any) -> Any:
        """The class axes moved to the end and joined."""
        moved = np.moveaxis(a, self.axes, range(a.ndim - len(self.axes), a.ndim))
        batch = moved.shape[: a.ndim - len(self.axes)]
        return moved.reshape(*batch, int(np.prod(moved.shape[len(batch) :])))

    def _back(self, a: Any) -> Float64:
        """The inverse."""
        apart = tuple(self.shape[k] for k in self.axes)
        last = range(len(self.shape) - len(apart), len(self.shape))
        return np.asarray(np.moveaxis(a.reshape(a.shape[:-1] + apart), last, self.axes))

    # --- Members ---------------------------------------------------------------------------------

    def value(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
        """loss_i, or their sum or weighted mean."""
        _, share, rows, *_ = self._rows(x, target, options)
        loss = _times(share, rows)
        per_row = options.get("reduction", "mean") == "none"
        return np.asarray(loss if per_row else loss.sum(), dtype=np.float64)

    def grad(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
        """The gradient by x; for reduction "none" that of each row's own loss."""
        _, share, _, slope, *_ = self._rows(x, target, options)
        return self._back(_times(share[..., None], slope))

    jacobian = grad

    def vjp(self, x: ArrayLike, target: ArrayLike, g: ArrayLike, **options: Any) -> Float64:
        """g times the gradient."""
        grad = self._last(self.grad(x, target, **options))
        return self._back(grad * np.asarray(g, dtype=np.float64)[..., None])

    def jvp(self, x: ArrayLike, target: ArrayLike, v: ArrayLike, **options: Any) -> Float64:
        """How the loss changes when x moves in direction v."""
        grad = self._last(self.grad(x, target, **options))
        change = _times(grad, self._last(np.asarray(v, dtype=np.float64))).sum(axis=-1)
        per_row = options.get("reduction", "mean") == "none"
        return np.asarray(change if per_row else change.sum())

    def hessian(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
        """The second derivatives of each row, of shape (..., C, C); rows do not mix."""
        _, share, _, _, hessian, _ = self._rows(x, target, options)
        return _times(share[..., None, None], hessian)

    def hvp(self, x: ArrayLike, target: ArrayLike, v: ArrayLike, **options: Any) -> Float64:
        """The Hessian times v."""
        hessian = self.hessian(x, target, **options)
        tangent = self._last(np.asarray(v, dtype=np.float64))
        return self._back(_times(hessian, tangent[..., None, :]).sum(axis=-1))

    def grad_target(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Float64:
        """The gradient by the target."""
        _, share, _, _, _, by_target = self._rows(x, target, options)
        return self._back(_times(share[..., None], by_target))


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))))
