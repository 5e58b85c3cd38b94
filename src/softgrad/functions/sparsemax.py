"""sparsemax, with its derivatives.

On the support S = {i : p_i > 0} of a row, with s its indicator and k its size, the Jacobian is

    J = diag(s) - s s^T / k,

the projection onto the vectors on S whose sum is zero: symmetric, and constant while S is.
"""

from __future__ import annotations

from typing import final

import numpy as np

from softgrad import _native
from softgrad._protocol import Differentiable, deliver
from softgrad._typing import Array, ArrayLike, Axis
from softgrad.functions._rows import Rows, diagonal, prepare


@final
class Sparsemax(Differentiable):
    """Return the probabilities closest to the logits: a softmax that can be exactly 0.

    sparsemax(x) = argmin_p sum_i (p_i - x_i)^2 over probabilities p = max(x - tau, 0),
    with tau such that they sum to 1

    Parameters
    ----------
    x : array_like
        Logits in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    where : array_like of bool, optional
        True for entries that take part; broadcast to x's shape. A masked entry has probability 0.
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
        If an axis or a shape is out of range.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    tau is exact but for rounding, ties and large offsets included: an entry is within 2 ULP of the
    larger of itself and its distance from the largest logit. The derivatives are those of the
    current support, to which entries with p = 0 do not belong.

    References
    ----------
    A. F. T. Martins, R. F. Astudillo, From softmax to sparsemax: a sparse model of attention and
    multi-label classification (ICML 2016), equations 1 and 2, algorithm 1, and section 2.5.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.sparsemax([1.0, 0.5, -2.0])
    array([0.75, 0.25, 0.  ])
    """

    name = "sparsemax"

    def __call__(
        self,
        x: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        if where is None:
            value: Array = _native.sparsemax(x, axis, out)  # type: ignore[arg-type]
            if value is not NotImplemented:
                return value
        rows = prepare(x, axis, where=where)
        p = _native.sparsemax(rows.logits, rows.axis, rows.buffer(out))
        return rows.deliver(p, out)

    def vjp(
        self,
        x: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return g^T J, the gradient by ``x`` of sum(g * sparsemax(x)).

        s (g - sum s g / k): the cotangent on the support, less its mean there

        ``x``, the cotangent ``g`` and the result have the same shape; ``value``, if given, is
        sparsemax(x) and saves computing it. Within 2 ULP of the size of its terms.

        >>> import softgrad as sg
        >>> sg.sparsemax.vjp([1.0, 0.5, -2.0], [1.0, 0.0, 5.0])
        array([ 0.5, -0.5,  0. ])
        """
        return self._project(x, g, "g", value, axis, where, out)

    def jvp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J v, the derivative of sparsemax(x) in direction ``v``; J is symmetric.

        >>> import softgrad as sg
        >>> sg.sparsemax.jvp([1.0, 0.5, -2.0], [1.0, 0.0, 5.0])
        array([ 0.5, -0.5,  0. ])
        """
        return self._project(x, v, "v", value, axis, where, out)

    def jacobian(
        self,
        x: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        axis: Axis = -1,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return J of every row, in shape (..., C, C): diag(s) - s s^T / k.

        >>> import softgrad as sg
        >>> sg.sparsemax.jacobian([1.0, 0.5, -2.0])
        array([[ 0.5, -0.5,  0. ],
               [-0.5,  0.5,  0. ],
               [ 0. ,  0. ,  0. ]])
        """
        rows = prepare(x, axis, where=where)
        support = np.moveaxis(self._support(rows, value), rows.axis, -1)
        count = np.sum(support, axis=-1, keepdims=True)
        share = support / np.where(count == 0, 1, count)
        jacobian = support[..., :, None] * -share[..., None, :] + support.dtype.type(0)  # no -0.0
        diagonal(jacobian)[...] = support - share * support
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
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of ``vjp(x, g)`` in direction ``v``: 0, wherever there is one.

        J is constant while the support is; a row that is NaN stays NaN.

        >>> import softgrad as sg
        >>> sg.sparsemax.hvp([1.0, 0.5, -2.0], [1.0, 0.0, 5.0], [1.0, 2.0, 3.0])
        array([0., 0., 0.])
        """
        rows = prepare(x, axis, where=where)
        rows.like(g, "g")
        rows.like(v, "v")
        return rows.deliver(self._support(rows, value) * 0, out)

    def _support(self, rows: Rows, value: ArrayLike | None) -> Array:
        """1 where p > 0, else 0; NaN where the row is NaN."""
        if value is not None and getattr(value, "dtype", None) == rows.logits.dtype:
            p = rows.like(value, "value")
        else:
            if value is not None:
                rows.like(value, "value")
            p = _native.sparsemax(rows.logits, rows.axis, None)
            if rows.mask is not None:
                np.copyto(p, p.dtype.type(0), where=~rows.mask)  # a row masked entirely is NaN
        return np.sign(p)

    def _project(
        self,
        x: ArrayLike,
        g: ArrayLike,
        name: str,
        value: ArrayLike | None,
        axis: Axis,
        where: ArrayLike | None,
        out: Array | None,
    ) -> Array:
        rows = prepare(x, axis, where=where)
        support = self._support(rows, value)
        inside = np.where(support != 0, rows.like(g, name), support)
        total = rows.per_row(np.asarray(_native.dot(np.sign(support), inside, rows.axis)))
        count = rows.per_row(np.asarray(np.sum(support, axis=rows.axis)))
        with np.errstate(invalid="ignore", over="ignore"):
            inside -= total / np.where(count == 0, 1, count)
            np.copyto(inside, inside.dtype.type(0), where=support == 0)
        return rows.deliver(inside, out)


sparsemax = Sparsemax()
