"""What the losses are, and what they refuse: wrong kinds of inputs and targets, with the reason."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad._protocol import Loss
from softgrad.errors import SoftgradError
from softgrad.functions import LOSSES

X = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0], [2.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
P = np.full(X.shape, 1 / 3)
INDEX = np.array([0, 1, 2, 0])
MEMBERS = ("value_and_grad", "grad", "vjp", "jvp", "hvp", "jacobian", "hessian", "grad_target")

ENTRIES = [n for n, loss in LOSSES.items() if loss.multi_label]
ENTRIES += ["squared_error", "half_squared_error", "absolute_error", "huber"]


def input_of(loss: Any) -> Any:
    return P if loss.takes == "probabilities" else X


def target_of(loss: Any) -> Any:
    return INDEX if "indices" in loss.targets else P


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_function_with_members(name: str) -> None:
    loss = LOSSES[name]
    assert getattr(sg, name) is loss
    assert isinstance(loss, Loss)
    assert loss.takes in ("logits", "log_probabilities", "probabilities", "values")
    assert loss.targets <= {"indices", "probabilities", "values"}
    assert loss.targets
    assert pickle.loads(pickle.dumps(loss)) is loss
    assert {"axis", "reduction", "sample_weight", "class_weight", "where"} <= set(loss.options)
    methods = {n for n, _ in inspect.getmembers(loss, inspect.ismethod) if not n.startswith("_")}
    assert methods == set(MEMBERS)  # nothing of its workings shows up in help()
    for member in MEMBERS:
        parameters = inspect.signature(getattr(loss, member)).parameters
        assert set(loss.options) <= set(parameters), member
        assert ("out" in parameters) is (member != "jvp")
        assert getattr(loss, member).__doc__


@pytest.mark.parametrize("name", LOSSES)
def test_an_option_that_a_loss_does_not_have(name: str) -> None:
    loss: Any = LOSSES[name]
    x, target = input_of(loss), target_of(loss)
    for member in ("grad", "value_and_grad", "hessian"):
        with pytest.raises(TypeError, match=r"no option dim.*axis"):
            getattr(loss, member)(x, target, dim=1)
    with pytest.raises(TypeError, match="dim"):
        loss(x, target, dim=1)


@pytest.mark.parametrize("name", ENTRIES)
def test_class_indices_are_no_target_of_entries(name: str) -> None:
    """They would broadcast to something; the message says where they belong."""
    loss: Any = LOSSES[name]
    for target in (INDEX, INDEX.astype("int32"), INDEX.astype(float), INDEX[:, None]):
        for call in (loss, loss.grad, loss.value_and_grad):
            with pytest.raises(ValueError, match=r"shape.*cross_entropy"):
                call(input_of(loss), target)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_targets_that_are_not_finite(name: str, bad: float) -> None:
    loss: Any = LOSSES[name]
    target = P.copy()
    target[2, 1] = bad
    for call in (loss, loss.grad, loss.hessian):
        with pytest.raises(ValueError, match=rf"{bad} at \[2, 1\]"):
            call(input_of(loss), target)
    where = np.ones(X.shape, dtype=bool)
    where[2, 1] = False
    assert np.isfinite(loss(input_of(loss), target, where=where))


@pytest.mark.parametrize("name", [n for n in LOSSES if LOSSES[n].multi_label])
@pytest.mark.parametrize("bad", [2, -1])
def test_answers_are_between_no_and_yes(name: str, bad: int) -> None:
    loss: Any = LOSSES[name]
    for dtype in (float, int):
        target = np.zeros(X.shape, dtype=dtype)
        target[1, 2] = bad
        with pytest.raises(ValueError, match=rf"{bad}(\.0)? at \[1, 2\].*0, 1"):
            loss(input_of(loss), target)
    assert loss(input_of(loss), target, ignore_index=bad) > 0
    with pytest.raises(ValueError, match="ignore_index"):
        loss(input_of(loss), target.astype(float), ignore_index=bad)


@pytest.mark.parametrize(
    "name", ["categorical_cross_entropy", "binary_cross_entropy_probabilities"]
)
def test_logits_are_not_probabilities(name: str) -> None:
    loss: Any = LOSSES[name]
    for call in (loss, loss.grad, loss.hessian):
        with pytest.raises(ValueError, match=r"-2\.0 at \[0, 1\].*cross_entropy"):
            call(np.clip(X, None, 1), target_of(loss))
        with pytest.raises(ValueError, match=r"3\.0 at \[0, 2\].*cross_entropy"):
            call(np.abs(X) * (np.abs(X) > 2), target_of(loss))


@pytest.mark.parametrize(
    "name", ["categorical_cross_entropy", "binary_cross_entropy_probabilities"]
)
def test_probabilities_in_half_precision(name: str) -> None:
    loss: Any = LOSSES[name]
    p = np.random.default_rng(0).random((4, 3)).astype("float16")
    for reduction in ("none", "mean"):
        value, grad = loss.value_and_grad(p, target_of(loss), reduction=reduction)
        wide, wide_grad = loss.value_and_grad(
            p.astype("float32"), target_of(loss), reduction=reduction
        )
        assert np.asarray(value).dtype == grad.dtype == np.float16
        np.testing.assert_array_equal(value, np.asarray(wide).astype("float16"))
        np.testing.assert_array_equal(grad, wide_grad.astype("float16"))


def test_rounded_probabilities_may_be_a_little_above_one() -> None:
    assert abs(sg.categorical_cross_entropy([[1 + 1e-15, 0.0]], [0])) < 1e-14
    with pytest.raises(ValueError, match="probabilities"):
        sg.categorical_cross_entropy([[1 + 1e-12, 0.0]], [0])


@pytest.mark.parametrize(
    ("name", "option", "values"),
    [
        ("focal", "gamma", [-1.0, np.nan, np.inf, "2", None]),
        ("sigmoid_focal", "gamma", [-1.0, np.inf]),
        ("sigmoid_focal", "alpha", [-0.1, 1.5, np.nan]),
        ("huber", "delta", [0.0, -1.0, np.inf, None]),
        ("multiclass_hinge", "margin", [-0.5, np.nan]),
        ("distillation", "temperature", [0.0, -1.0, np.nan]),
        ("distillation", "teacher", ["soft", None, True]),
        ("binary_cross_entropy", "pos_weight", [-1.0, np.nan, [1.0, 2.0]]),
        ("binary_cross_entropy", "label_smoothing", [-0.1, 1.5]),
    ],
)
def test_parameters_out_of_range(name: str, option: str, values: list[Any]) -> None:
    loss: Any = LOSSES[name]
    for value in values:
        for call in (loss, loss.grad, loss.hessian):
            with pytest.raises((ValueError, TypeError), match=option) as caught:
                call(input_of(loss), target_of(loss), **{option: value})
            assert isinstance(caught.value, SoftgradError)


def test_targets_of_the_wrong_kind() -> None:
    with pytest.raises(ValueError, match="nll"):
        sg.kl_divergence(X, INDEX)
    with pytest.raises(ValueError, match="argmax"):
        sg.multiclass_hinge(X, P)
    with pytest.raises(ValueError, match="shape"):
        sg.distillation(X, INDEX)
    with pytest.raises(ValueError, match="cross_entropy"):
        sg.distillation(X, INDEX, teacher="probabilities")
    with pytest.raises(ValueError, match="teacher"):
        sg.distillation(X, np.full(X.shape, -np.inf))
    for loss in (sg.nll, sg.focal, sg.categorical_cross_entropy, sg.multiclass_hinge):
        x: Any = P if loss.takes == "probabilities" else X
        with pytest.raises(ValueError, match="indices"):
            loss.grad_target(x, INDEX)


@pytest.mark.parametrize("name", LOSSES)
def test_weight_two_is_the_row_twice(name: str) -> None:
    loss: Any = LOSSES[name]
    rng = np.random.default_rng(0)
    x = rng.random((9, 5)) if loss.takes == "probabilities" else rng.normal(size=(9, 5)) * 2
    target = rng.integers(5, size=9) if "indices" in loss.targets else rng.random((9, 5))
    weight = np.ones(9)
    weight[0] = 2.0
    for reduction in ("sum", "mean"):
        value, grad = loss.value_and_grad(x, target, sample_weight=weight, reduction=reduction)
        twice, grads = loss.value_and_grad(
            np.concatenate([x[:1], x]), np.concatenate([target[:1], target]), reduction=reduction
        )
        np.testing.assert_allclose(value, twice, 1e-15)
        np.testing.assert_allclose(grad[1:], grads[2:], 1e-15)
        np.testing.assert_allclose(grad[0], grads[0] + grads[1], 1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_rows_of_weight_zero_take_no_part_whatever_they_hold(name: str) -> None:
    loss: Any = LOSSES[name]
    rng = np.random.default_rng(1)
    x = rng.random((6, 4)) if loss.takes == "probabilities" else rng.normal(size=(6, 4)) * 2
    target = rng.integers(4, size=6) if "indices" in loss.targets else rng.random((6, 4))
    weight = np.array([1.0, 0, 2, 1, 0, 0.5])
    poisoned = x.copy()
    poisoned[1] = np.nan
    kept = weight > 0
    for reduction in ("none", "sum", "mean"):
        options: Any = {"sample_weight": weight, "reduction": reduction}
        value, grad = loss.value_and_grad(poisoned, target, **options)
        options["sample_weight"] = weight[kept]
        expected, expected_grad = loss.value_and_grad(x[kept], target[kept], **options)
        np.testing.assert_array_equal(grad[kept], expected_grad)
        np.testing.assert_array_equal(grad[~kept], 0.0)
        np.testing.assert_array_equal(value[kept] if reduction == "none" else value, expected)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_no_rows_and_nothing_taking_part(name: str, reduction: str) -> None:
    loss: Any = LOSSES[name]
    x, target = input_of(loss), target_of(loss)
    value, grad = loss.value_and_grad(x, target, sample_weight=np.zeros(4), reduction=reduction)
    np.testing.assert_array_equal(value, np.zeros(np.shape(value)))
    np.testing.assert_array_equal(grad, np.zeros(X.shape))
    value, grad = loss.value_and_grad(x[:0], target[:0], reduction=reduction)
    assert np.sum(value) == 0
    assert grad.shape == (0, 3)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_may_be_written_over_the_input(name: str) -> None:
    loss: Any = LOSSES[name]
    rng = np.random.default_rng(2)
    for shape in ((9, 5), (3, 700), (40, 1)):
        x = rng.random(shape) if loss.takes == "probabilities" else rng.normal(size=shape) * 2
        rows, classes = shape
        target = (
            rng.integers(classes, size=rows) if "indices" in loss.targets else rng.random(shape)
        )
        value, grad = loss.value_and_grad(x, target)
        memory = np.full((rows, 2 * classes), 7.0)
        for out in (x.copy(), np.empty_like(x), memory[:, ::2], np.empty(shape, order="F")):
            same = out if np.array_equal(out, x) else x
            again, written = loss.value_and_grad(same, target, out=out)
            assert written is out
            np.testing.assert_array_equal(out, grad)
            assert again == value
        assert np.all(memory[:, 1::2] == 7.0)
        with pytest.raises(ValueError, match="out"):
            loss.grad(x, target, out=np.empty((rows, classes + 1)))


def test_kinks() -> None:
    """At a kink the gradient is the documented one of the subgradients."""
    one: Any = {"reduction": "none"}
    np.testing.assert_array_equal(sg.absolute_error.grad([1.0, 2.0], [1.0, 2.0]), [0.0, 0.0])
    np.testing.assert_array_equal(sg.huber.grad([1.0, -1.0], [0.0, 0.0]), [1.0, -1.0])
    np.testing.assert_array_equal(sg.huber.hessian([1.0, 1.5], [0.0, 0.0]), np.diag([1.0, 0.0]))
    hinge = sg.multiclass_hinge
    np.testing.assert_array_equal(hinge.grad([2.0, 1.0, 0.0], 0), [0, 0, 0])  # just enough
    np.testing.assert_array_equal(hinge.grad([1.0, 2.0, 2.0], 0), [-1, 1, 0])  # the first rival
    np.testing.assert_array_equal(hinge.grad([2.0, 1.0, 2.0], 1), [1, -1, 0])
    assert hinge([[3.0]], [0]) == 0  # one class has no rival
    assert hinge([[0.0, 1.0]], [0], margin=0.0, **one) == 1.0


def test_relations_between_losses() -> None:
    """The same number reached two ways, within the errors of both."""
    rng = np.random.default_rng(3)
    x, target = rng.normal(size=(7, 5)) * 3, rng.integers(5, size=7)
    loss = sg.cross_entropy(x, target)
    np.testing.assert_allclose(sg.nll(sg.log_softmax(x), target), loss, 1e-14)
    np.testing.assert_allclose(sg.categorical_cross_entropy(sg.softmax(x), target), loss, 1e-14)
    np.testing.assert_allclose(sg.focal(x, target, gamma=0.0), loss, 1e-15)
    y = rng.integers(2, size=x.shape)
    binary = sg.binary_cross_entropy(x, y)
    np.testing.assert_allclose(sg.sigmoid_focal(x, y, gamma=0.0, alpha=None), binary, 1e-14)
    np.testing.assert_allclose(
        sg.binary_cross_entropy_probabilities(sg.sigmoid(x), y), binary, 1e-13
    )
    two = np.stack([np.zeros(35), x.reshape(-1)], axis=-1)  # log-odds are the logit of yes
    np.testing.assert_allclose(
        sg.cross_entropy(two, y.reshape(-1), reduction="sum"),
        sg.binary_cross_entropy(x, y, reduction="sum"),
        1e-14,
    )
    teacher = rng.normal(size=x.shape)
    t = sg.softmax(teacher, temperature=2.0)
    entropy = -np.mean(np.sum(t * np.log(t), axis=-1))
    expected = 4 * (sg.cross_entropy(x, t, temperature=2.0) - entropy)
    np.testing.assert_allclose(sg.distillation(x, teacher, temperature=2.0), expected, 1e-12)
    np.testing.assert_allclose(
        sg.distillation(x, t, temperature=2.0, teacher="probabilities"), expected, 1e-12
    )
    assert abs(sg.distillation(x, x, temperature=2.0)) < 1e-15
    np.testing.assert_allclose(
        2 * sg.half_squared_error(x, teacher), sg.squared_error(x, teacher), 1e-15
    )
    np.testing.assert_allclose(
        sg.huber(x, teacher, delta=1e3), sg.half_squared_error(x, teacher), 1e-15
    )
