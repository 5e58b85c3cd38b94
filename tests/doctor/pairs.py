"""Two mistakes in one function."""

from __future__ import annotations

import numpy as np

from softgrad.doctor.kinds import KINDS
from tests.doctor.patients import PATIENTS, Patient, log_softmax, one_hot, sigmoid, softmax

assert KINDS
PAIRS: list[Patient] = []


def pair(kind, *mistakes, **options):
    def register(function):
        PAIRS.append(Patient(function, kind, mistakes, options))
        return function

    return register


def shifted(x):
    return np.exp(x - x.max(axis=-1, keepdims=True))


#: Wrong ways to p.
STAGES = {
    7: lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(),
    8: lambda x: np.exp(x - x.max(0)) / np.exp(x - x.max(0)).sum(axis=0),
    9: lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(axis=1, keepdims=True),
    10: lambda x: shifted(x) / shifted(x).sum(axis=1),
    11: lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True),
    12: lambda x: softmax(np.clip(x, -20, 20)),
    15: lambda x: softmax(softmax(x)),
}
#: Wrong gradients by p, y (one-hot) and N.
GRADIENTS = {
    1: lambda p, y, n: -y * (1 - p) / n,
    5: lambda p, y, n: (p - y) * p * (1 - p) / n,
    18: lambda p, y, n: p - y,
    19: lambda p, y, n: (p - y) / p.size,
    21: lambda p, y, n: (y - p) / n,
}
#: Wrong losses by p and y.
LOSSES = {
    14: lambda p, y: -(y * np.log(p + 1e-10)).sum() / len(p),
    16: lambda p, y: -(y * p).sum() / len(p),
    17: lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / len(p),
    19: lambda p, y: -np.mean(y * np.log(p)),
    21: lambda p, y: (y * np.log(p)).sum() / len(p),
}


def _gradient(stage, form, indices):
    def cross_entropy_grad(x, y):
        p = STAGES[stage](x)
        y = one_hot(y, x.shape[1]) if indices else y
        return GRADIENTS[form](p, y, len(x))

    cross_entropy_grad.__name__ += "_of_indices" if indices else "_of_one_hot"
    return cross_entropy_grad


def _loss(stage, form):
    def cross_entropy(x, y):
        return LOSSES[form](STAGES[stage](x), y)

    return cross_entropy


for _stage in STAGES:
    for _form in GRADIENTS:
        for _indices in (True, False):
            _mistakes = tuple(sorted((_stage, _form)))
            _options = {"reduction": "mean"} if _form == 18 and not _indices else {}
            PAIRS.append(
                Patient(
                    _gradient(_stage, _form, _indices), "cross_entropy_grad", _mistakes, _options
                )
            )
    for _form in LOSSES:
        if _form == 14 and _stage in (12, 15):
            continue  # p cannot become small enough for the eps to matter
        # They take the logarithm of p, which shows wherever p can become 0 (and 1 - p is known).
        _zero = _form in (19, 21) or (_form == 17 and _stage != 10)
        _logarithm = {13} if _zero and _stage not in (12, 15) else set()
        _mistakes = tuple(sorted({_stage, _form, *_logarithm}))
        PAIRS.append(Patient(_loss(_stage, _form), "cross_entropy", _mistakes))


@pair("cross_entropy_grad", 8, 18)
def wrong_axis_and_no_mean(x, y):
    e = np.exp(x)
    e = np.exp(x - x.max(axis=0))
    p = e / e.sum(axis=0)
    p[np.arange(len(y)), y] -= 1
    return p


@pair("cross_entropy_grad", 18, 21)
def sign_and_no_mean(x, y):
    d = -softmax(x)
    d[np.arange(len(y)), y] += 1
    return d


@pair("cross_entropy_value_and_grad", 11, 18)
def no_shift_and_no_mean(x, y):
    e = np.exp(x)
    rows = np.arange(len(y))
    loss = np.mean(np.log(e.sum(1)) - x[rows, y])
    d = e / e.sum(1, keepdims=True)
    d[rows, y] -= 1
    return loss, d


@pair("cross_entropy_value_and_grad", 14, 21)
def eps_and_sign(x, y):
    p = softmax(x)
    Y = one_hot(y, x.shape[1])
    return -(Y * np.log(p + 1e-8)).sum() / len(x), (Y - p) / len(x)


@pair("cross_entropy_grad", 21, 22)
def sign_and_temperature(x, y, T=1.0):
    return (one_hot(y, x.shape[1]) - softmax(x / T)) / len(y)


@pair("distillation_grad", 22, 23)
def neither_square_nor_chain(student, teacher, T):
    return (softmax(student / T) - softmax(teacher / T)) / len(student)


@pair("distillation", 19, 23)
def batchmean_forgotten(student, teacher, T):
    log_p, log_q = log_softmax(student / T), log_softmax(teacher / T)
    return np.mean(np.exp(log_q) * (log_q - log_p))


@pair("cross_entropy", 19, 24)
def mean_of_all_and_labels_from_one(x, y):
    return -np.mean(one_hot(y - 1, x.shape[1]) * log_softmax(x))


@pair("softmax_jacobian", 1, 2)
def diagonal_of_the_input(x):
    return x * (1 - x)


@pair("softmax_jacobian", 2, 3)
def reshape_of_the_input(x):
    s = x.reshape(-1, 1)
    return np.diagflat(s) - s @ s.T


@pair("softmax_vjp", 1, 8)
def diagonal_and_axis(x, g):
    e = np.exp(x - x.max(axis=0))
    p = e / e.sum(axis=0)
    return g * p * (1 - p)


@pair("softmax_vjp", 1, 21)
def diagonal_and_sign(x, g):
    p = softmax(x)
    return -g * p * (1 - p)


@pair("train_step", 18, 21)
def uphill_by_the_sum(W, b, X, y, lr):
    logits = X @ W + b
    loss = -log_softmax(logits)[np.arange(len(y)), y].mean()
    d = softmax(logits) - one_hot(y, W.shape[1])
    return W + lr * X.T @ d, b + lr * d.sum(axis=0), loss


@pair("binary_cross_entropy_grad", 5, 21)
def binary_twice_and_sign(x, y):
    s = sigmoid(x)
    return (y - s) * s * (1 - s) / len(y)


@pair("softmax", 11, 29)
def no_shift_in_place(x):
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


@pair("softmax", 8, 29)
def axis_in_place(x):
    x -= x.max(axis=0)
    return np.exp(x) / np.exp(x).sum(axis=0)


@pair("softmax", 11, 27)
def mask_and_no_shift(x, mask):
    e = np.exp(x * mask)
    return e / e.sum(axis=1, keepdims=True)


@pair("cross_entropy", 20, 21)
def weights_and_sign(x, y, sample_weight=None):
    w = np.ones(len(y)) if sample_weight is None else sample_weight
    return np.mean(w * log_softmax(x)[np.arange(len(y)), y])


@pair("cross_entropy", 13, 17)
def yes_and_no_of_a_softmax(x, Y):
    p = softmax(x)
    return -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p)) / len(x)


@pair("cross_entropy", 14, 17)
def yes_and_no_of_a_clipped_softmax(x, Y):
    p = np.clip(softmax(x), 1e-7, 1 - 1e-7)
    return -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p)) / len(x)


assert PATIENTS


@pair("softmax", 8, 9)
def one_maximum_down_the_columns(x):
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=0)


def _rowwise(p, u):
    return p * (u - (p * u).sum(axis=1, keepdims=True))


#: Right Jacobians of wrong probabilities, put to a wrong use.
_USES = {
    4: lambda p, y: _rowwise(p, np.ones_like(p)),
    5: lambda p, y: _rowwise(p, p - y),
    16: lambda p, y: _rowwise(p, -y),
    17: lambda p, y: _rowwise(p, (p - y) / (p * (1 - p))),
}


def _use(stage, form):
    def cross_entropy_grad(x, y):
        return _USES[form](STAGES[stage](x), one_hot(y, x.shape[1])) / len(x)

    return cross_entropy_grad


for _stage in (7, 8):
    for _form in _USES:
        _mistakes = tuple(sorted((_stage, _form)))
        PAIRS.append(Patient(_use(_stage, _form), "cross_entropy_grad", _mistakes))


@pair("cross_entropy_grad", 5, 19)
def jacobian_again_and_mean_of_all(x, y):
    p = softmax(x)
    return _rowwise(p, p - one_hot(y, x.shape[1])) / p.size


@pair("cross_entropy_grad", 12, 22)
def clipped_and_no_temperature(x, y, T=1.0):
    return (STAGES[12](x / T) - one_hot(y, x.shape[1])) / len(x)


@pair("cross_entropy_grad", 10, 20)
def no_keepdims_and_no_weights(x, y, sample_weight=None):
    w = np.ones(len(y)) if sample_weight is None else sample_weight
    return w[:, None] * (STAGES[10](x) - one_hot(y, x.shape[1])) / len(x)


@pair("cross_entropy_value_and_grad", 1, 13)
def diagonal_beside_a_logarithm(x, y):
    p, y = softmax(x), one_hot(y, x.shape[1])
    return -(y * np.log(p)).sum(axis=1).mean(), -y * (1 - p) / len(x)


@pair("cross_entropy_value_and_grad", 1, 14)
def diagonal_beside_an_eps(x, y):
    p, y = softmax(x), one_hot(y, x.shape[1])
    return -(y * np.log(p + 1e-8)).sum(axis=1).mean(), -y * (1 - p) / len(x)


@pair("softmax", 11, 27)
def added_mask_and_no_shift(x, mask):
    e = np.exp(x + (1 - mask) * -1e4)
    return e / e.sum(axis=1, keepdims=True)


@pair("binary_cross_entropy", 12, 21)
def clipped_log_odds_and_sign(x, y):
    x = np.clip(x, -20, 20)
    return -(np.logaddexp(0, x) - x * y).mean()


@pair("cross_entropy", 25, 28, ignore_index=-1)
def argmax_of_padding(x, y):
    return np.mean(x.argmax(axis=1) != one_hot(y, x.shape[1]).argmax(axis=1))


@pair("distillation", 16, 23)
def probabilities_and_no_square(student, teacher, T):
    p, q = softmax(student / T), softmax(teacher / T)
    return (q * (np.log(q) - p)).sum() / len(p)
