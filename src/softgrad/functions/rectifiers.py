"""The rectifiers: functions that are x on one side, with their derivatives."""

from __future__ import annotations

import functools
from typing import final

from softgrad import _checks
from softgrad._protocol import Elementwise, Parameter


@final
class Relu(Elementwise):
    """Return max(x, 0) of every number: the rectifier.

    relu(x) = max(x, 0),    f' = 1 where x > 0, else 0,    f'' = 0

    Parameters
    ----------
    x : array_like
        Numbers in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray or NumPy scalar
        Numbers of at least 0 of x's shape and type (integers and booleans: float64; half precision
        is computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    Exact, 0 ULP. At 0 the derivative is the one from the left, as in PyTorch: 0. NaN gives NaN in
    every member.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.3.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    >>> sg.relu.jacobian([-1.0, 0.0, 2.0])
    array([0., 0., 1.])
    """

    name = "relu"


@final
class LeakyRelu(Elementwise):
    """Return x where it is positive, and a fraction of it elsewhere.

    leaky_relu(x) = x where x > 0, else negative_slope x,    f' = 1 or negative_slope,    f'' = 0

    Parameters
    ----------
    x : array_like
        Numbers in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    negative_slope : float
        The slope where x is not positive, from -1e6 to 1e6.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray or NumPy scalar
        Numbers of x's shape and type (integers and booleans: float64; half precision is computed in
        float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit, or ``negative_slope`` is out of range.
    TypeError
        If ``x`` is complex or not numeric, or ``negative_slope`` is not a number.

    Notes
    -----
    Within 1 ULP: float32 rounds the slope to float32. At 0 the derivative is the one from the left,
    as in PyTorch: ``negative_slope``. NaN gives NaN in every member.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    A. L. Maas, A. Y. Hannun, A. Y. Ng, Rectifier nonlinearities improve neural network acoustic
    models (ICML 2013), section 2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.leaky_relu([-1.0, 2.0], negative_slope=0.1)
    array([-0.1,  2. ])
    """

    name = "leaky_relu"
    _parameter = Parameter(
        "negative_slope", 0.01, functools.partial(_checks.factor, name="negative_slope")
    )


@final
class Elu(Elementwise):
    """Return x where it is positive, and alpha (exp(x) - 1) elsewhere.

    elu(x) = x where x > 0, else alpha (exp(x) - 1),    f' = 1 or alpha exp(x),    f'' = 0 or alpha
    exp(x)

    Parameters
    ----------
    x : array_like
        Numbers in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    alpha : float
        What the function tends to for x to -inf, with the sign changed; from -1e6 to 1e6.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray or NumPy scalar
        Numbers above -alpha of x's shape and type (integers and booleans: float64; half precision
        is computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit, or ``alpha`` is out of range.
    TypeError
        If ``x`` is complex or not numeric, or ``alpha`` is not a number.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4. At 0 the derivative is
    the one from the left, as in PyTorch: ``alpha``.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter, Fast and accurate deep network learning by
    exponential linear units (ICLR 2016), equation 15.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.elu([-1e-20, -100.0, 2.0])
    array([-1.e-20, -1.e+00,  2.e+00])
    """

    name = "elu"
    _parameter = Parameter("alpha", 1.0, functools.partial(_checks.factor, name="alpha"))


@final
class Selu(Elementwise):
    """Return the scaled exponential linear unit of every number.

    selu(x) = scale x where x > 0, else scale alpha (exp(x) - 1)
    with scale = 1.0507009873554804934 and alpha = 1.6732632423543772848

    Parameters
    ----------
    x : array_like
        Numbers in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    out : ndarray, optional
        Where to write the result, of its shape and type. May be ``x`` itself.

    Returns
    -------
    ndarray or NumPy scalar
        Numbers above -1.7581 of x's shape and type (integers and booleans: float64; half precision
        is computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives (as of elu) within 4. At 0 the
    derivative is the one from the left, as in PyTorch: scale alpha.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, Self-normalizing neural networks (NeurIPS
    2017), equation 2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.selu([-1.0, 0.0, 1.0]).round(4)
    array([-1.1113,  0.    ,  1.0507])
    """

    name = "selu"


relu = Relu()
leaky_relu = LeakyRelu()
elu = Elu()
selu = Selu()
