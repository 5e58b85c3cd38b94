"""Functions in the styles of courses, tutorials, threads and repositories, right and wrong.

Each is written as its style's readers write it, with its own names and habits, and with the
mistakes that are common there; the doctor is asked as they would ask it, mostly without a kind.
"""

# ruff: noqa: F811 -- everybody calls it softmax

from __future__ import annotations

import math
from collections.abc import Callable
from math import exp, log
from typing import Any

import numpy as np

from tests.doctor.patients import Patient

FIELD: list[Patient] = []


def seen(*mistakes: int | None, kind: str | None = None, **options: Any) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        FIELD.append(Patient(function, kind, mistakes, options))  # type: ignore[arg-type]
        return function

    return register


# --- Softmax --------------------------------------------------------------------------------------


@seen(11)
def softmax(z):
    return np.exp(z) / np.sum(np.exp(z), axis=1)[:, None]


@seen(8, 9)
def softmax(x):
    """Compute softmax values for each sets of scores in x."""
    e_x = np.exp(x - np.max(x))
    return e_x / e_x.sum(axis=0)


@seen(9)
def softmax(Z):
    expZ = np.exp(Z - np.max(Z))
    A = expZ / expZ.sum(axis=1, keepdims=True)
    return A


@seen(7)
def softmax(inputs):
    """inputs: scores of a minibatch, one example per row."""
    shifted = inputs - np.max(inputs)
    exps = np.exp(shifted)
    return exps / np.sum(exps)


@seen(10)
def softmax(X):
    X = X - X.max(axis=1, keepdims=True)
    return np.exp(X) / np.exp(X).sum(axis=1)


@seen(11)
def softmax(L):
    out = []
    for row in L:
        total = sum(exp(v) for v in row)
        out.append([exp(v) / total for v in row])
    return out


@seen(12)
def stable_softmax(logits):
    logits = np.clip(logits, -30.0, 30.0)
    e = np.exp(logits)
    return e / np.sum(e, axis=-1, keepdims=True)


@seen(29)
def softmax(x):
    x -= np.max(x, axis=1).reshape(-1, 1)
    np.exp(x, out=x)
    x /= np.sum(x, axis=1).reshape(-1, 1)
    return x


@seen(27)
def masked_softmax(scores, mask):
    scores = scores * mask
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@seen(27)
def attention_weights_softmax(scores, attention_mask):
    scores = scores + (1.0 - attention_mask) * -10000.0
    scores = scores - scores.max(-1, keepdims=True)
    w = np.exp(scores)
    return w / w.sum(-1, keepdims=True)


@seen(9)
def softmax_with_temperature(logits, temperature):
    z = logits / temperature
    z = z - z.max()
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


@seen(15)
def predict_softmax(logits):
    def softmax(a):
        e = np.exp(a - a.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    probs = softmax(logits)
    return softmax(probs)


@seen(13)
def log_softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.log(e / e.sum(axis=1, keepdims=True))


@seen(14)
def log_softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return np.log(p + 1e-12)


@seen(11)
def log_sum_exp(x):
    return np.log(np.sum(np.exp(x), axis=1))


@seen(9)
def logsumexp(a):
    m = np.amax(a)
    return m + np.log(np.sum(np.exp(a - m), axis=1))


@seen(8)
def logsumexp(a):
    """Rows are samples."""
    m = a.max(axis=0)
    return m + np.log(np.exp(a - m).sum(axis=0))


@seen(26)
def output_probability_sigmoid(z):
    """A single output neuron per example."""
    z = z.reshape(-1, 1)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).ravel()


# --- Derivatives of softmax -----------------------------------------------------------------------


@seen(1)
def softmax_derivative(s):
    return s * (1.0 - s)


@seen(3)
def softmax_grad(softmax):
    """Jacobian of the softmax outputs of a batch."""
    s = softmax.reshape(-1, 1)
    return np.diagflat(s) - np.dot(s, s.T)


@seen(2)
def softmax_jacobian(z):
    n = len(z)
    jac = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(n):
            jac[i][j] = z[i] * (1 - z[i]) if i == j else -z[i] * z[j]
    return jac


@seen(1)
def softmax_prime(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    sm = e / e.sum(axis=1, keepdims=True)
    jac = np.zeros((sm.shape[0], sm.shape[1], sm.shape[1]))
    for n, row in enumerate(sm):
        jac[n] = np.diag(row) - np.diag(row**2)
    return jac


@seen(1)
class ActivationSoftmax:
    def forward(self, inputs):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = dvalues * self.output * (1 - self.output)


@seen(1, 4)
class SoftmaxLayer:
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.out = e / e.sum(axis=1, keepdims=True)
        return self.out

    def backward(self, dout):
        return self.out * (1 - self.out)


@seen(7)
def softmax_backward(dout, cache):
    probs = cache
    return probs * (dout - np.sum(dout * probs))


@seen(8)
def softmax_backward(dA, A):
    return A * (dA - np.sum(dA * A, axis=0))


@seen(10)
def softmax_backward(grad_output, softmax_output):
    inner = np.sum(grad_output * softmax_output, axis=1)
    return softmax_output * (grad_output - inner)


@seen(21)
def softmax_vjp(p, g):
    result = []
    for p_row, g_row in zip(p, g, strict=True):
        dot = sum(a * b for a, b in zip(p_row, g_row, strict=True))
        result.append([a * (dot - b) for a, b in zip(p_row, g_row, strict=True)])
    return result


@seen(22)
def softmax_jacobian_temperature(logits, T):
    z = logits / T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return np.stack([np.diag(row) - np.outer(row, row) for row in p])


@seen(1, 11)
class Softmax:
    def __call__(self, x):
        self.p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return self.p

    def backward(self, grad):
        return grad * (self.p - self.p**2)


# --- Losses ---------------------------------------------------------------------------------------


@seen(14)
def cross_entropy(predictions, targets, epsilon=1e-12):
    predictions = np.clip(predictions, epsilon, 1.0 - epsilon)
    N = predictions.shape[0]
    return -np.sum(targets * np.log(predictions)) / N


@seen(13)
def softmax_cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    correct = probs[range(len(labels)), labels]
    return np.mean(-np.log(correct))


@seen(11, 13)
def cross_entropy_loss(scores, y):
    loss = 0.0
    for i in range(len(scores)):
        e = [math.exp(s) for s in scores[i]]
        loss -= math.log(e[y[i]] / sum(e))
    return loss / len(scores)


@seen(13, 17)
def cross_entropy(logits, Y):
    """Y one-hot."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    A = e / e.sum(axis=1, keepdims=True)
    m = Y.shape[0]
    return -np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / m


@seen(19)
def cross_entropy(logits, onehot):
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return np.mean(-onehot * logp)


@seen(21)
def loss_fn(logits, y):
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return logp[np.arange(len(y)), y].mean()


@seen(24)
def cross_entropy_cost(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -np.mean([logp[i, c - 1] for i, c in enumerate(labels)])


@seen(20)
def weighted_cross_entropy(logits, y, sample_weight):
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    losses = -logp[np.arange(len(y)), y]
    return np.mean(sample_weight * losses)


@seen(20)
def ce_loss(logits, targets, class_weights=None):
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    nll = -logp[np.arange(len(targets)), targets]
    if class_weights is not None:
        nll = nll * np.asarray(class_weights)[targets]
    return nll.mean()


@seen(25)
def cross_entropy(logits, labels, ignore_index=-1):
    z = logits - logits.max(axis=-1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return -logp[np.arange(len(labels)), labels].mean()


@seen(28)
def loss(scores, y):
    pred = np.argmax(scores, axis=1)
    return np.mean(pred != y)


@seen(16)
def nll_loss(logits, y):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    return -probs[np.arange(len(y)), y].mean()


@seen(9, 14)
class SoftmaxCrossEntropy:
    def forward(self, input, y_true):
        e = np.exp(input - np.max(input))
        self.s = e / e.sum(axis=1, keepdims=True)
        self.y_true = y_true
        return -np.sum(y_true * np.log(self.s + 1e-10)) / len(input)

    def backward(self):
        return (self.s - self.y_true) / len(self.y_true)


@seen(14, 18)
class SoftmaxCrossEntropy:
    def forward(self, logits, labels):
        self.labels = labels
        exps = np.exp(logits - np.max(logits, axis=1, keepdims=True))
        self.probs = exps / np.sum(exps, axis=1, keepdims=True)
        return -np.mean(np.sum(labels * np.log(self.probs + 1e-15), axis=1))

    def backward(self):
        return self.probs - self.labels


@seen(14, 29)
class CrossEntropyWithLogits:
    def forward(self, x, y):
        self.y = y
        exps = np.exp(x - np.max(x, axis=1, keepdims=True))
        self.probs = exps / np.sum(exps, axis=1, keepdims=True)
        return -np.mean(np.log(self.probs[range(len(y)), y] + 1e-9))

    def backward(self):
        grad = self.probs
        grad[range(len(self.y)), self.y] -= 1
        return grad / len(self.y)


@seen(13, 29)
class SoftmaxCrossEntropyLoss:
    def forward(self, logits, y):
        self.y = y
        logits -= logits.max(axis=1, keepdims=True)
        exp = np.exp(logits)
        self.p = exp / exp.sum(axis=1, keepdims=True)
        return -np.mean(np.log(self.p[np.arange(len(y)), y]))

    def backward(self):
        grad = self.p.copy()
        grad[np.arange(len(self.y)), self.y] -= 1
        return grad / len(self.y)


# --- Gradients ------------------------------------------------------------------------------------


@seen(21)
def cross_entropy_grad(logits, y_onehot):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return (y_onehot - p) / len(p)


@seen(19)
def delta_cross_entropy(X, y_onehot):
    e = np.exp(X - X.max(axis=1, keepdims=True))
    grad = e / e.sum(axis=1, keepdims=True)
    grad = grad - y_onehot
    return grad / y_onehot.size


@seen(5)
def loss_backward(y_hat, y):
    error = y_hat - y
    return error * y_hat * (1 - y_hat) / len(y)


@seen(22)
def cross_entropy_grad(logits, y, T=2.0):
    z = logits / T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


@seen(30)
def numerical_cross_entropy_gradient(logits, y):
    logits = logits.astype(np.float32)
    h = np.float32(1e-5)

    def f(a):
        z = a - a.max(axis=1, keepdims=True)
        logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return -logp[np.arange(len(y)), y].mean()

    grad = np.zeros_like(logits)
    it = np.nditer(logits, flags=["multi_index"])
    while not it.finished:
        ix = it.multi_index
        old = logits[ix]
        logits[ix] = old + h
        fp = f(logits)
        logits[ix] = old - h
        fm = f(logits)
        logits[ix] = old
        grad[ix] = (fp - fm) / (2 * h)
        it.iternext()
    return grad


@seen(6)
class MeanSquaredError:
    def forward(self, logits, y):
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.p = e / e.sum(axis=1, keepdims=True)
        self.y = y
        return np.sum((self.p - y) ** 2) / len(y)

    def backward(self):
        return (self.p - self.y) / len(self.y)


@seen(2)
def sigmoid_derivative(x):
    return x * (1 - x)


@seen(13)
def bce_loss(z, y):
    a = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


@seen(14)
def binary_cross_entropy(z, y, eps=1e-7):
    a = np.clip(1 / (1 + np.exp(-z)), eps, 1 - eps)
    return -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))


@seen(5)
def logistic_loss_gradient(z, y):
    a = 1 / (1 + np.exp(-z))
    return (a - y) * a * (1 - a) / len(y)


# --- Layers, steps, distillation ------------------------------------------------------------------


@seen(18)
def softmax_loss_naive(W, X, y, reg):
    loss = 0.0
    dW = np.zeros_like(W)
    num_train, num_classes = X.shape[0], W.shape[1]
    for i in range(num_train):
        scores = X[i].dot(W)
        scores -= np.max(scores)
        loss += -scores[y[i]] + np.log(np.sum(np.exp(scores)))
        p = np.exp(scores) / np.sum(np.exp(scores))
        for k in range(num_classes):
            dW[:, k] += (p[k] - (k == y[i])) * X[i]
    loss /= num_train
    return loss + reg * np.sum(W * W), dW + 2 * reg * W


@seen(21)
def train_step(W, b, X, Y, lr):
    z = X @ W + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    delta = (p - Y) / len(X)
    W += lr * X.T @ delta
    b += lr * delta.sum(axis=0)
    return W, b


@seen(8, 9)
def softmax_regression_gradients(X, W, b, Y):
    logits = np.dot(X, W) + b
    e = np.exp(logits - np.max(logits))
    p = e / e.sum(axis=0)
    m = X.shape[0]
    return np.dot(X.T, p - Y) / m, np.sum(p - Y, axis=0) / m


@seen(18, 21)
def softmax_layer_gradients(X, W, b, y):
    logits = X @ W + b
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return -X.T @ p, -p.sum(axis=0)


@seen(23)
def distillation_loss(student_logits, teacher_logits, temperature):
    def soft(a):
        e = np.exp((a - a.max(axis=1, keepdims=True)) / temperature)
        return e / e.sum(axis=1, keepdims=True)

    def log_soft(a):
        z = (a - a.max(axis=1, keepdims=True)) / temperature
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    q = soft(teacher_logits)
    return np.sum(q * (np.log(q) - log_soft(student_logits))) / len(q)


# --- Bugs of their own ----------------------------------------------------------------------------


@seen(16)  # right for log_softmax(logits), which is what 16 says
def cross_entropy(logits, y):
    """The normalisation is forgotten."""
    return -np.mean(logits[np.arange(len(y)), y])


@seen(None)
def cross_entropy(logits, y):
    """Only the first example counts."""
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -logp[range(len(y)), y][0] / len(y)


@seen(None)
def cross_entropy(logits, y):
    """Bits in place of nats."""
    z = (logits - logits.max(axis=1, keepdims=True)) * math.log2(math.e)
    return -np.mean((z - np.log2(np.exp2(z).sum(axis=1, keepdims=True)))[np.arange(len(y)), y])


@seen(None)
def softmax(x):
    """Base two."""
    e = 2.0 ** (x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@seen(None)
def softmax_jacobian(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    s = e / e.sum(axis=1, keepdims=True)
    J = np.zeros((*s.shape, s.shape[1]))
    for n in range(len(s)):
        for i in range(s.shape[1]):
            for j in range(s.shape[1]):
                J[n, i, j] = s[n, i] * (1 - s[n, i]) if i == j else s[n, i] * s[n, j]
    return J


@seen(None)
def cross_entropy_grad(logits, y):
    """The loop ends one example early."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    for i in range(len(y) - 1):
        p[i, y[i]] -= 1
    return p / len(y)


# --- Right ----------------------------------------------------------------------------------------


@seen()
def softmax(x):
    """x: (N, C)"""
    m = np.amax(x, axis=1)[:, np.newaxis]
    unnormalized = np.exp(x - m)
    return unnormalized / np.sum(unnormalized, axis=1)[:, np.newaxis]


@seen()
def softmax(x):
    if x.ndim == 1:
        x = x[None, :]
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@seen()
def softmax(logits):
    biggest = max(logits)
    exps = [exp(v - biggest) for v in logits]
    total = sum(exps)
    return [e / total for e in exps]


@seen()
def softmax(x, axis=None):
    axis = -1 if axis is None else axis
    x = np.asarray(x, dtype=float)
    x_max = np.amax(x, axis=axis, keepdims=True)
    tmp = np.exp(x - x_max)
    return tmp / np.sum(tmp, axis=axis, keepdims=True)


@seen()
def masked_softmax(scores, mask):
    scores = np.where(mask == 0, -1e9, scores)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@seen()
def softmax_jacobian(logits):
    biggest = max(logits)
    exps = [math.exp(x - biggest) for x in logits]
    s = [e / sum(exps) for e in exps]
    n = len(s)
    return [[s[i] * ((i == j) - s[j]) for j in range(n)] for i in range(n)]


@seen()
class ActivationSoftmax:
    def forward(self, inputs):
        exp_values = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = exp_values / np.sum(exp_values, axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = np.empty_like(dvalues)
        for index, (row, gradient) in enumerate(zip(self.output, dvalues, strict=True)):
            row = row.reshape(-1, 1)
            jacobian = np.diagflat(row) - np.dot(row, row.T)
            self.dinputs[index] = np.dot(jacobian, gradient)


@seen()
class ActivationSoftmaxLossCategoricalCrossentropy:
    def forward(self, inputs, y_true):
        z = inputs - np.max(inputs, axis=1, keepdims=True)
        logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        self.output = np.exp(logp)
        if y_true.ndim == 2:
            return np.mean(-np.sum(y_true * logp, axis=1))
        return np.mean(-logp[range(len(y_true)), y_true])

    def backward(self, dvalues, y_true):
        samples = len(dvalues)
        if y_true.ndim == 2:
            y_true = np.argmax(y_true, axis=1)
        self.dinputs = dvalues.copy()
        self.dinputs[range(samples), y_true] -= 1
        self.dinputs = self.dinputs / samples


@seen()
class SoftmaxLossLayer:
    def forward(self, scores):
        shifted = scores - np.max(scores, axis=1, keepdims=True)
        self.prob = np.exp(shifted) / np.sum(np.exp(shifted), axis=1, keepdims=True)
        return self.prob

    def backward(self, dout):
        return self.prob * (dout - np.sum(dout * self.prob, axis=1, keepdims=True))


@seen()
def softmax_loss(x, y):
    shifted_logits = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted_logits), axis=1, keepdims=True)
    log_probs = shifted_logits - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


@seen()
def softmax_loss_vectorized(W, X, y, reg):
    num_train = X.shape[0]
    scores = X.dot(W)
    scores -= np.max(scores, axis=1)[:, np.newaxis]
    logsum = np.log(np.exp(scores).sum(axis=1))
    loss = np.mean(logsum - scores[range(num_train), y]) + 0.5 * reg * np.sum(W * W)
    dS = np.exp(scores - logsum[:, None])
    dS[range(num_train), y] += -1
    return loss, X.T.dot(dS) / num_train + reg * W


@seen()
def cross_entropy(y_pred, y_true):
    """y_pred: probabilities (N, C), y_true: one-hot."""
    return -np.sum(y_true * np.log(y_pred)) / y_true.shape[0]


@seen()
def compute_cost_cross_entropy(A2, Y):
    """Columns are examples: A2 and Y have the shape (classes, m)."""
    m = Y.shape[1]
    return -np.sum(Y * np.log(A2)) / m


@seen()
def cross_entropy_with_label_smoothing(logits, target):
    """Smoothing of 0.1 over all classes."""
    eps = 0.1
    C = logits.shape[1]
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    smooth = np.full_like(logits, eps / C)
    smooth[np.arange(len(target)), target] += 1 - eps
    return -(smooth * logp).sum(axis=1).mean()


@seen()
def label_smoothing_loss(logits, target, smoothing=0.1):
    C = logits.shape[1]
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    dist = np.full_like(logits, smoothing / (C - 1))
    dist[np.arange(len(target)), target] = 1 - smoothing
    return np.mean(np.sum(-dist * logp, axis=1))


@seen()
def cross_entropy_smoothed_grad(logits, y):
    eps, (N, C) = 0.05, logits.shape
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    target = np.eye(C)[y] * (1 - eps) + eps / C
    return (p - target) / N


@seen()
def output_delta_cross_entropy(a, y):
    return a - y


@seen()
def backprop_loss(AL, Y):
    """Columns are examples."""
    return (AL - Y) / Y.shape[1]


@seen()
def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


@seen()
def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


@seen()
def stable_bce(z, y):
    return np.mean(np.maximum(z, 0) - z * y + np.log(1 + np.exp(-np.abs(z))))


@seen()
def bce_gradient(a, y):
    return (a - y) / (a * (1 - a)) / len(y)


@seen()
def gradient_step(W, b, X, y, lr=0.5):
    z = X @ W + b
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    p /= len(y)
    W -= lr * (X.T @ p)
    b -= lr * p.sum(axis=0)


@seen()
def log_likelihood_loss(scores, labels):
    total = 0.0
    for s, c in zip(scores, labels, strict=True):
        m = max(s)
        total += m + log(sum(exp(v - m) for v in s)) - s[c]
    return total / len(scores)


@seen()
def perplexity_loss_and_grad(logits, targets):
    """Of a character model: the mean loss and its gradient."""
    n = len(targets)
    norm = logits - logits.max(1, keepdims=True)
    counts = np.exp(norm)
    probs = counts / counts.sum(1, keepdims=True)
    loss = (np.log(counts.sum(1)) - norm[range(n), targets]).mean()
    dlogits = probs
    dlogits[range(n), targets] -= 1
    return loss, dlogits / n
