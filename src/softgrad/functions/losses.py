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

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from softgrad import _native
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.functions._members import RowsLoss
from softgrad.functions._problem import REDUCTIONS, Problem, prepare_loss


@final
class CrossEntropy(RowsLoss):
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
        return self._value(
            logits,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            temperature=temperature,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Problem:
        return prepare_loss(x, target, **options)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        ignored, reduction = options["ignore_index"], options["reduction"]
        plain = (
            options["where"] is None
            and options["sample_weight"] is None
            and options["class_weight"] is None
            and (ignored is None or getattr(target, "dtype", None) == np.int64)
        )
        if not plain:
            return NotImplemented
        return _native.cross_entropy(
            x,
            target,
            options["axis"],
            None,
            None,
            options["label_smoothing"],
            options["temperature"],
            ignored,
            REDUCTIONS.get(reduction, -1) if isinstance(reduction, str) else -1,
            mode,
            1.0,
            out,
        )


cross_entropy = CrossEntropy()
