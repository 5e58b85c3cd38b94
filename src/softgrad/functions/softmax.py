"""softmax and log_softmax, with their derivatives.

Everything follows from the derivative of the probabilities p = softmax(x / T) in direction v,

    dp = p (v - sum p v) / T,

which the kernel ``softmax_vjp`` computes without cancellation at the largest probability. The
kernel ``center`` computes v - sum p v, and ``log_softmax_vjp`` g - p sum g.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import Differentiable, deliver
from softgrad._typing import Array, ArrayLike, Axis
from softgrad.functions._rows import Rows, diagonal, power_of_two, prepare, times


@final
class Softmax(Differentiable):
    """Return the probabilities of logits: positive, and 1 in sum along the class axes.

    softmax(x)_i = exp(x_i / T) / sum_j exp(x_j / T)

    Parameters
    ----------
    x : array_like
        Logits in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    temperature : float
        T, finite and > 0; above 1 it flattens the distribution, below 1 it sharpens it.
    where : array_like of bool, optional
        True for entries that take part; broadcast to x's shape. A masked entry has probability 0,
        whatever it holds, and so has every entry of a row that is masked entirely.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray
        Probabilities of x's shape and type (integers and booleans: float64; half precision is
        computed in float32). A row that holds NaN, +inf or nothing but -inf is NaN.

    Raises
    ------
    ValueError
        If an axis, a shape or the temperature is out of range.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    Within 3 ULP of the exact result, for rows of any length. A row's bits do not depend on the
    batch, the memory layout or the number of threads.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), equation 4.1 and section 6.2.2.3.
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax
    functions, IMA Journal of Numerical Analysis 41 (2021), equation 1.2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.softmax([1.0, 2.0, 3.0]).round(4)
    array([0.09  , 0.2447, 0.6652])
    """

    name = "softmax"

    def __call__(
        self,
        x: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        if where is None:
            value: Array = _native.softmax(x, axis, temperature, out)  # type: ignore[arg-type]
            if value is not NotImplemented:
                return value
        rows = prepare(x, axis, temperature, where)
        buffer = rows.buffer(out)
        p = _native.softmax(rows.logits, rows.axis, rows.temperature, buffer)
        return rows.deliver(p, out)

    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g^T J, the gradient by ``x`` of sum(g * softmax(x)).

        p (g - sum p g) / T

        ``x``, the cotangent ``g`` and the result have the same shape; ``value``, if given, is
        softmax(x) and saves computing it. Options are those of ``softmax``; ``out`` may be ``x``
        or ``g``. Within 1 ULP, relative to the size of its terms where these cancel; with
        ``value`` within 3 ULP of what these probabilities give, and faster.

        >>> import softgrad as sg
        >>> sg.softmax.vjp([37.43, 0.0], [1.0, 0.0])  # the naive formula returns 0
        array([ 5.55082509e-17, -5.55082509e-17])
        """
        return _softmax_product(x, g, "g", value, axis, temperature, where, out)

    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J v, the derivative of softmax(x) when ``x`` moves in direction ``v``.

        p (v - sum p v) / T

        The Jacobian is symmetric: this is ``vjp`` with a tangent for the cotangent, with the same
        arguments and the same accuracy.

        >>> import softgrad as sg
        >>> sg.softmax.jvp([0.0, 0.0], [1.0, 0.0])
        array([ 0.25, -0.25])
        """
        return _softmax_product(x, v, "v", value, axis, temperature, where, out)

    def jacobian(
        self,
        x: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J of every row, in shape (..., C, C): the class axes come last, taken together.

        (diag(p) - p p^T) / T

        Within 1 ULP, confident rows included. ``value``, if given, is softmax(x): the entries then
        carry its rounding errors too, the diagonal being p (1 - p) with 1 - p as the sum of the
        other probabilities where p is close to 1. For products with vectors use ``vjp`` and
        ``jvp``, which need no C x C numbers.

        >>> import softgrad as sg
        >>> sg.softmax.jacobian([0.0, 0.0])
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
        """
        rows = prepare(x, axis, temperature, where)
        if value is not None:
            jacobian = _scaled(rows.covariance(rows.probabilities(value)), rows)
        else:
            jacobian = rows.jacobian()
        return deliver(jacobian, rows.dtype, out)

    def hvp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of ``vjp(x, g)`` when ``x`` moves in direction ``v``.

        p (u - sum p u) / T^2    with    u = (g - sum p g) (v - sum p v)

        ``x``, ``g``, ``v`` and the result have the same shape; ``value``, if given, is softmax(x).

        >>> import softgrad as sg
        >>> sg.softmax.hvp([0.0, 1.0], [1.0, 0.0], [1.0, 0.0]).round(4)
        array([ 0.0909, -0.0909])
        """
        rows = prepare(x, axis, temperature, where)
        p = rows.probabilities(value)
        return rows.deliver(rows.bent(p, rows.like(g, "g"), rows.like(v, "v")), out)


@final
class LogSoftmax(Differentiable):
    """Return the logarithms of the probabilities of logits, in nats.

    log_softmax(x)_i = x_i / T - log sum_j exp(x_j / T)

    Parameters
    ----------
    x : array_like
        Logits in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    temperature : float
        T, finite and > 0.
    where : array_like of bool, optional
        True for entries that take part; broadcast to x's shape. A masked entry has the
        log-probability -inf, whatever it holds.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray
        Log-probabilities (nats, at most 0) of x's shape and type (integers and booleans: float64;
        half precision is computed in float32). A row that holds NaN, +inf or nothing but -inf is
        NaN.

    Raises
    ------
    ValueError
        If an axis, a shape or the temperature is out of range.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    Within 1 ULP of the exact result, for rows of any length, also where a probability is so close
    to 1 that it rounds to 1. A row's bits do not depend on the batch, the memory layout or the
    number of threads.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), equation 6.30.
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax
    functions, IMA Journal of Numerical Analysis 41 (2021), section 1.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.log_softmax([40.0, 0.0])  # not 0, but -exp(-40)
    array([-4.24835426e-18, -4.00000000e+01])
    """

    name = "log_softmax"

    def __call__(
        self,
        x: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        if where is None:
            value: Array = _native.log_softmax(x, axis, temperature, out)  # type: ignore[arg-type]
            if value is not NotImplemented:
                return value
        rows = prepare(x, axis, temperature, where)
        buffer = rows.buffer(out)
        log_p = _native.log_softmax(rows.logits, rows.axis, rows.temperature, buffer)
        return rows.deliver(log_p, out, fill=-np.inf)

    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g^T J, the gradient by ``x`` of sum(g * log_softmax(x)).

        (g - p sum g) / T

        ``x``, the cotangent ``g`` and the result have the same shape. ``value`` is accepted for
        symmetry: the probabilities are computed from ``x``, since exp(value) would cost digits.
        Options are those of ``log_softmax``; ``out`` may be ``x`` or ``g``. Within 3 ULP, relative
        to the size of its terms where these cancel.

        >>> import softgrad as sg
        >>> sg.log_softmax.vjp([0.0, 0.0], [1.0, 0.0])
        array([ 0.5, -0.5])
        """
        _check_value(value, x)
        plain = where is None and temperature == 1
        if plain and not isinstance(temperature, bool):
            result: Array = _native.log_softmax_product(x, g, axis, out)  # type: ignore[arg-type]
            if result is not NotImplemented:
                return result
        if _may_have_kernel(x, axis):
            rows = prepare(x, axis, temperature, where)
            cotangent = rows.like(g, "g")
            if rows.temperature == 1.0:
                buffer = rows.buffer(out, cotangent)
                result = _native.log_softmax_product(rows.logits, cotangent, rows.axis, buffer)
                if result is not NotImplemented:
                    return rows.deliver(result, out)
        return _product(_native.log_softmax_vjp, x, g, "g", None, axis, temperature, where, out)

    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J v, the derivative of log_softmax(x) when ``x`` moves in direction ``v``.

        (v - sum p v) / T

        ``x``, the tangent ``v`` and the result have the same shape; arguments and accuracy are
        those of ``vjp``.

        >>> import softgrad as sg
        >>> sg.log_softmax.jvp([0.0, 0.0], [1.0, 0.0])
        array([ 0.5, -0.5])
        """
        _check_value(value, x)
        rows = prepare(x, axis, temperature, where)
        change = rows.centered(rows.probabilities(), rows.like(v, "v"))
        return rows.deliver(change, out)

    def jacobian(
        self,
        x: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J of every row, in shape (..., C, C): the class axes come last, taken together.

        (I - 1 p^T) / T

        J[..., i, j] is the derivative of log-probability i by logit j. On the diagonal, 1 - p is
        the sum of the other probabilities where p is close to 1. Rows and columns of masked entries
        are 0. ``value`` is accepted for symmetry.

        >>> import softgrad as sg
        >>> sg.log_softmax.jacobian([0.0, 0.0])
        array([[ 0.5, -0.5],
               [-0.5,  0.5]])
        """
        _check_value(value, x)
        rows = prepare(x, axis, temperature, where)
        probabilities = rows.probabilities()
        p = np.moveaxis(probabilities, rows.axis, -1)
        jacobian = np.repeat(0 - p[..., None, :], rows.classes, axis=-2)
        diagonal(jacobian)[...] = rows.without(probabilities)
        if rows.mask is not None:
            masked = ~np.moveaxis(rows.mask, rows.axis, -1)
            np.copyto(jacobian, p.dtype.type(0), where=masked[..., :, None] | masked[..., None, :])
        return deliver(_scaled(jacobian, rows), rows.dtype, out)

    def hvp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of ``vjp(x, g)`` when ``x`` moves in direction ``v``.

        -p (v - sum p v) sum g / T^2

        ``x``, ``g``, ``v`` and the result have the same shape; ``value`` is accepted for symmetry.

        >>> import softgrad as sg
        >>> sg.log_softmax.hvp([0.0, 0.0], [1.0, 0.0], [1.0, 0.0])
        array([-0.25,  0.25])
        """
        _check_value(value, x)
        rows = prepare(x, axis, temperature, where)
        cotangent = rows.like(g, "g")
        total = np.asarray(_native.dot(np.ones_like(cotangent), cotangent, rows.axis))
        factor = -rows.scale * rows.per_row(total).astype(np.float64)
        tangent, factor = power_of_two(rows.like(v, "v"), factor)
        change = rows.product(tangent)
        times(change, factor)
        return rows.deliver(change, out)


softmax = Softmax()
log_softmax = LogSoftmax()


# --- What the members share ----------------------------------------------------------------------


def _softmax_product(
    x: ArrayLike,
    g: ArrayLike,
    name: str,
    value: ArrayLike | None,
    axis: Axis,
    temperature: float,
    where: ArrayLike | None,
    out: Array | None,
) -> Array:
    """p (g - sum p g) / T: from the logits with all digits, or from their softmax in ``value``."""
    if value is not None:
        return _product(_native.softmax_vjp, x, g, name, value, axis, temperature, where, out)
    if where is None:
        t = _checks.temperature(temperature)
        result: Array = _native.softmax_product(x, g, axis, t, out)  # type: ignore[arg-type]
        if result is not NotImplemented:
            return result
    rows = prepare(x, axis, temperature, where)
    cotangent = rows.like(g, name)
    buffer = rows.buffer(out, cotangent)
    return rows.deliver(rows.product(cotangent, buffer), out)


_KERNEL_CLASSES = range(33, 4097)  # has_log_product of batch.hpp


def _may_have_kernel(x: ArrayLike, axis: Axis) -> bool:
    """Whether log_softmax's own kernel may take these rows; no other may then, for other bits."""
    if isinstance(x, np.ndarray) and isinstance(axis, int) and -x.ndim <= axis < x.ndim:
        return x.shape[axis] in _KERNEL_CLASSES
    return True


def _product(
    kernel: Callable[..., Any],
    x: ArrayLike,
    g: ArrayLike,
    name: str,
    value: ArrayLike | None,
    axis: Axis,
    temperature: float,
    where: ArrayLike | None,
    out: Array | None,
) -> Array:
    """A product of the Jacobian: kernel(p, g) / T, with p = softmax(x) in ``value`` if given."""
    if where is None:
        p: Any = value
        if value is None:
            p = _native.softmax(x, axis, temperature, None)  # type: ignore[arg-type]
        elif not same_layout(value, x):
            p = NotImplemented
        if p is not NotImplemented:
            scale = 1.0 / _checks.temperature(temperature)
            into = p if out is None and value is None else out
            result: Array = kernel(p, g, axis, scale, into)
            if result is not NotImplemented:
                return result
    rows = prepare(x, axis, temperature, where)
    cotangent = rows.like(g, name)
    p = rows.probabilities(value)
    buffer = rows.buffer(out, p, cotangent)
    return rows.deliver(kernel(p, cotangent, rows.axis, rows.scale, buffer), out)


def same_layout(value: ArrayLike, x: ArrayLike) -> bool:
    """Whether the kernels can take ``value`` for softmax(x) as it is."""
    return (
        type(value) is np.ndarray
        and type(x) is np.ndarray
        and value.shape == x.shape
        and value.dtype == x.dtype
    )


def _check_value(value: ArrayLike | None, x: ArrayLike) -> None:
    """Refuse a value that cannot be f(x), where f(x) has x's shape."""
    if value is not None:
        shape = np.shape(x)
        _checks.floats_like(value, "value", shape, np.dtype(np.float64), "the function of x")


def _scaled(jacobian: Array, rows: Rows) -> Array:
    if rows.temperature != 1.0:
        times(jacobian, rows.scale)
    return jacobian
