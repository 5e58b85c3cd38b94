"""Softmax regression (multinomial logistic regression) with scikit-learn's API and objective."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from softgrad.errors import InputError
from softgrad.estimators.convergence import explain, relative_gap
from softgrad.estimators.moments import LARGEST, too_large
from softgrad.estimators.objective import Objective
from softgrad.estimators.onnx_export import OnnxMixin
from softgrad.estimators.partial_fit import PartialFitMixin
from softgrad.estimators.preconditioners import SOLVERS
from softgrad.estimators.rows import MemoryRows, Rows
from softgrad.functions._one_thread_each import blas_on_one_thread
from softgrad.functions.linear import linear_logits
from softgrad.functions.softmax import log_softmax, softmax
from softgrad.optimize import Iterate, Solution, Status, minimize_newton

Float = npt.NDArray[np.float64]

_DTYPES = [np.float64, np.float32, np.uint8]  # used as they are; everything else becomes float64


@dataclass(frozen=True)
class FitProgress:
    """What ``callback`` receives after each iteration.

    ``gap`` is the relative distance to the optimum, an estimate unless ``certified``; NaN on the
    way along a path of penalties.
    """

    iteration: int
    evaluations: int
    objective: float
    gap: float
    certified: bool
    coef: Float
    intercept: Float
    seconds: float


class SoftmaxRegression(OnnxMixin, PartialFitMixin, ClassifierMixin, BaseEstimator):
    """Softmax regression: a linear classifier that gives probabilities.

    Minimizes scikit-learn's ``LogisticRegression`` objective with the L2 penalty,

        C * sum_i s_i * cross_entropy(W x_i + b, y_i)  +  1/2 ||W||^2

    (the intercept b is not penalized), by a Newton method that proves how far from the minimum it
    stopped. Scaled or unscaled features, C small or large: the answer is the optimum to ``tol``, or
    a warning that says how far away it is. The logits of all rows never exist at once; float32,
    float64, uint8 and SciPy CSR matrices are read in blocks and never copied whole.

    Parameters
    ----------
    C : float, default 1.0
        Inverse strength of the penalty. ``inf`` is the same as ``penalty=None``.
    penalty : "l2" or None, default "l2"
    fit_intercept : bool, default True
    class_weight : dict, "balanced" or None
        Weight of each class; "balanced" weighs classes by ``n / (K * count)``.
    tol : float, default 1e-6
        Stop when the objective is proven to be within this share of its minimum.
    max_iter : int, default 1000
        Newton iterations.
    solver : "auto", "newton-full", "newton-blocks" or "newton-diagonal"
        How the Newton equations are preconditioned: by the full Hessian (few parameters), by one
        block for each class (dense rows), or by the diagonal (sparse rows, thousands of features or
        classes). "auto" chooses by the shape of the data. The answer is the same.
    warm_start : bool, default False
        Start from the coefficients of the previous fit.
    verbose : int, default 0
        1 prints a line for each iteration.
    callback : callable or None
        Called with a :class:`FitProgress` after each iteration.

    Attributes
    ----------
    classes_ : array (K,)
    coef_ : array (K, D), or (1, D) for two classes
    intercept_ : array (K,), or (1,) for two classes
    n_features_in_, feature_names_in_
        As everywhere in scikit-learn.
    n_iter_ : int
        Iterations of the solver.
    objective_ : float
        The mean objective at the solution: the sum above, divided by ``C * sum_i s_i``.
    gap_ : float
        Proven bound on ``(objective_ - minimum) / objective_``; without a penalty, among weights up
        to ten times as large. An estimate where ``solution_.certified`` is false, and NaN where the
        fit was stopped on its way through stronger penalties.
    solver_ : str
        The solver that "auto" chose.
    solution_ : Solution
        Why the solver stopped, and the figures.

    Notes
    -----
    An interrupted fit (Ctrl-C) keeps the best coefficients so far in these attributes and then
    raises ``KeyboardInterrupt`` again.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> import softgrad as sg
    >>> X, y = load_iris(return_X_y=True)
    >>> sg.SoftmaxRegression().fit(X, y).predict_proba(X[:1]).round(3)
    array([[0.982, 0.018, 0.   ]])
    """

    classes_: npt.NDArray[Any]
    coef_: Float
    intercept_: Float
    n_features_in_: int
    feature_names_in_: npt.NDArray[Any]
    n_iter_: int
    objective_: float
    gap_: float
    solver_: str
    solution_: Solution

    def __init__(
        self,
        C: float = 1.0,
        *,
        penalty: Literal["l2"] | None = "l2",
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        solver: Literal["auto", "newton-full", "newton-blocks", "newton-diagonal"] = "auto",
        warm_start: bool = False,
        verbose: int = 0,
        callback: Callable[[FitProgress], object] | None = None,
    ) -> None:
        self.C = C
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.solver = solver
        self.warm_start = warm_start
        self.verbose = verbose
        self.callback = callback

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to rows ``X`` with labels ``y``.

        Parameters
        ----------
        X : array, CSR matrix or data frame (N, D); or batches
            Rows of numbers. A memory-mapped array is read in place. Without ``y``: data larger than
            memory, as :mod:`softgrad.data.batches` reads them from Parquet, CSV and NPZ files, or
            any object that can be iterated again and again and gives ``(X, y)`` or ``(X, y,
            sample_weight)``. Memory then does not grow with the number of rows, every pass reads
            the source once, and the optimum is the same.
        y : array (N,)
        sample_weight : array (N,) or None
            Not negative.

        Raises
        ------
        ValueError
            For one class only, for NaN and infinities, for options out of range.
        """
        started = time.perf_counter()

        def report(iterate: Iterate) -> None:
            gap = iterate.gap / abs(iterate.value) if iterate.value else iterate.gap
            if self.verbose:
                distance = f"{gap:.1e} ({'proven' if iterate.certified else 'estimate'})"
                if np.isnan(gap):
                    distance = "not known (easier problem: stronger penalty)"
                print(
                    f"iteration {iterate.iteration:4d}  objective {iterate.value:.8g}"
                    f"  gap {distance}"
                )
            if self.callback is not None:
                coef, intercept = objective.coef_intercept(iterate.x)
                self.callback(
                    FitProgress(
                        iterate.iteration,
                        iterate.evaluations,
                        iterate.value,
                        gap,
                        iterate.certified,
                        coef,
                        intercept,
                        time.perf_counter() - started,
                    )
                )

        with blas_on_one_thread():  # the same bits with any number of threads
            objective = self._objective(X, y, sample_weight)
            solution = minimize_newton(
                objective,
                self._start(objective),
                tol=float(self.tol),
                max_iter=int(self.max_iter),
                callback=report if self.verbose or self.callback is not None else None,
            )
        self.coef_, self.intercept_ = objective.coef_intercept(solution.x)
        self.n_iter_ = solution.iterations
        self.objective_ = solution.value
        self.gap_ = relative_gap(solution)
        self.solver_ = objective.solver
        self.solution_ = solution
        self._fitted_weight = objective.total_weight  # for partial_fit, should it go on from here
        if solution.status is Status.INTERRUPTED:
            raise KeyboardInterrupt
        if not solution.converged:
            message = explain(solution, tol=self.tol, penalized=np.isfinite(objective.C))
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def objective(self, X: Any, y: Any, sample_weight: Any = None) -> Objective:
        """The function that :meth:`fit` would minimize, for instance to check its gradient."""
        return self._unfitted_copy()._objective(X, y, sample_weight)

    def _unfitted_copy(self) -> SoftmaxRegression:
        return type(self)(**self.get_params(deep=False))

    def _objective(self, X: Any, y: Any, sample_weight: Any) -> Objective:
        self._check_parameters()
        if y is None and _are_batches(X):
            return self._streamed_objective(X, sample_weight)
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=_DTYPES, order="C")
        self.classes_, target = _classes_and_positions(y)
        n_classes = len(self.classes_)
        if y.dtype.kind not in "iu" or 4 * n_classes > len(y):  # looks at every label once more
            check_classification_targets(y)
        _check_classes(self.classes_)
        if sample_weight is not None or self.class_weight is not None:
            sample_weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        if self.class_weight is not None:
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=y, sample_weight=sample_weight
            )
            sample_weight = sample_weight * by_class[target]
        if not isinstance(X, np.ndarray) and X.dtype == np.uint8:
            X = X.astype(np.float32)
        rows = MemoryRows(
            X,
            target.astype(np.int64, copy=False),
            n_classes,
            sample_weight=sample_weight,
            centre=self.fit_intercept,
        )
        return self._objective_of(rows)

    def _streamed_objective(self, batches: Any, sample_weight: Any) -> Objective:
        from softgrad.data.batches import as_batches
        from softgrad.estimators.streamed_rows import StreamedRows

        if sample_weight is not None:
            raise ValueError(
                "sample_weight was given beside batches, which bring their own: give batches of"
                " (X, y, sample_weight)."
            )
        rows = StreamedRows(
            as_batches(batches), class_weight=self.class_weight, centre=self.fit_intercept
        )
        self.classes_ = rows.summary.classes
        _check_classes(self.classes_)
        self.n_features_in_ = rows.n_features
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if rows.summary.feature_names is not None:
            self.feature_names_in_ = np.array(rows.summary.feature_names, dtype=object)
        return self._objective_of(rows)

    def _objective_of(self, rows: Rows) -> Objective:
        without = rows.class_weights == 0.0
        if without.any():
            raise ValueError(
                f"SoftmaxRegression: all rows of class {_shown(self.classes_[without][0])} have the"
                " weight 0. Leave these rows out, or give them a weight."
            )
        large = too_large(rows.size)
        if large is not None:
            names = getattr(self, "feature_names_in_", None)
            which = f"feature {large}" if names is None else f"feature {str(names[large])!r}"
            raise InputError(
                f"SoftmaxRegression: {which} has values beyond {LARGEST:.0e}, whose squares are out"
                " of float64's range. Do they stand for missing values? Replace them, or divide the"
                " feature by its size."
            )
        return Objective(
            rows,
            C=np.inf if self.penalty is None else float(self.C),
            fit_intercept=self.fit_intercept,
            solver=self.solver,
        )

    def _check_parameters(self) -> None:
        if not (_is_a(Real, self.C) and self.C > 0):
            raise ValueError(f"C must be a number above 0 (inf: no penalty), but is {self.C!r}.")
        if self.penalty not in ("l2", None):
            raise ValueError(f"penalty must be 'l2' or None, but is {self.penalty!r}.")
        if not (_is_a(Real, self.tol) and self.tol >= 0):
            raise ValueError(f"tol must be a number, 0 or more, but is {self.tol!r}.")
        if self.solver != "auto" and self.solver not in SOLVERS:
            raise ValueError(
                f"solver must be 'auto' or one of {', '.join(SOLVERS)}, but is {self.solver!r}."
            )
        if not (_is_a(Integral, self.max_iter) and self.max_iter >= 0):
            raise ValueError(f"max_iter must be an integer, 0 or more, but is {self.max_iter!r}.")

    def _start(self, objective: Objective) -> Float:
        if not (self.warm_start and hasattr(self, "coef_")):
            return objective.start()
        expected = (objective.n_outputs, objective.rows.n_features)
        if self.coef_.shape != expected:
            raise ValueError(
                f"warm_start: the previous fit has coefficients of shape {self.coef_.shape}, but"
                f" this data needs {expected}. Fit with warm_start=False, or on the same classes."
            )
        return objective.parameters(self.coef_, self.intercept_)

    def decision_function(self, X: Any) -> Float:
        """Logits (N, K); for two classes the logit of the second, shape (N,)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=_DTYPES, reset=False)
        logits = linear_logits(X, self.coef_, self.intercept_)
        return logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class of every row."""
        logits = self.decision_function(X)
        index = (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(axis=1)
        predicted: npt.NDArray[Any] = self.classes_[index]
        return predicted

    def predict_proba(self, X: Any) -> Float:
        """Probabilities (N, K), in the order of ``classes_``."""
        probabilities: Float = softmax(self._logits(X))
        return probabilities

    def predict_log_proba(self, X: Any) -> Float:
        """Log-probabilities (N, K), computed in log space: no probability is too small."""
        log_probabilities: Float = log_softmax(self._logits(X))
        return log_probabilities

    def _logits(self, X: Any) -> Float:
        logits = self.decision_function(X)
        return logits if logits.ndim == 2 else np.column_stack((np.zeros_like(logits), logits))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _are_batches(X: Any) -> bool:
    """Not an array, a matrix, a data frame or a list of rows, but something that gives pairs."""
    from softgrad.data.batches import Batches

    if isinstance(X, Batches):
        return True
    if hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, str | bytes):
        return False
    if not isinstance(X, list | tuple):
        return isinstance(X, Iterable)
    return len(X) > 0 and all(
        isinstance(item, tuple) and len(item) in (2, 3) and len(np.shape(item[0])) == 2
        for item in X
    )


def _classes_and_positions(y: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]]:
    """``np.unique`` with the inverse; for whole numbers close together by a table, not by sorting.

    Sorting half a million labels takes as long as a pass of the solver over all their features.
    """
    if y.dtype.kind in "iu":
        low, high = int(y.min()), int(y.max())
        if abs(low) < 1 << 62 and high - low < len(y):
            place = y.astype(np.int64) - low
            present = np.zeros(high - low + 1, bool)
            present[place] = True
            classes = (np.flatnonzero(present) + low).astype(y.dtype)
            return classes, (np.cumsum(present) - 1)[place]
    return np.unique(y, return_inverse=True)


def _check_classes(classes: npt.NDArray[Any]) -> None:
    if len(classes) < 2:
        raise ValueError(
            f"SoftmaxRegression needs at least 2 classes, but y holds only one class:"
            f" {_shown(classes[0])}. Check that y is the label column and was not filtered."
        )


def _shown(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
