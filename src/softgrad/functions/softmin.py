"""softmin: the softmax of the numbers with their signs changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import Differentiable, deliver
from softgrad._typing import Array, ArrayLike, Axis
from softgrad.functions.softmax import same_layout, softmax


@final
class Softmin(Differentiable):
    """Return the probabilities of costs: the smaller the cost, the larger the probability.

    softmin(x)_i = exp(-x_i / T) / sum_j exp(-x_j / T) = softmax(-x)_i

    Parameters
    ----------
    x : array_like
        Costs (nats) in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    temperature : float
        T, finite and > 0.
    where : array_like of bool, optional
        True for entries that take part; broadcast to x's shape. A masked entry has probability 0.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray
        Probabilities of x's shape and type (integers and booleans: float64; half precision is
        computed in float32). A row that holds NaN, -inf or nothing but +inf is NaN.

    Raises
    ------
    ValueError
        If an axis, a shape or the temperature is out of range.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    The accuracy of every member is that of ``softmax``: 3 ULP, ``vjp`` and ``jvp`` 4 ULP.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.2.2.3, for softmax.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.softmin([1.0, 2.0, 3.0]).round(4)
    array([0.6652, 0.2447, 0.09  ])
    """

    name = "softmin"

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
        if where is None and type(x) is np.ndarray and x.ndim and x.dtype.char in "fd":
            mirrored = np.negative(x)
            into = mirrored if out is None else out
            result: Array = _native.softmax(mirrored, axis, temperature, into)  # type: ignore[arg-type]
            if result is not NotImplemented:
                return result
        options = {"axis": axis, "temperature": temperature, "where": where}
        return _of_negative(softmax, 1, x, (), None, out, options)

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
        """Return g^T J, the gradient by ``x`` of sum(g * softmin(x)): -p (g - sum p g) / T.

        ``x``, the cotangent ``g`` and the result have the same shape; ``value``, if given, is
        softmin(x) and saves computing it.

        >>> import softgrad as sg
        >>> sg.softmin.vjp([0.0, 0.0], [1.0, 0.0])
        array([-0.25,  0.25])
        """
        if where is None and value is not None and same_layout(value, x):
            scale = -1.0 / _checks.temperature(temperature)
            result: Array = _native.softmax_vjp(value, g, axis, scale, out)  # type: ignore[arg-type]
            if result is not NotImplemented:
                return result
        options = {"axis": axis, "temperature": temperature, "where": where}
        return _of_negative(softmax.vjp, -1, x, (("g", g),), value, out, options)

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
        """Return J v, the derivative of softmin(x) in direction ``v``: -p (v - sum p v) / T.

        >>> import softgrad as sg
        >>> sg.softmin.jvp([0.0, 0.0], [1.0, 0.0])
        array([-0.25,  0.25])
        """
        options = {"axis": axis, "temperature": temperature, "where": where}
        return _of_negative(softmax.jvp, -1, x, (("v", v),), value, out, options)

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
        """Return J of every row, in shape (..., C, C): (p p^T - diag(p)) / T.

        >>> import softgrad as sg
        >>> sg.softmin.jacobian([0.0, 0.0])
        array([[-0.25,  0.25],
               [ 0.25, -0.25]])
        """
        options = {"axis": axis, "temperature": temperature, "where": where}
        return _of_negative(softmax.jacobian, -1, x, (), value, out, options)

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
        """Return the derivative of ``vjp(x, g)`` in direction ``v``: softmax's at -x.

        >>> import softgrad as sg
        >>> sg.softmin.hvp([0.0, -1.0], [1.0, 0.0], [1.0, 0.0]).round(4)
        array([ 0.0909, -0.0909])
        """
        options = {"axis": axis, "temperature": temperature, "where": where}
        return _of_negative(softmax.hvp, 1, x, (("g", g), ("v", v)), value, out, options)


softmin = Softmin()


def _of_negative(
    member: Callable[..., Array],
    sign: int,
    x: ArrayLike,
    factors: tuple[tuple[str, ArrayLike], ...],
    value: ArrayLike | None,
    out: Array | None,
    options: dict[str, Any],
) -> Array:
    """A member of softmax at -x, times the sign that the inner derivative has."""
    array, dtype = _checks.floats(x, "x")
    arrays = [_checks.floats_like(a, name, array.shape, array.dtype, "x") for name, a in factors]
    if value is not None:
        same = getattr(value, "dtype", None) == array.dtype
        # Probabilities of another type would cost digits; softmax checks them and computes its own.
        options["value"] = value if same else np.asarray(value)
    result = np.asarray(member(np.negative(array), *arrays, **options))
    if sign < 0:
        np.negative(result, out=result)
    return deliver(result, dtype, out)
