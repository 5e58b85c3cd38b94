"""The loss of a linear model over row blocks, against the formula on the whole matrix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax, softmax

import softgrad as sg
from softgrad.functions.linear import linear_cross_entropy, linear_logits

# Around one block, around two, and several groups.
ROW_COUNTS = [1, 2, 127, 128, 129, 1000, 5000]


def whole(X, weight, bias, target, sample_weight=None, shift=None):
    X = np.asarray(X.todense() if sparse.issparse(X) else X, dtype=np.float64)
    X = X if shift is None else X - shift
    outputs = X @ weight.T + bias
    logits = np.column_stack([np.zeros(len(X)), outputs]) if len(bias) == 1 else outputs
    s = np.ones(len(X)) if sample_weight is None else sample_weight
    rows = np.arange(len(X))
    loss = -(s * log_softmax(logits, axis=1)[rows, target]).sum()
    grad = softmax(logits, axis=1)
    grad[rows, target] -= 1
    grad *= s[:, None]
    grad = grad[:, 1:] if len(bias) == 1 else grad
    return loss, grad.T @ X, grad.sum(axis=0)


def problem(rng, n_rows, n_features=300, n_classes=7):
    X = rng.standard_normal((n_rows, n_features)) * 3
    n_outputs = 1 if n_classes == 2 else n_classes
    weight = rng.standard_normal((n_outputs, n_features)) / 5
    return X, weight, rng.standard_normal(n_outputs), rng.integers(0, n_classes, n_rows)


def assert_same(got, expected):
    for value, true in zip(got, expected, strict=True):
        assert np.abs(np.subtract(value, true)).max() <= 1e-12 * np.abs(true).max()


@pytest.mark.parametrize("n_rows", ROW_COUNTS)
@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_blocks_sum_to_the_whole(rng, n_rows, n_classes):
    X, weight, bias, target = problem(rng, n_rows, n_classes=n_classes)
    s = rng.random(n_rows)
    shift = rng.standard_normal(X.shape[1])
    got = linear_cross_entropy(X, weight, bias, target, sample_weight=s, shift=shift)
    assert_same(got, whole(X, weight, bias, target, s, shift))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("order", ["C", "F"])
def test_storage_does_not_matter(rng, dtype, order):
    X, weight, bias, target = problem(rng, 700)
    X = np.asarray(np.abs(X) * 5, dtype=dtype, order=order)
    X.flags.writeable = False
    assert_same(linear_cross_entropy(X, weight, bias, target), whole(X, weight, bias, target))


def test_sparse_rows_with_a_shift_stay_sparse(rng):
    X, weight, bias, target = problem(rng, 900)
    X[rng.random(X.shape) < 0.95] = 0
    shift = rng.standard_normal(X.shape[1])
    got = linear_cross_entropy(sparse.csr_array(X), weight, bias, target, shift=shift)
    assert_same(got, whole(X, weight, bias, target, None, shift))


def test_a_shift_of_a_million_keeps_the_digits(rng):
    """Centred in the block, before the product: a correction afterwards would cancel."""
    X, weight, bias, target = problem(rng, 400)
    far = np.round(X * 1024) / 1024 + 2.0**30
    expected = whole(far - 2.0**30, weight, bias, target)
    shift = np.full(X.shape[1], 2.0**30)
    assert_same(linear_cross_entropy(far, weight, bias, target, shift=shift), expected)


def test_threads_change_no_bit(rng):
    X, weight, bias, target = problem(rng, 20_000, n_features=200)
    with sg.num_threads(1):
        one = linear_cross_entropy(X, weight, bias, target)
    for threads in (2, 5):
        with sg.num_threads(threads):
            more = linear_cross_entropy(X, weight, bias, target)
        assert one[0] == more[0]
        assert one[1].tobytes() == more[1].tobytes()
        assert one[2].tobytes() == more[2].tobytes()


def test_limits_on_threads_are_taken_back(rng):
    from threadpoolctl import threadpool_info

    def limits():
        return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]

    X, weight, bias, target = problem(rng, 3000)
    with sg.num_threads(3):
        before = limits()
        linear_cross_entropy(X, weight, bias, target)
        assert sg.get_num_threads() == 3
        with pytest.raises(IndexError):
            linear_cross_entropy(X, weight, bias, target[:5], sample_weight=bias[[99]])
        assert sg.get_num_threads() == 3
        assert limits() == before


def test_the_logits_never_exist_whole(rng):
    n_rows, n_classes = 40_000, 200
    X = rng.standard_normal((n_rows, 4))
    weight, bias = rng.standard_normal((n_classes, 4)), np.zeros(n_classes)
    target = rng.integers(0, n_classes, n_rows)
    with sg.num_threads(2):
        tracemalloc.start()
        linear_cross_entropy(X, weight, bias, target)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < n_rows * n_classes * 8 / 4


@pytest.mark.parametrize("n_rows", ROW_COUNTS)
def test_logits(rng, n_rows):
    X, weight, bias, _ = problem(rng, n_rows)
    X = X.astype(np.float32)
    got = linear_logits(X, weight, bias)
    expected = X.astype(np.float64) @ weight.T + bias
    assert np.abs(got - expected).max() <= 1e-13 * np.abs(expected).max()
    assert got.dtype == np.float64
