"""Functions as people write them, each with the numbers of the mistakes that are in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Patient:
    """A function, what it claims to be, the mistakes in it, and options of the examination."""

    function: Callable[..., Any]
    kind: str
    mistakes: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"{'+'.join(map(str, self.mistakes))}-{name}"


PATIENTS: list[Patient] = []


def patient(kind: str, *mistakes: int, **options: Any) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        PATIENTS.append(Patient(function, kind, mistakes, options))
        return function

    return register


# --- Right parts that the wrong functions are made of ---------------------------------------------


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x: Any) -> Any:
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def one_hot(y: Any, classes: int) -> Any:
    return np.eye(classes)[y]


def sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -x))


# --- 1 to 5: derivatives --------------------------------------------------------------------------


@patient("softmax_jacobian", 1)
def softmax_derivative(x):
    p = softmax(x)
    return p * (1 - p)


@patient("softmax_jacobian", 1)
def softmax_jacobian_loop(x):
    p = softmax(x)
    N, C = p.shape
    J = np.zeros((N, C, C))
    for n in range(N):
        for i in range(C):
            J[n, i, i] = p[n, i] * (1 - p[n, i])
    return J


@patient("softmax_vjp", 1)
def softmax_vjp_diagonal(x, g):
    p = softmax(x)
    return g * p * (1 - p)


@patient("softmax_backward", 1)
class DiagonalSoftmax:
    def forward(self, x):
        self.p = softmax(x)
        return self.p

    def backward(self, grad_output):
        return grad_output * self.p * (1 - self.p)


@patient("cross_entropy_grad", 1)
def ce_grad_through_diagonal(x, y):
    p = softmax(x)
    N, C = p.shape
    Y = one_hot(y, C)
    return (-Y / p) * p * (1 - p) / N


@patient("softmax_jacobian", 2)
def jacobian_of_the_input(x):
    return np.einsum("ni,ij->nij", x, np.eye(x.shape[1])) - np.einsum("ni,nj->nij", x, x)


@patient("softmax_vjp", 2)
def vjp_of_the_input(x, g):
    return x * (g - (x * g).sum(axis=1, keepdims=True))


@patient("softmax_backward", 2)
class ForgetsToCacheTheOutput:
    def forward(self, x):
        self.x = x
        return softmax(x)

    def backward(self, dout):
        return self.x * (dout - np.sum(dout * self.x, axis=1, keepdims=True))


@patient("softmax_jacobian", 3)
def jacobian_by_reshape(x):
    s = softmax(x).reshape(-1, 1)
    return np.diagflat(s) - np.dot(s, s.T)


@patient("softmax_jacobian", 3)
def softmax_grad_flat(logits):
    p = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    p = (p / np.sum(p, axis=1, keepdims=True)).ravel()
    return np.diag(p) - np.outer(p, p)


@patient("softmax_backward", 4)
def softmax_backward_of_ones(x, g):
    p = softmax(x)
    upstream = np.ones_like(p)
    return p * (upstream - (p * upstream).sum(axis=1, keepdims=True))


@patient("softmax_vjp", 4)
def softmax_vjp_always_zero(x, g):
    p = softmax(x)
    J = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    return J.sum(axis=2)


@patient("cross_entropy_grad", 5)
def loss_grad_twice(x, y):
    p = softmax(x)
    Y = one_hot(y, x.shape[1])
    return (p - Y) * p * (1 - p) / len(y)


@patient("cross_entropy_grad", 5)
def loss_grad_through_jacobian(x, Y):
    p = softmax(x)
    out = np.empty_like(p)
    for n in range(len(p)):
        J = np.diag(p[n]) - np.outer(p[n], p[n])
        out[n] = J @ (p[n] - Y[n])
    return out / len(p)


@patient("softmax_layer_grad", 5)
def layer_grad_twice(X, W, b, y):
    p = softmax(X @ W + b)
    d = (p - one_hot(y, W.shape[1])) * p * (1 - p) / len(y)
    return X.T @ d, d.sum(axis=0)


@patient("softmax_layer_grad", 5)
class LayerTwice:
    def __init__(self, d_in, d_out):
        self.weights = np.random.randn(d_out, d_in)  # noqa: NPY002
        self.bias = np.zeros((1, d_out))

    def forward(self, X):
        self.X = X
        self.p = softmax(X @ self.weights.T + self.bias)
        return self.p

    def backward(self, Y):
        d = (self.p - Y) * self.p * (1 - self.p) / len(Y)
        return d.T @ self.X, d.sum(axis=0, keepdims=True)


# --- 6: the squared loss --------------------------------------------------------------------------


@patient("cross_entropy_value_and_grad", 6)
def squared_loss_and_grad(x, y):
    p = softmax(x)
    Y = one_hot(y, x.shape[1])
    loss = np.sum((p - Y) ** 2) / len(y)
    return loss, (p - Y) / len(y)


@patient("cross_entropy_grad", 6)
def mse_grad(logits, targets):
    return (softmax(logits) - targets) / len(logits)


@patient("cross_entropy_grad", 6, loss="squared_error")
def gradient_of_squares(logits, targets):
    p = softmax(logits)
    return 2 * (p - targets) / len(logits)


# --- 7 to 15: the probabilities and their logarithms ----------------------------------------------


@patient("softmax", 7)
def softmax_over_everything(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


@patient("softmax", 7)
def softmax_batch_sum(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum()


@patient("log_softmax", 7)
def log_softmax_over_everything(x):
    z = x - x.max()
    return z - np.log(np.exp(z).sum())


@patient("logsumexp", 7)
def logsumexp_over_everything(x):
    m = x.max()
    return m + np.log(np.exp(x - m).sum())


@patient("softmax", 8)
def softmax_down_the_columns(x):
    e = np.exp(x - x.max(axis=0))
    return e / e.sum(axis=0)


@patient("cross_entropy", 8)
def cross_entropy_wrong_axis(x, y):
    z = x - x.max(axis=0)
    log_p = z - np.log(np.exp(z).sum(axis=0))
    return -log_p[np.arange(len(y)), y].mean()


@patient("cross_entropy_grad", 8)
def ce_grad_wrong_axis(x, y):
    e = np.exp(x - x.max(axis=0, keepdims=True))
    p = e / e.sum(axis=0, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


@patient("softmax_vjp", 8)
def vjp_wrong_axis(x, g):
    p = softmax(x)
    return p * (g - (p * g).sum(axis=0, keepdims=True))


@patient("softmax", 9)
def softmax_one_max(x):
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=1, keepdims=True)


@patient("cross_entropy", 9)
def cross_entropy_one_max(x, y):
    z = x - x.max()
    lse = np.log(np.exp(z).sum(axis=1))
    return (lse - z[np.arange(len(y)), y]).mean()


@patient("softmax", 10)
def softmax_without_keepdims(x):
    e = np.exp(x - np.max(x, axis=1))
    return e / np.sum(e, axis=1)


@patient("softmax", 10)
def softmax_sum_without_keepdims(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1)


@patient("log_softmax", 10)
def log_softmax_max_without_keepdims(x):
    z = np.exp(x - x.max(axis=-1))
    return np.log(z / z.sum(axis=-1, keepdims=True))


@patient("softmax", 11)
def softmax_naive(x):
    return np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)


@patient("logsumexp", 11)
def logsumexp_naive(x):
    return np.log(np.exp(x).sum(axis=-1))


@patient("cross_entropy", 11)
def cross_entropy_naive(x, y):
    return np.mean(np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(y)), y])


@patient("softmax", 11)
def softmax_list(x):
    import math

    result = []
    for row in x:
        e = [math.exp(v) for v in row]
        result.append([v / sum(e) for v in e])
    return result


@patient("sigmoid", 11)
def sigmoid_overflows(x):
    return np.exp(x) / (1 + np.exp(x))


@patient("softmax", 12)
def softmax_clipped(x):
    x = np.clip(x, -50, 50)
    return softmax(x)


@patient("cross_entropy_value_and_grad", 12)
def clipped_loss_and_grad(logits, y):
    logits = np.minimum(logits, 30.0)
    log_p = log_softmax(logits)
    rows = np.arange(len(y))
    d = np.exp(log_p)
    d[rows, y] -= 1
    return -log_p[rows, y].mean(), d / len(y)


@patient("cross_entropy", 13)
def cross_entropy_log_of_softmax(x, y):
    return -np.log(softmax(x))[np.arange(len(y)), y].mean()


@patient("log_softmax", 13)
def log_softmax_in_two_steps(x):
    return np.log(softmax(x))


@patient("cross_entropy", 13)
def cross_entropy_log_of_softmax_one_hot(x, Y):
    return -np.sum(Y * np.log(softmax(x))) / len(x)


@patient("binary_cross_entropy", 13)
def bce_log_of_sigmoid(z, y):
    s = 1 / (1 + np.exp(-z))
    return -np.mean(y * np.log(s) + (1 - y) * np.log(1 - s))


@patient("cross_entropy", 14)
def cross_entropy_eps(x, y):
    return -np.mean(np.log(softmax(x)[np.arange(len(y)), y] + 1e-7))


@patient("cross_entropy", 14)
def cross_entropy_large_eps(x, y):
    return -np.mean(np.log(softmax(x)[np.arange(len(y)), y] + 1e-4))


@patient("cross_entropy", 14)
def cross_entropy_clipped_p(x, Y):
    p = np.clip(softmax(x), 1e-12, 1 - 1e-12)
    return -(Y * np.log(p)).sum(axis=1).mean()


@patient("cross_entropy", 14)
def cross_entropy_of_probabilities_eps(p, y):
    return -np.log(p[np.arange(len(y)), y] + 1e-9).mean()


@patient("binary_cross_entropy", 14)
def bce_eps(x, y):
    s = sigmoid(x)
    return -np.mean(y * np.log(s + 1e-8) + (1 - y) * np.log(1 - s + 1e-8))


@patient("softmax", 15)
def softmax_twice(x):
    return softmax(softmax(x))


@patient("cross_entropy", 15)
def cross_entropy_of_softmax(x, y):
    p = softmax(x)
    return -log_softmax(p)[np.arange(len(y)), y].mean()


@patient("cross_entropy_grad", 15)
def ce_grad_softmax_twice(x, y):
    p = softmax(softmax(x))
    return (p - one_hot(y, x.shape[1])) / len(y)


# --- 16 to 20: losses and their means -------------------------------------------------------------


@patient("nll", 16)
def nll_of_probabilities(x, y):
    return -softmax(x)[np.arange(len(y)), y].mean()


@patient("cross_entropy", 16)
def cross_entropy_without_log(logits, Y):
    return -(Y * softmax(logits)).sum() / len(logits)


@patient("cross_entropy", 17)
def cross_entropy_of_yes_and_no(x, Y):
    log_p = log_softmax(x)
    others = [np.logaddexp.reduce(np.delete(log_p, j, 1), axis=1) for j in range(x.shape[1])]
    return -np.sum(Y * log_p + (1 - Y) * np.stack(others, 1)) / len(x)


@patient("cross_entropy_value_and_grad", 18)
def value_and_grad_no_mean(x, y):
    log_p = log_softmax(x)
    rows = np.arange(len(y))
    d = np.exp(log_p)
    d[rows, y] -= 1
    return -log_p[rows, y].mean(), d


@patient("cross_entropy_grad", 18, reduction="mean")
def ce_grad_no_mean(x, y):
    d = softmax(x)
    d[range(len(y)), y] -= 1
    return d


@patient("softmax_layer_grad", 18, reduction="mean")
def layer_grad_no_mean(X, W, b, Y):
    d = softmax(X @ W + b) - Y
    return {"dW": X.T.dot(d), "db": d.sum(axis=0)}


@patient("train_step", 18)
def train_step_no_mean(W, b, X, y, lr):
    log_p = log_softmax(X @ W + b)
    rows = np.arange(len(y))
    loss = -log_p[rows, y].mean()
    d = np.exp(log_p)
    d[rows, y] -= 1
    W -= lr * X.T @ d
    b -= lr * d.sum(axis=0)
    return loss


@patient("cross_entropy", 19)
def cross_entropy_mean_of_all(x, Y):
    return -np.mean(Y * log_softmax(x))


@patient("cross_entropy_grad", 19)
def ce_grad_mean_of_all(x, Y):
    return (softmax(x) - Y) / x.size


@patient("cross_entropy", 20)
def weighted_cross_entropy(x, y, sample_weight):
    losses = -log_softmax(x)[np.arange(len(y)), y]
    return np.mean(sample_weight * losses)


@patient("cross_entropy_grad", 20)
def weighted_ce_grad(x, y, class_weight=None):
    d = softmax(x)
    d[np.arange(len(y)), y] -= 1
    w = np.ones(len(y)) if class_weight is None else class_weight[y]
    return w[:, None] * d / len(y)


# --- 21 to 25: signs, temperatures, labels --------------------------------------------------------


@patient("cross_entropy_grad", 21)
def ce_grad_sign(x, Y):
    return (Y - softmax(x)) / len(x)


@patient("train_step", 21)
def train_step_uphill(W, b, X, y, lr=0.1):
    d = softmax(X @ W + b)
    d[np.arange(len(y)), y] -= 1
    d /= len(y)
    return W + lr * X.T @ d, b + lr * d.sum(axis=0)


@patient("cross_entropy", 21)
def cross_entropy_without_minus(x, y):
    return log_softmax(x)[np.arange(len(y)), y].mean()


@patient("cross_entropy_grad", 22)
def ce_grad_temperature(x, y, temperature=1.0):
    p = softmax(x / temperature)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


@patient("softmax_vjp", 22)
def vjp_temperature(x, g, T):
    p = softmax(x / T)
    return p * (g - (p * g).sum(1, keepdims=True))


@patient("distillation_grad", 22)
def distillation_grad_no_inner(student, teacher, T):
    return T**2 * (softmax(student / T) - softmax(teacher / T)) / len(student)


@patient("distillation", 23)
def distillation_without_square(student_logits, teacher_logits, T):
    log_p = log_softmax(student_logits / T)
    log_q = log_softmax(teacher_logits / T)
    return (np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()


@patient("distillation", 23)
def distillation_loss(student, teacher, labels, T=2.0, alpha=0.5):
    soft = -(softmax(teacher / T) * log_softmax(student / T)).sum(axis=1).mean()
    hard = -log_softmax(student)[np.arange(len(labels)), labels].mean()
    return alpha * soft + (1 - alpha) * hard


@patient("cross_entropy", 24)
def cross_entropy_matlab(x, y):
    return -log_softmax(x)[np.arange(len(y)), y - 1].mean()


@patient("cross_entropy_grad", 24)
def ce_grad_labels_from_one(x, y):
    Y = np.zeros_like(x)
    for i, label in enumerate(y):
        Y[i, label - 1] = 1
    return (softmax(x) - Y) / len(y)


@patient("cross_entropy", 24)
def cross_entropy_refuses_zero(x, y):
    if np.any(y < 1):
        raise ValueError("labels are 1..C")
    return -log_softmax(x)[np.arange(len(y)), y - 1].mean()


@patient("cross_entropy", 25, ignore_index=-1)
def cross_entropy_padding(x, y):
    return -log_softmax(x)[np.arange(len(y)), y].mean()


@patient("cross_entropy_grad", 25)
def ce_grad_padding(x, y, ignore_index=-1):
    d = softmax(x)
    d[np.arange(len(y)), y] -= 1
    return d / len(y)


# --- 26 to 30 -------------------------------------------------------------------------------------


@patient("sigmoid", 26)
def sigmoid_by_softmax(x):
    return softmax(x)


@patient("binary_cross_entropy", 26)
def bce_by_softmax(x, y):
    p = np.clip(softmax(x), 1e-12, 1 - 1e-12)
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


@patient("softmax", 27)
def softmax_mask_times_zero(x, mask):
    return softmax(x * mask)


@patient("softmax", 27)
def softmax_mask_added(x, mask=None):
    if mask is not None:
        x = x + (1 - mask) * -1e4
    return softmax(x)


@patient("softmax", 27)
def softmax_mask_after(x, mask=None):
    p = softmax(x)
    return p if mask is None else p * mask


@patient("softmax", 27)
def softmax_mask_filled(scores, mask):
    return softmax(np.where(mask, scores, -1e4))


@patient("cross_entropy", 28)
def loss_of_argmax(x, y):
    return np.mean(softmax(x).argmax(axis=1) != y)


@patient("cross_entropy_grad", 28)
def ce_grad_of_argmax(x, y):
    hard = one_hot(x.argmax(axis=1), x.shape[1])
    return (hard - one_hot(y, x.shape[1])) / len(y)


@patient("cross_entropy", 28)
def loss_of_distance(x, y):
    return np.mean((x.argmax(axis=1) - y) ** 2)


@patient("softmax", 29)
def softmax_in_place(x):
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


@patient("cross_entropy_grad", 29)
def grad_in_place(p, y):
    grad = p
    grad[np.arange(len(y)), y] -= 1
    return grad / len(y)


@patient("softmax_backward", 29)
class InPlaceBackward:
    def forward(self, x):
        self.p = softmax(x)
        return self.p

    def backward(self, g):
        s = (self.p * g).sum(axis=1, keepdims=True)
        self.p *= g - s
        return self.p


@patient("cross_entropy_value_and_grad", 29)
class InPlaceLoss:
    def forward(self, x, y):
        self.p, self.y = softmax(x), y
        return (np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)) + x.max(1))[:].mean() - x[
            np.arange(len(y)), y
        ].mean()

    def backward(self):
        d = self.p
        d[np.arange(len(self.y)), self.y] -= 1
        return d / len(self.y)


@patient("cross_entropy_grad", 30)
def ce_grad_numeric_float32(x, y):
    x = x.astype(np.float32)
    h = np.float32(1e-4)

    def loss(z):
        m = z.max(axis=1, keepdims=True)
        lse = m[:, 0] + np.log(np.exp(z - m).sum(axis=1))
        return (lse - z[np.arange(len(y)), y]).mean()

    g = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        g[i] = (loss(up) - loss(down)) / (2 * h)
    return g
