"""Errors of the losses in ULP against arbitrary precision, on numbers that break the formulas.

Where a result is the difference of two parts (a soft target of a yes/no question, a divergence) the
error is relative to the size of the parts; else to the result itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad._reference import exact
from softgrad.functions import LOSSES
from tests.conftest import Observed
from tests.support import ulp
from tests.support.problems import make
from tests.support.rows import KINDS

DTYPES = ["float32", "float64"]
LIMIT = 4.0

#: The parts that l, l' and l'' are the sum of, each a product; z is x or y in full precision.
Parts = Callable[[Any, Any], tuple[list[Any], list[Any], list[Any]]]


def _zero(c: Any, f: Callable[[], Any]) -> Any:
    return mpmath.mpf(0) if c == 0 else c * f()


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x)) if x < 1e5 else x + mpmath.exp(-x)


def binary(x: Any, y: Any, weight: Any = 1) -> tuple[list[Any], list[Any], list[Any]]:
    p, q = _sigmoid(x), _sigmoid(-x)
    a, b = weight * y, 1 - y
    value = [_zero(a, lambda: _softplus(-x)), _zero(b, lambda: _softplus(x))]
    return value, [-a * q, b * p], [(a + b) * p * q]


def binary_focal(x: Any, y: Any, g: Any, alpha: Any) -> tuple[list[Any], list[Any], list[Any]]:
    def one(z: Any) -> tuple[Any, Any, list[Any]]:
        p, q, a = _sigmoid(z), _sigmoid(-z), _softplus(-z)
        power = mpmath.exp(-g * _softplus(z))
        parts = [p * power * t for t in (g * g * p * a, (2 * g + 1) * q, -g * q * a)]
        return power * a, -power * (g * p * a + q), parts

    (v1, d1, h1), (v0, d0, h0) = one(x), one(-x)
    a, b = alpha * y, (1 - alpha) * (1 - y)
    return [a * v1, b * v0], [a * d1, -b * d0], [a * h for h in h1] + [b * h for h in h0]


def binary_probability(x: Any, y: Any) -> tuple[list[Any], list[Any], list[Any]]:
    value = [_zero(y, lambda: -mpmath.log(x)), _zero(1 - y, lambda: -mpmath.log(1 - x))]
    slope = [_zero(y, lambda: -1 / x), _zero(1 - y, lambda: 1 / (1 - x))]
    return value, slope, [_zero(y, lambda: 1 / x**2), _zero(1 - y, lambda: 1 / (1 - x) ** 2)]


def divergence(x: Any, y: Any) -> tuple[list[Any], list[Any], list[Any]]:
    value = _zero(y, lambda: mpmath.log(y) - x)
    return [value], [-y], [mpmath.mpf(0)]


def huber(x: Any, y: Any) -> tuple[list[Any], list[Any], list[Any]]:
    d = x - y
    if abs(d) <= 1:
        return [d * d / 2], [d], [mpmath.mpf(1)]
    return [abs(d) - mpmath.mpf(0.5)], [mpmath.sign(d)], [mpmath.mpf(0)]


def log_odds(dtype: str, rng: Any) -> Any:
    edges = [0, 1e-40, 1e-30, 1e-8, 0.3, 1, 5, 16.6, 17, 36.7, 40, 87.3, 88.8, 103.5, 104, 120]
    edges += [700, 708.5, 745, 746, 800, 1e4, 1e30]
    edges += list(rng.normal(size=60) * 3) + list(rng.uniform(-110, 110, size=60))
    edges += list(10.0 ** rng.uniform(-12, 3, size=60))
    x = np.array(edges)
    return np.concatenate([x, -x]).astype(dtype)


def probabilities(dtype: str, rng: Any) -> Any:
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal
    edges = [0, tiny, 3 * tiny, np.finfo(dtype).tiny, 1e-30, 1e-8, eps, 0.5, 1 - eps, 1 - eps / 2]
    edges += [1, 0.5 - eps, 0.5 + eps, 0.7, 0.71, 0.2928932, 0.29289]
    return np.array([*edges, *rng.random(100), *10.0 ** rng.uniform(-38, 0, size=60)]).astype(dtype)


def numbers(dtype: str, rng: Any) -> Any:
    return np.array([0, 1, -1, *(rng.normal(size=80) * 10.0 ** rng.uniform(-8, 8, 80))]).astype(
        dtype
    )


def hard(dtype: str, x: Any, rng: Any) -> Any:
    return rng.integers(2, size=x.shape).astype(dtype)


def soft(dtype: str, x: Any, rng: Any) -> Any:
    return rng.random(x.shape).astype(dtype)


def close(dtype: str, x: Any, rng: Any) -> Any:
    """Targets a few units away from x, as far away as x, and equal to it."""
    y = x * (1 + rng.integers(-3, 4, size=x.shape) * np.finfo(dtype).eps)
    return np.where(rng.random(x.shape) < 0.5, y, rng.normal(size=x.shape)).astype(dtype)


def near_exp(dtype: str, x: Any, rng: Any) -> Any:
    """Probabilities close to exp x, where the divergence cancels, and any others."""
    return np.where(
        rng.random(x.shape) < 0.5, np.exp(np.minimum(x, 0)), rng.random(x.shape)
    ).astype(dtype)


def below_zero(dtype: str, rng: Any) -> Any:
    return -np.abs(log_odds(dtype, rng)[:170])


CASES: dict[str, tuple[Any, Any, Parts, dict[str, Any]]] = {
    "binary_cross_entropy": (log_odds, hard, binary, {}),
    "binary_cross_entropy, soft": (log_odds, soft, binary, {}),
    "binary_cross_entropy, pos_weight": (
        log_odds,
        hard,
        lambda x, y: binary(x, y, mpmath.mpf(3.7)),
        {"pos_weight": 3.7},
    ),
    "binary_cross_entropy_probabilities": (probabilities, hard, binary_probability, {}),
    "binary_cross_entropy_probabilities, soft": (probabilities, soft, binary_probability, {}),
    "squared_error": (
        numbers,
        close,
        lambda x, y: ([(x - y) ** 2], [2 * (x - y)], [mpmath.mpf(2)]),
        {},
    ),
    "half_squared_error": (
        numbers,
        close,
        lambda x, y: ([(x - y) ** 2 / 2], [x - y], [mpmath.mpf(1)]),
        {},
    ),
    "absolute_error": (
        numbers,
        close,
        lambda x, y: ([abs(x - y)], [mpmath.sign(x - y)], [mpmath.mpf(0)]),
        {},
    ),
    "huber": (numbers, close, huber, {}),
    "kl_divergence": (below_zero, near_exp, divergence, {}),
    "nll": (below_zero, soft, lambda x, y: ([-y * x], [-y], [mpmath.mpf(0)]), {}),
    "categorical_cross_entropy": (
        probabilities,
        soft,
        lambda x, y: ([-y * mpmath.log(x)], [-y / x], [y / x**2]) if x else ([], [], []),
        {},
    ),
}
for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
    for kind, target in (("", hard), (", soft", soft)):
        CASES[f"sigmoid_focal{kind}, gamma={gamma}"] = (
            log_odds,
            target,
            lambda x, y, g=gamma: binary_focal(x, y, mpmath.mpf(g), mpmath.mpf(0.25)),
            {"gamma": gamma},
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_entries(case: str, dtype: str, observed: Observed) -> None:
    make_x, make_y, parts, options = CASES[case]
    name = case.split(",")[0]
    loss: Any = LOSSES[name]
    rng = np.random.default_rng(3)
    x = make_x(dtype, rng)
    y = make_y(dtype, x, rng)
    axis: Any = () if loss.multi_label or loss.takes == "values" else -1
    ours = x if axis == () else x[:, None]
    wanted = y if axis == () else y[:, None]
    options = {**options, "axis": axis, "reduction": "none"}
    with np.errstate(all="ignore"):
        value, grad = loss.value_and_grad(ours, wanted, **options)
        curvature = loss.hvp(ours, wanted, np.ones_like(ours), **options)
    found = [np.asarray(a).reshape(-1) for a in (value, grad, curvature)]
    with mpmath.workprec(exact.bits(x)):
        for i in range(len(x)):
            a, b = mpmath.mpf(float(x[i])), mpmath.mpf(float(y[i]))
            try:
                exact_parts = parts(a, b)
            except ZeroDivisionError:
                exact_parts = ([], [], [])  # log 0 or 1 / 0: below
            for result, member, terms in zip(
                found, ("", ".grad", ".hvp"), exact_parts, strict=True
            ):
                if not terms:
                    continue
                truth = mpmath.fsum(terms)
                size = mpmath.fsum(abs(t) for t in terms)
                if name == "kl_divergence" and not member:  # the difference is taken first
                    size += mpmath.fsum([abs(b * mpmath.log(b)), abs(a * b)]) / 16 if b else 0
                error = ulp.errors(result[i : i + 1], np.array([truth]), np.array([size]))
                observed.check(
                    f"{case}{member}", dtype, error, LIMIT, f"x={float(x[i])!r}, y={float(y[i])!r}"
                )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.7])
def test_focal(gamma: float, dtype: str, observed: Observed) -> None:
    """Confident rows and wide ones, with the likeliest class, and with others, as the target."""
    for classes in (2, 3, 10, 40, 130):
        for kind in KINDS:
            rng = np.random.default_rng(classes)
            problem = make(kind, classes, dtype, rng)
            row, x = problem.exact(), problem.row
            for column in problem.single:
                target = problem.position(column)
                loss, grad = sg.focal.value_and_grad(x, target, gamma=gamma)
                with mpmath.workprec(exact.bits(x)):
                    p, u = row.softmax[column], row.log_softmax[column]
                    if not p:
                        continue
                    q = 1 - p
                    power = q ** mpmath.mpf(gamma)
                    ratio = p * u / q if q else mpmath.mpf(-1)
                    value = -power * u
                    slope = -power * (1 - mpmath.mpf(gamma) * ratio)
                    truth = -slope * row.softmax
                    truth[column] = slope * q
                name = f"focal, gamma={gamma}"
                error = ulp.errors(np.asarray([loss]), np.array([value]))
                observed.check(name, dtype, error, 3 + gamma / 2, f"{kind}, C = {classes}")
                found = problem.errors(np.asarray(grad), truth)
                observed.check(f"{name}, grad", dtype, found, 4 + gamma / 2, f"{kind}, C={classes}")


def test_infinite_and_certain() -> None:
    """Probabilities of 0 and 1, log-probabilities and log-odds of -inf: exact, never NaN."""
    inf, none = np.inf, {"reduction": "none", "axis": ()}
    bce: Any = sg.binary_cross_entropy
    np.testing.assert_array_equal(
        bce([inf, -inf, inf, -inf], [1, 0, 0, 1], **none), [0, 0, inf, inf]
    )
    np.testing.assert_array_equal(
        bce.grad([inf, -inf, inf, -inf], [1, 0, 0, 1], **none), [0, 0, 1, -1]
    )
    focal: Any = sg.sigmoid_focal
    np.testing.assert_array_equal(
        focal([inf, -inf, inf, -inf], [1, 0, 0, 1], alpha=None, **none), [0, 0, inf, inf]
    )
    probability: Any = sg.binary_cross_entropy_probabilities
    np.testing.assert_array_equal(probability([1, 0, 1, 0], [1, 0, 0, 1], **none), [0, 0, inf, inf])
    np.testing.assert_array_equal(
        probability.grad([1.0, 0, 1, 0], [1, 0, 0, 1], **none), [-1, 1, inf, -inf]
    )
    soft = np.array([[0.25, 0.0, 0.75], [0.25, 0.5, 0.25]])
    p = np.array([[0.5, 0.0, 0.5], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    for loss, x in ((sg.nll, log_p), (sg.categorical_cross_entropy, p), (sg.kl_divergence, log_p)):
        value = loss(x, soft, reduction="none")
        assert np.isfinite(value[0])
        assert value[1] == inf
        assert np.isfinite(loss.grad(x, soft)[0]).all()
        assert np.isfinite(loss.grad_target(x, soft)[0]).all()


@pytest.mark.parametrize("name", ["squared_error", "binary_cross_entropy", "kl_divergence"])
def test_long_rows_are_summed_with_their_rounding_errors(name: str) -> None:
    """A large term first: plain summation would lose the digits of the 100,000 that follow."""
    x = np.full(100_001, 1e-3)
    x[0], target = 1e7, np.zeros_like(x)
    if name == "binary_cross_entropy":
        expected = 1e7 + 1e5 * float(mpmath.log1p(mpmath.exp(mpmath.mpf(1e-3))))
    elif name == "squared_error":
        expected = 1e14 + 1e5 * 1e-6
    else:
        x, target = -x, np.ones_like(x)
        expected = 1e7 + 1e5 * 1e-3
    assert abs(LOSSES[name](x, target, reduction="sum") - expected) <= np.spacing(expected)
