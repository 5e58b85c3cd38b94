"""The gradient check accepts right gradients and no wrong one."""

from __future__ import annotations

import numpy as np
import pytest

from softgrad.optimize import check_gradient

SCALE = np.linspace(0.5, 2.0, 12)


def value(x):
    return float(np.log(np.exp(SCALE * x).sum()))


def gradient(x):
    p = np.exp(SCALE * x)
    return SCALE * p / p.sum()


POINT = np.linspace(-1.0, 1.0, 12)


def test_a_right_gradient_passes():
    check = check_gradient(lambda x: (value(x), gradient(x)), POINT)
    assert check.passed
    assert check.relative_error < 1e-10


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g: np.zeros_like(g),
        lambda g: -g,
        lambda g: g * (1 + 1e-5),
        lambda g: g / len(g),
        lambda g: np.roll(g, 1),
        lambda g: np.concatenate([g[:-1], [g[-1] + 1e-4]]),
    ],
    ids=["zero", "sign", "scale", "mean", "order", "component"],
)
def test_a_wrong_gradient_fails(wrong):
    check = check_gradient(lambda x: (value(x), wrong(gradient(x))), POINT)
    assert not check.passed


def test_a_gradient_of_zeros_is_wholly_wrong():
    check = check_gradient(lambda x: (value(x), np.zeros_like(x)), POINT)
    assert check.relative_error == pytest.approx(1.0)
