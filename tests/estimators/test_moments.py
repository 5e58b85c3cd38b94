"""Mean and deviation of features in one pass, against sums in long double."""

from __future__ import annotations

import numpy as np
import pytest

from softgrad.estimators import moments
from softgrad.estimators.moments import mean_and_scale, square_norms, too_large


def exactly(X, weight, centre):
    X, weight = X.astype(np.longdouble), weight.astype(np.longdouble)
    total = weight.sum()
    mean = weight @ X / total if centre else np.zeros(X.shape[1], np.longdouble)
    return mean, np.sqrt(weight @ (X - mean) ** 2 / total)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(moments, "_NUMBERS", 300)  # parts of 60 rows


CASES = {
    "plain": lambda X, s: None,
    "an offset": lambda X, s: X.__iadd__(1e7),
    "sorted": lambda X, s: X.sort(axis=0),
    "first rows far away": lambda X, s: X[:60].__iadd__(1e5),
    "first rows without weight": lambda X, s: (X[:60].__iadd__(1e9), s[:60].__imul__(0.0)),
    "first rows of little weight": lambda X, s: (X[:60].__iadd__(1e9), s[:60].__imul__(1e-25)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("centre", [True, False])
def test_moments_are_exact_but_for_rounding(rng, case, weighted, centre):
    X = rng.standard_normal((1000, 5)) * [1e-3, 1.0, 1.0, 1e4, 1e6]
    s = rng.random(1000) if weighted else np.ones(1000)
    CASES[case](X, s)
    if not weighted and (s != 1.0).any():
        pytest.skip("a case of weights")
    mean, scale = mean_and_scale(X, s if weighted else None, float(s.sum()), centre=centre)
    wanted_mean, wanted_scale = exactly(X, s, centre)
    size = np.abs(X).max(axis=0)
    assert np.abs(mean - wanted_mean).max() <= 4e-16 * size.max()
    assert (np.abs(mean - wanted_mean) <= 4e-16 * size).all()
    assert np.abs(scale / wanted_scale - 1).max() < (1e-12 if "offset" not in case else 1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_narrow_types_are_summed_in_double(rng, dtype):
    X = rng.integers(0, 256, (500, 3)).astype(dtype)
    mean, scale = mean_and_scale(X, None, 500.0, centre=True)
    wanted_mean, wanted_scale = exactly(X, np.ones(500), True)
    np.testing.assert_allclose(mean, wanted_mean.astype(float), rtol=1e-14)
    np.testing.assert_allclose(scale, wanted_scale.astype(float), rtol=1e-14)


@pytest.mark.parametrize("value", [0.0, 1.0 / 3.0, 1e6 + 0.1, -7e90])
def test_a_constant_has_the_deviation_one(value):
    mean, scale = mean_and_scale(np.full((777, 2), value), None, 777.0, centre=True)
    np.testing.assert_allclose(mean, value, rtol=1e-14)
    assert (scale == 1.0).all()


def test_norms_are_those_of_the_standardized_rows(rng):
    X = rng.standard_normal((500, 4)) + 1e5
    mean, scale = mean_and_scale(X, None, 500.0, centre=True)
    wanted = (((X - mean) / scale) ** 2).sum(axis=1)
    np.testing.assert_allclose(square_norms(X, mean, scale), wanted, rtol=1e-12)


@pytest.mark.parametrize("large", [[1e300, 1e300], [-1e300, 1e300], [1e160, 0.0], [1e101, 1e101]])
def test_squares_out_of_range_are_seen(large):
    X = np.ones((40, 3))
    X[:, 1] = np.tile(large, 20)
    mean, scale = mean_and_scale(X, None, 40.0, centre=True)
    assert too_large(np.abs(mean) + scale) == 1
