"""The objective of softmax regression, as the solver sees it.

    F(W, b) = 1/S sum_i s_i CE(W x_i + b, y_i) + ||W||^2 / (2 C S)        S = sum_i s_i

which is scikit-learn's, divided by C S. Dense rows are standardized, x' = (x - mean) / scale, in
the kernels; so the parameters here are

    V_jk = scale_j W_kj        c_k = b_k + W_k . mean        shape (features + 1, outputs)

and the penalty is sum_jk l2_j V_jk^2 / 2 with l2_j = 1 / (C S scale_j^2): the same function in
coordinates in which its valley is round. Binary problems have one weight vector, as there.

The certificate. For any probabilities alpha_i with sum_i s_i (alpha_i - onehot(y_i)) = 0,

    F(V) - min F <= 1/S sum_i s_i KL(alpha_i || p_i(V)) + 1/2 sum_j |r_j|^2 / l2_j
    r = 1/S sum_i s_i x'_i (alpha_i - onehot(y_i))^T + l2 V

(Fenchel duality; logsumexp and negative entropy are conjugate). Taken at V = the current point plus
the Newton step d with alpha = p + (diag p - p p^T) d x', what the step makes of p to first order, r
is the residual of the Newton equation, and the bound is as small as the step is good. Without a
penalty the bound holds among weights at most ten times as large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from softgrad.estimators.preconditioners import SOLVERS, choose
from softgrad.estimators.rows import Float, Rows

_BALL = 10.0  # without a penalty: how much larger than the solution the bound looks
_MIXING = 10.0  # what constant probabilities cost, until it is known
_EASY = 4e-4  # penalty over curvature at which a path starts
_STAGE = 10.0


class Objective:
    """F with what :func:`minimize_newton` needs: derivatives, a preconditioner, a certificate."""

    def __init__(self, rows: Rows, *, C: float, fit_intercept: bool, solver: str = "auto") -> None:
        self.rows = rows
        self.n_outputs = rows.n_outputs
        self.fit_intercept = fit_intercept
        self.C = C
        self.total_weight = rows.total_weight
        self.full_l2: Float = 1.0 / (C * self.total_weight) / rows.scale**2
        self.l2 = self.full_l2
        self.solver = choose(rows) if solver == "auto" else solver
        self.preconditioner = SOLVERS[self.solver](rows)
        keeps = rows.keeps_probabilities()
        shape = (rows.n_rows, rows.n_outputs)
        self._trial_kept = np.empty(shape, np.float32) if keeps else None
        self._kept = np.empty(shape, np.float32) if keeps else None
        self._trial = self._at = self.start()
        self._trial_loss = self._loss = math.inf
        self._spent = 0.0
        self._rough = False
        self._product: Float | None = None
        self._no_gradient: Float | None = None
        self._mixing = _MIXING

    # --- value and derivatives ---------------------------------------------------------------

    def value_and_grad(self, x: Float, /) -> tuple[float, Float]:
        grad = np.zeros_like(x)
        loss = self.rows.loss_and_grad(x, grad, self._trial_kept, rough=self._rough)
        self._trial, self._trial_loss = x, loss
        grad /= self.total_weight
        grad[:-1] += self.l2[:, None] * x[:-1]
        if not self.fit_intercept:
            grad[-1] = 0.0
        return loss / self.total_weight + self._penalty(x), grad

    def __call__(self, flat: Float) -> tuple[float, Float]:
        """F and its gradient of one flat vector, for checks by finite differences."""
        x = flat.reshape(self._at.shape).copy()
        if not self.fit_intercept:
            x[-1] = 0.0
        value, grad = self.value_and_grad(x)
        return value, grad.ravel()

    def accept(self) -> None:
        self._at, self._loss = self._trial, self._trial_loss
        self._kept, self._trial_kept = self._trial_kept, self._kept

    def hessian_product(self, v: Float, /) -> Float:
        """The result is overwritten by the next call: a fresh array of this size is slow."""
        if self._product is None or self._product.shape != v.shape:
            self._product = np.empty_like(v)
        product = self._product
        # The penalty first: the pass adds its sums.
        np.multiply(v[:-1], self.l2[:, None] * self.total_weight, out=product[:-1])
        product[-1] = 0.0
        self.rows.hessian_product(v, product, self._kept, self._at)
        self._spent += 1.0
        product /= self.total_weight
        if not self.fit_intercept:
            product[-1] = 0.0
        return product

    def precondition(self, residual: Float, /) -> Float:
        z = self.preconditioner(residual)
        if not self.fit_intercept:
            z[-1] = 0.0
        return z

    def rebuild(self, *, finer: bool) -> None:
        self.preconditioner.build(self._at, self._kept, self.l2, finer=finer, spent=self._spent)
        self._spent = 0.0

    @property
    def rebuild_cost(self) -> float:
        return self.preconditioner.cost

    def _penalty(self, x: Float) -> float:
        return 0.5 * float(self.l2 @ np.einsum("jk,jk->j", x[:-1], x[:-1]))

    # --- the certificate ---------------------------------------------------------------------

    def residual_gap(self, residual: Float, /) -> float:
        mixed = self._mixing * self._share(-residual[-1]) if self.fit_intercept else 0.0
        if not self.l2.any():
            size = float(np.linalg.norm(self._at[:-1]))
            return mixed + (_BALL + 1.0) * size * float(np.linalg.norm(residual[:-1]))
        squares = np.einsum("jk,jk->j", residual[:-1], residual[:-1])
        return mixed + 0.5 * float((squares / self.l2).sum())

    def certify(self, x: Float, step: Float, /) -> tuple[float, float]:
        rows, S = self.rows, self.total_weight
        grad = np.zeros_like(x)
        log_q = np.zeros(max(2, self.n_outputs))
        divergence, loss = rows.dual(x, step, grad, log_q)
        end = x + step
        value = loss / S + self._penalty(end)
        toward = grad[:-1]
        if self.fit_intercept:
            divergence, toward = self._balance(divergence, grad, log_q)
        residual = toward / S
        residual += self.l2[:, None] * end[:-1]
        if self.l2.any():
            squares = np.einsum("jk,jk->j", residual, residual)
            return value, max(0.0, divergence / S + 0.5 * float((squares / self.l2).sum()))
        size = float(np.linalg.norm(end[:-1]))
        slack = float(np.vdot(residual, end[:-1])) + _BALL * size * float(np.linalg.norm(residual))
        return value, max(0.0, divergence / S + max(0.0, slack))

    def _balance(self, divergence: float, grad: Float, log_q: Float) -> tuple[float, Float]:
        """Mix the dual point with constant probabilities, so that its bias gradient is zero.

        The intercept has no penalty: only dual points whose classes have the weights of the data
        bound anything. The divergence is convex in alpha.
        """
        S, counts = self.total_weight, self.rows.class_weights
        excess = _of_classes(grad[-1])
        share = min(1.0, self._share(grad[-1] / S) * (1.0 + 1e-9) + 1e-15)
        q = np.maximum(counts / S - (1.0 - share) / share * excess / S, 0.0)
        q /= q.sum()
        entropy = float(q @ np.log(np.maximum(q, 1e-300)))
        constant = S * entropy - float(q @ np.where(q > 0.0, log_q, 0.0))
        self._mixing = constant / S
        if self._no_gradient is None:  # sum s x (1/K - onehot(y)), of a model without weights
            self._no_gradient = np.zeros_like(grad)
            self.rows.loss_and_grad(np.zeros_like(grad), self._no_gradient, None)
        of_outputs = q[1:] if self.n_outputs == 1 else q
        toward_q = self._no_gradient[:-1] + np.outer(
            self.rows.sum_of_rows, of_outputs - 1.0 / len(q)
        )
        return (
            (1.0 - share) * divergence + share * constant,
            (1.0 - share) * grad[:-1] + share * toward_q,
        )

    def _share(self, bias_gradient: Float) -> float:
        """Of constant probabilities, that balances a dual point with this gradient of the bias."""
        excess = self.total_weight * _of_classes(bias_gradient) / self.rows.class_weights
        return max(0.0, float(excess.max()))

    def unbounded(self) -> bool:
        """All rows on their own side, and nothing holds the weights: larger ones are better."""
        return not self.l2.any() and self._loss < math.log(2.0) * self.rows.least_weight

    # --- the path of penalties ---------------------------------------------------------------

    def path(self) -> Sequence[float]:
        """Penalties from one that is strong beside the curvature of the loss, by decades."""
        if not self.full_l2.any():
            return [1.0]
        classes = max(2, self.n_outputs)
        curvature = (1.0 - 1.0 / classes) / classes
        strength = _EASY * curvature * classes / float(np.median(self.full_l2))
        stages = max(0, math.ceil(math.log10(max(strength, 1.0)) / math.log10(_STAGE)))
        return [_STAGE**stage for stage in range(stages, -1, -1)]

    def strengthen(self, strength: float, /) -> None:
        self.l2 = self.full_l2 * strength
        self._rough = strength != 1.0

    def true_value(self, value: float, x: Float, /) -> float:
        of_stage = self._penalty(x)
        squares = np.einsum("jk,jk->j", x[:-1], x[:-1])
        return value - of_stage + 0.5 * float(self.full_l2 @ squares)

    # --- coordinates -------------------------------------------------------------------------

    def start(self) -> Float:
        """No weights, and the intercepts of the class frequencies: the best constant model."""
        x = np.zeros((self.rows.n_features + 1, self.n_outputs))
        if self.fit_intercept:
            counts = self.rows.class_weights
            logs = np.log(counts + counts.mean() / len(counts))
            x[-1] = logs[1:] - logs[0] if self.n_outputs == 1 else logs - logs.mean()
        return x

    def parameters(self, coef: Float, intercept: Float) -> Float:
        """Weights (outputs, features) and intercepts as the solver's array."""
        x = np.empty((self.rows.n_features + 1, self.n_outputs))
        x[:-1] = (coef * self.rows.scale).T
        x[-1] = intercept + coef @ self.rows.mean if self.fit_intercept else 0.0
        return x

    def coef_intercept(self, x: Any) -> tuple[Float, Float]:
        """The solver's array as weights (outputs, features) and intercepts (outputs,)."""
        coef = np.ascontiguousarray((x[:-1] / self.rows.scale[:, None]).T)
        if not self.fit_intercept:
            return coef, np.zeros(self.n_outputs)
        return coef, x[-1] - coef @ self.rows.mean


def _of_classes(bias: Float) -> Float:
    """A number for each output as one for each class: a binary model has one for its second."""
    return bias if len(bias) > 1 else np.array([-bias[0], bias[0]])
