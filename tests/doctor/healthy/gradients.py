"""Right gradients of losses, alone and with their loss."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.doctor.healthy.losses import ce_indices
from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import log_softmax, one_hot, sigmoid, softmax


@healthy("binary_cross_entropy_grad")
def bce_grad(x, y):
    return (sigmoid(x) - y) / len(y)


@healthy("binary_cross_entropy_grad")
def bce_grad_of_p(p, y):
    return p - y


@healthy("cross_entropy_grad")
def ce_grad_indices(x, y):
    p = softmax(x)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


@healthy("cross_entropy_grad")
def ce_grad_sum(x, y):
    return softmax(x) - one_hot(y, x.shape[1])


@healthy("cross_entropy_grad")
def ce_grad_columns(Z, Y):
    e = np.exp(Z - Z.max(axis=0))
    return (e / e.sum(axis=0) - Y) / Z.shape[1]


@healthy("cross_entropy_grad")
def ce_grad_columns_sum(Z, Y):
    """Z and Y of shape (C, N)."""
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0) - Y


@healthy("cross_entropy_grad")
def ce_grad_of_probs(probs, y):
    d = probs.copy()
    d[np.arange(len(y)), y] -= 1
    return d / len(y)


@healthy("cross_entropy_grad")
def ce_grad_by_p(y_pred, y_true):
    return -y_true / y_pred / len(y_true)


@healthy("cross_entropy_grad")
def ce_grad_one_row(x, y):
    p = softmax(x)
    p[y] -= 1
    return p


@healthy("cross_entropy_grad")
def ce_grad_temperature(x, y, T=1.0):
    return (softmax(x / T) - one_hot(y, x.shape[1])) / (T * len(y))


@healthy("cross_entropy_grad")
def ce_grad_weighted(x, y, w=None):
    w = np.ones(len(y)) if w is None else w
    return w[:, None] * (softmax(x) - one_hot(y, x.shape[1])) / w.sum()


@healthy("cross_entropy_grad")
def ce_grad_numeric(x, y):
    h, g = 1e-5, np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        g[i] = (ce_indices(up, y) - ce_indices(down, y)) / (2 * h)
    return g


@healthy("cross_entropy_grad")
def ce_grad_prints(x, y):
    print("shape", x.shape)
    return ce_grad_indices(x, y)


@healthy("cross_entropy_value_and_grad")
def softmax_loss(x, y):
    z = x - np.max(x, axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    N = x.shape[0]
    loss = -np.sum(log_p[np.arange(N), y]) / N
    dx = np.exp(log_p)
    dx[np.arange(N), y] -= 1
    return loss, dx / N


@healthy("cross_entropy_value_and_grad")
def grad_and_loss(x, Y):
    return softmax(x) - Y, -(Y * log_softmax(x)).sum()


@healthy("cross_entropy_value_and_grad", loss="squared_error")
def squared_loss(x, Y):
    p = softmax(x)
    d = p - Y
    return (d**2).sum() / len(x), 2 * p * (d - (p * d).sum(1, keepdims=True)) / len(x)


@healthy("distillation_grad")
def kd_grad(student, teacher, temperature):
    t = temperature
    return t * (softmax(student / t) - softmax(teacher / t)) / len(student)


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


@healthy("binary_cross_entropy_grad")
def bce_backward_by_p(p, y):
    return (p - y) / (p * (1 - p)) / len(y)


@healthy("cross_entropy_grad")
def ce_grad_comprehension(rows, targets):
    n = len(rows)
    return [
        [(p - (j == t)) / n for j, p in enumerate(scipy.special.softmax(r))]
        for r, t in zip(rows, targets, strict=True)
    ]


@healthy("cross_entropy_value_and_grad")
def loss_and_grad_in_a_dictionary(logits, labels):
    log_p = log_softmax(logits)
    grad = np.exp(log_p)
    grad[range(len(labels)), labels] -= 1
    loss = -log_p[range(len(labels)), labels].mean()
    return {"loss": loss, "dlogits": grad / len(labels)}


@healthy("cross_entropy_grad")
def delta_of_one_example(a, k):
    """One example: a is a 1-D vector of activations, k the class."""
    e = np.array([math.exp(v - max(a)) for v in a])
    return e / sum(e) - (np.arange(len(a)) == k)
