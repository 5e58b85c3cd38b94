"""The mistakes that people make with softmax and its gradient, each with its reason and its cure.

`why` is two sentences with the formula. `fix` is the corrected line or lines in NumPy, by the
family of function that they belong to ("" for all others). In them x, p and log_p are the logits
and their softmax and log_softmax, y the class indices and Y the same as one-hot rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from keyword import iskeyword

_STABLE = "e = np.exp(x - x.max(axis=-1, keepdims=True))\np = e / e.sum(axis=-1, keepdims=True)"
_LOG_P = (
    "z = x - x.max(axis=-1, keepdims=True)\n"
    "log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))"
)
_LOSS = _LOG_P + "\nloss = -log_p[np.arange(len(y)), y].mean()"
_GRAD = "grad = p.copy()\ngrad[np.arange(len(y)), y] -= 1\ngrad /= len(y)"
_VJP = "grad_x = p * (g - (p * g).sum(axis=-1, keepdims=True))"
_JACOBIAN = "J = p[..., :, None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]"
_BINARY = "loss = (np.logaddexp(0, x) - x * y).mean()"


@dataclass(frozen=True)
class Mistake:
    """A row of the catalogue."""

    number: int
    title: str
    why: str
    fix: Mapping[str, str] = field(default_factory=dict)

    def fix_for(self, family: str) -> str:
        """The corrected lines for a family of functions."""
        return self.fix.get(family, self.fix.get("", ""))


def _entry(number: int, title: str, why: str, fix: str, **others: str) -> Mistake:
    return Mistake(number, title, why, {"": fix, **others})


MISTAKES: dict[int, Mistake] = {
    m.number: m
    for m in (
        _entry(
            1,
            "The derivative is only the diagonal, p (1 - p)",
            "Every probability depends on every logit, because all share one sum: "
            "dp_i/dx_j = p_i ([i = j] - p_j). The diagonal p (1 - p) leaves out -p_i p_j, so the "
            "rows no longer sum to 0.",
            _VJP,
            jacobian=_JACOBIAN,
            grad=_GRAD,
            both=_GRAD,
            layer=_GRAD,
            step=_GRAD,
        ),
        _entry(
            2,
            "The derivative is built from the input x instead of p",
            "The derivative of softmax is diag(p) - p p^T in its output p = softmax(x). Here the "
            "logits x themselves stand where p belongs.",
            _STABLE + "\n" + _VJP,
            jacobian=_STABLE + "\n" + _JACOBIAN,
            grad="p = softmax(x)\n" + _GRAD,
            both="p = softmax(x)\n" + _GRAD,
        ),
        _entry(
            3,
            "The whole batch is reshaped into one column",
            "reshape(-1, 1) joins the rows of a batch into one vector, so diag(p) - p p^T becomes "
            "(N C, N C) and mixes rows that have nothing to do with each other. A batch has one "
            "C x C Jacobian a row: shape (N, C, C).",
            _JACOBIAN,
        ),
        _entry(
            4,
            "The upstream gradient is constant, so the result is 0",
            "The probabilities of a row sum to 1 whatever the logits are, hence J 1 = 0: with ones "
            "as the cotangent the gradient is exactly 0 or 1e-17. Pass the gradient of the loss "
            "by p instead.",
            "g = dloss_dp          # not np.ones_like(p)\n" + _VJP,
            grad=_GRAD,
            both=_GRAD,
        ),
        _entry(
            5,
            "The softmax derivative is applied twice",
            "p - y is already the derivative of the loss by the logits: in J (-y / p) = p - y the "
            "Jacobian is contained. Multiplying by p (1 - p) or by J again makes the gradient far "
            "too small.",
            _VJP,
            grad=_GRAD,
            both=_GRAD,
            distillation="grad = T * (p - q) / len(p)",
            layer="dz = (p - Y) / len(p)\ndW = X.T @ dz\ndb = dz.sum(axis=0)",
            step="dz = (p - Y) / len(p)\nW -= lr * X.T @ dz\nb -= lr * dz.sum(axis=0)",
        ),
        _entry(
            6,
            "p - y is used as the gradient of a squared loss",
            "p - y belongs to the cross-entropy alone. The squared loss |p - y|^2 has the gradient "
            "2 J (p - y) = 2 p (d - sum p d) with d = p - y.",
            "d = p - Y\ngrad = 2 * p * (d - (p * d).sum(axis=-1, keepdims=True)) / len(p)\n"
            "# or keep p - Y and return the cross-entropy as the loss",
        ),
        _entry(
            7,
            "The sum runs over the whole batch",
            "Each row has its own sum: p_ij = exp(x_ij) / sum_k exp(x_ik). Without an axis the "
            "whole batch sums to 1, and every row depends on all others.",
            _STABLE,
            vjp=_VJP,
            log_softmax=_LOG_P,
            logsumexp="m = x.max(axis=-1)\nlse = m + np.log(np.exp(x - m[..., None]).sum(axis=-1))",
        ),
        _entry(
            8,
            "The wrong axis is normalised",
            "Rows are examples and columns classes, so the sum runs along the classes: "
            "p_ij = exp(x_ij) / sum_k exp(x_ik). Here the columns sum to 1: changing one example "
            "changes the others.",
            _STABLE,
            vjp=_VJP,
            log_softmax=_LOG_P,
            logsumexp="m = x.max(axis=-1)\nlse = m + np.log(np.exp(x - m[..., None]).sum(axis=-1))",
        ),
        _entry(
            9,
            "One maximum for the whole batch",
            "A row far below the largest of all rows becomes exp(-large) = 0 throughout, and 0 / 0 "
            "is NaN. Each row needs its own maximum: exp(x - max x of the row).",
            _STABLE,
            loss=_LOSS,
            both=_LOSS,
        ),
        _entry(
            10,
            "A maximum or a sum without keepdims",
            "x - x.max(axis=1) takes (N, C) minus (N,): an error if N and C differ, and silently "
            "column j minus the maximum of row j if they are equal. keepdims=True keeps the "
            "shape (N, 1), which belongs to the rows.",
            _STABLE,
            vjp=_VJP,
            loss=_LOSS,
        ),
        _entry(
            11,
            "No shift by the maximum",
            "exp(x) overflows above 709 (float32: above 88), and inf / inf is NaN. "
            "softmax(x) = softmax(x - max x) is the same number and cannot overflow.",
            _STABLE,
            log_softmax=_LOG_P,
            loss=_LOSS,
            both=_LOSS,
            logsumexp="m = x.max(axis=-1)\nlse = m + np.log(np.exp(x - m[..., None]).sum(axis=-1))",
            binary="e = np.exp(-np.abs(x))\ns = np.where(x >= 0, 1, e) / (1 + e)",
        ),
        _entry(
            12,
            "The logits are clipped",
            "Logits beyond the limit become equal, so their probabilities tie and their gradients "
            "vanish. The shift x - max x keeps exp from overflowing without changing p.",
            _STABLE,
            loss=_LOSS,
            both=_LOSS,
        ),
        _entry(
            13,
            "The logarithm of a softmax",
            "p rounds to 0 where x lies far below the maximum, and log 0 is -inf. "
            "log p = (x - max x) - log sum exp(x - max x) needs no small number.",
            _LOSS,
            log_softmax=_LOG_P,
            binary=_BINARY,
            distillation=_LOG_P,
        ),
        _entry(
            14,
            "The probabilities are kept away from 0 by a small number",
            "-log(p + eps) cannot exceed -log eps (16.1 for 1e-7) and its gradient is 0 exactly "
            "where the model is most wrong. From the logits no eps is needed: "
            "log p = x - logsumexp(x).",
            _LOSS,
            log_softmax=_LOG_P,
            binary=_BINARY,
            distillation=_LOG_P,
        ),
        _entry(
            15,
            "Softmax is applied twice",
            "softmax(softmax(x)) sees numbers between 0 and 1 only, so no class can exceed "
            "e / (e + C - 1) and the loss has a floor (1.461 for ten classes). Apply softmax once: "
            "a loss that takes logits must not be given probabilities.",
            "p = softmax(x)        # once; the loss takes x, not p",
            loss=_LOSS,
        ),
        _entry(
            16,
            "Probabilities where log-probabilities are expected",
            "The negative log-likelihood is -log p_y; here it is -p_y, which lies between -1 and 0 "
            "and flattens where it should be steep. Give it log_softmax(x).",
            _LOSS,
            log_softmax=_LOG_P,
            grad=_GRAD,
        ),
        _entry(
            17,
            "A binary cross-entropy summed over softmax outputs",
            "One of C classes is -log p_y; the terms -log(1 - p_j) of the other classes punish the "
            "same error again. At equal logits the loss should be log C and is not.",
            _LOSS,
            grad=_GRAD,
            binary=_BINARY,
        ),
        _entry(
            18,
            "The 1/N of the mean is missing",
            "The mean of N losses has the gradient (p - y) / N. Without 1/N it is the gradient of "
            "the sum: N times too large, so the right step size changes with the batch.",
            "grad = (p - Y) / len(p)",
            loss="loss = -log_p[np.arange(len(y)), y].mean()",
            both="grad = (p - Y) / len(p)     # the loss is a mean, so is its gradient",
            layer="dz = (p - Y) / len(p)\ndW = X.T @ dz\ndb = dz.sum(axis=0)",
            step="dz = (p - Y) / len(p)\nW -= lr * X.T @ dz\nb -= lr * dz.sum(axis=0)",
        ),
        _entry(
            19,
            "The mean is taken over N x C numbers",
            "A row has one loss, however many classes it has: the mean divides by N. np.mean over "
            "all entries divides by N C and makes it C times too small.",
            "grad = (p - Y) / len(p)",
            loss="loss = -(Y * log_p).sum(axis=1).mean()     # sum over classes, mean over rows",
            both="loss = -(Y * log_p).sum(axis=1).mean()\ngrad = (p - Y) / len(p)",
            distillation="loss = T**2 * (q * (log_q - log_p)).sum(axis=1).mean()",
        ),
        _entry(
            20,
            "A weighted mean is divided by N",
            "The weighted mean is sum_i w_i l_i / sum_i w_i. Divided by N it changes with the "
            "scale of the weights, by the factor sum(w) / N.",
            "grad = w[:, None] * (p - Y) / w.sum()",
            loss="loss = (w * losses).sum() / w.sum()",
            both="loss = (w * losses).sum() / w.sum()\ngrad = w[:, None] * (p - Y) / w.sum()",
        ),
        _entry(
            21,
            "The sign is wrong",
            "The gradient of -log p_y by the logits is p - y: negative at the target, so that a "
            "step against it raises p_y. With y - p the loss rises at every step.",
            "grad = (p - Y) / len(p)",
            loss="loss = -log_p[np.arange(len(y)), y].mean()",
            vjp=_VJP,
            jacobian=_JACOBIAN,
            step="W -= lr * X.T @ ((p - Y) / len(p))     # minus: against the gradient",
            rows="p = e / e.sum(axis=-1, keepdims=True)",
        ),
        _entry(
            22,
            "The 1/T of the temperature is missing in the gradient",
            "With p = softmax(x / T) the chain rule brings a factor 1/T: d(-log p_y)/dx = "
            "(p - y) / T. Without it the gradient is T times too large.",
            "grad = (p - Y) / (T * len(p))",
            vjp="grad_x = p * (g - (p * g).sum(axis=-1, keepdims=True)) / T",
            jacobian=_JACOBIAN + "\nJ /= T",
            distillation="grad = T**2 * (p - q) / (T * len(p))     # T^2 of the loss, 1/T of x / T",
        ),
        _entry(
            23,
            "The distillation loss lacks its T^2",
            "The gradient of the soft term fades as 1/T^2, because both p and q flatten with T. "
            "Multiplied by T^2 its share stays the same at every temperature: "
            "T^2 sum q log(q / p).",
            "loss = T**2 * (q * (log_q - log_p)).sum(axis=1).mean()",
        ),
        _entry(
            24,
            "Labels are taken to run from 1 to C",
            "Class indices start at 0: y - 1 turns class 0 into -1, which Python reads as the last "
            "class. Every label trains its neighbour.",
            "y = labels - 1     # converted once: y in 0..C-1\n" + _GRAD,
            loss="loss = -log_p[np.arange(len(y)), y].mean()     # y in 0..C-1",
        ),
        _entry(
            25,
            "A negative label wraps around to the last classes",
            "log_p[i, -1] is the last class in Python, so rows marked -1 teach the model that "
            "class instead of being left out. Leave them out; divide by the number of rows left.",
            "keep = y >= 0\ngrad = p.copy()\ngrad[np.flatnonzero(keep), y[keep]] -= 1\n"
            "grad[~keep] = 0\ngrad /= keep.sum()",
            loss="keep = y >= 0\nloss = -log_p[np.flatnonzero(keep), y[keep]].mean()",
        ),
        _entry(
            26,
            "Softmax over a single unit",
            "One class alone has the probability exp(x) / exp(x) = 1, whatever x is. A yes/no "
            "question takes the sigmoid 1 / (1 + exp(-x)).",
            "s = np.exp(-np.logaddexp(0, -x))     # sigmoid, not softmax",
            loss=_BINARY,
            grad="grad = (sigmoid(x) - y) / len(y)",
        ),
        _entry(
            27,
            "The mask multiplies by 0 or adds a finite number",
            "A logit of 0 is not absent: exp(0) = 1 still takes its share, and -1e4 is too little "
            "against larger logits. Only -inf before the softmax gives exp(-inf) = 0.",
            "x = np.where(mask, x, -np.inf)\n" + _STABLE,
        ),
        _entry(
            28,
            "argmax inside the loss",
            "argmax jumps from class to class and is flat in between, so its derivative is 0 "
            "wherever it exists. Use -log p_y, which decreases as the right class gains.",
            _GRAD,
            loss=_LOSS,
            rows=_STABLE,
        ),
        _entry(
            29,
            "Computed in place on numbers that are needed again",
            "grad = p makes no copy, so grad[i, y] -= 1 also changes the cached or given array, "
            "and the next call sees p - y where it expects p. Copy first.",
            "grad = p.copy()\ngrad[np.arange(len(y)), y] -= 1",
            rows="x = x - x.max(axis=-1, keepdims=True)     # a new array, not x -= ...",
            vjp="grad = g - (p * g).sum(axis=-1, keepdims=True)\ngrad = p * grad     # new arrays",
        ),
        _entry(
            30,
            "Finite differences in float32",
            "(f(x + h) - f(x - h)) / 2h divides the rounding error of f, 1e-7 in float32, by h: "
            "for h = 1e-4 nothing but noise is left in the third digit. Use float64 and h = 1e-5, "
            "or softgrad.check_grad.",
            "x, h = x.astype(np.float64), 1e-5\nslope = (f(x + h) - f(x - h)) / (2 * h)",
        ),
    )
}

#: A complete right implementation of each kind, to copy.
CODE: dict[str, str] = {
    "softmax": "def softmax(x):\n    e = np.exp(x - x.max(axis=-1, keepdims=True))\n"
    "    return e / e.sum(axis=-1, keepdims=True)",
    "log_softmax": "def log_softmax(x):\n    z = x - x.max(axis=-1, keepdims=True)\n"
    "    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))",
    "logsumexp": "def logsumexp(x):\n    m = x.max(axis=-1)\n"
    "    return m + np.log(np.exp(x - m[..., None]).sum(axis=-1))",
    "sigmoid": "def sigmoid(x):\n    e = np.exp(-np.abs(x))\n"
    "    return np.where(x >= 0, 1, e) / (1 + e)",
    "sigmoid_grad": "def sigmoid_grad(x):\n    s = sigmoid(x)\n    return s * (1 - s)",
    "softmax_jacobian": "def softmax_jacobian(x):\n    p = softmax(x)\n"
    "    eye = np.eye(p.shape[-1])\n"
    "    return p[..., :, None] * eye - p[..., :, None] * p[..., None, :]",
    "softmax_vjp": "def softmax_vjp(x, g):\n    p = softmax(x)\n"
    "    return p * (g - (p * g).sum(axis=-1, keepdims=True))",
    "cross_entropy": "def cross_entropy(x, y):\n    log_p = log_softmax(x)\n"
    "    return -log_p[np.arange(len(y)), y].mean()",
    "nll": "def nll(log_p, y):\n    return -log_p[np.arange(len(y)), y].mean()",
    "cross_entropy_grad": "def cross_entropy_grad(x, y):\n    grad = softmax(x)\n"
    "    grad[np.arange(len(y)), y] -= 1\n    return grad / len(y)",
    "cross_entropy_value_and_grad": "def cross_entropy_value_and_grad(x, y):\n"
    "    rows = np.arange(len(y))\n    log_p = log_softmax(x)\n    grad = np.exp(log_p)\n"
    "    grad[rows, y] -= 1\n    return -log_p[rows, y].mean(), grad / len(y)",
    "binary_cross_entropy": "def binary_cross_entropy(x, y):\n"
    "    return (np.logaddexp(0, x) - x * y).mean()",
    "binary_cross_entropy_grad": "def binary_cross_entropy_grad(x, y):\n"
    "    return (sigmoid(x) - y) / y.size",
    "distillation": "def distillation(student, teacher, T):\n"
    "    log_p, log_q = log_softmax(student / T), log_softmax(teacher / T)\n"
    "    return T**2 * (np.exp(log_q) * (log_q - log_p)).sum(axis=-1).mean()",
    "distillation_grad": "def distillation_grad(student, teacher, T):\n"
    "    return T * (softmax(student / T) - softmax(teacher / T)) / len(student)",
    "softmax_layer_grad": "def softmax_layer_grad(X, W, b, y):\n    dz = softmax(X @ W + b)\n"
    "    dz[np.arange(len(y)), y] -= 1\n    dz /= len(y)\n"
    "    return X.T @ dz, dz.sum(axis=0)",
    "train_step": "def train_step(W, b, X, y, lr):\n    dz = softmax(X @ W + b)\n"
    "    dz[np.arange(len(y)), y] -= 1\n    dz /= len(y)\n"
    "    return W - lr * X.T @ dz, b - lr * dz.sum(axis=0)",
}
CODE["softmax_backward"] = CODE["softmax_vjp"].replace("softmax_vjp", "softmax_backward")


def right_code(kind: str, name: str) -> str:
    """A right function of this kind under the examined one's name, with all that it calls."""
    code = CODE[kind]
    if name.isidentifier() and not iskeyword(name):
        code = re.sub(rf"^def {kind}\(", f"def {name}(", code)
    helpers = [
        CODE[helper]
        for helper in ("softmax", "log_softmax", "sigmoid")
        if re.search(rf"(?<!def )\b{helper}\(", code) and helper != name
    ]
    return "\n\n\n".join(["import numpy as np", *helpers, code])
