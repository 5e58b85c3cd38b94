"""Derivatives against central differences of the values, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from tests.support.members import row_shape

STEP = 1e-5
RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 3, 5)) * 2
WHERE = RNG.random(X.shape) < 0.75

ROW_OPTIONS: list[dict[str, Any]] = [
    {},
    {"axis": 0},
    {"axis": 1, "temperature": 0.5},
    {"axis": (0, 2), "temperature": 3.0},
    {"axis": None},
    {"where": WHERE},
    {"axis": 1, "where": WHERE, "temperature": 2.0},
]


def slope(function: Callable[[Any], Any], x: Any, v: Any) -> Any:
    """The derivative of `function` at x in direction v; the error is STEP^2 and rounding / STEP."""
    ahead, behind = np.asarray(function(x + STEP * v)), np.asarray(function(x - STEP * v))
    with np.errstate(invalid="ignore"):  # masked log-probabilities stay -inf
        change = np.asarray((ahead - behind) / (2 * STEP))
    return np.where(np.isinf(ahead), 0.0, change)


def assert_slope(result: Any, expected: Any) -> None:
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.shape == expected.shape
    size = np.max(np.abs(expected))
    assert size > 1e-4  # or the comparison would say nothing
    assert np.max(np.abs(result - expected)) <= 1e-7 * max(1.0, size)
    assert np.max(np.abs(result - expected)) <= 1e-5 * size


@pytest.mark.parametrize("options", ROW_OPTIONS, ids=str)
@pytest.mark.parametrize("function", [sg.softmax, sg.log_softmax], ids=["softmax", "log_softmax"])
def test_normalised_rows(function: Any, options: Any, rng: Any) -> None:
    g, v = rng.normal(size=(2, *X.shape))
    jvp = function.jvp(X, v, **options)
    vjp = function.vjp(X, g, **options)
    assert_slope(jvp, slope(lambda x: function(x, **options), X, v))
    # <g, J v> = <g^T J, v>, for cotangents that do not reach masked entries
    where = options.get("where", True)
    both = np.sum(np.where(where, g * jvp, 0.0))
    np.testing.assert_allclose(np.sum(vjp * v), both, 1e-12)
    hvp = function.hvp(X, g, v, **options)
    assert_slope(hvp, slope(lambda x: function.vjp(x, g, **options), X, v))


@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
@pytest.mark.parametrize("where", [None, WHERE], ids=["all", "masked"])
def test_logsumexp(axis: Any, where: Any, rng: Any) -> None:
    options: Any = {"axis": axis, "where": where}
    g, v = rng.normal(size=row_shape(X, axis)), rng.normal(size=X.shape)
    jvp = sg.logsumexp.jvp(X, v, **options)
    vjp = sg.logsumexp.vjp(X, g, **options)
    assert_slope(jvp, slope(lambda x: sg.logsumexp(x, **options), X, v))
    np.testing.assert_allclose(np.sum(vjp * v), np.sum(g * jvp), 1e-12)
    hvp = sg.logsumexp.hvp(X, g, v, **options)
    assert_slope(hvp, slope(lambda x: sg.logsumexp.vjp(x, g, **options), X, v))


def test_sigmoid(rng: Any) -> None:
    g, v = rng.normal(size=(2, *X.shape))
    assert_slope(sg.sigmoid.jvp(X, v), slope(sg.sigmoid, X, v))
    assert_slope(sg.sigmoid.vjp(X, g), g * slope(sg.sigmoid, X, np.ones_like(X)))
    assert_slope(sg.sigmoid.hvp(X, g, v), slope(lambda x: sg.sigmoid.vjp(x, g), X, v))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_jacobians_column_by_column(axis: int) -> None:
    for function in (sg.softmax, sg.log_softmax, sg.logsumexp):
        jacobian = function.jacobian(X, axis=axis)
        for c in range(X.shape[axis]):
            v = np.zeros_like(X)
            np.moveaxis(v, axis, -1)[..., c] = 1.0
            column = slope(lambda x, f=function: f(x, axis=axis), X, v)
            if column.ndim == X.ndim:
                column = np.moveaxis(column, axis, -1)
            assert_slope(jacobian[..., c], column)
