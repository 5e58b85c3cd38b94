"""logsumexp, with its derivatives: the probabilities p = softmax(x), and theirs."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import Differentiable, deliver
from softgrad._typing import Array, ArrayLike, Axis, Shape
from softgrad.functions._rows import Rows, power_of_two, prepare, times


@final
class LogSumExp(Differentiable):
    """Return the logarithm of the sum of exponentials, one number a row, in nats.

    logsumexp(x) = log sum_j exp(x_j)

    Parameters
    ----------
    x : array_like
        Logits in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    keepdims : bool
        Keep the class axes, with length 1.
    where : array_like of bool, optional
        True for entries that take part; broadcast to x's shape. A row that is masked entirely, or
        has no entries, gives -inf.
    out : ndarray, optional
        Where to write the result, of its shape and type.

    Returns
    -------
    ndarray or NumPy scalar
        In nats, of x's type (integers and booleans: float64; half precision is computed in float32)
        and of x's shape without the class axes. A row of -inf gives -inf, one with +inf gives +inf,
        one with NaN gives NaN.

    Raises
    ------
    ValueError
        If an axis or a shape is out of range.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    Within 1 ULP of max(abs(max(x)), abs(result)), for rows of any length. A row's bits do not
    depend on the batch, the memory layout or the number of threads.

    References
    ----------
    P. Blanchard, D. J. Higham, N. J. Higham, Accurately computing the log-sum-exp and softmax
    functions, IMA Journal of Numerical Analysis 41 (2021), equation 1.1.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.logsumexp([[1000.0, 1000.0], [0.0, -1000.0]])
    array([1000.69314718,    0.        ])
    """

    name = "logsumexp"

    def __call__(
        self,
        x: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        keepdims: bool = False,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        if where is None and keepdims is False:
            value: Array = _native.logsumexp(x, axis, out)  # type: ignore[arg-type]
            if value is not NotImplemented:
                return value
        rows = prepare(x, axis, where=where)
        value = _native.logsumexp(rows.logits, rows.axis, None)
        return _deliver_per_row(value, rows, keepdims, out)

    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        keepdims: bool = False,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g^T J, the gradient by ``x`` of sum(g * logsumexp(x)).

        g p    with    p = softmax(x)

        The cotangent ``g`` has the shape of logsumexp(x), the result that of ``x``. ``value`` is
        accepted for symmetry: p is computed from ``x``, since exp(x - value) would cost digits.
        Options are those of ``logsumexp``. One rounding more than softmax.

        >>> import softgrad as sg
        >>> sg.logsumexp.vjp([0.0, 0.0], 3.0)
        array([1.5, 1.5])
        """
        rows, cotangent = _with_cotangent(x, g, value, axis, keepdims, where)
        p = rows.probabilities()
        times(p, cotangent)
        return rows.deliver(p, out)

    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        keepdims: bool = False,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J v, the derivative of logsumexp(x) when ``x`` moves in direction ``v``.

        sum p v    with    p = softmax(x)

        The tangent ``v`` has the shape of ``x``, the result that of logsumexp(x). Options are those
        of ``logsumexp``; ``value`` is accepted for symmetry.

        >>> import softgrad as sg
        >>> sg.logsumexp.jvp([0.0, 0.0], [1.0, 0.0])
        np.float64(0.5)
        """
        rows = prepare(x, axis, where=where)
        _check_row_value(value, rows, keepdims)
        change = _native.dot(rows.probabilities(), rows.like(v, "v"), rows.axis)
        return _deliver_per_row(change, rows, keepdims, out)

    def jacobian(
        self,
        x: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        keepdims: bool = False,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J of every row, p = softmax(x), in shape (..., C).

        The class axes come last, taken together. Options are those of ``logsumexp``; ``keepdims``
        and ``value`` are accepted for symmetry. Within 3 ULP.

        >>> import softgrad as sg
        >>> sg.logsumexp.jacobian([0.0, 0.0])
        array([0.5, 0.5])
        """
        rows = prepare(x, axis, where=where)
        _check_row_value(value, rows, keepdims)
        jacobian = np.moveaxis(rows.probabilities(), rows.axis, -1)
        return deliver(np.ascontiguousarray(jacobian), rows.dtype, out)

    def hvp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        keepdims: bool = False,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of ``vjp(x, g)`` when ``x`` moves in direction ``v``.

        g p (v - sum p v)    with    p = softmax(x)

        ``g`` has the shape of logsumexp(x), ``v`` and the result that of ``x``. Options are those
        of ``logsumexp``; ``value`` is accepted for symmetry.

        >>> import softgrad as sg
        >>> sg.logsumexp.hvp([0.0, 0.0], 2.0, [1.0, 0.0])
        array([ 0.5, -0.5])
        """
        rows, cotangent = _with_cotangent(x, g, value, axis, keepdims, where)
        tangent, factor = power_of_two(rows.like(v, "v"), cotangent)
        change = rows.product(tangent)
        times(change, factor)
        return rows.deliver(change, out)


logsumexp = LogSumExp()


def _row_value_shape(rows: Rows, keepdims: bool) -> Shape:
    if not keepdims:
        return rows.row_shape
    return tuple(1 if k in rows.class_axes else n for k, n in enumerate(rows.shape))


def _check_row_value(value: ArrayLike | None, rows: Rows, keepdims: bool) -> None:
    """Refuse a value that cannot be logsumexp(x)."""
    if value is not None:
        shape = _row_value_shape(rows, keepdims)
        _checks.floats_like(value, "value", shape, rows.logits.dtype, "logsumexp(x)")


def _deliver_per_row(result: Any, rows: Rows, keepdims: bool, out: Array | None) -> Array:
    shaped = np.asarray(result).reshape(_row_value_shape(rows, keepdims))
    return deliver(shaped, rows.dtype, out)


def _with_cotangent(
    x: ArrayLike,
    g: ArrayLike,
    value: ArrayLike | None,
    axis: Axis,
    keepdims: bool,
    where: ArrayLike | None,
) -> tuple[Rows, Array]:
    """Rows, and a cotangent of logsumexp ready to be broadcast over them."""
    rows = prepare(x, axis, where=where)
    _check_row_value(value, rows, keepdims)
    shape = _row_value_shape(rows, keepdims)
    cotangent = _checks.floats_like(g, "g", shape, rows.logits.dtype, "logsumexp(x)")
    return rows, rows.per_row(cotangent.reshape(rows.row_shape))
