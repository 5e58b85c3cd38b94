"""Row i of a result has the same bits whatever surrounds it and wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from tests.support.bits import (
    assert_same_bits,
    broken_rows,
    every_second,
    example,
    fortran,
    hard_rows,
    reversed_memory,
    run,
    shifted,
)
from tests.support.members import BY_NAME, Array, names

CLASSES = [1, 2, 3, 7, 16, 29, 33, 64, 65, 100, 257, 1000, 4097]
LONG = [40_000, 170_001]
DTYPES = ["float32", "float64"]
SQUARE = names(lambda member: member.result == "square")

#: Members whose result has a row (or a number) for every row of logits.
PER_ROW = names(lambda member: "sum]" not in member.name and "mean]" not in member.name)
#: Those that compute with rows; elementwise functions are in it too.
CHEAP = [name for name in PER_ROW if name not in SQUARE]


def sizes_for(name: str) -> list[int]:
    return [c for c in CLASSES if c <= 65] if name in SQUARE else CLASSES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PER_ROW)
def test_batch_size(name: str, dtype: str) -> None:
    for classes in sizes_for(name):
        arguments = example(name, 37, classes, dtype)
        whole = run(name, *arguments)
        for start, stop in [(0, 1), (5, 6), (36, 37), (3, 19), (1, 18), (16, 37), (0, 16)]:
            part = run(name, *(a[start:stop] for a in arguments))
            assert_same_bits(part, whole[start:stop])
        assert_same_bits(run(name, *(a[11] for a in arguments)), whole[11])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHEAP)
def test_memory_layout(name: str, dtype: str) -> None:
    """Fortran order, strides, reversed axes, and rows that start anywhere."""
    for classes in sizes_for(name):
        arguments = example(name, 21, classes, dtype)
        expected = run(name, *arguments)
        for layout in (fortran, every_second, reversed_memory, broken_rows):
            assert_same_bits(run(name, *map(layout, arguments)), expected)
        for shift in (1, 3, 7):
            assert_same_bits(run(name, *(shifted(a, shift) for a in arguments)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in CHEAP if BY_NAME[n].has_axis])
def test_many_neighbouring_rows(name: str, dtype: str) -> None:
    """Rows side by side in memory are taken up to 64 at a time, and what is left of them fewer."""
    member = BY_NAME[name]
    for classes in (33, 64, 100, 1000, 1500):
        arguments = example(name, 150, classes, dtype)
        expected = run(name, *arguments)
        for start, stop in [(0, 150), (0, 64), (0, 63), (64, 128), (7, 150), (100, 133)]:
            part = [np.ascontiguousarray(a[start:stop].T) for a in arguments]
            result = run(name, *part, axis=0)
            back = result.T if member.result == "like x" else result
            assert_same_bits(back, expected[start:stop])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [n for n in CHEAP if BY_NAME[n].has_axis])
def test_axis(name: str, dtype: str) -> None:
    """Classes along the first or a middle axis: the bits of the last axis."""
    member = BY_NAME[name]
    for classes in (3, 17, 40, 130, 1000):
        arguments = example(name, 24, classes, dtype)
        rows = [a.reshape(4, 6, *a.shape[1:]) for a in arguments]
        expected = run(name, *rows)
        for axis in (0, 1):
            moved = [np.ascontiguousarray(_move(a, axis)) for a in rows]
            result = run(name, *moved, axis=axis)
            back = result if member.result != "like x" else np.moveaxis(result, axis, -1)
            assert_same_bits(back, expected)


def _move(a: Array, axis: int) -> Array:
    return np.moveaxis(a, -1, axis) if a.ndim == 3 else a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", names())
@pytest.mark.usefixtures("restore_threads")
def test_thread_count(name: str, dtype: str) -> None:
    shapes = [(1, 5), (3000, 3), (700, 64), (90, 1000), (5, 40_000), (1, 170_001)]
    for count, classes in shapes:
        if name in SQUARE and classes > 64:
            continue
        arguments = example(name, count, classes, dtype)
        sg.set_num_threads(1)
        expected = run(name, *arguments)
        for threads in (2, 3, 5):
            sg.set_num_threads(threads)
            assert_same_bits(run(name, *arguments), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CHEAP)
def test_long_rows(name: str, dtype: str) -> None:
    for classes in LONG:
        arguments = example(name, 3, classes, dtype)
        whole = run(name, *arguments)
        assert_same_bits(run(name, *(a[2] for a in arguments)), whole[2])
        assert_same_bits(run(name, *map(fortran, arguments)), whole)
        assert_same_bits(run(name, *(shifted(a, 3) for a in arguments)), whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["softmax", "softmax.vjp", "log_softmax", "log_softmax.vjp", "sigmoid", "sigmoid.vjp"]
)
def test_out(name: str, dtype: str) -> None:
    for classes in [*CLASSES, 40_000]:
        arguments = example(name, 21, classes, dtype)
        expected = run(name, *arguments)
        for out in (
            np.empty_like(expected),
            fortran(np.empty_like(expected)),
            every_second(np.empty_like(expected)),
            shifted(np.empty_like(expected), 5),
        ):
            assert_same_bits(run(name, *arguments, out=out), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_rows_do_not_change_their_neighbours(dtype: str) -> None:
    x = hard_rows(21, 40, dtype)
    where = np.ones(x.shape, dtype=bool)
    where[::2, 5:] = False
    for function in (sg.softmax, sg.log_softmax, sg.logsumexp):
        assert_same_bits(function(x, where=where)[1::2], function(x)[1::2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_gradient_of_a_sum_is_the_gradient_of_its_rows(reduction: str, dtype: str) -> None:
    x = hard_rows(64, 40, dtype)
    target = np.random.default_rng(0).integers(40, size=64)
    each = sg.cross_entropy.grad(x, target, reduction="none")
    summed = sg.cross_entropy.grad(x, target, reduction=reduction)
    divisor = 64 if reduction == "mean" else 1  # a power of two: exact but for subnormals
    large = np.abs(each) > 1e-30
    assert_same_bits(summed[large], (each / np.asarray(divisor, dtype=dtype))[large])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_second_call_gives_the_same(dtype: str) -> None:
    for name in names():
        arguments = example(name, 9, 33, dtype)
        assert_same_bits(run(name, *arguments), run(name, *arguments))
