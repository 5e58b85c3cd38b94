"""Inputs stay as they were, `out=` is the only way to write, layouts do not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import softgrad as sg
from tests.support.members import BY_NAME, Array, names

LIKE_X = ["softmax", "softmax.vjp", "softmax.jvp", "softmax.hvp"]
LIKE_X += [f"log_{name}" for name in LIKE_X] + ["softmin", "softmin.vjp"]
LIKE_X += ["sigmoid", "sigmoid.vjp", "sigmoid.jvp", "gelu", "gelu.hvp", "elu.vjp[alpha=0.7]"]


def example(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float64") -> Array:
    return (rng.normal(size=shape) * 3).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
@pytest.mark.parametrize("name", names())
def test_inputs_are_never_written(name: str, dtype: str, rng: Any) -> None:
    """Read-only arguments work, and writable ones keep their bits."""
    member, x = BY_NAME[name], example(rng, (5, 7), dtype)
    companions = member.make_companions(rng, x)
    arguments = [x, *companions]
    copies = [a.copy() for a in arguments]
    expected = member(*arguments)
    for argument, copy in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(argument, copy)
        argument.setflags(write=False)
    np.testing.assert_array_equal(member(*arguments), expected)


@pytest.mark.parametrize("name", names())
def test_masked_inputs_are_never_written(name: str, rng: Any) -> None:
    member = BY_NAME[name]
    if "where" not in member.options:
        return
    x = example(rng, (5, 7))
    companions = member.make_companions(rng, x)
    where = np.ones(x.shape, dtype=bool)
    if member.target not in ("labels", "probabilities"):
        where[1:3, 2:] = False
    arguments = [x, *companions, where]
    copies = [a.copy() for a in arguments]
    for argument in arguments:
        argument.setflags(write=False)
    member(x, *companions, where=where)
    for argument, copy in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(argument, copy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LIKE_X)
def test_out(name: str, dtype: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (5, 7), dtype)
    companions = member.make_companions(rng, x)
    expected = member(x, *companions)
    big = np.full((10, 14), 77.0, dtype=dtype)
    for out in (
        np.full(x.shape, np.nan, dtype=dtype),
        np.full(x.shape, np.nan, dtype=dtype, order="F"),
        big[::2, ::2],
        np.full(x.shape, np.nan, dtype=dtype)[::-1, ::-1],
    ):
        assert member(x, *companions, out=out) is out
        np.testing.assert_array_equal(out, expected)
    assert np.all(big[1::2] == 77.0)
    assert np.all(big[:, 1::2] == 77.0)


@pytest.mark.parametrize("member", ["__call__", "vjp", "jvp", "hvp"])
def test_out_of_sparsemax(member: str, rng: Any) -> None:
    x = example(rng, (5, 7, 3))
    factors = [example(rng, x.shape)] * {"vjp": 1, "jvp": 1, "hvp": 2}.get(member, 0)
    where = rng.random(x.shape) < 0.8
    for options in ({}, {"axis": 0}, {"axis": (0, 2), "where": where}):
        expected = getattr(sg.sparsemax, member)(x, *factors, **options)
        for out in (
            np.full(x.shape, np.nan),
            np.full((10, 14, 6), np.nan)[::2, ::2, ::2],
            x.copy(),
        ):
            result = getattr(sg.sparsemax, member)(x, *factors, **options, out=out)
            assert result is out
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classes", [1, 2, 7, 33, 100, 5000])
@pytest.mark.parametrize("name", LIKE_X)
def test_out_may_be_any_of_the_arguments(name: str, classes: int, dtype: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (19, classes), dtype)
    companions = member.make_companions(rng, x)
    expected = member(x, *companions)
    for k in range(1 + len(companions)):
        arguments = [a.copy() for a in (x, *companions)]
        assert member(*arguments, out=arguments[k]) is arguments[k]
        np.testing.assert_array_equal(arguments[k], expected)


@pytest.mark.parametrize("name", LIKE_X)
def test_out_that_overlaps_in_part(name: str, rng: Any) -> None:
    """Shifted by a few elements over the input: as if there were no overlap."""
    member = BY_NAME[name]
    memory = rng.normal(size=3 * 40 + 5)
    x = memory[:120].reshape(3, 40)
    companions = member.make_companions(rng, x)
    expected = member(x.copy(), *companions)
    for shift in (1, 5):
        work = memory.copy()
        out = work[shift : shift + 120].reshape(3, 40)
        member(work[:120].reshape(3, 40), *companions, out=out)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", LIKE_X)
def test_out_with_options(name: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (5, 7, 3))
    if not member.has_axis:
        return
    where = rng.random(x.shape) < 0.8
    for axis in (0, 1, (0, 2), None):
        companions = member.make_companions(rng, x, axis)
        expected = member(x, *companions, axis=axis, where=where, temperature=2.0)
        out = np.full(x.shape, np.nan)
        result = member(x, *companions, axis=axis, where=where, temperature=2.0, out=out)
        assert result is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", LIKE_X)
def test_bad_out(name: str, rng: Any) -> None:
    member, x = BY_NAME[name], example(rng, (5, 7))
    companions = member.make_companions(rng, x)
    read_only = np.zeros(x.shape)
    read_only.setflags(write=False)
    for out in (np.zeros((5, 6)), np.zeros(x.shape, dtype="float32"), read_only):
        with pytest.raises(ValueError, match="out"):
            member(x, *companions, out=out)
        assert not out.any()
    with pytest.raises(TypeError, match="out"):
        member(x, *companions, out=[0.0] * 7)


def test_out_of_logsumexp(rng: Any) -> None:
    x = example(rng, (5, 7, 3))
    for axis in (0, 1, -1, (0, 2)):
        expected = sg.logsumexp(x, axis=axis)
        out = np.full(expected.shape, np.nan)
        assert sg.logsumexp(x, axis=axis, out=out) is out
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_out_of_the_loss_gradient(reduction: str, rng: Any) -> None:
    x, target = example(rng, (50, 7), "float32"), rng.integers(7, size=50)
    loss, expected = sg.cross_entropy.value_and_grad(x, target, reduction=reduction)
    out = np.full(x.shape, np.nan, dtype="float32")
    value, grad = sg.cross_entropy.value_and_grad(x, target, reduction=reduction, out=out)
    assert grad is out
    np.testing.assert_array_equal(value, loss)
    np.testing.assert_array_equal(grad, expected)
    logits = x.copy()
    value, grad = sg.cross_entropy.value_and_grad(logits, target, reduction=reduction, out=logits)
    assert grad is logits
    np.testing.assert_array_equal(grad, expected)
    np.testing.assert_array_equal(value, loss)
    assert np.all(sg.cross_entropy.grad(x, target, reduction=reduction) == expected)
    assert np.all(sg.cross_entropy(x, target, reduction=reduction) == loss)


def test_a_bad_label_leaves_the_logits_alone_when_they_are_the_output(rng: Any) -> None:
    x, target = example(rng, (50, 7)), rng.integers(7, size=50)
    target[49] = 7
    logits = x.copy()
    with pytest.raises(ValueError, match="7"):
        sg.cross_entropy.value_and_grad(logits, target, out=logits)
    np.testing.assert_array_equal(logits, x)
