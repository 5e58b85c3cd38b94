"""The elementwise functions, with their derivatives."""

from __future__ import annotations

from typing import final

from softgrad import _native
from softgrad._protocol import Elementwise


@final
class Sigmoid(Elementwise):
    """Return the logistic function of every number: the probability whose log-odds is x.

    sigmoid(x) = 1 / (1 + exp(-x)),    s' = s (1 - s),    s'' = s' (1 - 2 s)

    Parameters
    ----------
    x : array_like
        Log-odds (nats) in any shape; float16, bfloat16, float32, float64, integers or booleans.
        Never written.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray or NumPy scalar
        Probabilities of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value and both derivatives are within 3 ULP of the exact result: none is computed as a
    difference of close numbers, so s' keeps its digits where s rounds to 1.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 3.10, equation 3.30.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.sigmoid([-800.0, 0.0, 1.0]).round(4)
    array([0.    , 0.5   , 0.7311])
    >>> sg.sigmoid.vjp([0.0, 40.0], [1.0, 1.0])
    array([2.50000000e-01, 4.24835426e-18])
    """

    name = "sigmoid"
    _kernel = staticmethod(_native.sigmoid)


sigmoid = Sigmoid()
