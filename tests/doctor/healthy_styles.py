"""Right implementations whose style, not whose formula, is what the doctor has to understand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special

from tests.doctor.healthy import healthy
from tests.doctor.patients import log_softmax, one_hot, sigmoid, softmax

# --- What comes back, and what goes in ------------------------------------------------------------


@healthy("softmax")
def softmax_of_tuples(matrix):
    def one(row):
        top = max(row)
        e = [math.exp(v - top) for v in row]
        return tuple(v / math.fsum(e) for v in e)

    return tuple(one(row) for row in matrix)


@healthy("softmax")
def softmax_of_heads(scores):
    """Attention scores (batch, heads, queries, keys)."""
    _batch, _heads, _queries, _keys = scores.shape
    return softmax(scores)


@healthy("softmax_jacobian")
def softmax_jacobian_of_columns(Z):
    """Z of shape (C, N); one matrix an example."""
    e = np.exp(Z - Z.max(axis=0))
    return np.stack([np.diag(p) - np.outer(p, p) for p in (e / e.sum(axis=0)).T])


@healthy("softmax_vjp")
def softmax_vjp_as_a_closure(x):
    p = softmax(x)
    return p, lambda g: p * (g - (p * g).sum(axis=-1, keepdims=True))


@healthy("cross_entropy_value_and_grad")
def loss_probabilities_and_grad(logits, y):
    p = softmax(logits)
    grad = p.copy()
    grad[np.arange(len(y)), y] -= 1
    return -log_softmax(logits)[np.arange(len(y)), y].mean(), p, grad / len(y)


@healthy("cross_entropy_grad")
def ce_grad_of_class_k(z, k):
    """z is a vector, k the class."""
    p = softmax(z)
    p[k] -= 1
    return p


@healthy("cross_entropy")
def cross_entropy_cost(AL, Y):
    return -np.sum(Y * np.log(AL)) / Y.shape[1]


@healthy("cross_entropy")
def cross_entropy_smoothed(logits, y, label_smoothing=0.1):
    C = logits.shape[1]
    soft = one_hot(y, C) * (1 - label_smoothing) + label_smoothing / C
    return -(soft * log_softmax(logits)).sum(axis=1).mean()


@healthy("binary_cross_entropy_grad")
def bce_backward_by_p(p, y):
    return (p - y) / (p * (1 - p)) / len(y)


# --- Classes --------------------------------------------------------------------------------------


@healthy("cross_entropy")
class CrossEntropyWithoutBackward:
    def __init__(self, reduction="mean"):
        self.reduction = reduction

    def forward(self, logits, y):
        return -log_softmax(logits)[np.arange(len(y)), y].mean()


@healthy("softmax_backward")
class SoftmaxOfAColumn:
    """For one column of logits, shape (C, 1)."""

    def forward(self, input):
        e = np.exp(input - input.max())
        self.output = e / e.sum()
        return self.output

    def backward(self, output_gradient, learning_rate):
        n = self.output.size
        return ((np.identity(n) - self.output.T) * self.output) @ output_gradient


@healthy("softmax_backward")
class SoftmaxOfStaticMethods:
    @staticmethod
    def forward(x):
        return softmax(x)

    @staticmethod
    def backward(p, g):
        return p * (g - (p * g).sum(axis=-1, keepdims=True))


@healthy("softmax_backward")
class SoftmaxThatReturnsADictionary:
    def forward(self, batch):
        self.saved = (softmax(batch),)
        return self.saved[0]

    def backward(self, grad):
        (p,) = self.saved
        return {"dx": p * (grad - (p * grad).sum(axis=-1, keepdims=True))}


@healthy("log_softmax")
class LogSoftmax:
    def forward(self, x):
        self.log_p = log_softmax(x)
        return self.log_p

    def backward(self, dy):
        return dy - np.exp(self.log_p) * dy.sum(axis=1, keepdims=True)


@healthy("cross_entropy_value_and_grad")
class SoftmaxLossOfOutputs:
    """Backward is given the outputs of forward, and the target."""

    def forward(self, inputs, y_true):
        self.output = softmax(inputs)
        return -log_softmax(inputs)[np.arange(len(y_true)), y_true].mean()

    def backward(self, dvalues, y_true):
        self.dinputs = dvalues.copy()
        self.dinputs[np.arange(len(y_true)), y_true] -= 1
        self.dinputs /= len(y_true)


@healthy("distillation")
class DistillationAtFour:
    def __init__(self, T=4.0):
        self.T = T

    def forward(self, student, teacher):
        T = self.T
        log_p, log_q = log_softmax(student / T), log_softmax(teacher / T)
        return T * T * (np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()


# --- Layers and steps -----------------------------------------------------------------------------


@healthy("softmax_layer_grad")
def softmax_loss_layer_regularised(W, X, y, reg):
    logits = X @ W
    rows = np.arange(len(y))
    d = softmax(logits)
    d[rows, y] -= 1
    loss = -log_softmax(logits)[rows, y].mean() + reg * np.sum(W * W)
    return loss, X.T @ d / len(y) + 2 * reg * W


@healthy("softmax_layer_grad")
def softmax_regression_grad_flat(theta, X, y):
    W = theta.reshape(X.shape[1], -1)
    d = softmax(X @ W) - one_hot(y, W.shape[1])
    return (X.T @ d / len(X)).ravel()


@healthy("train_step")
def train_step_of_a_fixed_size(W, b, X, y):
    d = (softmax(X @ W + b) - one_hot(y, W.shape[1])) / len(y)
    return W - 0.3 * X.T @ d, b - 0.3 * d.sum(axis=0)


@healthy("train_step")
def train_step_of_lists(W, b, X, y, lr):
    W2, b2 = [row[:] for row in W], b[:]  # of lists these are copies, of arrays they are not
    for x, label in zip(X, y, strict=True):
        z = [sum(x[d] * W[d][k] for d in range(len(x))) + b[k] for k in range(len(b))]
        e = [math.exp(v - max(z)) for v in z]
        for k in range(len(b)):
            slope = (e[k] / sum(e) - (k == label)) / len(X)
            b2[k] -= lr * slope
            for d in range(len(x)):
                W2[d][k] -= lr * x[d] * slope
    return W2, b2


@healthy("sigmoid")
def sigmoid_of_a_limited_number(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


@healthy("cross_entropy")
def cross_entropy_by_logsumexp(z, t):
    return (scipy.special.logsumexp(z, axis=1) - (z * t).sum(axis=1)).sum()


@healthy("sigmoid")
class Sigmoid:
    def forward(self, x):
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout: Any):
        return dout * (1.0 - self.out) * self.out


try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

if torch is not None:
    F = torch.nn.functional

    @healthy("softmax_backward")
    class SoftmaxFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, -1)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, g):
            (p,) = ctx.saved_tensors
            return p * (g - (p * g).sum(-1, keepdim=True))

    @healthy("cross_entropy_value_and_grad")
    class CrossEntropyFunction(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            log_p = F.log_softmax(x, 1)
            ctx.save_for_backward(log_p, y)
            return F.nll_loss(log_p, y)

        @staticmethod
        def backward(ctx, g):
            log_p, y = ctx.saved_tensors
            d = log_p.exp()
            d[torch.arange(len(y)), y] -= 1
            return g * d / len(y), None

    @healthy("softmax_layer_grad")
    def layer_grad_by_autograd(X, W, b, y):
        W, b = W.detach().requires_grad_(), b.detach().requires_grad_()
        F.cross_entropy(X @ W + b, y).backward()
        return W.grad, b.grad
