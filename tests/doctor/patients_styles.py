"""Mistakes that are easily taken for another one, or that show in one style only."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.doctor.patients import log_softmax, one_hot, patient, softmax


@patient("softmax", 9)
def softmax_of_lists_one_max(x):
    """Plain Python raises ZeroDivisionError where NumPy says NaN."""
    top = max(v for row in x for v in row)
    out = []
    for row in x:
        e = [math.exp(v - top) for v in row]
        out.append([v / sum(e) for v in e])
    return out


@patient("log_softmax", 10)
def log_softmax_lse_without_keepdims(x):
    return x - scipy.special.logsumexp(x, axis=1)


@patient("cross_entropy", 10)
def cross_entropy_sum_and_max_lost(x, y):
    """Two rows of three are a broadcasting error, not the logarithm of 0."""
    log_p = x - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)) - x.max(1)
    return -log_p[np.arange(len(y)), y].mean()


@patient("binary_cross_entropy", 11)
def bce_softplus_overflows(x, y):
    return (np.log(1 + np.exp(x)) - x * y).mean()


@patient("binary_cross_entropy", 12)
def bce_clipped(x, y):
    x = np.clip(x, -20, 20)
    return (np.logaddexp(0, x) - x * y).mean()


@patient("softmax", 12)
def softmax_clipped_far_out(x):
    return softmax(np.clip(x, -700, 700))


@patient("softmax_layer_grad", 8)
def layer_grad_wrong_axis(X, W, b, y):
    """Its db is 0 wherever each class occurs once."""
    d = scipy.special.softmax(X @ W + b, axis=0) - one_hot(y, W.shape[1])
    return X.T @ d / len(y), d.sum(axis=0) / len(y)


@patient("nll", 16)
def nll_of_what_is_called_probs(probs, y):
    return -probs[np.arange(len(y)), y].mean()


@patient("softmax_jacobian", 30)
def softmax_jacobian_numeric_float32(x):
    x, h = x.astype(np.float32), np.float32(1e-4)
    J = np.zeros((*x.shape, x.shape[1]), np.float32)
    for j in range(x.shape[1]):
        up, down = x.copy(), x.copy()
        up[:, j] += h
        down[:, j] -= h
        J[:, :, j] = (softmax(up) - softmax(down)) / (2 * h)
    return J


@patient("softmax_layer_grad", 30)
def layer_grad_numeric_float32(X, W, b, y):
    X, W, b = (v.astype(np.float32) for v in (X, W, b))

    def loss(W, b):
        return -log_softmax(X @ W + b)[np.arange(len(y)), y].mean(dtype=np.float32)

    found = []
    for k, value in enumerate((W, b)):
        slopes = np.zeros_like(value)
        for i in np.ndindex(*value.shape):
            up, down = [W.copy(), b.copy()], [W.copy(), b.copy()]
            up[k][i] += np.float32(1e-4)
            down[k][i] -= np.float32(1e-4)
            slopes[i] = (loss(*up) - loss(*down)) / np.float32(2e-4)
        found.append(slopes)
    return tuple(found)


@patient("distillation", 23)
class DistillationWithoutSquareAtFour:
    def forward(self, student, teacher):
        log_p, log_q = log_softmax(student / 4), log_softmax(teacher / 4)
        return (np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()


@patient("train_step", 21)
def train_step_uphill_of_a_fixed_size(W, b, X, y):
    d = (softmax(X @ W + b) - one_hot(y, W.shape[1])) / len(y)
    return W + 0.05 * X.T @ d, b + 0.05 * d.sum(axis=0)


try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

if torch is not None:

    @patient("softmax_backward", 1)
    class DiagonalFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, -1)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, g):
            (p,) = ctx.saved_tensors
            return g * p * (1 - p)
