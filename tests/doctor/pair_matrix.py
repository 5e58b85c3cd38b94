"""Pairs of mistakes that can meet in one function, generated: p, derivative and constant wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.doctor.pairs import STAGES
from tests.doctor.patients import Patient, log_softmax, one_hot, softmax

MATRIX: list[Patient] = []
#: What is not wrong has the number 0.
_P = {0: softmax, **STAGES}
_NO_LIMIT = {k: v for k, v in _P.items() if k != 12}
_CONSTANTS = {0: lambda n, c: 1 / n, 18: lambda n, c: 1.0, 19: lambda n, c: 1 / (n * c)}


def _matrix(p: Any) -> Any:
    return p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]


_VJPS = {
    0: lambda p, g: p * (g - (p * g).sum(axis=1, keepdims=True)),
    1: lambda p, g: g * p * (1 - p),
    8: lambda p, g: p * (g - (p * g).sum(axis=0)),
    10: lambda p, g: p * (g - (p * g).sum(axis=1)),
}
_JACOBIANS = {0: _matrix, 1: lambda p: p * (1 - p)}
_T_POWERS = {0: lambda T: T, 22: lambda T: T * T, 23: lambda T: 1 / T}


def _sign(number: int) -> int:
    return -1 if number == 21 else 1


def vjp(s: int, v: int, sign: int) -> Callable[..., Any]:
    return lambda x, g: _sign(sign) * _VJPS[v](_P[s](x), g)


def jacobian(s: int, j: int, sign: int) -> Callable[..., Any]:
    return lambda x: _sign(sign) * _JACOBIANS[j](_P[s](x))


def heated_grad(s: int, c: int, sign: int) -> Callable[..., Any]:
    def cross_entropy_grad(x, y, T=1.0):  # mistake 22 is in all of them
        d = _P[s](x / T) - one_hot(y, x.shape[1])
        return _sign(sign) * d * _CONSTANTS[c](*x.shape)

    return cross_entropy_grad


def step(s: int, c: int, sign: int) -> Callable[..., Any]:
    def train_step(W, b, X, y, lr):
        d = _P[s](X @ W + b) - one_hot(y, W.shape[1])
        d = _sign(sign) * d * _CONSTANTS[c](*d.shape)
        return W - lr * X.T @ d, b - lr * d.sum(axis=0)

    return train_step


def distillation_grad(s: int, c: int, sign: int, power: int) -> Callable[..., Any]:
    def distillation_grad(student, teacher, T):
        q = (_P[s] if s in (7, 8) else softmax)(teacher / T)
        d = _P[s](student / T) - q
        return _sign(sign) * d * _CONSTANTS[c](*d.shape) * _T_POWERS[power](T)

    return distillation_grad


def loss(log: int, c: int, sign: int, label: int) -> Callable[..., Any]:
    def cross_entropy(x, y):
        log_p = np.log(softmax(x)) if log else log_softmax(x)
        picked = log_p[np.arange(len(y)), y - 1 if label else y]
        return -_sign(sign) * picked.sum() * _CONSTANTS[c](*x.shape)

    return cross_entropy


def _add(kind: str, make: Callable[..., Any], *choices: Any, always: tuple[int, ...] = ()) -> None:
    for numbers in itertools.product(*choices):
        mistakes = tuple(sorted({*numbers, *always} - {0}))
        if len(mistakes) != 2 or len([n for n in numbers if n]) + len(always) != 2:
            continue
        function = make(*numbers)
        function.__name__ = kind
        options = {"reduction": "mean"} if 18 in mistakes else {}
        MATRIX.append(Patient(function, kind, mistakes, options))


# Normalised over everything, with a sum down the columns, it is right for single rows.
_add("softmax_vjp", vjp, {k: _P[k] for k in (9, 11, 12, 15)}, (8,), (0,))
_add("softmax_vjp", vjp, {k: _P[k] for k in (0, 7, 9, 11, 12, 15)}, (0, 1), (0, 21))
_add("softmax_vjp", vjp, (0,), _VJPS, (0, 21))
_add("softmax_jacobian", jacobian, _P, _JACOBIANS, (0, 21))
_add("cross_entropy_grad", heated_grad, _NO_LIMIT, _CONSTANTS, (0, 21), always=(22,))
_add("train_step", step, {k: _P[k] for k in (0, 7, 8, 9, 11, 12, 15)}, _CONSTANTS, (0, 21))
_add(
    "distillation_grad",
    distillation_grad,
    {k: _P[k] for k in (0, 7, 8, 9, 11)},
    {k: _CONSTANTS[k] for k in (0, 19)},
    (0, 21),
    _T_POWERS,
)
_add("cross_entropy", loss, (0, 13), {k: _CONSTANTS[k] for k in (0, 19)}, (0, 21), (0, 24))
