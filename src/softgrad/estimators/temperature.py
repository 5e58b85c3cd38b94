"""Temperature scaling: one number that makes a classifier as sure as it is right.

    p = softmax(beta * z)        beta = 1 / T

with z the logits of any classifier (log-probabilities, where it has nothing else) and beta the
minimum of the mean cross-entropy on rows that took no part in training,

    f(beta) = sum_i s_i CE(beta z_i, y_i) / sum_i s_i

which is convex in beta: f' = mean of sum_k (p_k - y_k) z_k, f'' = mean of the variance of z under
p. The classes that win do not change.
"""

from __future__ import annotations

import enum
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.metaestimators import _safe_split  # knows kernels, whose columns are rows, too
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_is_fitted,
    has_fit_parameter,
)

from softgrad.errors import ShapeError
from softgrad.functions.losses import cross_entropy
from softgrad.functions.softmax import log_softmax, softmax

Float = npt.NDArray[np.float64]

_LEAST, _MOST = 1e-4, 1e4  # of beta relative to logits of deviation one
_ITERATIONS = 100


class TemperatureStatus(enum.Enum):
    """Why the search for the temperature ended."""

    OPTIMAL = "the derivative vanishes in double precision"
    SEPARABLE = "every row is right, so any lower temperature is better"
    UNINFORMATIVE = "the logits say nothing about the labels, or the opposite"


@dataclass(frozen=True)
class TemperatureFit:
    """The temperature and the proof that it is the best.

    ``gap`` bounds how far ``loss`` (the mean cross-entropy, in nats) lies above its minimum over
    all temperatures that are searched; ``derivative`` is that of the loss by log T;
    ``loss_before`` is the loss at temperature 1.
    """

    temperature: float
    loss: float
    loss_before: float
    derivative: float
    gap: float
    iterations: int
    status: TemperatureStatus


def fit_temperature(
    logits: npt.ArrayLike, target: npt.ArrayLike, *, sample_weight: npt.ArrayLike | None = None
) -> TemperatureFit:
    """The temperature with the least mean cross-entropy of ``logits / T``.

    Newton's method on log(1/T), kept inside a bracket of the root of the derivative (which is
    monotone in 1/T, so that a step out of the bracket is replaced by bisection) until the bracket
    or the derivative is at the limit of double precision.

    Parameters
    ----------
    logits : array (N, K) of float32 or float64
        -inf is allowed for classes that are impossible, unless one is the target.
    target : array (N,) of integers
        Class positions.
    sample_weight : array (N,) or None

    Returns
    -------
    TemperatureFit

    Raises
    ------
    TargetError, WeightError
        As :func:`softgrad.cross_entropy`.
    ShapeError
        A logit of -inf for the class of a row.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.estimators.temperature import fit_temperature
    >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    >>> round(fit_temperature(logits, [0, 0, 1, 1]).temperature, 4)  # right in 3 of 4: 9 / log 3
    8.1922
    """
    z = np.asarray(logits, dtype=np.float64)
    y = np.asarray(target, dtype=np.int64)
    impossible = np.isneginf(z[np.arange(len(y)), y])
    if impossible.any():
        raise ShapeError(
            f"Row {int(np.argmax(impossible)) + 1} has the logit -inf for its own class: no"
            " temperature helps. Give every class a finite logit."
        )
    # The maximum at zero: f and its derivatives do not change, and beta z cannot overflow.
    z = z - z.max(axis=1, keepdims=True)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    finite = np.where(np.isfinite(z), z, 0.0)
    unit = float(np.sqrt(np.mean(np.square(finite))))  # so that the range has no unit
    if unit == 0.0:
        loss, _, _ = _derivatives(1.0, z, y, weight, finite)
        return TemperatureFit(1.0, loss, loss, 0.0, 0.0, 0, TemperatureStatus.UNINFORMATIVE)

    low, high = math.log(_LEAST / unit), math.log(_MOST / unit)
    before, _, _ = _derivatives(1.0, z, y, weight, finite)
    at = min(max(0.0, low), high)
    status = TemperatureStatus.OPTIMAL
    for end, sign, reason in (
        (low, 1.0, TemperatureStatus.UNINFORMATIVE),
        (high, -1.0, TemperatureStatus.SEPARABLE),
    ):
        loss, slope, _ = _derivatives(math.exp(end), z, y, weight, finite)
        if sign * slope >= 0.0:  # the minimum lies at or beyond this end
            beta = math.exp(end)
            status = reason
            # Losses are not negative; and f(beta) - f(0) <= beta f'(beta) for a convex f.
            gap = loss if reason is TemperatureStatus.SEPARABLE else abs(slope) * beta
            return TemperatureFit(1 / beta, loss, before, -slope * beta, gap, 0, status)

    iteration, gap = 0, math.inf
    while iteration < _ITERATIONS:
        iteration += 1
        beta = math.exp(at)
        loss, slope, curvature = _derivatives(beta, z, y, weight, finite)
        if slope > 0.0:
            high = at
        else:
            low = at
        # Convexity: f(beta*) >= f(beta) + f'(beta) (beta* - beta), and beta* lies in the bracket.
        reach = (beta - math.exp(low)) if slope > 0.0 else (math.exp(high) - beta)
        gap = abs(slope) * reach
        # In t = log beta: f_t = beta f', f_tt = beta f' + beta^2 f'', which may be negative.
        second = beta * slope + beta * beta * curvature
        step = -beta * slope / second if second > 0.0 else math.inf
        if slope == 0.0 or abs(step) <= 1e-14 or high - low <= 1e-14:
            break
        at = at + step if low < at + step < high else 0.5 * (low + high)
    return TemperatureFit(1 / beta, loss, before, -slope * beta, gap, iteration, status)


def _derivatives(
    beta: float,
    z: Float,
    target: npt.NDArray[np.int64],
    weight: Float | None,
    direction: Float,
) -> tuple[float, float, float]:
    """f, f' and f'' at beta; ``direction`` is z with 0 for -inf."""
    logits = beta * z
    loss, grad = cross_entropy.value_and_grad(logits, target, sample_weight=weight)
    turned = cross_entropy.hvp(logits, target, direction, sample_weight=weight)
    slope = math.fsum((grad * direction).sum(axis=1))
    return float(loss), slope, max(0.0, math.fsum((turned * direction).sum(axis=1)))


class TemperatureScaling(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Calibrates the probabilities of any classifier by one temperature.

    The logits of the classifier (``decision_function`` where it gives one number per class, else
    ``predict_log_proba`` or the logarithm of ``predict_proba``) are divided by a temperature T that
    minimizes the cross-entropy on rows which the classifier was not trained on. Predictions do not
    change; probabilities do.

    Parameters
    ----------
    estimator : classifier or None
        None: ``LogisticRegression()``. With ``cv="prefit"`` it is taken as it is.
    cv : int, splitter, iterable or "prefit", default None
        How to hold out rows: logits of each fold come from a copy trained on the others, one
        temperature is fitted to all of them, and the classifier that predicts is trained on all
        rows. None: five folds. "prefit": the estimator is fitted, all rows given to ``fit`` are for
        the temperature.
    n_jobs : int or None
        Folds to train at the same time.

    Attributes
    ----------
    classes_ : array (K,)
    estimator_ : classifier
        The one that predicts.
    temperature_ : float
        Above 1: the classifier was too sure of itself.
    fit_ : TemperatureFit
        Loss before and after, and a bound on the distance to the best temperature.
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn, where the estimator has them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> import softgrad as sg
    >>> X, y = load_iris(return_X_y=True)
    >>> model = sg.TemperatureScaling(GaussianNB()).fit(X, y)
    >>> round(model.temperature_, 2)
    1.75
    """

    classes_: npt.NDArray[Any]
    estimator_: Any
    temperature_: float
    fit_: TemperatureFit

    def __init__(
        self,
        estimator: Any = None,
        *,
        cv: int | Literal["prefit"] | Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Fit the temperature (and, unless prefit, the classifier) to rows ``X``, labels ``y``.

        Parameters
        ----------
        X : what the classifier takes
        y : array (N,)
        sample_weight : array (N,) or None
            Weighs the temperature's loss, and the classifier's rows where it takes weights.
        **fit_params
            For the classifier's ``fit``.

        Raises
        ------
        ValueError
            Labels that the prefit classifier does not know, no logits, classes with fewer rows than
            folds.
        """
        if y is None:
            raise ValueError("TemperatureScaling requires y to be passed, but the target y is None")
        estimator = LogisticRegression() if self.estimator is None else self.estimator
        if not is_classifier(estimator):
            raise ValueError(
                f"TemperatureScaling needs a classifier, but {type(estimator).__name__} is none."
            )
        X, y = indexable(X, y)
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] == 1:
            from sklearn.utils import column_or_1d

            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        if isinstance(self.cv, str) and self.cv == "prefit":
            logits = self._prefit_logits(X, y)
        else:
            logits = self._held_out_logits(X, y, sample_weight, fit_params)
        target = self._positions(y)
        self.fit_ = fit_temperature(logits, target, sample_weight=sample_weight)
        self.temperature_ = self.fit_.temperature
        if self.fit_.status is not TemperatureStatus.OPTIMAL:
            warnings.warn(
                f"TemperatureScaling ended at temperature {self.temperature_:.3g}, the end of its"
                f" range: {self.fit_.status.value}. Give more rows that the classifier was not"
                " trained on.",
                ConvergenceWarning,
                stacklevel=2,
            )
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def _prefit_logits(self, X: Any, y: npt.NDArray[Any]) -> Float:
        if self.estimator is None:
            raise ValueError('cv="prefit" needs a fitted estimator, but estimator is None.')
        try:
            check_is_fitted(self.estimator)
        except NotFittedError as error:
            raise NotFittedError(
                f'cv="prefit" needs a fitted estimator, but {type(self.estimator).__name__} is not.'
                " Fit it first, or choose another cv."
            ) from error
        self.estimator_ = self.estimator
        self.classes_ = np.asarray(self.estimator.classes_)
        return class_logits(self.estimator, X)

    def _held_out_logits(
        self, X: Any, y: npt.NDArray[Any], sample_weight: Any, fit_params: dict[str, Any]
    ) -> Float:
        estimator = LogisticRegression() if self.estimator is None else self.estimator
        self.classes_ = np.unique(y)
        cv = check_cv(self.cv, y, classifier=True)
        folds = getattr(cv, "n_splits", None)
        if (isinstance(folds, int) and self.cv is None) or isinstance(self.cv, int):
            counts = np.unique(y, return_counts=True)[1]
            if counts.min() < folds:
                raise ValueError(
                    f"Requesting {folds}-fold cross-validation but provided less than {folds}"
                    " examples for at least one class. Give more rows, or a smaller cv."
                )
        takes_weights = has_fit_parameter(estimator, "sample_weight")
        if sample_weight is not None and not takes_weights:
            warnings.warn(
                f"{type(estimator).__name__} takes no sample_weight: the weights count for the"
                " temperature only.",
                stacklevel=3,
            )

        def fitted(rows: Any) -> Any:
            named = {key: _chosen(value, rows, y) for key, value in fit_params.items()}
            if sample_weight is not None and takes_weights:
                named["sample_weight"] = sample_weight if rows is None else sample_weight[rows]
            part = (X, y) if rows is None else _safe_split(estimator, X, y, rows)
            return clone(estimator).fit(*part, **named)

        def one_fold(train: Any, test: Any) -> tuple[Any, Float]:
            model = fitted(train)
            logits = np.full((len(test), len(self.classes_)), -np.inf)
            known = np.searchsorted(self.classes_, model.classes_)
            held_out, _ = _safe_split(estimator, X, y, test, train)
            logits[:, known] = class_logits(model, held_out)
            return test, logits

        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(one_fold)(train, test) for train, test in cv.split(X, y)
        )
        logits = np.full((_num_samples(X), len(self.classes_)), np.nan)
        for test, values in parts:
            logits[test] = _floored(values)
        if np.isnan(logits).any():
            raise ValueError("The folds of cv leave out some rows. Use folds that cover all rows.")
        self.estimator_ = fitted(None)
        return logits

    def _positions(self, y: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        position = np.minimum(np.searchsorted(self.classes_, y), len(self.classes_) - 1)
        unknown = self.classes_[position] != y
        if unknown.any():
            raise ValueError(
                f"y holds the label {y[unknown][0].item()!r}, which the estimator does not know."
                " Calibrate on rows of the classes that it was trained on."
            )
        return position.astype(np.int64)

    def decision_function(self, X: Any) -> Float:
        """Logits divided by the temperature (N, K); for two classes their difference (N,)."""
        logits = self._scaled(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class of every row (N,): that of the classifier itself."""
        check_is_fitted(self)
        predicted: npt.NDArray[Any] = self.classes_[self._scaled(X).argmax(axis=1)]
        return predicted

    def predict_proba(self, X: Any) -> Float:
        """Calibrated probabilities (N, K), in the order of ``classes_``."""
        probabilities: Float = softmax(self._scaled(X))
        return probabilities

    def predict_log_proba(self, X: Any) -> Float:
        """Their logarithms (N, K), computed in log space."""
        log_probabilities: Float = log_softmax(self._scaled(X))
        return log_probabilities

    def _scaled(self, X: Any) -> Float:
        check_is_fitted(self)
        return class_logits(self.estimator_, X) / self.temperature_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = LogisticRegression() if self.estimator is None else self.estimator
        inner = get_tags(estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.input_tags.pairwise = inner.input_tags.pairwise
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        return tags


def class_logits(estimator: Any, X: Any) -> Float:
    """Logits (N, K) of a fitted classifier: ``decision_function``, else log-probabilities.

    Scores of one class against the rest (LinearSVC) are taken as logits, too: the temperature gives
    them a unit. A probability of zero counts as the rounding error of one.
    """
    n_classes = len(estimator.classes_)
    if hasattr(estimator, "decision_function"):
        logits = np.asarray(estimator.decision_function(X), dtype=np.float64)
        if logits.ndim == 1 and n_classes == 2:
            return np.column_stack((np.zeros_like(logits), logits))
        if logits.ndim == 2 and logits.shape[1] == n_classes:
            return logits
    if hasattr(estimator, "predict_log_proba"):
        with np.errstate(divide="ignore"):  # the logarithm of a probability of zero is right
            return _floored(np.asarray(estimator.predict_log_proba(X), dtype=np.float64))
    if hasattr(estimator, "predict_proba"):
        with np.errstate(divide="ignore"):
            return _floored(np.log(np.asarray(estimator.predict_proba(X), dtype=np.float64)))
    raise ValueError(
        f"{type(estimator).__name__} has neither decision_function nor predict_proba with one"
        f" column for each of its {n_classes} classes. Choose a classifier that has."
    )


def _floored(logits: Float) -> Float:
    """-inf raised to what a probability at the rounding error of one has, or the row's least."""
    least = np.min(logits, axis=1, keepdims=True, where=np.isfinite(logits), initial=np.inf)
    floor = np.minimum(least, logits.max(axis=1, keepdims=True) + np.log(np.finfo(float).eps))
    floored: Float = np.where(np.isneginf(logits), floor, logits)
    return floored


def _chosen(value: Any, rows: Any, y: Any) -> Any:
    if rows is None or not hasattr(value, "__len__") or len(value) != len(y):
        return value
    return _safe_indexing(value, rows)
