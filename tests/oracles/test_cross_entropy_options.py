"""Every combination of the options of the cross-entropy, against the plain formula.

Non-uniform cotangents everywhere: a constant one hides a wrong weight.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad._reference import losses
from tests.oracles.test_finite_differences import assert_slope, slope

ROWS, CLASSES = (5, 3), 4
RNG = np.random.default_rng(5)
SAMPLE = RNG.uniform(0.2, 3, size=ROWS)
SAMPLE[1, 1] = 0.0
CLASS = np.array([0.5, 2.0, 1.25, 0.0])

OPTIONS = [
    {"sample_weight": s, "class_weight": c, "label_smoothing": e, "temperature": t}
    for s, c, e, t in product([None, SAMPLE], [None, CLASS], [0.0, 0.15], [1.0, 2.5])
]
TARGETS = ["index", "ignored", "soft", "masked", "masked soft"]


def problem(kind: str, axis: int) -> tuple[Any, Any, dict[str, Any]]:
    """Logits, target and the options that belong to that kind of target."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(*ROWS, CLASSES)) * 1.5
    labels = rng.integers(CLASSES, size=ROWS)
    soft = rng.random((*ROWS, CLASSES)) + 0.05  # rows need not sum to 1
    more: dict[str, Any] = {}
    where = rng.random(x.shape) < 0.7
    if kind == "ignored":
        labels[::2, 1] = -7
        more["ignore_index"] = -7
    if kind == "masked":
        np.put_along_axis(where, labels[..., None], True, -1)
    if kind.startswith("masked"):
        where[..., 0] |= ~where.any(-1)
        soft = np.where(where, soft, 0.0)
        more["where"] = np.moveaxis(where, -1, axis)
    target = np.moveaxis(soft, -1, axis) if "soft" in kind else labels
    return np.ascontiguousarray(np.moveaxis(x, -1, axis)), target, more


def assert_close(result: Any, expected: Any) -> None:
    result, expected = np.asarray(result), np.asarray(expected)
    assert result.shape == expected.shape
    assert np.max(np.abs(expected)) > 0
    assert np.max(np.abs(result - expected)) <= 2e-14 * np.max(np.abs(expected))


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_against_the_formula(reduction: str, kind: str, axis: int, rng: Any) -> None:
    x, target, more = problem(kind, axis)
    for chosen in OPTIONS:
        options: Any = {**chosen, **more, "axis": axis, "reduction": reduction}
        loss, grad = sg.cross_entropy.value_and_grad(x, target, **options)
        assert_close(loss, losses.cross_entropy(x, target, **options))
        assert_close(grad, losses.cross_entropy_grad(x, target, **options))
        np.testing.assert_array_equal(sg.cross_entropy(x, target, **options), loss)
        np.testing.assert_array_equal(sg.cross_entropy.grad(x, target, **options), grad)
        np.testing.assert_array_equal(sg.cross_entropy.jacobian(x, target, **options), grad)
        g, v = rng.normal(size=np.shape(loss)), rng.normal(size=x.shape)
        for name, companions in (("vjp", [g]), ("jvp", [v]), ("hvp", [v]), ("hessian", [])):
            result = getattr(sg.cross_entropy, name)(x, target, *companions, **options)
            reference = getattr(losses, f"cross_entropy_{name}")
            assert_close(result, reference(x, target, *companions, **options))
        if "soft" in kind:
            result = sg.cross_entropy.grad_target(x, target, **options)
            assert_close(result, losses.cross_entropy_grad_target(x, target, **options))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_against_finite_differences(reduction: str, kind: str, rng: Any) -> None:
    """The formula may be wrong as well: its own derivatives are differences of the loss."""
    x, target, more = problem(kind, -1)
    for chosen in OPTIONS:
        options: Any = {**chosen, **more, "reduction": reduction}
        v = rng.normal(size=x.shape)
        change = slope(lambda z, o=options: sg.cross_entropy(z, target, **o), x, v)
        assert_slope(sg.cross_entropy.jvp(x, target, v, **options), change)
        change = slope(lambda z, o=options: sg.cross_entropy.grad(z, target, **o), x, v)
        assert_slope(sg.cross_entropy.hvp(x, target, v, **options), change)
        if "soft" not in kind:
            continue
        u = np.where(target > 0, rng.normal(size=x.shape), 0.0)
        change = slope(lambda y, o=options: sg.cross_entropy(x, y, **o), target, u)
        by_target = sg.cross_entropy.grad_target(x, target, **options) * u
        axes = -1 if reduction == "none" else None
        assert_slope(np.sum(by_target, axis=axes), change)


@pytest.mark.parametrize("kind", ["index", "soft"])
def test_float32_agrees_with_float64(kind: str) -> None:
    x, target, _ = problem(kind, -1)
    x = x.astype("float32")
    target = target.astype("float32") if kind == "soft" else target
    wide = target.astype("float64") if kind == "soft" else target
    for chosen in OPTIONS:
        for reduction in ("none", "sum", "mean"):
            options: Any = {**chosen, "reduction": reduction}
            loss, grad = sg.cross_entropy.value_and_grad(x, target, **options)
            loss64, grad64 = sg.cross_entropy.value_and_grad(x.astype("float64"), wide, **options)
            assert np.asarray(loss).dtype == grad.dtype == np.float32
            np.testing.assert_allclose(loss, loss64, 1.3e-7)
            assert np.max(np.abs(grad - grad64)) <= 2e-7 * np.max(np.abs(grad64))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_nothing_took_part(reduction: str) -> None:
    """All rows ignored, all weights zero, no rows: the loss and its gradient are 0."""
    x = np.array([[1.0, 2.0, 3.0], [3.0, -1.0, 0.0]])
    for target, options in (
        (np.array([-1, -1]), {"ignore_index": -1}),
        (np.array([0, 2]), {"sample_weight": np.zeros(2)}),
        (np.array([0, 0]), {"class_weight": np.array([0.0, 1.0, 1.0])}),
        (np.zeros((2, 3)), {"class_weight": np.ones(3)}),
    ):
        arguments: Any = (x, target)
        loss, grad = sg.cross_entropy.value_and_grad(*arguments, reduction=reduction, **options)
        np.testing.assert_array_equal(loss, np.zeros(np.shape(loss)))
        np.testing.assert_array_equal(grad, np.zeros(x.shape))
    loss, grad = sg.cross_entropy.value_and_grad(x[:0], target[:0], reduction=reduction)
    assert np.sum(loss) == 0.0
    assert grad.shape == (0, 3)


def test_ignored_rows_take_no_part_whatever_they_hold() -> None:
    x = np.array([[1.0, 2.0, 3.0], [np.nan, np.inf, 0.0], [0.0, 1.0, -1.0]])
    target = np.array([0, -100, 2])
    for reduction in ("none", "sum", "mean"):
        options: Any = {"reduction": reduction, "ignore_index": -100}
        loss, grad = sg.cross_entropy.value_and_grad(x, target, **options)
        kept, kept_grad = sg.cross_entropy.value_and_grad(x[::2], target[::2], **options)
        np.testing.assert_array_equal(grad[::2], kept_grad)
        np.testing.assert_array_equal(grad[1], 0.0)
        np.testing.assert_array_equal(loss[::2] if reduction == "none" else loss, kept)
        for name in ("hvp", "hessian"):
            more = (np.ones_like(x),) if name == "hvp" else ()
            result = getattr(sg.cross_entropy, name)(x, target, *more, **options)
            np.testing.assert_array_equal(result[1], 0.0)


def test_ignore_index_may_be_a_class() -> None:
    x, target = np.eye(4) * 3, np.array([0, 1, 2, 1])
    loss = sg.cross_entropy(x, target, ignore_index=1)
    assert loss == sg.cross_entropy(x[::2], target[::2])


def test_a_target_without_probability() -> None:
    """log p = -inf: infinite loss if the target asks for it, no contribution otherwise."""
    x = np.array([[0.0, -np.inf, 1.0], [0.0, -np.inf, 1.0]])
    loss = sg.cross_entropy(x, np.array([1, 2]), reduction="none")
    assert loss[0] == np.inf
    assert np.isfinite(loss[1])
    soft = np.array([[0.25, 0.0, 0.75], [0.25, 0.5, 0.25]])
    loss, grad = sg.cross_entropy.value_and_grad(x, soft, reduction="none")
    assert np.isfinite(loss[0])
    assert loss[1] == np.inf
    assert np.isfinite(grad).all()
    expected = -0.25 * (0 - np.log(1 + np.e)) - 0.75 * (1 - np.log(1 + np.e))
    np.testing.assert_allclose(loss[0], expected, 1e-15)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64", ">i4"])
def test_labels_of_any_integer_type(dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(6, 4))
    labels = np.array([0, 3, 1, 2, 2, 0])
    expected = sg.cross_entropy(x, labels)
    assert sg.cross_entropy(x, labels.astype(dtype)) == expected
    strided = np.repeat(labels, 2).astype(dtype)[::2]
    assert sg.cross_entropy(x, strided) == expected


def test_soft_targets_of_another_float_type() -> None:
    x = np.random.default_rng(0).normal(size=(6, 4))
    soft = np.full((6, 4), 0.25)
    assert sg.cross_entropy(x, soft.astype("float32")) == sg.cross_entropy(x, soft)
    single = sg.cross_entropy(x.astype("float32"), soft)
    assert single.dtype == np.float32
    assert single == sg.cross_entropy(x.astype("float32"), soft.astype("float32"))
