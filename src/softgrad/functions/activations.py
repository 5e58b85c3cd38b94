"""The saturating functions and those made of their exponential, with their derivatives."""

from __future__ import annotations

from typing import final

from softgrad._protocol import Elementwise


@final
class Identity(Elementwise):
    """Return every number as it is: the activation of a linear layer.

    identity(x) = x,    f' = 1,    f'' = 0

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
        The numbers of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    Exact, 0 ULP. NaN gives NaN in every member.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.2.2.1.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.identity.vjp([1.0, 2.0], [3.0, 4.0])
    array([3., 4.])
    """

    name = "identity"


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
    The value is within 3 ULP of the exact result, the derivatives within 4: none is computed as a
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
    _by_value = True


@final
class LogSigmoid(Elementwise):
    """Return the logarithm of the logistic function of every number, in nats.

    log_sigmoid(x) = -log(1 + exp(-x)),    f' = sigmoid(-x),    f'' = -sigmoid'(x)

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
        Log-probabilities (nats, at most 0) of x's shape and type (integers and booleans: float64;
        half precision is computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4, also where the
    probability rounds to 1.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 3.10, equation 3.38.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.log_sigmoid([40.0, -800.0])  # not 0, but -exp(-40)
    array([-4.24835426e-18, -8.00000000e+02])
    """

    name = "log_sigmoid"


@final
class Tanh(Elementwise):
    """Return the hyperbolic tangent of every number.

    tanh(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x)),    f' = 1 - tanh^2,    f'' = -2 tanh f'

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
        Numbers in [-1, 1] of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4: f' is 4 e / (1 + e)^2
    with e = exp(-2 abs(x)), so it keeps its digits where tanh rounds to 1.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.3.2.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.tanh([0.0, 1.0]).round(4)
    array([0.    , 0.7616])
    >>> sg.tanh.vjp([20.0], [1.0])  # 1 - tanh(x)**2 is 0
    array([1.6993417e-17])
    """

    name = "tanh"
    _by_value = True


@final
class Softplus(Elementwise):
    """Return log(1 + exp(x)) of every number: the smooth rectifier.

    softplus(x) = max(x, 0) + log1p(exp(-abs(x))),    f' = sigmoid(x),    f'' = sigmoid'(x)

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
        Positive numbers of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4, down to subnormal ones.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 3.10, equation 3.31.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.softplus([-40.0, 0.0, 800.0]).round(4)
    array([0.000e+00, 6.931e-01, 8.000e+02])
    >>> sg.softplus.jvp([0.0], [1.0])
    array([0.5])
    """

    name = "softplus"


@final
class Softsign(Elementwise):
    """Return x / (1 + abs(x)) of every number.

    softsign(x) = x / (1 + abs(x)),    f' = 1 / (1 + abs(x))^2,    f'' = -2 sign(x) / (1 + abs(x))^3

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
        Numbers in [-1, 1] of x's shape and type (integers and booleans: float64; half precision is
        computed in float32).

    Raises
    ------
    ValueError
        If ``out`` does not fit.
    TypeError
        If ``x`` is complex or not numeric.

    Notes
    -----
    The value is within 3 ULP of the exact result, the derivatives within 4. At 0, where f'' jumps,
    it is 0.

    The Jacobian is diagonal: ``jacobian`` returns the diagonal, and ``elementwise`` is True.

    References
    ----------
    X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks
    (AISTATS 2010), section 3.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.softsign([-3.0, 0.0, 1.0])
    array([-0.75,  0.  ,  0.5 ])
    """

    name = "softsign"


identity = Identity()
sigmoid = Sigmoid()
log_sigmoid = LogSigmoid()
tanh = Tanh()
softplus = Softplus()
softsign = Softsign()
