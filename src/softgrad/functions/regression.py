"""Losses of real numbers and their targets: squared, absolute and Huber error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from softgrad import _checks
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.functions import _entries
from softgrad.functions._entries import Entries
from softgrad.functions._members import RowsLoss

_VALUES = frozenset({"values"})


@final
class SquaredError(RowsLoss):
    """Return the squared error of each row, summed over the row.

    loss_i = s_i sum_c w_c (x_ic - y_ic)^2,    grad = 2 s_i w_c (x - y),    Hessian 2 s_i diag(w)

    Parameters
    ----------
    x : array_like
        Predictions in any shape; float16, bfloat16, float32, float64, integers or booleans. Never
        written.
    target : array_like
        y, finite numbers in the shape of ``x``.
    axis : int, tuple of ints or None
        The axis that a row lies along; ``()`` makes every entry a row of its own, so that the mean
        is the mean of all entries.
    reduction : {"mean", "sum", "none"}
        The sum of the losses over the weight of the rows, sum_i s_i, and never over the number of
        entries; their sum; or the loss of each row. Where nothing took part the mean is 0.
    sample_weight : array_like, optional
        s, one a row, finite and not negative.
    class_weight : array_like of shape (C,), optional
        w, one for each entry of a row, finite and not negative.
    where : array_like of bool, optional
        True for entries that take part; broadcast to the shape of ``x``. The others and their
        targets may hold anything: loss 0, derivatives 0. A row without entries weighs nothing.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in the squared unit of ``x``, of its type (integers and booleans: float64; half
        precision is computed in float32): one number, or with reduction="none" one a row.

    Raises
    ------
    ValueError
        If a target is not finite, or a shape, axis or option out of range; the message names the
        first offender.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    A row's loss and the gradient are within 4 ULP. Sums are carried in extended precision.

    References
    ----------
    C. Bishop, Pattern Recognition and Machine Learning (2006), section 3.1.1, equation 3.12.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.squared_error([[1.0, 2.0], [3.0, 5.0]], [[1.0, 0.0], [3.0, 4.0]])
    np.float64(2.5)
    >>> sg.squared_error([[1.0, 2.0], [3.0, 5.0]], [[1.0, 0.0], [3.0, 4.0]], axis=())
    np.float64(1.25)
    """

    name = "squared_error"
    takes = "values"
    targets = _VALUES

    def __call__(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        return _entries.of_values(_entries.SQUARED, x, target, **options)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        return _entries.attempt(_entries.SQUARED, mode, out, x, target, options)


@final
class HalfSquaredError(RowsLoss):
    """Return half the squared error of each row, whose gradient is the residual.

    loss_i = s_i / 2 sum_c w_c (x_ic - y_ic)^2,    grad = s_i w_c (x - y),    Hessian s_i diag(w)

    Parameters
    ----------
    x, target, axis, reduction, sample_weight, class_weight, where
        As in `squared_error`.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in the squared unit of ``x``, as in `squared_error`.

    Raises
    ------
    ValueError, TypeError
        As in `squared_error`.

    Notes
    -----
    A row's loss and the gradient are within 4 ULP.

    References
    ----------
    C. Bishop, Pattern Recognition and Machine Learning (2006), section 3.1.1, equation 3.12.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.half_squared_error.value_and_grad([3.0, 5.0], [1.0, 5.0])
    (np.float64(2.0), array([2., 0.]))
    """

    name = "half_squared_error"
    takes = "values"
    targets = _VALUES

    def __call__(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        return _entries.of_values(_entries.HALF_SQUARED, x, target, **options)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        return _entries.attempt(_entries.HALF_SQUARED, mode, out, x, target, options)


@final
class AbsoluteError(RowsLoss):
    """Return the absolute error of each row, summed over the row.

    loss_i = s_i sum_c w_c |x_ic - y_ic|,    grad = s_i w_c sign(x - y),    Hessian 0

    Parameters
    ----------
    x, target, axis, reduction, sample_weight, class_weight, where
        As in `squared_error`.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in the unit of ``x``, as in `squared_error`.

    Raises
    ------
    ValueError, TypeError
        As in `squared_error`.

    Notes
    -----
    The loss has a kink at x = y. The gradient there is 0, the middle of the subgradients -1..1, as
    in PyTorch and JAX; the Hessian is 0 everywhere, the kink included. Within 4 ULP.

    References
    ----------
    T. Hastie, R. Tibshirani, J. Friedman, The Elements of Statistical Learning (2009), section
    10.6.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.absolute_error.value_and_grad([3.0, 5.0, 1.0], [1.0, 5.0, 2.0])
    (np.float64(3.0), array([ 1.,  0., -1.]))
    """

    name = "absolute_error"
    takes = "values"
    targets = _VALUES

    def __call__(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        return _entries.of_values(_entries.ABSOLUTE, x, target, **options)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        return _entries.attempt(_entries.ABSOLUTE, mode, out, x, target, options)


@final
class Huber(RowsLoss):
    """Return the Huber error of each row: squared for small residuals, absolute for large ones.

    loss_i = s_i sum_c w_c h(x_ic - y_ic)    with    h(d) = d^2 / 2              for |d| <= delta,
                                                     delta (|d| - delta / 2)    beyond

    Parameters
    ----------
    x, target, axis, reduction, sample_weight, class_weight, where
        As in `squared_error`.
    delta : float
        Where the absolute part begins, finite and > 0.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in the squared unit of ``x``, as in `squared_error`.

    Raises
    ------
    ValueError, TypeError
        As in `squared_error`.

    Notes
    -----
    The gradient, s_i w_c min(delta, max(-delta, d)), is continuous. The Hessian jumps at |d| =
    delta, where it still is that of the squared part, s_i w_c. Within 4 ULP.

    References
    ----------
    P. Huber, Robust estimation of a location parameter (1964), section 4.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.huber.value_and_grad([0.5, 3.0], [0.0, 0.0])
    (np.float64(2.625), array([0.5, 1. ]))
    """

    name = "huber"
    takes = "values"
    targets = _VALUES

    def __call__(
        self,
        x: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        where: ArrayLike | None = None,
        delta: float = 1.0,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            where=where,
            delta=delta,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        delta = _checks.positive(options.pop("delta"), "delta")
        return _entries.of_values(_entries.HUBER, x, target, parameter=delta, **options)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        options = dict(options)
        delta = _checks.positive(options.pop("delta"), "delta")
        return _entries.attempt(_entries.HUBER, mode, out, x, target, options, parameter=delta)


squared_error = SquaredError()
half_squared_error = HalfSquaredError()
absolute_error = AbsoluteError()
huber = Huber()
