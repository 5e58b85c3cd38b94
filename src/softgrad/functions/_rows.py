"""Logits in the one form that the kernels take: rows along a single class axis.

The public functions try the kernels with the caller's arguments first. What the kernels do not take
(several class axes, masks, other types, lists) comes here, is brought into this form, and goes back
to the caller's form afterwards.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import deliver
from softgrad._typing import Array, ArrayLike, Axis, BoolArray, Shape


class Rows(NamedTuple):
    """Validated logits, and how they lie in the caller's array."""

    logits: Array  # float32 or float64, one class axis, -inf where masked
    axis: int  # that axis
    mask: BoolArray | None  # like the logits, True for entries that take part
    temperature: float
    shape: Shape  # of the caller's logits
    class_axes: tuple[int, ...]  # in the caller's logits
    dtype: np.dtype[Any]  # of results

    @property
    def classes(self) -> int:
        return int(self.logits.shape[self.axis])

    @property
    def row_shape(self) -> Shape:
        return self.logits.shape[: self.axis] + self.logits.shape[self.axis + 1 :]

    @property
    def scale(self) -> float:
        return 1.0 / self.temperature

    # --- From the caller's form and back ---------------------------------------------------------

    def merge(self, array: Array) -> Array:
        """An array of the caller's shape with its class axes as one."""
        if len(self.class_axes) == 1:
            return array
        last = tuple(range(-len(self.class_axes), 0))
        rows = tuple(n for k, n in enumerate(self.shape) if k not in self.class_axes)
        classes = math.prod(self.shape[k] for k in self.class_axes)
        return np.moveaxis(array, self.class_axes, last).reshape(*rows, classes)

    def split(self, array: Array) -> Array:
        """The inverse of `merge`."""
        if len(self.class_axes) == 1:
            return array
        last = tuple(range(-len(self.class_axes), 0))
        apart = tuple(self.shape[k] for k in self.class_axes)
        return np.moveaxis(array.reshape((*self.row_shape, *apart)), last, self.class_axes)

    def like(self, array: ArrayLike, name: str, meaning: str = "x") -> Array:
        """A cotangent or tangent as rows; what stands at masked entries takes no part."""
        floats = _checks.floats_like(array, name, self.shape, self.logits.dtype, meaning)
        merged = self.merge(floats)
        return merged if self.mask is None else np.where(self.mask, merged, merged.dtype.type(0))

    def per_row(self, array: Array) -> Array:
        """One number a row, ready to be broadcast over the row."""
        return np.expand_dims(array, self.axis)

    def deliver(self, result: Array, out: Array | None, fill: float = 0.0) -> Array:
        """A result of the logits' shape in the caller's form, with ``fill`` at masked entries."""
        if self.mask is not None:
            np.copyto(result, result.dtype.type(fill), where=~self.mask)
        return deliver(self.split(result), self.dtype, out)

    def buffer(self, out: Array | None, *inputs: Array | None) -> Array | None:
        """``out``, if a kernel may write to it directly; else None, and `deliver` copies."""
        plain = len(self.class_axes) == 1 and self.mask is None and self.dtype == self.logits.dtype
        if out is None or not plain:
            return None
        buffer = _checks.out(out, self.shape, self.dtype)
        if type(buffer) is not np.ndarray or not buffer.flags.aligned or 0 in buffer.strides:
            return None
        others = (a for a in (self.logits, *inputs) if a is not None and a is not buffer)
        return None if any(np.may_share_memory(buffer, a) for a in others) else buffer

    # --- What the functions share ----------------------------------------------------------------

    def probabilities(self, value: ArrayLike | None = None) -> Array:
        """softmax of the rows, 0 where masked; read from ``value`` where that costs no digits."""
        if value is not None:
            given = self.like(value, "value")
            if getattr(value, "dtype", None) == self.logits.dtype:
                return given
        p: Array = _native.softmax(self.logits, self.axis, self.temperature, None)
        if self.mask is not None:
            np.copyto(p, p.dtype.type(0), where=~self.mask)  # a row masked entirely is NaN
        return p

    def product(self, g: Array, buffer: Array | None = None) -> Array:
        """p (g - sum p g) / T of every row."""
        result: Array = _native.softmax_product(self.logits, g, self.axis, self.temperature, buffer)
        return result

    def centered(self, p: Array, g: Array, faint: BoolArray | None = None) -> Array:
        """(g - sum p g) / T of every row, from its probabilities; ``faint`` as `_faint` says."""
        result: Array = _native.center(p, g, self.axis, self.scale, None)
        self._refine(result, self._faint(p) if faint is None else faint, g)
        return result

    def bent(self, p: Array, g: Array, v: Array) -> Array:
        """p (u - sum p u) / T^2 with u = (g - sum p g) (v - sum p v), from its probabilities."""
        faint = self._faint(p)
        u = self.centered(p, g, faint)
        u *= self.centered(p, v, faint)
        result: Array = _native.softmax_vjp(p, u, self.axis, 1.0, None)
        if faint.any():
            x, factor = (np.moveaxis(a, self.axis, -1)[faint] for a in (self.logits, u))
            exact = _native.softmax_product(x, factor, 1, self.temperature, None)
            times(exact, self.temperature)
            np.moveaxis(result, self.axis, -1)[faint] = exact
        return result

    def without(self, p: Array) -> Array:
        """1 - p with the class axis last: `complement`, from the logits where p lacks digits."""
        last = np.moveaxis(p, self.axis, -1)
        result = complement(last)
        faint = self._faint(p)
        if faint.any():
            leads = last[faint] == 1
            exact = self._beside_leader(faint, leads.astype(p.dtype))
            times(exact, self.temperature)
            result[faint] = np.where(leads, exact, result[faint])
        return result

    def _faint(self, p: Array) -> BoolArray:
        """Rows of one certain class whose others are so improbable that rounding takes digits.

        A probability below the smallest normal number is off by half of the smallest number of
        all, and a sum of C of them by C times as much.
        """
        last = np.moveaxis(p, self.axis, -1)
        certain = np.asarray(np.max(last, axis=-1, initial=0) == 1)
        if certain.any():
            others = np.where(last[certain] == 1, 0, last[certain]).sum(axis=-1)
            certain[certain] = others < self.classes * np.finfo(p.dtype).tiny
        return certain

    def _beside_leader(self, rows: BoolArray, g: Array) -> Array:
        """(g - sum p g) / T at the class of probability 1, from the logits; a number a row."""
        x = np.ascontiguousarray(np.moveaxis(self.logits, self.axis, -1)[rows])
        product = _native.softmax_product(x, g, 1, self.temperature, None)
        return np.take_along_axis(product, np.argmax(x, axis=-1)[:, None], axis=-1)

    def _refine(self, centered: Array, rows: BoolArray, g: Array) -> None:
        """Replace what is beside the certain class of `_faint` rows by that from the logits."""
        if not rows.any():
            return
        chosen = np.ascontiguousarray(np.moveaxis(g, self.axis, -1)[rows])
        x = np.moveaxis(self.logits, self.axis, -1)[rows]
        own = np.take_along_axis(chosen, np.argmax(x, axis=-1)[:, None], axis=-1)
        exact = self._beside_leader(rows, chosen)
        last = np.moveaxis(centered, self.axis, -1)
        last[rows] = np.where(chosen == own, exact, last[rows])

    def jacobian(self) -> Array:
        """(diag(p) - p p^T) / T of every row, in shape (..., C, C); 0 where masked."""
        x = np.moveaxis(self.logits, self.axis, -1)
        repeated = np.broadcast_to(x[..., None, :], (*x.shape, self.classes))
        units = np.broadcast_to(np.eye(self.classes, dtype=x.dtype), repeated.shape)
        result: Array = _native.softmax_product(
            repeated, units, repeated.ndim - 1, self.temperature, None
        )
        if self.mask is not None:
            take_part = np.moveaxis(self.mask, self.axis, -1)
            both = take_part[..., None, :] & take_part[..., :, None]
            np.copyto(result, result.dtype.type(0), where=~both)
        result += result.dtype.type(0)  # no -0.0
        # Entries (i, j) and (j, i) are two roundings of one number; below the normal numbers, where
        # the last step rounds again, they may differ. The Jacobian is symmetric to the last bit.
        below = np.tri(self.classes, k=-1, dtype=bool)
        np.copyto(result, np.swapaxes(result, -1, -2), where=below)
        return result

    def covariance(self, p: Array) -> Array:
        """diag(p) - p p^T of every row, in shape (..., C, C)."""
        p = np.moveaxis(p, self.axis, -1)
        with np.errstate(invalid="ignore"):
            result: Array = p[..., :, None] * -p[..., None, :] + p.dtype.type(0)  # no -0.0
            diagonal(result)[...] = p * complement(p)
        return result


def prepare(
    x: ArrayLike,
    axis: Axis,
    temperature: object = 1.0,
    where: ArrayLike | None = None,
    name: str = "x",
) -> Rows:
    """Validate logits with the options that say how to read them."""
    array, dtype = _checks.floats(x, name)
    class_axes = _checks.axes(axis, array.ndim)
    scale = _checks.temperature(temperature)
    mask = _checks.mask(where, array.shape)
    position = class_axes[0] if len(class_axes) == 1 else array.ndim - len(class_axes)
    rows = Rows(array, position, mask, scale, array.shape, class_axes, dtype)
    if mask is not None:
        mask = rows.merge(mask)
        array = np.where(mask, rows.merge(array), array.dtype.type(-np.inf))
    else:
        array = rows.merge(array)
    return rows._replace(logits=array, mask=mask)


def complement(p: Array) -> Array:
    """1 - p along the last axis; for a probability above 1/2, the sum of the others.

    1 - p is off by at most half an ULP of 1, which is small beside it unless p is close to 1; and
    only the largest of a row can be.
    """
    result: Array = 1 - p
    if not p.shape[-1]:
        return result
    largest = np.argmax(p, axis=-1, keepdims=True)
    others = p.copy()
    np.put_along_axis(others, largest, p.dtype.type(0), axis=-1)
    rest = np.asarray(_native.dot(others, np.ones_like(others), p.ndim - 1))[..., None]
    at_largest = np.take_along_axis(result, largest, axis=-1)
    confident = np.take_along_axis(p, largest, axis=-1) > 0.5
    np.put_along_axis(result, largest, np.where(confident, rest, at_largest), axis=-1)
    return result


def diagonal(matrices: Array) -> Array:
    """A view of the diagonal of matrices (..., C, C) that may be written."""
    view: Array = np.einsum("...ii->...i", matrices)
    return view


def power_of_two(array: Array, factor: Any) -> tuple[Array, Any]:
    """The array times a power of two that ``factor`` holds, and what is left of the factor.

    The multiple is exact, so that differences of its numbers lose no digit; and a result that is
    linear in it and subnormal is rounded near its final size. A factor below 1 magnifies no
    rounding and one of 2^64 and more would soon overflow: their power stays in the rest.
    """
    exponent = np.clip(np.frexp(factor)[1], 0, 64)
    with np.errstate(over="ignore"):
        return np.ldexp(array, exponent), np.ldexp(factor, -exponent)


def times(array: Array, factor: Any) -> None:
    """Multiply in place, rounding once."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        np.multiply(array, factor, out=array, casting="same_kind")
