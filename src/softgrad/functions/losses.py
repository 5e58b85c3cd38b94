"""The cross-entropy of logits with class indices or probabilities, with its derivatives.

With z = x / T, p = softmax(z), K classes taking part, class weights w and sample weights s,
row i has

    y'_c   = (1 - eps) y_c + eps / K           the smoothed target
    Y_i    = sum_c w_c y'_c                    its mass
    loss_i = s_i sum_c w_c y'_c (-log p_c)
    grad_i = s_i / T (Y_i p - w y')
    hess_i = s_i Y_i / T^2 (diag(p) - p p^T)

The mean divides by the weight that took part, W = sum_i s_i Y_i with class weights, else sum_i s_i.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from softgrad import _checks, _native
from softgrad._protocol import Loss, deliver
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.functions._problem import (
    GRAD,
    LOSS,
    LOSS_AND_GRAD,
    REDUCTIONS,
    prepare_loss,
    times_rows,
)


@final
class CrossEntropy(Loss):
    """Return the cross-entropy of logits with a target, in nats.

    loss_i = s_i sum_c w_c y'_c (-log p_c)    with    p = softmax(logits / T),
    y' = (1 - eps) y + eps / K

    Parameters
    ----------
    logits : array_like
        Any shape with a class axis; float16, bfloat16, float32, float64, integers or booleans.
        Never written.
    target : array_like
        Of an integer dtype: class indices y in 0..C-1, of the logits' shape without the class axis.
        Of a floating dtype: probabilities y along the class axis, of the logits' shape, finite and
        not negative; rows need not sum to 1.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    reduction : {"mean", "sum", "none"}
        The sum of the losses over the weight that took part (sum_i s_i, or with class weights
        sum_i s_i sum_c w_c y'_c), their sum, or the loss of each row. Where nothing took part the
        mean is 0. All derivatives follow the reduction.
    sample_weight : array_like, optional
        s, one a row, finite and not negative.
    class_weight : array_like of shape (C,), optional
        w, finite and not negative.
    ignore_index : int, optional
        Rows with this class index take no part: loss 0, derivatives 0, weight 0.
    label_smoothing : float
        eps in 0..1: the share of the target that is spread evenly over the K classes taking part.
    temperature : float
        T, finite and > 0.
    where : array_like of bool, optional
        True for classes that take part; broadcast to the logits' shape. A masked class has
        probability 0 and derivative 0 and cannot be the target. A row that is masked entirely takes
        no part.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, of the logits' type (integers and booleans: float64; half precision is
        computed in float32): one number, or with reduction="none" one a row. A class of weight 0
        contributes 0 even where its log-probability is -inf.

    Raises
    ------
    ValueError
        If a class index is not in 0..C-1, a probability negative or not finite, a masked class the
        target, or a shape, axis or option out of range; the message names the first offender.
    TypeError
        If the logits are complex or not numeric, or an option of the wrong type.

    Notes
    -----
    Within 1 ULP of the exact loss of a row and 3 ULP of the exact gradient, also for rows so
    confident that p rounds to 1. The sum over rows is carried in extended precision. Results do not
    depend on the memory layout or the number of threads.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 6.2.2.3.
    C. Szegedy et al., Rethinking the Inception Architecture (2016), section 7 (label smoothing).
    G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network (2015), section 2
    (temperature).

    Examples
    --------
    >>> import softgrad as sg
    >>> logits = [[2.0, 0.0, 0.0], [0.0, 0.0, 40.0]]
    >>> sg.cross_entropy(logits, [0, 2], reduction="none")
    array([2.39544766e-01, 8.49670851e-18])
    >>> loss, grad = sg.cross_entropy.value_and_grad(logits, [0, 2])
    >>> loss.round(4)
    np.float64(0.1198)
    """

    name = "cross_entropy"
    takes = "logits"
    multi_label = False
    targets = frozenset({"indices", "probabilities"})

    def __call__(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
    ) -> Value:
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        return _evaluate(LOSS, None, logits, target, *options, label_smoothing, temperature, where)

    def value_and_grad(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> tuple[Value, Array]:
        """Return the loss and its gradient by the logits, from one pass over the logits.

        The arguments are those of ``cross_entropy``. The gradient has the logits' shape and type
        and is written to ``out`` if given, which may be the logits themselves.

        >>> import softgrad as sg
        >>> loss, grad = sg.cross_entropy.value_and_grad([[0.0, 0.0]], [1])
        >>> loss.round(4), grad
        (np.float64(0.6931), array([[ 0.5, -0.5]]))
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        both: tuple[Value, Array] = _evaluate(
            LOSS_AND_GRAD, out, logits, target, *options, label_smoothing, temperature, where
        )
        return both

    def grad(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the gradient by the logits; for reduction="none" that of each row's own loss.

        s_i / T (Y_i p - w y')    with    Y_i = sum_c w_c y'_c    (over W for "mean")

        The arguments are those of ``cross_entropy``; the result has the logits' shape and type and
        is written to ``out`` if given. Within 3 ULP; at the target it is minus the sum of the other
        probabilities, never p - 1.

        >>> import softgrad as sg
        >>> sg.cross_entropy.grad([40.0, 0.0], 0)
        array([-4.24835426e-18,  4.24835426e-18])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        gradient: Array = _evaluate(
            GRAD, out, logits, target, *options, label_smoothing, temperature, where
        )
        return gradient

    def vjp(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        g: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the gradient by the logits of sum(g * loss), for a cotangent ``g``.

        ``g`` has the loss's shape: one number for "sum" and "mean", one a row for "none". The other
        arguments are those of ``cross_entropy``; the result has the logits' shape and type.

        >>> import softgrad as sg
        >>> sg.cross_entropy.vjp([[0.0, 0.0]], [1], 2.0)
        array([[ 1., -1.]])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        problem = prepare_loss(logits, target, *options, label_smoothing, temperature, where)
        shape = problem.rows.row_shape if problem.reduction == "none" else ()
        double = np.dtype(np.float64)
        cotangent = _checks.floats_like(g, "g", shape, double, f"the loss ({reduction})")
        gradient: Array = problem.evaluate(GRAD, out, cotangent)
        return gradient

    def jvp(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        v: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
    ) -> Value:
        """Return the derivative of the loss when the logits move in direction ``v``.

        sum_c grad_ic v_ic    (summed over the rows for "sum" and "mean")

        ``v`` has the logits' shape, the result the loss's. The other arguments are those of
        ``cross_entropy``.

        >>> import softgrad as sg
        >>> sg.cross_entropy.jvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
        np.float64(0.5)
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        problem = prepare_loss(logits, target, *options, label_smoothing, temperature, where)
        rows = problem.rows
        tangent = rows.like(v, "v", "logits")
        changes = np.asarray(_native.dot(problem.run(GRAD), tangent, rows.axis))
        if problem.reduction != "none":
            changes = np.asarray(np.sum(changes, dtype=np.float64))
        return deliver(changes, rows.dtype, None)

    def hvp(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        v: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of the gradient when the logits move in direction ``v``.

        s_i Y_i / T^2 p (v - sum p v)    with    Y_i = sum_c w_c y'_c    (over W for "mean")

        ``v`` and the result have the logits' shape. The other arguments are those of
        ``cross_entropy``. Rows do not mix: for reduction="none" it is each row's own product.

        >>> import softgrad as sg
        >>> sg.cross_entropy.hvp([[0.0, 0.0]], [1], [[1.0, 0.0]])
        array([[ 0.25, -0.25]])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        problem = prepare_loss(logits, target, *options, label_smoothing, temperature, where)
        rows = problem.rows
        p, tangent = rows.probabilities(), rows.like(v, "v", "logits")
        change = _native.softmax_vjp(p, tangent, rows.axis, rows.scale, None)
        times_rows(change, rows.per_row(problem.curvature() * rows.scale))
        return rows.deliver(change, out)

    def jacobian(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the derivative of each row's loss by the logits of its row, in the logits' shape.

        A loss depends on one row, so that these are the numbers that ``grad`` returns; for the
        reductions "sum" and "mean" the Jacobian of the one number is its gradient. The arguments
        are those of ``cross_entropy``.

        >>> import softgrad as sg
        >>> sg.cross_entropy.jacobian([[0.0, 0.0]], [1], reduction="none")
        array([[ 0.5, -0.5]])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        jacobian: Array = _evaluate(
            GRAD, out, logits, target, *options, label_smoothing, temperature, where
        )
        return jacobian

    def hessian(
        self,
        logits: ArrayLike,
        target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the second derivatives by the logits of each row, in shape (..., C, C).

        s_i Y_i / T^2 (diag(p) - p p^T)    with    Y_i = sum_c w_c y'_c    (over W for "mean")

        The class axes come last, taken together. The second derivatives by logits of two different
        rows are 0. On the diagonal, 1 - p is the sum of the other probabilities where p is close to
        1. The arguments are those of ``cross_entropy``.

        >>> import softgrad as sg
        >>> sg.cross_entropy.hessian([[0.0, 0.0]], [1])
        array([[[ 0.25, -0.25],
                [-0.25,  0.25]]])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        problem = prepare_loss(logits, target, *options, label_smoothing, temperature, where)
        rows = problem.rows
        hessian = rows.covariance(rows.probabilities())
        factor = problem.curvature() * rows.scale * rows.scale
        times_rows(hessian, factor[..., None, None])
        return deliver(hessian, rows.dtype, out)

    def grad_target(
        self,
        logits: ArrayLike,
        soft_target: ArrayLike,
        /,
        *,
        axis: Axis = -1,
        reduction: Reduction = "mean",
        sample_weight: ArrayLike | None = None,
        class_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        where: ArrayLike | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return the gradient by the probabilities of a soft target.

        s_i (1 - eps) w_c (-log p_c)    (over W for "mean")

        With class weights W depends on the target: the mean then subtracts itself from -log p_c.
        The arguments are those of ``cross_entropy`` with probabilities for the target; the result
        has the logits' shape and type. Where the log-probability is -inf and the target 0 the
        gradient is 0: the class takes no part.

        >>> import softgrad as sg
        >>> sg.cross_entropy.grad_target([[0.0, 0.0]], [[0.5, 0.5]]).round(4)
        array([[0.6931, 0.6931]])
        """
        options = (axis, reduction, sample_weight, class_weight, ignore_index)
        problem = prepare_loss(logits, soft_target, *options, label_smoothing, temperature, where)
        return problem.rows.deliver(problem.grad_target(), out)


cross_entropy = CrossEntropy()


def _evaluate(
    mode: int,
    out: Array | None,
    logits: ArrayLike,
    target: ArrayLike,
    axis: Axis,
    reduction: object,
    sample_weight: ArrayLike | None,
    class_weight: ArrayLike | None,
    ignore_index: int | None,
    label_smoothing: float,
    temperature: float,
    where: ArrayLike | None,
) -> Any:
    """Loss, gradient or both: by the kernel, once it takes what it is given."""
    plain = where is None and sample_weight is None and class_weight is None
    if plain and (ignore_index is None or getattr(target, "dtype", None) == np.int64):
        code = REDUCTIONS.get(reduction, -1) if isinstance(reduction, str) else -1
        result = _native.cross_entropy(
            logits,
            target,
            axis,  # type: ignore[arg-type]
            None,
            None,
            label_smoothing,
            temperature,
            ignore_index,
            code,
            mode,
            1.0,
            out,
        )
        if result is not NotImplemented:
            return result
    options = (axis, reduction, sample_weight, class_weight, ignore_index)
    problem = prepare_loss(logits, target, *options, label_smoothing, temperature, where)
    return problem.evaluate(mode, out)
