"""Laws that hold for any logits, searched for counterexamples by Hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import softgrad as sg
from tests.support.ulp import float_errors

settings.register_profile(
    "laws", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("laws")

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=40)
FEW = hnp.array_shapes(min_dims=1, max_dims=2, min_side=2, max_side=9)


def logits(shape: Any = SHAPES, largest: float = 300.0, dtype: Any = np.float64) -> Any:
    """Logits wide enough for saturated rows, subnormal probabilities and probabilities of 0."""
    numbers = st.floats(-largest, largest, width=64 if dtype == np.float64 else 32)
    return hnp.arrays(dtype, shape, elements=numbers)


def directions(shape: Any) -> Any:
    return hnp.arrays(np.float64, shape, elements=st.floats(-5, 5).map(lambda v: round(v, 6)))


@st.composite
def logits_and(draw: Any, count: int, largest: float = 300.0) -> Any:
    """Logits with `count` cotangents or tangents of their shape."""
    x = draw(logits(FEW, largest))
    return x, *(draw(directions(x.shape)) for _ in range(count))


@st.composite
def classified(draw: Any) -> Any:
    """Logits with a class index for every row."""
    x = draw(logits(hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=20)))
    labels = st.integers(0, x.shape[1] - 1)
    return x, draw(hnp.arrays(np.int64, len(x), elements=labels))


@given(logits())
def test_rows_of_probabilities_sum_to_one(x: Any) -> None:
    p = sg.softmax(x)
    assert np.all(p >= 0)
    assert np.all(np.abs(p.sum(axis=-1) - 1) <= 3 * x.shape[-1] * 2.0**-53)
    assert np.all(p.max(axis=-1) >= 1 / x.shape[-1] * (1 - 2.0**-50))


@given(logits(dtype=np.float32))
def test_rows_of_probabilities_sum_to_one_in_float32(x: Any) -> None:
    total = sg.softmax(x).astype(np.float64).sum(axis=-1)
    assert np.all(np.abs(total - 1) <= 3 * 2.0**-24)


@given(logits(), st.integers(-(2**20), 2**20))
def test_a_shift_changes_nothing(x: Any, shift: int) -> None:
    x = np.round(x * 2**20) / 2**20  # so that the shift is exact
    assert np.all(x + shift - shift == x)
    assert np.all(float_errors(sg.softmax(x + shift), sg.softmax(x)) <= 6)
    assert np.all(float_errors(sg.log_softmax(x + shift), sg.log_softmax(x)) <= 2)
    lse, shifted = sg.logsumexp(x), sg.logsumexp(x + shift)
    size = np.maximum(np.abs(shifted), np.maximum(np.abs(lse), abs(shift)))
    assert np.all(np.abs(shifted - (lse + shift)) <= 4 * np.spacing(size))


@given(logits(), st.randoms(use_true_random=False))
def test_permuted_classes_give_permuted_results(x: Any, random: Any) -> None:
    """To the last bits only: sums run in a fixed order over the classes."""
    order = np.array(random.sample(range(x.shape[-1]), x.shape[-1]))
    permuted = np.ascontiguousarray(x[..., order])
    assert np.all(float_errors(sg.softmax(permuted), sg.softmax(x)[..., order]) <= 6)
    assert np.all(float_errors(sg.log_softmax(permuted), sg.log_softmax(x)[..., order]) <= 2)


@given(logits())
def test_larger_logits_have_larger_probabilities(x: Any) -> None:
    order = np.argsort(x, axis=-1)
    p = np.take_along_axis(sg.softmax(x), order, axis=-1)
    log_p = np.take_along_axis(sg.log_softmax(x), order, axis=-1)
    ties = np.diff(np.take_along_axis(x, order, axis=-1), axis=-1) == 0
    assert np.all(np.diff(p, axis=-1)[ties] == 0)
    assert np.all(p[..., 1:] >= p[..., :-1] * (1 - 2.0**-50))
    assert np.all(np.diff(log_p, axis=-1) >= 0)


@given(logits())
def test_log_softmax_is_the_logarithm_of_softmax(x: Any) -> None:
    p, log_p = sg.softmax(x), sg.log_softmax(x)
    normal = p > 1e-300
    assert np.all(np.abs(np.exp(log_p[normal]) - p[normal]) <= 1e-13 * p[normal])
    assert np.all(log_p <= 0)
    expected = x - sg.logsumexp(x, keepdims=True)
    largest = np.max(np.abs(x), axis=-1, keepdims=True) + np.log(x.shape[-1])
    assert np.all(np.abs(log_p - expected) <= 3 * np.spacing(largest))


@given(logits(FEW), st.sampled_from([0.5, 1.0, 2.0]))
def test_the_jacobian_is_symmetric_with_rows_of_sum_zero(x: Any, temperature: float) -> None:
    jacobian = sg.softmax.jacobian(x, temperature=temperature)
    assert jacobian.shape == (*x.shape, x.shape[-1])
    np.testing.assert_array_equal(jacobian, np.swapaxes(jacobian, -1, -2))
    diagonal = np.diagonal(jacobian, axis1=-2, axis2=-1)
    assert np.all(diagonal >= 0)
    # Relative to the diagonal: an all-zero Jacobian of a row that is not saturated fails below.
    assert np.all(np.abs(jacobian.sum(axis=-1)) <= 1e-14 * diagonal + 1e-320)
    second = np.sort(sg.softmax(x, temperature=temperature), axis=-1)[..., -2]
    assert np.all(diagonal.max(axis=-1) >= 0.2 * second / temperature)


@given(logits_and(2, largest=20.0), st.sampled_from([0.5, 1.0, 3.0]))
def test_vjp_jvp_and_jacobian_agree(arguments: Any, temperature: float) -> None:
    x, g, v = arguments
    for function in (sg.softmax, sg.log_softmax):
        jacobian = function.jacobian(x, temperature=temperature)
        vjp = function.vjp(x, g, temperature=temperature)
        jvp = function.jvp(x, v, temperature=temperature)
        terms = np.abs(jacobian).max(axis=(-1, -2))[..., None] * 1e-14
        forward = np.einsum("...ij,...j->...i", jacobian, v)
        reverse = np.einsum("...ij,...i->...j", jacobian, g)
        assert np.all(np.abs(jvp - forward) <= terms * (1 + np.abs(v).sum(-1, keepdims=True)))
        assert np.all(np.abs(vjp - reverse) <= terms * (1 + np.abs(g).sum(-1, keepdims=True)))
        # the same number reached both ways: g^T (J v) = (g^T J) v
        both = np.abs(np.sum(g * jvp, axis=-1) - np.sum(vjp * v, axis=-1))
        size = np.abs(g).sum(axis=-1) * np.abs(v).sum(axis=-1)
        assert np.all(both <= terms[..., 0] * (1 + size))


@given(logits_and(3, largest=20.0), st.sampled_from([0.5, 1.0, 3.0]))
def test_hvp_is_symmetric_and_linear(arguments: Any, temperature: float) -> None:
    """w^T (d vjp / dx) v does not depend on the order of v and w."""
    x, g, v, w = arguments
    for function in (sg.softmax, sg.log_softmax):
        by_v = function.hvp(x, g, v, temperature=temperature)
        by_w = function.hvp(x, g, w, temperature=temperature)
        size = 1 + np.abs(g).sum(-1) * np.abs(v).sum(-1) * np.abs(w).sum(-1)
        scale = sg.softmax(x, temperature=temperature)
        scale = np.sort(scale, axis=-1)[..., -2] / temperature**2  # how unsaturated the row is
        difference = np.abs(np.sum(w * by_v, axis=-1) - np.sum(v * by_w, axis=-1))
        assert np.all(difference <= 4e-14 * scale * size)
        double = function.hvp(x, 2 * g, v, temperature=temperature)
        np.testing.assert_array_equal(double, 2 * by_v)
        change = np.abs(by_v.sum(axis=-1))
        assert np.all(change <= 4e-14 * (np.abs(by_v).sum(axis=-1) + 1e-300 + scale * size))


@given(logits_and(1))
def test_the_derivative_in_the_direction_of_a_shift_is_zero(arguments: Any) -> None:
    """Cotangents and tangents of equal entries: 0 to the last bit of the terms.

    Exactly 0 where one class has more than half of the probability.
    """
    x, v = arguments
    ones = np.full_like(x, 3.7)
    p = sg.softmax(x)
    confident = np.max(p, axis=-1) > 0.5
    for result, size in (
        (sg.softmax.vjp(x, ones), p),
        (sg.softmax.jvp(x, ones), p),
        (sg.log_softmax.jvp(x, ones), np.ones_like(p)),
    ):
        assert np.all(result[confident] == 0)
        assert np.all(np.abs(result) <= 3.7 * 2.0**-51 * size)
    shifted = sg.softmax.vjp(x, v + 1024.0) - sg.softmax.vjp(x, np.round(v * 2**20) / 2**20)
    assert np.all(np.abs(shifted) <= 1e-5 * sg.softmax(x))


@given(classified(), st.sampled_from(["sum", "mean"]), st.floats(0, 0.5))
def test_weight_two_is_the_row_twice(problem: Any, reduction: str, smoothing: float) -> None:
    x, target = problem
    options: Any = {"reduction": reduction, "label_smoothing": smoothing}
    weight = np.ones(len(x))
    weight[0] = 2.0
    loss, grad = sg.cross_entropy.value_and_grad(x, target, sample_weight=weight, **options)
    twice, twice_grad = sg.cross_entropy.value_and_grad(
        np.concatenate([x[:1], x]), np.concatenate([target[:1], target]), **options
    )
    assert float_errors(loss, twice) <= 4
    assert np.all(float_errors(grad[1:], twice_grad[2:]) <= 4)
    assert np.all(float_errors(grad[0], twice_grad[0] + twice_grad[1]) <= 4)


@given(classified(), st.sampled_from(["none", "sum", "mean"]), st.sampled_from([0.5, 1.0, 4.0]))
def test_a_one_hot_target_is_the_index(problem: Any, reduction: str, temperature: float) -> None:
    x, target = problem
    options: Any = {"reduction": reduction, "temperature": temperature}
    one_hot = np.eye(x.shape[1])[target]
    loss, grad = sg.cross_entropy.value_and_grad(x, target, **options)
    soft_loss, soft_grad = sg.cross_entropy.value_and_grad(x, one_hot, **options)
    assert np.all(float_errors(soft_loss, loss) <= 2)
    assert np.all(float_errors(soft_grad, grad) <= 6)


@given(classified())
def test_the_target_gradient_is_minus_the_other_probabilities(problem: Any) -> None:
    x, target = problem
    grad = sg.cross_entropy.grad(x, target, reduction="none")
    p = sg.softmax(x)
    rows = np.arange(len(x))
    p[rows, target] = 0.0
    assert np.all(float_errors(-grad[rows, target], p.sum(axis=-1)) <= 6)
    grad[rows, target] = 0.0
    assert np.all(float_errors(grad, p) <= 3)


@given(classified())
def test_the_loss_is_minus_the_log_probability(problem: Any) -> None:
    x, target = problem
    loss = sg.cross_entropy(x, target, reduction="none")
    log_p = sg.log_softmax(x)[np.arange(len(x)), target]
    assert np.all(float_errors(loss, -log_p) <= 2)
    assert np.all(loss >= 0)


@given(classified(), directions((20, 20)), st.sampled_from(["none", "sum", "mean"]))
def test_members_of_the_loss_agree(problem: Any, v: Any, reduction: str) -> None:
    x, target = problem
    v = v[: x.shape[0], : x.shape[1]]
    loss, options = sg.cross_entropy, {"reduction": reduction}
    value, grad = loss.value_and_grad(x, target, **options)
    np.testing.assert_array_equal(loss(x, target, **options), value)
    np.testing.assert_array_equal(loss.grad(x, target, **options), grad)
    np.testing.assert_array_equal(loss.jacobian(x, target, **options), grad)
    cotangent = np.ones(len(x)) * 1.5 if reduction == "none" else 1.5
    assert np.all(float_errors(loss.vjp(x, target, cotangent, **options), 1.5 * grad) <= 2)
    change = np.sum(grad * v, axis=-1)
    change = change if reduction == "none" else np.sum(change)
    size = np.sum(np.abs(grad * v), axis=-1 if reduction == "none" else None)
    assert np.all(np.abs(loss.jvp(x, target, v, **options) - change) <= 1e-14 * size + 1e-320)
    hessian = loss.hessian(x, target, **options)
    hvp = loss.hvp(x, target, v, **options)
    product = np.einsum("nij,nj->ni", hessian, v)
    terms = np.einsum("nij,nj->ni", np.abs(hessian), np.abs(v))
    assert np.all(np.abs(hvp - product) <= 2e-14 * terms + 1e-320)


@given(st.floats(-800, 800))
def test_sigmoid_is_softmax_of_two_classes(x: float) -> None:
    s = sg.sigmoid(np.array([x, -x]))
    p = sg.softmax(np.array([x, 0.0]))
    assert np.all(float_errors(s, p) <= 5)
    slope = sg.sigmoid.vjp(np.array([x]), np.array([1.0]))
    diagonal = sg.softmax.jacobian(np.array([x, 0.0]))[0, :1]
    assert np.all(float_errors(slope, diagonal) <= 8)


@pytest.mark.parametrize("classes", [1, 2, 5, 64, 1000])
def test_uniform_logits(classes: int) -> None:
    """1 / C and log C, correctly rounded to an ULP."""
    x = np.full((3, classes), 0.1)
    assert np.all(float_errors(sg.softmax(x), np.full_like(x, 1 / classes)) <= 1)
    entropy = np.full(3, np.log(classes))
    assert np.all(float_errors(sg.logsumexp(x - 0.1), entropy) <= 1)
    loss = sg.cross_entropy(x, np.array([0, classes // 2, classes - 1]), reduction="none")
    assert np.all(float_errors(loss, entropy) <= 1)
