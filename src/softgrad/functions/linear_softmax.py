"""The softmax layer, P = softmax(X W^T + b), with its derivatives by X, W and b.

With the logits z = W x + b of a sample and J = diag(p) - p p^T, the Jacobian of softmax at z, the
chain rule gives

    dP_k / dW_ij = J_ki x_j        dP_k / dx_j = (J W)_kj        dP_k / db_i = J_ki

and for a cotangent g of P, with u = J g, the gradients u x^T, W^T u and u. Only the softmax's own
members are used: there is no second formula for its derivative.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from softgrad import _checks
from softgrad._protocol import _Function, deliver
from softgrad._typing import Array, ArrayLike
from softgrad.errors import ShapeError
from softgrad.functions.softmax import softmax


class _Layer(NamedTuple):
    """Checked operands of one type."""

    X: Array  # (..., D)
    W: Array  # (C, D)
    b: Array  # (C,)
    dtype: np.dtype[np.generic]  # of results

    @property
    def logits(self) -> Array:
        return affine(self.X, self.W, self.b)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the probabilities."""
        return (*self.X.shape[:-1], len(self.W))

    def like(self, array: ArrayLike, name: str, operand: str) -> Array:
        """A tangent of an operand, or a cotangent of the result (operand "P")."""
        shape = self.shape if operand == "P" else getattr(self, operand).shape
        meaning = "the result" if operand == "P" else operand
        return _checks.floats_like(array, name, shape, self.X.dtype, meaning)


def affine(X: Array, W: Array, b: Array) -> Array:
    """X W^T + b."""
    with np.errstate(over="ignore", invalid="ignore"):
        z: Array = np.matmul(X, W.T)
        z += b
    return z


def _prepare(X: ArrayLike, W: ArrayLike, b: ArrayLike) -> _Layer:
    x, dtype = _checks.floats(X, "X")
    if x.ndim == 0:
        raise ShapeError("X is a number; accepted is shape (D,) for one sample or (N, D).")
    weight, _ = _checks.floats(W, "W")
    features = x.shape[-1]
    if weight.ndim != 2 or weight.shape[1] != features:
        hint = ""
        if weight.ndim == 2 and weight.shape[0] == features:
            hint = " If its columns are the classes, pass W.T."
        raise ShapeError(
            f"W has shape {weight.shape}; for X of shape {x.shape} it has one row a class, "
            f"shape (C, {features}).{hint}"
        )
    bias, _ = _checks.floats(b, "b")
    if bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"b has shape {bias.shape}; one number a class is shape {weight.shape[:1]}, for W of "
            f"shape {weight.shape}. Without a bias pass np.zeros({len(weight)})."
        )
    return _Layer(x, weight.astype(x.dtype, copy=False), bias.astype(x.dtype, copy=False), dtype)


@final
class LinearSoftmax(_Function):
    """Return the probabilities of a softmax layer, softmax(X W^T + b).

    P_nk = exp(z_nk) / sum_i exp(z_ni)    with    z_ni = sum_j W_ij x_nj + b_i

    Parameters
    ----------
    X : array_like
        Samples in rows, shape (N, D), or one sample, shape (D,); float16, bfloat16, float32,
        float64, integers or booleans. Never written.
    W : array_like
        Weights, one row a class: shape (C, D).
    b : array_like
        Biases, shape (C,).
    out : ndarray, optional
        Where to write the result, of its shape and type.

    Returns
    -------
    ndarray
        Probabilities of shape (N, C), or (C,) for one sample, in X's type (integers and booleans:
        float64; half precision is computed in float32). W and b are converted to that type.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    TypeError
        If an operand is complex or not numeric.

    Notes
    -----
    The softmax of the computed logits is within 3 ULP, its derivatives within 4; the products with
    matrices are NumPy's, whose rounding errors, and so whose last bits, are those of its BLAS.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), equations 6.28 and 6.29.

    Examples
    --------
    >>> import softgrad as sg
    >>> X, W, b = [[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.0, 0.0, 1.0]
    >>> sg.linear_softmax(X, W, b).round(4)
    array([[0.2119, 0.5761, 0.2119]])
    >>> sg.linear_softmax.jacobian_weights(X, W, b).shape  # C rows, column i * D + j
    (1, 3, 6)
    """

    name = "linear_softmax"

    def __call__(
        self, X: ArrayLike, W: ArrayLike, b: ArrayLike, /, *, out: Array | None = None
    ) -> Array:
        layer = _prepare(X, W, b)
        return deliver(softmax(layer.logits), layer.dtype, out)

    def vjp(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        g: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return the gradients of sum(g * P) by X, W and b, of their shapes.

        u W,    sum_n u_n x_n^T,    sum_n u_n    with    u = P (g - sum P g)

        The cotangent ``g`` has the shape of P; ``value``, if given, is P and saves computing it.
        No Jacobian is built.

        >>> import softgrad as sg
        >>> gX, gW, gb = sg.linear_softmax.vjp([[1.0, 2.0]], [[0.0, 0.0]] * 2, [0.0] * 2, [[1, 0]])
        >>> gW
        array([[ 0.25,  0.5 ],
               [-0.25, -0.5 ]])
        """
        layer = _prepare(X, W, b)
        cotangent = layer.like(g, "g", "P")
        u = softmax.vjp(layer.logits, cotangent, value=_value(layer, value))
        return _deliver(layer, u @ layer.W, _outer(u, layer.X), _total(u))

    def jvp(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        dX: ArrayLike,
        dW: ArrayLike,
        db: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of P when X, W and b move in directions dX, dW and db.

        J dz    with    dz = dX W^T + X dW^T + db

        The tangents have the shapes of what they move; ``value``, if given, is P.

        >>> import softgrad as sg
        >>> X, W, b = [[1.0, 2.0]], [[0.0, 0.0]] * 2, [0.0] * 2
        >>> sg.linear_softmax.jvp(X, W, b, [[0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [0.0, 0.0])
        array([[ 0.25, -0.25]])
        """
        layer = _prepare(X, W, b)
        change = _change(layer, dX, dW, db)
        return deliver(
            softmax.jvp(layer.logits, change, value=_value(layer, value)), layer.dtype, out
        )

    def hvp(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        g: ArrayLike,
        dX: ArrayLike,
        dW: ArrayLike,
        db: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array]:
        """Return the derivatives of the three results of ``vjp`` in directions dX, dW and db.

        du W + u dW,    du^T X + u^T dX,    sum_n du_n

        with u and du the vjp and hvp of softmax at the logits, which move by dX W^T + X dW^T + db.

        >>> import softgrad as sg
        >>> X, W, b = [[1.0, 2.0]], [[0.0, 0.0], [0.0, 1.0]], [0.0] * 2
        >>> zero = [[0.0, 0.0]] * 2
        >>> hX, hW, hb = sg.linear_softmax.hvp(X, W, b, [[1, 0]], [[0, 0]], zero, [1.0, 0.0])
        >>> hb.round(4)
        array([ 0.08, -0.08])
        """
        layer = _prepare(X, W, b)
        cotangent = layer.like(g, "g", "P")
        z, p = layer.logits, _value(layer, value)
        u = softmax.vjp(z, cotangent, value=p)
        du = softmax.hvp(z, cotangent, _change(layer, dX, dW, db), value=p)
        tangent_x, tangent_w = layer.like(dX, "dX", "X"), layer.like(dW, "dW", "W")
        return _deliver(
            layer,
            du @ layer.W + u @ tangent_w,
            _outer(du, layer.X) + _outer(u, tangent_x),
            _total(du),
        )

    def jacobian_weights(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return dP_k / dW_ij in row k and column i D + j: shape (N, C, C D), or (C, C D).

        J_ki x_j = P_k ((k = i) - P_i) x_j

        The columns run through W as it lies in memory, row by row: ``W.ravel()``. A sample has
        C^2 D numbers; products with vectors need none of them, see ``vjp`` and ``jvp``.

        >>> import softgrad as sg
        >>> sg.linear_softmax.jacobian_weights([1.0, 2.0], [[0.0, 0.0]] * 2, [0.0] * 2)
        array([[ 0.25,  0.5 , -0.25, -0.5 ],
               [-0.25, -0.5 ,  0.25,  0.5 ]])
        """
        layer = _prepare(X, W, b)
        jacobian = _jacobian(layer, value)
        with np.errstate(over="ignore", invalid="ignore"):
            full = jacobian[..., None] * layer.X[..., None, None, :]
        columns = layer.W.size
        return deliver(full.reshape(*jacobian.shape[:-1], columns), layer.dtype, out)

    def jacobian_input(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return dP_k / dx_j of every sample: J W, of shape (N, C, D), or (C, D).

        >>> import softgrad as sg
        >>> sg.linear_softmax.jacobian_input([1.0, 0.0], [[0.0, 2.0], [0.0, 0.0]], [0.0] * 2)
        array([[ 0. ,  0.5],
               [ 0. , -0.5]])
        """
        layer = _prepare(X, W, b)
        return deliver(_jacobian(layer, value) @ layer.W, layer.dtype, out)

    def jacobian_bias(
        self,
        X: ArrayLike,
        W: ArrayLike,
        b: ArrayLike,
        /,
        *,
        value: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return dP_k / db_i of every sample: J, of shape (N, C, C), or (C, C).

        >>> import softgrad as sg
        >>> sg.linear_softmax.jacobian_bias([1.0], [[0.0], [0.0]], [0.0, 0.0])
        array([[ 0.25, -0.25],
               [-0.25,  0.25]])
        """
        layer = _prepare(X, W, b)
        return deliver(_jacobian(layer, value), layer.dtype, out)


linear_softmax = LinearSoftmax()


def _value(layer: _Layer, value: ArrayLike | None) -> Array | None:
    """The probabilities, where they are given in the type that is computed in."""
    if value is None:
        return None
    given = layer.like(value, "value", "P")
    return given if getattr(value, "dtype", None) == layer.X.dtype else None


def _jacobian(layer: _Layer, value: ArrayLike | None) -> Array:
    return softmax.jacobian(layer.logits, value=_value(layer, value))


def _change(layer: _Layer, dX: ArrayLike, dW: ArrayLike, db: ArrayLike) -> Array:
    """How the logits move."""
    change = affine(layer.like(dX, "dX", "X"), layer.W, layer.like(db, "db", "b"))
    change += layer.X @ layer.like(dW, "dW", "W").T
    return change


def _outer(u: Array, x: Array) -> Array:
    """The sum over samples of u_n x_n^T, of shape (C, D)."""
    product: Array = np.matmul(u.reshape(-1, u.shape[-1]).T, x.reshape(-1, x.shape[-1]))
    return product


def _total(u: Array) -> Array:
    return np.asarray(u.reshape(-1, u.shape[-1]).sum(axis=0, dtype=np.float64))


def _deliver(layer: _Layer, *results: Array) -> tuple[Array, Array, Array]:
    x, w, b = (deliver(np.asarray(result), layer.dtype, None) for result in results)
    return x, w, b
