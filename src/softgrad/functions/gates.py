"""The gates, x times a smooth step of x, with their derivatives."""

from __future__ import annotations

from typing import final

from softgrad._protocol import Elementwise


@final
class Gelu(Elementwise):
    """Return x Phi(x) of every number, Phi the distribution function of the standard normal.

    gelu(x) = x Phi(x) = x erfc(-x / sqrt(2)) / 2,    f' = Phi(x) + x phi(x),    f'' = (2 - x^2)
    phi(x)
    with the density phi(x) = exp(-x^2 / 2) / sqrt(2 pi)

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
        Numbers above -0.17 of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The exact function; ``gelu_tanh`` is its approximation. The value and both derivatives are
    within 4 ULP of the exact result, also far to the left: gelu(-30) is -1.47e-196. Where they
    cross zero, derivatives are accurate relative to the size of their terms.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    D. Hendrycks, K. Gimpel, Gaussian error linear units (2016), arXiv:1606.08415, section 2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.gelu([-30.0, 0.0, 1.0])
    array([-1.47201418e-196,  0.00000000e+000,  8.41344746e-001])
    """

    name = "gelu"


@final
class GeluTanh(Elementwise):
    """Return the tanh approximation of gelu of every number.

    gelu_tanh(x) = x (1 + tanh(w / 2)) / 2 = x sigmoid(w)    with    w = 2 sqrt(2 / pi) (x +
    0.044715 x^3)
    f' = s(w) + x s'(w) w',    f'' = s'(w) (2 w' + x w'' + x w'^2 (1 - 2 s(w)))

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
        Numbers above -0.18 of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4, also far to the left.
    Where they cross zero, derivatives are accurate relative to the size of their terms.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    D. Hendrycks, K. Gimpel, Gaussian error linear units (2016), arXiv:1606.08415, section 2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.gelu_tanh([-1.0, 0.0, 1.0]).round(4)
    array([-0.1588,  0.    ,  0.8412])
    """

    name = "gelu_tanh"


@final
class Silu(Elementwise):
    """Return x sigmoid(x) of every number; also known as swish.

    silu(x) = x s(x),    f' = s (1 + x (1 - s)),    f'' = s' (2 + x (1 - 2 s))

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
        Numbers above -0.28 of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4. Where they cross zero,
    derivatives are accurate relative to the size of their terms.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning, Neural Networks 107 (2018), equation 4.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.silu([-1.0, 0.0, 1.0]).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """

    name = "silu"


@final
class Mish(Elementwise):
    """Return x tanh(softplus(x)) of every number.

    mish(x) = x t    with    t = tanh(log(1 + exp(x))) = (n^2 + 2 n) / (n^2 + 2 n + 2),    n =
    exp(x)
    f' = t + x t',    f'' = 2 t' + x t'',    t' = 4 n (n + 1) / (n^2 + 2 n + 2)^2

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
        Numbers above -0.31 of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4. Where they cross zero,
    derivatives are accurate relative to the size of their terms.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    D. Misra, Mish: a self regularized non-monotonic activation function (BMVC 2020), section 3.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.mish([-1.0, 0.0, 1.0]).round(4)
    array([-0.3034,  0.    ,  0.8651])
    """

    name = "mish"


gelu = Gelu()
gelu_tanh = GeluTanh()
silu = Silu()
mish = Mish()
