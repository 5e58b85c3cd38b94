"""Losses of yes/no questions, one for every number: each label of a row on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.functions import _entries
from softgrad.functions._entries import Entries
from softgrad.functions._members import RowsLoss

_YES_NO = frozenset({"probabilities"})


@final
class BinaryCrossEntropy(RowsLoss):
    """Return the cross-entropy of log-odds with yes/no targets, summed over the labels of a row.

    loss_i = s_i sum_c w_c (P_c y'_ic softplus(-x_ic) + (1 - y'_ic) softplus(x_ic)),
    softplus(x) = log(1 + exp x) = -log sigmoid(-x),    y' = (1 - eps) y + eps / 2

    Parameters
    ----------
    x : array_like
        Log-odds (nats) in any shape, each about a question of its own; float16, bfloat16, float32,
        float64, integers or booleans. Never written.
    target : array_like
        y in the shape of ``x``: 0 or 1 (of any numeric type, or booleans), or probabilities of yes.
    axis : int, tuple of ints or None
        The axis along which a row's labels lie; ``()`` makes every entry a row of its own, so that
        the mean is the mean of all entries, as in PyTorch.
    reduction : {"mean", "sum", "none"}
        The sum of the losses over the weight of the rows, sum_i s_i, and never over the number of
        entries; their sum; or the loss of each row. Where nothing took part the mean is 0.
    sample_weight : array_like, optional
        s, one a row, finite and not negative.
    class_weight : array_like of shape (C,), optional
        w, one a label, finite and not negative.
    pos_weight : float or array_like of shape (C,), optional
        P, the weight of yes over no, finite and not negative; negatives over positives balances.
    ignore_index : int, optional
        For integer targets: entries with this number take no part (a label that nobody gave).
    label_smoothing : float
        eps in 0..1: the share of the target that is spread evenly over yes and no.
    where : array_like of bool, optional
        True for entries that take part; broadcast to the shape of ``x``. The others and their
        targets may hold anything: loss 0, derivatives 0. A row without entries weighs nothing.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, of x's type (integers and booleans: float64; half precision is computed in
        float32): one number, or with reduction="none" one a row.

    Raises
    ------
    ValueError
        If a target is not in 0..1, or a shape, axis or option out of range; the message names the
        first offender.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    grad = s_i w_c ((1 - y') sigmoid(x) - P y' sigmoid(-x)),
    Hessian s_i diag(w_c (P y' + 1 - y') sigmoid(x) sigmoid(-x)).

    A row's loss and the gradient are within 4 ULP for log-odds of any size: a confident label keeps
    all digits, for 1 - sigmoid(x) is never computed as a difference. A target strictly between 0
    and 1 makes the two parts of a gradient cancel; its error is then 4 ULP of the larger part.

    References
    ----------
    C. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2, equation 4.90.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.binary_cross_entropy.value_and_grad([[40.0, 0.0, -3.0]], [[1, 1, 0]])
    (np.float64(0.7417345321336873), array([[-4.24835426e-18, -5.00000000e-01,  4.74258732e-02]]))
    """

    name = "binary_cross_entropy"
    takes = "logits"
    multi_label = True
    targets = _YES_NO

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
        pos_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        pos_weight = options.pop("pos_weight")
        entries = _entries.of_values(
            _entries.BINARY, x, target, binary=True, name="log-odds", **options
        )
        return _weighing_yes(entries, pos_weight)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        return _entries.attempt(_entries.BINARY, mode, out, x, target, options, range_of="binary")


@final
class BinaryCrossEntropyProbabilities(RowsLoss):
    """Return the cross-entropy of probabilities of yes with yes/no targets.

    loss_i = s_i sum_c w_c (-P_c y'_ic log x_ic - (1 - y'_ic) log(1 - x_ic)),
    y' = (1 - eps) y + eps / 2

    Parameters
    ----------
    x : array_like
        Probabilities of yes, in 0..1.
    target, axis, reduction, sample_weight, class_weight, pos_weight, ignore_index, label_smoothing
        As in `binary_cross_entropy`.
    where : array_like of bool, optional
        As in `binary_cross_entropy`.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, as in `binary_cross_entropy`.

    Raises
    ------
    ValueError
        If a probability or target is not in 0..1, or as in `binary_cross_entropy`.
    TypeError
        As in `binary_cross_entropy`.

    Notes
    -----
    grad = s_i w_c ((1 - y') / (1 - x) - P y' / x), Hessian diagonal.

    Within 4 ULP of the exact loss *of the probabilities given*. What rounding took from them is
    lost before: sigmoid(40) is 1 in float64, its log-odds are gone, and its loss for the target 0
    is inf, not 40. Nothing is clipped: a wrong certainty costs inf and has an infinite gradient.
    With log-odds at hand use `binary_cross_entropy`.

    References
    ----------
    C. Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2, equation 4.90.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.binary_cross_entropy_probabilities([[0.5, 1.0]], [[1, 1]])
    np.float64(0.6931471805599453)
    """

    name = "binary_cross_entropy_probabilities"
    takes = "probabilities"
    multi_label = True
    targets = _YES_NO

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
        pos_weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        where: ArrayLike | None = None,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            pos_weight=pos_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            where=where,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        pos_weight = options.pop("pos_weight")
        entries = _entries.of_values(
            _entries.BINARY_PROBABILITY, x, target, binary=True, name="probabilities", **options
        )
        _entries.require_probabilities(entries, 1.0)
        return _weighing_yes(entries, pos_weight)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        if _native.within(x, 0.0, 1.0, True) is not True:
            return NotImplemented
        kind = _entries.BINARY_PROBABILITY
        return _entries.attempt(kind, mode, out, x, target, options, range_of="binary")


@final
class SigmoidFocal(RowsLoss):
    """Return the focal loss of log-odds with yes/no targets: easy labels count for little.

    loss_i = s_i sum_c w_c (a y' q^g softplus(-x) + (1 - a) (1 - y') p^g softplus(x))
    with p = sigmoid(x), q = sigmoid(-x) = 1 - p, g = gamma, a = alpha, y' = (1 - eps) y + eps / 2

    Parameters
    ----------
    x : array_like
        Log-odds (nats) in any shape, each about a question of its own.
    target, axis, reduction, sample_weight, class_weight, ignore_index, label_smoothing, where
        As in `binary_cross_entropy`.
    gamma : float
        The focusing exponent, finite and not negative; 0 is the cross-entropy.
    alpha : float, optional
        The weight of yes in 0..1, that of no being 1 - alpha; None weighs both 1.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, as in `binary_cross_entropy`.

    Raises
    ------
    ValueError, TypeError
        As in `binary_cross_entropy`.

    Notes
    -----
    For the target 1: grad = -a q^g (q - g p log p), Hessian a p q^g (g^2 p (-log p) + (2 g + 1) q -
    g q (-log p)), which is negative for labels that are very wrong: the loss is not convex.

    The defaults are those of the paper and of torchvision (gamma 2, alpha 1/4). A row's loss and
    the gradient are within 4 ULP for targets 0 and 1, also for confident labels: q^g is
    exp(-g softplus(x)) in extended precision, never a power of a difference. Between 0 and 1 the
    two parts of a gradient cancel; its error is then 4 ULP of the larger part.

    References
    ----------
    T.-Y. Lin et al., Focal Loss for Dense Object Detection (2017), section 3.2, equation 5.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.sigmoid_focal([[3.0, -1.0]], [[1, 1]], alpha=None, reduction="none").round(4)
    array([0.702])
    """

    name = "sigmoid_focal"
    takes = "logits"
    multi_label = True
    targets = _YES_NO

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
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        where: ArrayLike | None = None,
        gamma: float = 2.0,
        alpha: float | None = 0.25,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            where=where,
            gamma=gamma,
            alpha=alpha,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        gamma, yes, no = _focusing(options)
        entries = _entries.of_values(
            _entries.BINARY_FOCAL,
            x,
            target,
            binary=True,
            name="log-odds",
            parameter=gamma,
            **options,
        )
        return entries._replace(positive=yes, negative=no)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        options = dict(options)
        gamma, yes, no = _focusing(options)
        return _entries.attempt(
            _entries.BINARY_FOCAL,
            mode,
            out,
            x,
            target,
            options,
            range_of="binary",
            parameter=gamma,
            positive=yes,
            negative=no,
        )


def _focusing(options: dict[str, Any]) -> tuple[float, float, float]:
    """gamma, and the weights of yes and no; takes them out of the options."""
    gamma = _checks.not_negative(options.pop("gamma"), "gamma")
    alpha = options.pop("alpha")
    if alpha is None:
        return gamma, 1.0, 1.0
    a = _checks.number(alpha, "alpha", "a number in 0..1 or None", lambda v: 0.0 <= v <= 1.0)
    return gamma, a, 1.0 - a


def _weighing_yes(entries: Entries, pos_weight: ArrayLike | None) -> Entries:
    """With the weight of yes: one number, or one for each label."""
    if pos_weight is None:
        return entries
    shape = () if np.ndim(pos_weight) == 0 else (entries.rows.classes,)
    positive = _checks.weights(pos_weight, "pos_weight", shape, "one number, or one a label,")
    assert positive is not None
    return entries._replace(positive=positive if positive.ndim else float(positive))


binary_cross_entropy = BinaryCrossEntropy()
binary_cross_entropy_probabilities = BinaryCrossEntropyProbabilities()
sigmoid_focal = SigmoidFocal()
