"""Losses of one class out of several: of log-probabilities, of probabilities, and of margins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np

from softgrad import _checks, _native
from softgrad._typing import Array, ArrayLike, Axis, Reduction, Value
from softgrad.errors import TargetError
from softgrad.functions import _entries
from softgrad.functions._entries import Entries
from softgrad.functions._members import GRAD, LOSS, RowsLoss
from softgrad.functions._problem import Problem, prepare_loss, weighted, without_classes
from softgrad.functions._rows import Rows


@final
class NegativeLogLikelihood(RowsLoss):
    """Return the negative log-likelihood of log-probabilities: minus that of the target's class.

    loss_i = s_i sum_c w_c y'_ic (-x_ic),    y' = (1 - eps) y + eps / K,    grad = -s_i w y'

    After `log_softmax` this is `cross_entropy`, which does both in one pass.

    Parameters
    ----------
    x : array_like
        Log-probabilities (nats) along the class axis; any real numbers and -inf are taken. float16,
        bfloat16, float32, float64, integers or booleans. Never written.
    target : array_like
        Of an integer dtype: class indices y in 0..C-1, of x's shape without the class axis. Of a
        floating dtype: probabilities y along the class axis, finite and not negative; rows need not
        sum to 1.
    axis : int, tuple of ints or None
        The class axis, several class axes taken together, or all of them.
    reduction : {"mean", "sum", "none"}
        The sum of the losses over the weight that took part (sum_i s_i, or with class weights
        sum_i s_i sum_c w_c y'_c), their sum, or the loss of each row. Where nothing took part the
        mean is 0.
    sample_weight : array_like, optional
        s, one a row, finite and not negative.
    class_weight : array_like of shape (C,), optional
        w, finite and not negative.
    ignore_index : int, optional
        Rows with this class index take no part: loss 0, derivatives 0, weight 0.
    label_smoothing : float
        eps in 0..1: the share of the target that is spread evenly over the K classes taking part.
    where : array_like of bool, optional
        True for classes that take part; broadcast to the shape of ``x``. A masked class cannot be
        the target. A row that is masked entirely takes no part.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, of x's type (integers and booleans: float64; half precision is computed in
        float32): one number, or with reduction="none" one a row.

    Raises
    ------
    ValueError
        If a class index is not in 0..C-1, a probability negative or not finite, a masked class the
        target, or a shape, axis or option out of range; the message names the first offender.
    TypeError
        If ``x`` is complex or not numeric, or an option of the wrong type.

    Notes
    -----
    Linear in x: the Hessian is 0. A class of target 0 contributes 0, whatever its log-probability,
    -inf included. Within 4 ULP.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 5.5.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.nll.value_and_grad([[-0.25, -1.5], [-2.0, -0.125]], [0, 1])
    (np.float64(0.1875), array([[-0.5,  0. ],
           [ 0. , -0.5]]))
    """

    name = "nll"
    takes = "log_probabilities"
    targets = frozenset({"indices", "probabilities"})

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
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        problem = prepare_loss(x, target, **options)
        return _entries.of_classes(problem, _entries.LOG_PROBABILITY)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        return _entries.attempt(
            _entries.LOG_PROBABILITY, mode, out, x, target, options, range_of="probabilities"
        )


@final
class CategoricalCrossEntropy(RowsLoss):
    """Return the cross-entropy of probabilities with class indices or probabilities.

    loss_i = s_i sum_c w_c y'_ic (-log x_ic),    y' = (1 - eps) y + eps / K,    grad = -s_i w y' / x

    Parameters
    ----------
    x : array_like
        Probabilities along the class axis, each in 0..1; that they sum to 1 is the caller's part.
    target, axis, reduction, sample_weight, class_weight, ignore_index, label_smoothing, where
        As in `nll`.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in nats, as in `nll`.

    Raises
    ------
    ValueError
        If a number is below 0 or above 1 (by more than 8 units in the last place, as sums of
        rounded numbers may be), or as in `nll`.
    TypeError
        As in `nll`.

    Notes
    -----
    The Hessian is diagonal, s_i w y' / x^2. Within 4 ULP of the exact loss *of the probabilities
    given*. What rounding took from them is lost before: of a confident softmax that rounded to 1
    the loss is 0, though `cross_entropy` of its logits has all digits; a probability that
    underflowed to 0 costs inf and has an infinite gradient. Nothing is clipped. With logits at hand
    use `cross_entropy`, with log-probabilities `nll`.

    References
    ----------
    I. Goodfellow, Y. Bengio, A. Courville, Deep Learning (2016), section 5.5.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.categorical_cross_entropy.value_and_grad([[0.25, 0.75]], [0])
    (np.float64(1.3862943611198906), array([[-4.,  0.]]))
    >>> sg.categorical_cross_entropy([[0.0, 1.0]], [[0.0, 1.0]])
    np.float64(0.0)
    """

    name = "categorical_cross_entropy"
    takes = "probabilities"
    targets = frozenset({"indices", "probabilities"})

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
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> Entries:
        problem = prepare_loss(x, target, **options)
        entries = _entries.of_classes(problem, _entries.PROBABILITY)
        _entries.require_probabilities(entries, _most(entries.rows.dtype))
        return entries

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        if type(x) is not np.ndarray or x.dtype.char not in "fd":
            return NotImplemented
        if _native.within(x, 0.0, _most(x.dtype), True) is not True:
            return NotImplemented
        return _entries.attempt(
            _entries.PROBABILITY, mode, out, x, target, options, range_of="probabilities"
        )


def _most(dtype: np.dtype[Any]) -> float:
    """The largest number that a rounded probability may be: half precision has no finfo for all."""
    return 1.0 + 8 * (2.0**-8 if dtype.itemsize == 2 else float(np.finfo(dtype).eps))


class HingeProblem(NamedTuple):
    """A validated hinge loss of class indices."""

    problem: Problem
    margin: float

    @property
    def rows(self) -> Rows:
        return self.problem.rows

    @property
    def target(self) -> Array:
        return self.problem.target

    @property
    def reduction(self) -> str:
        return self.problem.reduction

    def run(self, mode: int, buffer: Array | None = None, cotangent: Array | None = None) -> Any:
        """The loss, its gradient, or both."""
        problem, rows = self.problem, self.rows
        if not rows.classes:
            return without_classes(rows, self.reduction, mode)
        weight, scale = weighted(problem.row_weight(), cotangent, rows, self.reduction)
        return _native.hinge_loss(
            int(mode != LOSS),
            0 if mode == GRAD else 2 if self.reduction == "none" else 1,
            rows.logits,
            self.target,
            rows.axis,
            weight,
            self.margin,
            problem.divisor(),
            scale,
            buffer,
        )

    def product(self, tangent: Array) -> Array:
        """0: the loss is linear on either side of its kinks."""
        return self._nothing(tangent.shape)

    def hessian(self) -> Array:
        """0, as the products."""
        return np.moveaxis(self._nothing(self.rows.logits.shape), self.rows.axis, -1)[
            ..., None
        ] * np.zeros(self.rows.classes, self.rows.logits.dtype)

    def _nothing(self, shape: tuple[int, ...]) -> Array:
        gradient: Array = self.run(GRAD)
        return np.where(np.isnan(gradient), gradient, gradient.dtype.type(0))

    def grad_target(self) -> Array:
        """Refused: an index has no gradient."""
        raise TargetError("multiclass_hinge takes class indices, which have no gradient.")


@final
class MulticlassHinge(RowsLoss):
    """Return the multiclass hinge loss of Crammer and Singer: by how much the best rival is close.

    loss_i = s_i w_y max(0, margin + max_{j != y} x_ij - x_iy)

    Parameters
    ----------
    x : array_like
        Scores in any shape with a class axis; any real numbers, logits for instance. float16,
        bfloat16, float32, float64, integers or booleans. Never written.
    target : array_like
        Class indices y in 0..C-1, of x's shape without the class axis.
    axis, reduction, sample_weight, class_weight, ignore_index, where
        As in `nll`.
    margin : float
        What the target's score must lead by, finite and not negative.

    Returns
    -------
    NumPy scalar or ndarray
        The loss in the unit of the scores, as in `nll`.

    Raises
    ------
    ValueError
        If the target holds probabilities, or as in `nll`.
    TypeError
        As in `nll`.

    Notes
    -----
    The gradient is s_i w_y at the best rival and minus that at the target, 0 elsewhere and where
    the loss is 0, the kink at 0 included. Of rivals that tie the first one has the gradient, which
    is one of the subgradients. The Hessian is 0. A row of one class has no rival and no loss. The
    loss is within 1 ULP of the largest of its three terms.

    References
    ----------
    K. Crammer, Y. Singer, On the Algorithmic Implementation of Multiclass Kernel-based Vector
    Machines (2001), section 3, equation 3.

    Examples
    --------
    >>> import softgrad as sg
    >>> sg.multiclass_hinge.value_and_grad([[2.0, 1.5, 0.0]], [0])
    (np.float64(0.5), array([[-1.,  1.,  0.]]))
    """

    name = "multiclass_hinge"
    takes = "values"
    targets = frozenset({"indices"})

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
        where: ArrayLike | None = None,
        margin: float = 1.0,
    ) -> Value:
        return self._value(
            x,
            target,
            axis=axis,
            reduction=reduction,
            sample_weight=sample_weight,
            class_weight=class_weight,
            ignore_index=ignore_index,
            where=where,
            margin=margin,
        )

    def _prepare(self, x: ArrayLike, target: ArrayLike, **options: Any) -> HingeProblem:
        margin = _checks.not_negative(options.pop("margin"), "margin")
        problem = prepare_loss(x, target, **options)
        if not problem.indexed:
            raise TargetError(
                "target has a floating dtype; multiclass_hinge takes class indices, of an integer "
                "dtype: target.argmax(axis) if it is one-hot."
            )
        return HingeProblem(problem, margin)

    def _attempt(
        self, mode: int, out: Array | None, x: Any, target: Any, options: Mapping[str, Any]
    ) -> Any:
        options = dict(options)
        margin = _checks.not_negative(options.pop("margin"), "margin")
        return _entries.attempt_index(_native.hinge_loss, margin, mode, out, x, target, options)


nll = NegativeLogLikelihood()
categorical_cross_entropy = CategoricalCrossEntropy()
multiclass_hinge = MulticlassHinge()
