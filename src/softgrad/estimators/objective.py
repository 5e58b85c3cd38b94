"""The objective of softmax regression, in coordinates in which a solver does well.

    F(W, b) = 1/S sum_i s_i CE(W x_i + b, y_i) + ||W||^2 / (2 C S)        S = sum_i s_i

which is scikit-learn's, divided by C S. Features in kilograms beside features in nanograms make F
a narrow valley, and L-BFGS crawls. So the solver sees other coordinates of the same function:

    V_kj = t_j W_kj     t_j = sqrt(h var_j + 1 / (C S))     the square root of F's curvature
    c_k  = sqrt(h) (b_k + W_k . mean)                        the intercept at the centre of the data

with h = (1 - 1/K) / K, the curvature of the loss when all K classes are equally likely. Nothing is
rescaled in the data and the minimum is the same; only the path to it is shorter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.functions.linear import linear_cross_entropy

Float = npt.NDArray[np.float64]

_ROUNDING = 1e-13


class Objective:
    """F as a function of one flat vector, for a solver; and the way back to W and b.

    Binary problems have one weight vector (K = 2, one row in W), as in scikit-learn.
    """

    def __init__(
        self,
        X: Any,
        target: npt.NDArray[np.int64],
        n_classes: int,
        *,
        sample_weight: Float | None,
        C: float,
        fit_intercept: bool,
    ) -> None:
        self.X = X
        self.target = target
        self.n_outputs = 1 if n_classes == 2 else n_classes
        self.sample_weight = sample_weight
        self.fit_intercept = fit_intercept
        self.C = C
        self.total_weight = float(X.shape[0] if sample_weight is None else sample_weight.sum())
        self.l2 = 1.0 / (C * self.total_weight)

        mean, variance = _moments(X, sample_weight, self.total_weight, centre=fit_intercept)
        curvature = (1.0 - 1.0 / n_classes) / n_classes
        # A deviation below the rounding of the mean is a constant feature's.
        variance = np.where(variance > (_ROUNDING * mean) ** 2, variance, 0.0)
        scale = np.sqrt(curvature * variance + self.l2)
        self.scale = np.where(scale > 0.0, scale, 1.0)  # a constant feature without a penalty
        self.intercept_scale = float(np.sqrt(curvature))
        self.mean = mean if fit_intercept else None

    def __call__(self, parameters: Float) -> tuple[float, Float]:
        """F and its gradient."""
        V, c = self._split(parameters)
        W = V / self.scale
        bias = c / self.intercept_scale
        loss, grad_W, grad_bias = linear_cross_entropy(
            self.X, W, bias, self.target, sample_weight=self.sample_weight, shift=self.mean
        )
        value = loss / self.total_weight + 0.5 * self.l2 * float(np.vdot(W, W))
        grad_W /= self.total_weight
        grad_W += self.l2 * W
        grad_W /= self.scale
        if not self.fit_intercept:
            return value, grad_W.ravel()
        grad_bias /= self.total_weight * self.intercept_scale
        return value, np.concatenate((grad_W.ravel(), grad_bias))

    def start(self) -> Float:
        """No weights, and the intercepts of the class frequencies: the best constant model."""
        n_classes = max(2, self.n_outputs)
        counts = np.bincount(self.target, self.sample_weight, minlength=n_classes)
        log_counts = np.log(counts + counts.mean() / n_classes)
        if self.n_outputs == 1:
            intercept = log_counts[1:] - log_counts[0]
        else:
            intercept = log_counts - log_counts.mean()
        return self.parameters(np.zeros((self.n_outputs, self.X.shape[1])), intercept)

    def parameters(self, coef: Float, intercept: Float) -> Float:
        """Weights and intercept as the solver's vector."""
        V = coef * self.scale
        if self.mean is None:
            return V.ravel()
        return np.concatenate((V.ravel(), (intercept + coef @ self.mean) * self.intercept_scale))

    def coef_intercept(self, parameters: Float) -> tuple[Float, Float]:
        """The solver's vector as weights (n_outputs, D) and intercept (n_outputs,)."""
        V, c = self._split(parameters)
        W = V / self.scale
        if self.mean is None:
            return W, np.zeros(self.n_outputs)
        return W, c / self.intercept_scale - W @ self.mean

    def _split(self, parameters: Float) -> tuple[Float, Float]:
        n_weights = self.n_outputs * self.X.shape[1]
        V = parameters[:n_weights].reshape(self.n_outputs, -1)
        return V, parameters[n_weights:] if self.fit_intercept else np.zeros(self.n_outputs)


def _moments(
    X: Any, sample_weight: Float | None, total_weight: float, *, centre: bool
) -> tuple[Float, Float]:
    """Weighted mean and variance of every feature; about zero where ``centre`` is false."""
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight
    weight = weight / total_weight
    mean = np.zeros(X.shape[1])
    if not isinstance(X, np.ndarray):
        squares = X.multiply(X)
        if centre:
            mean = np.asarray(X.T @ weight).ravel()
        return mean, np.maximum(np.asarray(squares.T @ weight).ravel() - mean**2, 0.0)
    block = 4096
    starts = range(0, X.shape[0], block)
    if centre:
        for start in starts:
            mean += weight[start : start + block] @ X[start : start + block].astype(np.float64)
    variance = np.zeros(X.shape[1])
    for start in starts:
        deviation = X[start : start + block] - mean
        np.square(deviation, out=deviation)
        variance += weight[start : start + block] @ deviation
    return mean, variance
