"""Derivatives against central differences of the values, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.functions import ACTIVATIONS
from tests.support.members import ELEMENTWISE, row_shape

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
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_normalised_rows(name: str, options: Any, rng: Any) -> None:
    function: Any = ACTIVATIONS[name]
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


@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": (0, 2), "where": WHERE}], ids=str)
def test_sparsemax(options: Any, rng: Any) -> None:
    """Linear in pieces: the second derivative is 0, and the first one constant around X."""
    g, v = rng.normal(size=(2, *X.shape))
    jvp, vjp = sg.sparsemax.jvp(X, v, **options), sg.sparsemax.vjp(X, g, **options)
    assert_slope(jvp, slope(lambda x: sg.sparsemax(x, **options), X, v))
    both = np.sum(np.where(options.get("where", True), g * jvp, 0.0))
    np.testing.assert_allclose(np.sum(vjp * v), both, 1e-12)
    np.testing.assert_array_equal(sg.sparsemax.vjp(X + STEP * v, g, **options), vjp)
    assert not sg.sparsemax.hvp(X, g, v, **options).any()


@pytest.mark.parametrize(("name", "parameter"), ELEMENTWISE, ids=str)
def test_elementwise(name: str, parameter: dict[str, float], rng: Any) -> None:
    function: Any = ACTIVATIONS[name]
    g, v = rng.normal(size=(2, *X.shape))

    def value(x: Any) -> Any:
        return function(x, **parameter)

    assert_slope(function.jvp(X, v, **parameter), slope(value, X, v))
    along = slope(value, X, np.ones_like(X))
    assert_slope(function.vjp(X, g, **parameter), g * along)
    assert_slope(function.jacobian(X, **parameter), along)
    hvp = function.hvp(X, g, v, **parameter)
    if name in ("identity", "relu", "leaky_relu"):
        assert not hvp.any()
    else:
        assert_slope(hvp, slope(lambda x: function.vjp(x, g, **parameter), X, v))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_jacobians_column_by_column(axis: int) -> None:
    for function in (sg.softmax, sg.log_softmax, sg.softmin, sg.sparsemax, sg.logsumexp):
        jacobian = function.jacobian(X, axis=axis)
        for c in range(X.shape[axis]):
            v = np.zeros_like(X)
            np.moveaxis(v, axis, -1)[..., c] = 1.0
            column = slope(lambda x, f=function: f(x, axis=axis), X, v)
            if column.ndim == X.ndim:
                column = np.moveaxis(column, axis, -1)
            assert_slope(jacobian[..., c], column)
