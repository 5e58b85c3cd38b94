"""Right classes: with forward and backward, with state, with weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import log_softmax, one_hot, sigmoid, softmax


@healthy("softmax_backward")
class SoftmaxLayer:
    def forward(self, x):
        self.out = softmax(x)
        return self.out

    def backward(self, grad):
        result = np.empty_like(grad)
        for i, (p, g) in enumerate(zip(self.out, grad, strict=True)):
            p = p.reshape(-1, 1)
            result[i] = (np.diagflat(p) - p @ p.T) @ g
        return result


@healthy("softmax_backward")
class SoftmaxThatReturnsNothing:
    def forward(self, inputs):
        self.output = softmax(inputs)

    def backward(self, dvalues):
        inner = (dvalues * self.output).sum(axis=1, keepdims=True)
        self.dinputs = self.output * (dvalues - inner)


@healthy("cross_entropy")
class CrossEntropyLoss:
    def __call__(self, logits, targets):
        return -log_softmax(logits)[np.arange(len(targets)), targets].mean()


@healthy("cross_entropy_value_and_grad")
class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -log_softmax(x)[np.arange(len(t)), t].mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx * dout / len(self.t)


@healthy("softmax_layer_grad")
class SoftmaxClassifier:
    def __init__(self, features, classes):
        self.W = np.zeros((features, classes))
        self.b = np.zeros(classes)

    def forward(self, X):
        self.X = X
        self.p = softmax(X @ self.W + self.b)
        return self.p

    def backward(self, y):
        d = (self.p - one_hot(y, self.p.shape[1])) / len(y)
        self.dW = self.X.T @ d
        self.db = d.sum(axis=0)


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


@healthy("sigmoid")
class Sigmoid:
    def forward(self, x):
        self.out = sigmoid(x)
        return self.out

    def backward(self, dout: Any):
        return dout * (1.0 - self.out) * self.out


@healthy("softmax")
class SoftmaxThatRemembers:
    calls = 0

    def __init__(self):
        self.shapes = []

    def __call__(self, x):
        self.calls += 1
        self.shapes.append(x.shape)
        return softmax(x)
