"""Right implementations in many styles; none may be blamed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

import softgrad as sg
from tests.doctor.patients import Patient, log_softmax, one_hot, sigmoid, softmax

HEALTHY: list[Patient] = []


def healthy(kind: str, **options: Any) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        HEALTHY.append(Patient(function, kind, (), options))
        return function

    return register


# --- The library's own and SciPy's ----------------------------------------------------------------

for _function, _kind in (
    (sg.softmax, "softmax"),
    (sg.log_softmax, "log_softmax"),
    (sg.logsumexp, "logsumexp"),
    (sg.sigmoid, "sigmoid"),
    (sg.sigmoid.jacobian, "sigmoid_grad"),
    (sg.softmax.jacobian, "softmax_jacobian"),
    (sg.softmax.vjp, "softmax_vjp"),
    (sg.softmax.vjp, "softmax_backward"),
    (sg.cross_entropy, "cross_entropy"),
    (sg.cross_entropy.grad, "cross_entropy_grad"),
    (sg.cross_entropy.value_and_grad, "cross_entropy_value_and_grad"),
    (scipy.special.softmax, "softmax"),
    (scipy.special.log_softmax, "log_softmax"),
    (scipy.special.logsumexp, "logsumexp"),
    (scipy.special.expit, "sigmoid"),
):
    healthy(_kind)(_function)


@healthy("cross_entropy")
def summed_loss(x, y):
    return sg.cross_entropy(x, y, reduction="sum")


@healthy("cross_entropy")
def one_loss_a_row(x, y):
    return sg.cross_entropy(x, y, reduction="none")


@healthy("cross_entropy_grad")
def gradient_of_the_sum(x, y):
    return sg.cross_entropy.grad(x, y, reduction="sum")


# --- NumPy, as in textbooks -----------------------------------------------------------------------


healthy("softmax")(softmax)
healthy("log_softmax")(log_softmax)


@healthy("softmax")
def softmax_of_a_vector(x):
    """Softmax of a vector of logits."""
    e = np.exp(x - np.max(x))
    return e / e.sum()


@healthy("softmax", layout="C")
def softmax_of_one(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


@healthy("softmax")
def softmax_columns(Z):
    """Z: logits of shape (C, N), one column an example."""
    e = np.exp(Z - Z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


@healthy("softmax", layout="CN")
def softmax_columns_told(Z):
    e = np.exp(Z - Z.max(axis=0))
    return e / e.sum(axis=0)


@healthy("softmax")
def softmax_float32(x):
    x = np.asarray(x, dtype=np.float32)
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@healthy("softmax")
def softmax_float16(x):
    x = np.asarray(x - np.max(x, axis=-1, keepdims=True), dtype=np.float16)
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


@healthy("softmax")
def softmax_transposed(x):
    e = np.exp(x.T - np.max(x, axis=1))
    return (e / e.sum(axis=0)).T


@healthy("softmax")
def softmax_through_logarithms(x):
    return np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))


@healthy("softmax")
def softmax_of_lists(x):
    out = []
    for row in x:
        top = max(row)
        e = [math.exp(v - top) for v in row]
        total = sum(e)
        out.append([v / total for v in e])
    return out


@healthy("softmax")
def softmax_with_axis(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@healthy("softmax")
def softmax_with_temperature(x, T=1.0):
    return softmax(x / T)


@healthy("softmax")
def softmax_masked(x, mask=None):
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    return softmax(x)


@healthy("softmax")
def softmax_masked_out(x, mask):
    """True in mask: left out."""
    x = np.where(mask, -np.inf, x)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@healthy("softmax")
def softmax_masked_by_a_large_number(x, mask=None):
    if mask is not None:
        x = x + (1.0 - mask) * -1e9
    return softmax(x)


@healthy("logsumexp")
def logsumexp_keepdims(x):
    m = x.max(axis=-1, keepdims=True)
    return m + np.log(np.sum(np.exp(x - m), axis=-1, keepdims=True))


@healthy("sigmoid")
def sigmoid_textbook(x):
    return 1 / (1 + np.exp(-x))


@healthy("sigmoid")
def sigmoid_of_a_number(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(x)
    return e / (1 + e)


@healthy("sigmoid")
def sigmoid_tanh(z):
    return 0.5 * (1 + np.tanh(z / 2))


@healthy("sigmoid_grad")
def sigmoid_derivative(x):
    s = sigmoid(x)
    return s * (1 - s)


@healthy("sigmoid_grad")
def sigmoid_derivative_of_output(s):
    return s * (1 - s)


@healthy("sigmoid_grad")
def sigmoid_backward(dout, x):
    s = sigmoid(x)
    return dout * s * (1 - s)


@healthy("softmax_jacobian")
def jacobian_of_output(s):
    return np.diag(s) - np.outer(s, s)


@healthy("softmax_jacobian")
def jacobian_one_row(x):
    """The C x C Jacobian at a 1-D array of logits."""
    s = softmax(x).reshape(-1, 1)
    return np.diagflat(s) - s @ s.T


@healthy("softmax_jacobian")
def jacobian_einsum(x):
    p = softmax(x)
    return np.einsum("ni,ij->nij", p, np.eye(x.shape[1])) - np.einsum("ni,nj->nij", p, p)


@healthy("softmax_jacobian")
def jacobian_loops(p):
    J = np.empty((len(p), len(p)))
    for i in range(len(p)):
        for j in range(len(p)):
            J[i][j] = p[i] * ((i == j) - p[j])
    return J


@healthy("softmax_vjp")
def vjp_of_output(p, g):
    return p * (g - np.sum(p * g, axis=-1, keepdims=True))


@healthy("softmax_vjp")
def vjp_jacobian(x, dout):
    p = softmax(x)
    J = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    return np.einsum("nij,nj->ni", J, dout)


@healthy("softmax_backward")
def backward_grad_first(dout, probs):
    return probs * dout - probs * (probs * dout).sum(axis=1, keepdims=True)


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


@healthy("softmax")
def softmax_of_sequences(x):
    """Attention scores (batch, queries, keys)."""
    batch, queries, _keys = x.shape
    e = np.exp(x - x.max(axis=2, keepdims=True))
    return e / e.sum(axis=2).reshape(batch, queries, 1)


@healthy("cross_entropy")
def ce_of_a_column(logits, y):
    picked = np.take_along_axis(log_softmax(logits), y.reshape(-1, 1), axis=1)
    assert y.shape == (len(logits), 1)
    return -picked.mean()


@healthy("softmax_backward")
class SoftmaxThatReturnsNothing:
    def forward(self, inputs):
        self.output = softmax(inputs)

    def backward(self, dvalues):
        inner = (dvalues * self.output).sum(axis=1, keepdims=True)
        self.dinputs = self.output * (dvalues - inner)


# --- Losses ---------------------------------------------------------------------------------------


@healthy("cross_entropy")
def ce_indices(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(labels)), labels])


@healthy("cross_entropy")
def ce_one_hot(y_true, logits):
    return -np.mean(np.sum(y_true * log_softmax(logits), axis=-1))


@healthy("cross_entropy")
def ce_of_probabilities(y_hat, y):
    return -np.sum(y * np.log(y_hat)) / y.shape[0]


@healthy("cross_entropy")
def ce_columns(Z, Y):
    z = Z - Z.max(axis=0)
    return -np.sum(Y * (z - np.log(np.exp(z).sum(axis=0)))) / Y.shape[1]


@healthy("cross_entropy")
def ce_single_row(z, label):
    z = z - np.max(z)
    return np.log(np.sum(np.exp(z))) - z[label]


@healthy("cross_entropy")
def ce_lists(logits, labels):
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        top = max(row)
        total += top + math.log(sum(math.exp(v - top) for v in row)) - row[label]
    return total / len(labels)


@healthy("cross_entropy")
def ce_weighted(x, y, sample_weight=None):
    losses = -log_softmax(x)[np.arange(len(y)), y]
    return np.average(losses, weights=sample_weight)


@healthy("cross_entropy", ignore_index=-1)
def ce_padding(x, y):
    keep = y >= 0
    return -log_softmax(x)[np.flatnonzero(keep), y[keep]].mean()


@healthy("cross_entropy")
class CrossEntropyLoss:
    def __call__(self, logits, targets):
        return -log_softmax(logits)[np.arange(len(targets)), targets].mean()


@healthy("nll")
def nll_loss(log_probs, y):
    return -log_probs[np.arange(len(y)), y].mean()


@healthy("nll")
def negative_log_likelihood(logits, y):
    return -np.sum(log_softmax(logits)[np.arange(len(y)), y])


@healthy("nll")
def nll_of_probs(probs, y):
    return -np.log(probs[np.arange(len(y)), y]).mean()


@healthy("binary_cross_entropy")
def bce_with_logits(x, y):
    return np.mean(np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x))))


@healthy("binary_cross_entropy")
def bce_of_probabilities(p, y):
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@healthy("binary_cross_entropy")
def bce_sum(y, z):
    return np.sum(np.logaddexp(0, z) - y * z)


@healthy("binary_cross_entropy")
def bce_of_one(x, y):
    return max(x, 0) - x * y + math.log1p(math.exp(-abs(x)))


@healthy("binary_cross_entropy_grad")
def bce_grad(x, y):
    return (sigmoid(x) - y) / len(y)


@healthy("binary_cross_entropy_grad")
def bce_grad_of_p(p, y):
    return p - y


# --- Gradients of losses --------------------------------------------------------------------------


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


@healthy("cross_entropy_value_and_grad")
class SoftmaxWithLoss:
    def forward(self, x, t):
        self.t, self.y = t, softmax(x)
        return -log_softmax(x)[np.arange(len(t)), t].mean()

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        return dx * dout / len(self.t)


# --- Distillation, layers, steps ------------------------------------------------------------------


@healthy("distillation")
def distillation(student, teacher, T):
    log_p, log_q = log_softmax(student / T), log_softmax(teacher / T)
    return T * T * (np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()


@healthy("distillation")
def kd_loss(student_logits, teacher_logits, labels, T=4.0, alpha=0.9):
    soft = -(softmax(teacher_logits / T) * log_softmax(student_logits / T)).sum(axis=1).mean()
    hard = -log_softmax(student_logits)[np.arange(len(labels)), labels].mean()
    return alpha * T**2 * soft + (1 - alpha) * hard


@healthy("distillation_grad")
def kd_grad(student, teacher, temperature):
    t = temperature
    return t * (softmax(student / t) - softmax(teacher / t)) / len(student)


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


# --- PyTorch --------------------------------------------------------------------------------------

try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]

if torch is not None:
    F = torch.nn.functional
    for _function, _kind in (
        (F.softmax, "softmax"),
        (torch.softmax, "softmax"),
        (F.log_softmax, "log_softmax"),
        (torch.logsumexp, "logsumexp"),
        (torch.sigmoid, "sigmoid"),
        (F.cross_entropy, "cross_entropy"),
        (F.nll_loss, "nll"),
        (F.binary_cross_entropy_with_logits, "binary_cross_entropy"),
        (F.binary_cross_entropy, "binary_cross_entropy"),
        (torch.nn.CrossEntropyLoss(), "cross_entropy"),
        (torch.nn.Softmax(dim=-1), "softmax"),
    ):
        healthy(_kind)(_function)

    @healthy("cross_entropy_grad")
    def torch_grad(x, y):
        x = x.clone().requires_grad_(True)
        F.cross_entropy(x, y).backward()
        return x.grad

    @healthy("cross_entropy_grad")
    def torch_grad_leaf(logits, target):
        loss = F.cross_entropy(logits, target, reduction="sum")
        return torch.autograd.grad(loss, logits)[0]

    @healthy("softmax_jacobian")
    def torch_jacobian(x):
        """For one row, a 1-D tensor."""
        return torch.autograd.functional.jacobian(lambda v: torch.softmax(v, dim=0), x)

    @healthy("distillation")
    def torch_distillation(student, teacher, T):
        log_p = F.log_softmax(student / T, dim=1)
        return F.kl_div(log_p, F.softmax(teacher / T, dim=1), reduction="batchmean") * T * T

    @healthy("softmax")
    class TorchSoftmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            p = torch.softmax(x, dim=-1)
            ctx.save_for_backward(p)
            return p

        @staticmethod
        def backward(ctx, g):
            (p,) = ctx.saved_tensors
            return p * (g - (p * g).sum(-1, keepdim=True))

    @healthy("train_step")
    def torch_step(W, b, X, y, lr=0.1):
        W = W.clone().requires_grad_(True)
        b = b.clone().requires_grad_(True)
        F.cross_entropy(X @ W + b, y).backward()
        with torch.no_grad():
            return W - lr * W.grad, b - lr * b.grad
