"""The general gradient check: right, wrong, kinked and noisy functions."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.errors import OptionError, OptionTypeError
from softgrad.testing import assert_gradient

X = np.random.default_rng(4).normal(size=(3, 4))
Y = np.array([0, 3, 1])


def loss(x):
    return sg.cross_entropy(x, Y)


def grad(x):
    return sg.cross_entropy.grad(x, Y)


@pytest.mark.parametrize(
    ("f", "g", "x"),
    [
        (loss, grad, X),
        (lambda x: np.sum(x**3), lambda x: 3 * x**2, X),
        (sg.softmax, sg.softmax.jacobian, X[0]),
        (lambda x: np.exp(x), lambda x: np.diag(np.exp(x)), X[0]),
        (lambda x: x**2, lambda x: 2 * x, 3.0),
        (lambda x: np.sum(np.sin(1e4 * x)), lambda x: 1e4 * np.cos(1e4 * x), X[0]),
        (lambda x: np.sum(np.exp(x)) * 1e-12, lambda x: np.exp(x) * 1e-12, X),
        (lambda x: np.sum(x) * 1e12, lambda x: np.full_like(x, 1e12), X),
        (lambda x: 3.0, np.zeros_like, X),
    ],
)
def test_right_gradients_pass(f, g, x) -> None:
    report = sg.check_grad(f, g, x)
    assert report.passed, str(report)
    assert report.reason == "agrees"
    assert report.relative_error < 1e-7


@pytest.mark.parametrize(
    "wrong",
    [
        lambda g: np.zeros_like(g),
        lambda g: -g,
        lambda g: g * (1 + 1e-5),
        lambda g: g / 3,
        lambda g: np.roll(g, 1),
        lambda g: g + np.eye(3, 4) * 1e-4,
    ],
)
def test_wrong_gradients_fail(wrong) -> None:
    report = sg.check_grad(loss, lambda x: wrong(grad(x)), X)
    assert not report
    assert report.reason == "wrong"
    errors = np.array([e for _, e in report.curve[1:7]])
    assert np.ptp(np.log10(errors)) < 1  # a plateau
    assert "plateau" in str(report)


def test_the_worst_derivative_is_named() -> None:
    def bad(x):
        g = grad(x)
        g[1, 2] += 0.01
        return g

    report = sg.check_grad(loss, bad, X)
    assert report.worst.index == (1, 2)
    assert report.worst.difference == pytest.approx(0.01, rel=1e-6)
    assert "[1, 2]" in str(report)
    assert report.structure == "Only some of the derivatives are wrong: 1 of 12, at [1, 2]."


def test_a_constant_ratio_is_named() -> None:
    assert "3 times" in sg.check_grad(loss, lambda x: 3 * grad(x), X).structure


def test_the_index_in_a_jacobian_is_output_then_input() -> None:
    def bad(x):
        J = np.array(sg.softmax.jacobian(x))
        J[2, 1] += 0.1
        return J

    assert sg.check_grad(sg.softmax, bad, X[0]).worst.index == (2, 1)


def test_complex_steps_where_the_function_takes_them() -> None:
    right = sg.check_grad(lambda x: np.sum(np.exp(x) / x), lambda x: np.exp(x) * (x - 1) / x**2, X)
    assert right.passed
    assert right.method == "complex step"
    # abs has no complex derivative; what it would give is noticed.
    g = sg.check_grad(lambda x: np.sum(np.abs(x) ** 3), lambda x: 3 * x * np.abs(x), X)
    assert g.passed
    assert "Richardson" in g.method


def test_kinks_are_shown_and_any_subgradient_passes() -> None:
    x = np.array([0.0, 1.0, -2.0])
    report = sg.check_grad(lambda x: np.sum(np.maximum(x, 0)), lambda x: 1.0 * (x > 0), x)
    assert report.passed, str(report)
    (kink,) = report.kinks
    assert kink.index == (0,)
    assert (kink.left, kink.right) == pytest.approx((0, 1), abs=1e-6)
    outside = sg.check_grad(
        lambda x: np.sum(np.maximum(x, 0)), lambda x: np.where(x > 0, 1.0, -0.5 * (x == 0)), x
    )
    assert not outside.passed
    assert "outside" in str(outside)


def test_a_jump_has_no_derivative() -> None:
    report = sg.check_grad(
        lambda x: np.sum(x**2) + (x[0] >= 0), lambda x: 2 * x, np.array([0.0, 1.0])
    )
    assert not report.passed
    assert report.kinks[0].jump
    assert "not continuous" in str(report)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e200])
def test_functions_of_any_size(scale: float) -> None:
    def f(x):
        return scale * np.sum(x**2)

    assert sg.check_grad(f, lambda x: 2 * scale * x, X).passed
    assert sg.check_grad(f, lambda x: 3 * scale * x, X).reason == "wrong"


def test_steps_are_small_beside_small_numbers() -> None:
    """Steps of 3e-5 from 1e-6 would cross the pole."""
    x = np.array([1e-6, 1e-3, 1.0])

    def f(x):
        return np.sum(np.log(np.abs(x)))

    report = sg.check_grad(f, lambda x: 1 / x, x)
    assert report.passed, str(report)
    assert not sg.check_grad(f, lambda x: 1.01 / x, x)
    tiny = X * 1e-6
    assert sg.check_grad(lambda x: np.sum(np.abs(x) ** 3), lambda x: 3 * x * np.abs(x), tiny).passed


def test_a_point_close_to_a_kink_is_no_kink() -> None:
    x = np.array([1e-3, 1.0])
    report = sg.check_grad(lambda x: np.sum(np.maximum(x, 0)), lambda x: 1.0 * (x > 0), x)
    assert report.passed, str(report)
    assert not report.kinks


def test_float32_functions_are_judged_by_what_they_can_show() -> None:
    def single(x):
        return np.sum(np.sin(x.astype(np.float32)))

    report = sg.check_grad(single, np.cos, X)
    assert report.passed, str(report)
    assert report.digits < 7
    assert "float32" in report.notes[0]
    assert not sg.check_grad(single, lambda x: 1.02 * np.cos(x), X)
    hidden = sg.check_grad(lambda x: float(single(x)), np.cos, X)
    assert hidden.passed
    assert "float32" in hidden.notes[0]


def test_noise_is_told_from_a_bug() -> None:
    generator = np.random.default_rng(0)
    report = sg.check_grad(lambda x: np.sum(np.sin(x)) + generator.normal(), np.cos, X)
    assert not report
    assert report.reason == "noise"
    assert "noisy" in str(report)
    assert "not deterministic" in report.notes[0]


def test_many_dimensions_are_checked_along_directions() -> None:
    x = np.random.default_rng(1).normal(size=400)
    right = sg.check_grad(lambda x: np.sum(x**4), lambda x: 4 * x**3, x)
    assert right.passed
    assert "directions" in right.checked
    assert not sg.check_grad(lambda x: np.sum(x**4), lambda x: 4 * x**3 * (np.arange(400) != 7), x)
    assert sg.check_grad(lambda x: np.sum(x**4), lambda x: 4 * x**3, x, directions=3).passed


def test_second_derivatives() -> None:
    def hvp(x, v):
        return sg.cross_entropy.hvp(x, Y, v)

    assert sg.check_grad(loss, grad, X, hvp=hvp).passed
    wrong = sg.check_grad(loss, grad, X, hvp=lambda x, v: 2 * hvp(x, v))
    assert not wrong
    assert wrong.second.reason == "wrong"
    one = np.array([0.5, -1.0, 2.0])

    def one_loss(x):
        return sg.cross_entropy(x, 1)

    def one_grad(x):
        return sg.cross_entropy.grad(x, 1)

    assert sg.check_grad(one_loss, one_grad, one, hessian=lambda x: sg.cross_entropy.hessian(x, 1))
    assert not sg.check_grad(one_loss, one_grad, one, hessian=lambda x: np.eye(3))


def test_shapes_and_numbers_that_no_gradient_has() -> None:
    assert sg.check_grad(loss, lambda x: grad(x).ravel(), X).reason == "shape"
    assert sg.check_grad(loss, lambda x: grad(x) * np.nan, X).reason == "not finite"
    with pytest.raises(OptionError, match="no derivative"):
        sg.check_grad(lambda x: np.log(np.sum(x)), grad, -np.ones(3))
    with pytest.raises(OptionTypeError, match="function"):
        sg.check_grad(3, grad, X)  # type: ignore[arg-type]
    with pytest.raises(OptionTypeError, match="real"):
        sg.check_grad(loss, grad, X * 1j)
    with pytest.raises(OptionError, match="rtol"):
        sg.check_grad(loss, grad, X, rtol=0)


def test_the_functions_get_copies() -> None:
    def writes(x):
        x **= 2
        return x.sum()

    x = X.copy()
    assert sg.check_grad(writes, lambda x: 2 * x, x).passed
    assert np.array_equal(x, X)


def test_a_given_gradient() -> None:
    assert sg.check_grad(loss, grad(X), X).passed
    assert sg.check_grad(loss, grad(X).tolist(), X.tolist().__class__(X.tolist())).passed


def test_torch_functions() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X)
    assert sg.check_grad(
        lambda x: torch.logsumexp(x, 1).sum(), lambda x: torch.softmax(x, 1), x
    ).passed
    assert not sg.check_grad(
        lambda x: torch.logsumexp(x, 1).sum(), lambda x: torch.softmax(x, 0), x
    )


def test_assert_gradient() -> None:
    report = assert_gradient(loss, grad, X)
    assert report.passed
    with pytest.raises(AssertionError, match=r"worst +at \[0, 0\]"):
        assert_gradient(
            loss, lambda x: grad(x) + np.eye(3, 4, 0) * 0.1 * (np.arange(3) == 0)[:, None], X
        )
