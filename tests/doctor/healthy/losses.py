"""Right losses: cross-entropy, negative log-likelihood, yes/no questions, distillation."""

from __future__ import annotations

import math

import numpy as np
import scipy.special

from tests.doctor.healthy.registry import healthy
from tests.doctor.patients import log_softmax, one_hot, softmax


@healthy("cross_entropy")
def ce_of_a_column(logits, y):
    picked = np.take_along_axis(log_softmax(logits), y.reshape(-1, 1), axis=1)
    assert y.shape == (len(logits), 1)
    return -picked.mean()


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


@healthy("distillation")
def distillation(student, teacher, T):
    log_p, log_q = log_softmax(student / T), log_softmax(teacher / T)
    return T * T * (np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()


@healthy("distillation")
def kd_loss(student_logits, teacher_logits, labels, T=4.0, alpha=0.9):
    soft = -(softmax(teacher_logits / T) * log_softmax(student_logits / T)).sum(axis=1).mean()
    hard = -log_softmax(student_logits)[np.arange(len(labels)), labels].mean()
    return alpha * T**2 * soft + (1 - alpha) * hard


@healthy("cross_entropy")
def cross_entropy_cost(AL, Y):
    return -np.sum(Y * np.log(AL)) / Y.shape[1]


@healthy("cross_entropy")
def cross_entropy_smoothed(logits, y, label_smoothing=0.1):
    C = logits.shape[1]
    soft = one_hot(y, C) * (1 - label_smoothing) + label_smoothing / C
    return -(soft * log_softmax(logits)).sum(axis=1).mean()


@healthy("cross_entropy")
def cross_entropy_by_logsumexp(z, t):
    return (scipy.special.logsumexp(z, axis=1) - (z * t).sum(axis=1)).sum()


@healthy("cross_entropy")
def ce_comprehension(rows, targets):
    each = [
        math.log(sum(math.exp(v - max(r)) for v in r)) + max(r) - r[t]
        for r, t in zip(rows, targets, strict=True)
    ]
    return sum(each) / len(rows)


@healthy("cross_entropy")
def loss_keyword(*, targets, logits):
    return -np.take_along_axis(log_softmax(logits), targets[:, None], 1).mean()


@healthy("cross_entropy")
def ce_single_precision(x, y):
    x = np.float32(x)
    m = x.max(1)
    return float(np.mean(m + np.log(np.exp(x - m[:, None]).sum(1)) - x[np.arange(len(y)), y]))


@healthy("cross_entropy")
def ce_turned(logits_T, Y_T):
    """logits_T: (C, N)."""
    z = logits_T - logits_T.max(0)
    return np.mean(np.log(np.exp(z).sum(0)) - (z * Y_T).sum(0))


@healthy("binary_cross_entropy")
def bce_of_two_cases(z, t):
    return np.mean(np.where(t > 0.5, np.logaddexp(0, -z), np.logaddexp(0, z)))
