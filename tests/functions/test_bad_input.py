"""Errors say what was passed, what is accepted, and where."""

from __future__ import annotations

import inspect
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.functions import ACTIVATIONS
from tests.support.members import BY_NAME, names

ROWS = names(lambda member: member.has_axis)
X = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0], [2.0, 2.0, 0.0], [0.0, 1.0, -1.0]])


def call(name: str, x: Any, **options: Any) -> Any:
    member = BY_NAME[name]
    companions = member.make_companions(np.random.default_rng(0), X)
    return member(x, *companions, **options)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize(
    "x",
    [
        X.astype(complex),
        X.astype(object),
        np.array([[Fraction(1, 2)] * 3] * 4),
        X.astype(str),
        [["a", "b", "c"]] * 4,
        None,
        np.zeros((4, 3), dtype="datetime64[s]"),
    ],
    ids=["complex", "object", "fraction", "string", "text", "None", "datetime"],
)
def test_logits_of_other_types(name: str, x: Any) -> None:
    with pytest.raises(TypeError, match=r"complex|object|str|<U|None|datetime"):
        call(name, x)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("axis", [2, -3, 100])
def test_axis_out_of_range(name: str, axis: int) -> None:
    with pytest.raises(ValueError, match=rf"axis.*{axis}|{axis}.*axis"):
        call(name, X, axis=axis)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("axis", [1.0, "1", [1]])
def test_axis_of_another_type(name: str, axis: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="axis"):
        call(name, X, axis=axis)


@pytest.mark.parametrize("axis", [(0, 0), (1, -1)])
def test_repeated_axes(axis: Any) -> None:
    for function in (sg.softmax, sg.log_softmax, sg.logsumexp):
        with pytest.raises(ValueError, match="axis"):
            function(X, axis=axis)


@pytest.mark.parametrize("name", names(lambda member: "temperature" in member.options))
@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_temperature_must_be_positive_and_finite(name: str, temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        call(name, X, temperature=temperature)


@pytest.mark.parametrize("name", names(lambda member: "temperature" in member.options))
@pytest.mark.parametrize("temperature", ["hot", None, 1j])
def test_temperature_must_be_a_number(name: str, temperature: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="temperature"):
        call(name, X, temperature=temperature)


@pytest.mark.parametrize("name", names(lambda member: "where" in member.options))
def test_masks(name: str) -> None:
    with pytest.raises(ValueError, match="where"):
        call(name, X, where=np.ones((4, 2), dtype=bool))
    with pytest.raises(ValueError, match="where"):
        call(name, X, where=np.ones((5, 4, 3), dtype=bool))
    with pytest.raises(TypeError, match="where"):
        call(name, X, where=np.ones((4, 3)))


@pytest.mark.parametrize("name", names(lambda member: len(member.companions) > 0))
def test_companions_of_another_shape(name: str) -> None:
    member = BY_NAME[name]
    companions = member.make_companions(np.random.default_rng(0), X)
    for k in range(len(companions)):
        wrong = list(companions)
        wrong[k] = np.zeros((*companions[k].shape, 2), dtype=companions[k].dtype)
        with pytest.raises(ValueError, match="shape"):
            member(X, *wrong)
        if companions[k].ndim:
            wrong[k] = companions[k][1:]
            with pytest.raises(ValueError, match="shape"):
                member(X, *wrong)


@pytest.mark.parametrize(
    "name", names(lambda m: "entries" in m.companions or "one a row" in m.companions)
)
def test_companions_of_another_type(name: str) -> None:
    member = BY_NAME[name]
    companions = list(member.make_companions(np.random.default_rng(0), X))
    companions[-1] = companions[-1].astype(complex)
    with pytest.raises(TypeError, match="complex"):
        member(X, *companions)


def test_unknown_options_are_refused() -> None:
    for function in (sg.softmax, sg.softmax.vjp, sg.logsumexp, sg.sigmoid, sg.cross_entropy):
        with pytest.raises(TypeError):
            function(X, X, dim=-1)


@pytest.mark.parametrize(("name", "option"), [("leaky_relu", "negative_slope"), ("elu", "alpha")])
@pytest.mark.parametrize("member", ["__call__", "vjp", "jvp", "jacobian", "hvp"])
def test_parameters_of_elementwise_functions(name: str, option: str, member: str) -> None:
    """Every member checks the option, names it in its signature, and refuses others by name."""
    method = getattr(ACTIVATIONS[name], member)
    factors = [X] * {"vjp": 1, "jvp": 1, "hvp": 2}.get(member, 0)
    assert option in inspect.signature(method).parameters
    for bad in (np.nan, np.inf, 2e6):
        with pytest.raises(ValueError, match=option):
            method(X, *factors, **{option: bad})
    for bad in ("steep", None, [0.1, 0.2], 1j):
        with pytest.raises(TypeError, match=option):
            method(X, *factors, **{option: bad})
    with pytest.raises(TypeError, match=f"no option 'slope'; accepted are {option}"):
        method(X, *factors, slope=0.1)
    assert ACTIVATIONS[name].options == (option,)
    assert ACTIVATIONS["relu"].options == ()


# --- targets -------------------------------------------------------------------------------------

LOSSES = [sg.cross_entropy, sg.cross_entropy.value_and_grad, sg.cross_entropy.grad]
LOSSES += [sg.cross_entropy.jacobian, sg.cross_entropy.hessian]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("label", "position"), [(3, 2), (-1, 0), (-100, 3), (2**40, 1)])
def test_labels_out_of_range_are_named_with_their_position(
    loss: Any, reduction: str, label: int, position: int
) -> None:
    target = np.array([0, 1, 2, 0])
    target[position] = label
    with pytest.raises(ValueError, match=rf"{label}\b(.|\n)*\b{position}\b"):
        loss(X, target, reduction=reduction)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_offender_is_named(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"17\b(.|\n)*\b1\b"):
        loss(X, np.array([0, 17, 33, 1]))


def test_labels_from_one_to_c_get_a_hint() -> None:
    with pytest.raises(ValueError, match=r"1\.\.|0\.\.2|0 \.\. 2|subtract|start"):
        sg.cross_entropy(X, np.array([1, 2, 3, 1]))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("bad", [-0.25, np.nan, np.inf])
def test_bad_probabilities_are_named_with_their_position(loss: Any, bad: float) -> None:
    target = np.full(X.shape, 1 / 3)
    target[2, 1] = bad
    with pytest.raises(ValueError, match=rf"{bad}(.|\n)*2, 1"):
        loss(X, target)


@pytest.mark.parametrize("loss", LOSSES)
def test_targets_of_other_kinds(loss: Any) -> None:
    for target in (np.array([True, False, True, True]), np.array(["a", "b", "c", "a"]), None):
        with pytest.raises((TypeError, ValueError), match="target"):
            loss(X, target)
    for target in (np.zeros(3, dtype=int), np.zeros((4, 1), dtype=int), 1, np.zeros((4, 2))):
        with pytest.raises(ValueError, match="shape"):
            loss(X, target)
    with pytest.raises(ValueError, match=r"target"):
        loss(X, np.array([0.0, 1.0, 2.0, 0.0]))  # indices in a float array


@pytest.mark.parametrize("loss", LOSSES)
def test_a_masked_class_cannot_be_the_target(loss: Any) -> None:
    where = np.array([True, True, False])
    with pytest.raises(ValueError, match=r"mask|where"):
        loss(X, np.array([0, 1, 2, 0]), where=where)
    soft = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5], [1, 0, 0], [0, 1, 0]])
    with pytest.raises(ValueError, match=r"mask|where"):
        loss(X, soft, where=where)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("reduction", "average"),
        ("reduction", None),
        ("label_smoothing", -0.1),
        ("label_smoothing", 1.5),
        ("label_smoothing", np.nan),
        ("sample_weight", [1.0, 2.0]),
        ("sample_weight", [1.0, -2.0, 1.0, 1.0]),
        ("sample_weight", [1.0, np.nan, 1.0, 1.0]),
        ("class_weight", [1.0, 2.0]),
        ("class_weight", [1.0, -2.0, 1.0]),
        ("class_weight", [1.0, np.inf, 1.0]),
        ("ignore_index", 1.5),
        ("axis", (0, 1)),
    ],
)
def test_options_of_the_loss(loss: Any, option: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=option):
        loss(X, np.array([0, 1, 2, 0]), **{option: value})


def test_ignore_index_means_nothing_for_probabilities() -> None:
    with pytest.raises(ValueError, match="ignore_index"):
        sg.cross_entropy(X, np.full(X.shape, 1 / 3), ignore_index=0)


def test_grad_target_needs_probabilities() -> None:
    with pytest.raises((ValueError, TypeError), match="target"):
        sg.cross_entropy.grad_target(X, np.array([0, 1, 2, 0]))


def test_errors_can_be_caught_as_one_family() -> None:
    from softgrad import errors

    families = [e for e in vars(errors).values() if isinstance(e, type)]
    assert families
    assert all(issubclass(e, ValueError | TypeError | Exception) for e in families)
    for bad in (lambda: sg.softmax(X, axis=9), lambda: sg.cross_entropy(X, [0, 1, 2, 3])):
        with pytest.raises(ValueError) as caught:
            bad()
        assert type(caught.value).__module__.startswith("softgrad")
