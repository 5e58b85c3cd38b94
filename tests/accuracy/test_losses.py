"""Errors of the losses in ULP against arbitrary precision, on numbers that break the formulas.

Where a result is the difference of two parts (a soft target of a yes/no question, a divergence) the
error is relative to the size of the parts; else to the result itself.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad._reference import exact, exact_losses
from softgrad.functions import LOSSES
from tests.conftest import Observed
from tests.support import ulp
from tests.support.problems import make
from tests.support.rows import KINDS

DTYPES = ["float32", "float64"]
LIMIT = 4.0
MEMBERS = ("", ".grad", ".hvp", ".grad_target")


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


#: x, y and the options by name of the loss and what is particular.
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "binary_cross_entropy": (log_odds, hard, {}),
    "binary_cross_entropy, soft": (log_odds, soft, {}),
    "binary_cross_entropy, pos_weight": (log_odds, hard, {"pos_weight": 3.7}),
    "binary_cross_entropy_probabilities": (probabilities, hard, {}),
    "binary_cross_entropy_probabilities, soft": (probabilities, soft, {}),
    "squared_error": (numbers, close, {}),
    "half_squared_error": (numbers, close, {}),
    "absolute_error": (numbers, close, {}),
    "huber": (numbers, close, {}),
    "kl_divergence": (below_zero, near_exp, {}),
    "nll": (below_zero, soft, {}),
    "categorical_cross_entropy": (probabilities, soft, {}),
}
for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
    for kind, target in (("", hard), (", soft", soft)):
        CASES[f"sigmoid_focal{kind}, gamma={gamma}"] = (log_odds, target, {"gamma": gamma})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_entries(case: str, dtype: str, observed: Observed) -> None:
    make_x, make_y, given = CASES[case]
    name = case.split(",")[0]
    loss: Any = LOSSES[name]
    rng = np.random.default_rng(3)
    x = make_x(dtype, rng)
    y = make_y(dtype, x, rng)
    axis: Any = () if loss.multi_label or loss.takes == "values" else -1
    ours = x if axis == () else x[:, None]
    wanted = y if axis == () else y[:, None]
    options = {**given, "axis": axis, "reduction": "none"}
    with np.errstate(all="ignore"):
        value, grad = loss.value_and_grad(ours, wanted, **options)
        curvature = loss.hvp(ours, wanted, np.ones_like(ours), **options)
        by_target = loss.grad_target(ours, wanted, **options)
    found = [np.asarray(a).reshape(-1) for a in (value, grad, curvature, by_target)]
    for i in range(len(x)):
        truths = exact_losses.exact(name, x[i : i + 1], y[i : i + 1], **given)
        where = f"x={float(x[i])!r}, y={float(y[i])!r}"
        for result, member, (truth, terms) in zip(found, MEMBERS, truths, strict=True):
            error = ulp.errors(result[i : i + 1], np.ravel(truth), np.ravel(terms))
            observed.check(f"{case}{member}", dtype, error, LIMIT, where)


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_distillation(dtype: str, observed: Observed) -> None:
    """Teachers so confident that a probability rounds to 1, with students close to them."""
    rng = np.random.default_rng(6)
    for lead in (0, 8, 16, 25, 36, 60):
        x = rng.normal(size=12) * 3
        x[3] = x.max() + lead
        x, y = x.astype(dtype), (x + rng.normal(size=12) / 8).astype(dtype)
        truths = exact_losses.exact("distillation", x, y, temperature=2.0)
        value, grad = sg.distillation.value_and_grad(x, y, temperature=2.0)
        by_target = sg.distillation.grad_target(x, y, temperature=2.0)
        hessian = sg.distillation.hessian(x, y, temperature=2.0)
        for result, member, (truth, terms) in zip(
            (value, grad, hessian, by_target), MEMBERS, truths, strict=True
        ):
            error = ulp.errors(np.ravel(result), np.ravel(truth), np.ravel(terms))
            observed.check(f"distillation{member}", dtype, error, LIMIT, f"lead={lead}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_hessian_of_focal(dtype: str, observed: Observed) -> None:
    """Unlikely targets too, where log p has few digits of p."""
    rng = np.random.default_rng(7)
    rows = [rng.normal(size=9) * scale for scale in (1.0, 5.0, 20.0)]
    rows.append(700.0 + 10.0 * np.random.default_rng(2).standard_normal(12))
    for x in (row.astype(dtype) for row in rows):
        for target in (int(x.argmin()), int(x.argmax()), 4):
            y = np.eye(len(x))[target].astype(dtype)
            truth, terms = exact_losses.exact("focal", x, y).hessian
            error = ulp.errors(sg.focal.hessian(x, target), truth, terms)
            observed.check("focal.hessian", dtype, error, 4.0, f"{x}, {target}")


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
