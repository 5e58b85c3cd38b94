"""Right gradients of layers, and training steps."""

from __future__ import annotations

import math

import numpy as np

from tests.doctor.healthy.gradients import softmax_loss
from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import log_softmax, one_hot, softmax


@healthy("softmax_layer_grad")
def layer_grad(X, W, b, y):
    d = (softmax(X @ W + b) - one_hot(y, W.shape[1])) / len(y)
    return X.T @ d, d.sum(axis=0)


@healthy("softmax_layer_grad")
def layer_grad_no_bias(W, X, y):
    d = softmax(X @ W) - one_hot(y, W.shape[1])
    return X.T @ d / len(X)


@healthy("softmax_layer_grad")
def layer_grad_rows_of_weights(X, W, b, Y):
    d = (softmax(X @ W.T + b) - Y) / len(X)
    return d.T @ X, d.sum(axis=0), d @ W


@healthy("softmax_layer_grad")
def layer_grad_columns(X, W, b, Y):
    Z = W @ X + b
    e = np.exp(Z - Z.max(axis=0))
    dZ = e / e.sum(axis=0) - Y
    m = X.shape[1]
    return dZ @ X.T / m, dZ.sum(axis=1, keepdims=True) / m


@healthy("train_step")
def train_step(W, b, X, y, lr):
    d = (softmax(X @ W + b) - one_hot(y, W.shape[1])) / len(y)
    return W - lr * X.T @ d, b - lr * d.sum(axis=0)


@healthy("train_step")
def train_step_in_place(X, y, W, b, learning_rate=0.1):
    logits = X @ W + b
    loss, d = softmax_loss(logits, y)
    W -= learning_rate * X.T @ d
    b -= learning_rate * d.sum(axis=0)
    return loss


@healthy("train_step")
def sgd_step_no_bias(W, X, Y, lr):
    return W - lr * X.T @ (softmax(X @ W) - Y)


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


@healthy("softmax_layer_grad")
def layer_grad_einsum(X, W, b, y):
    d = (softmax(X @ W + b) - one_hot(y, W.shape[1])) / len(X)
    return np.einsum("nd,nc->dc", X, d), np.ones(len(X)) @ d
