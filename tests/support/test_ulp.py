"""The yardstick itself: known errors have their known size."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from tests.support.ulp import errors, float_errors


def exact(*numbers: object) -> np.ndarray:
    return np.array([mpmath.mpf(n) for n in numbers], dtype=object)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_neighbour_is_one_ulp_away(dtype: str) -> None:
    for value in (1.0, 1.75, -3.0, 1e-30, 1e30, 0.1):
        x = np.array([value], dtype=dtype)
        up = np.nextafter(x, np.asarray(np.inf, dtype=dtype))
        assert errors(x, exact(float(x[0]))) == 0
        assert errors(up, exact(float(x[0]))) == 1
        assert float_errors(up, x) == 1


def test_fractions_of_an_ulp() -> None:
    third = mpmath.mpf(1) / 3
    with mpmath.workprec(400):
        third = mpmath.mpf(1) / 3
        expected = abs(mpmath.mpf(float(np.float32(1 / 3))) - third) * 2**25
    found = errors(np.float32([1 / 3]), np.array([third], dtype=object))
    assert found == pytest.approx(float(expected), abs=1e-9)
    assert 0 < found < 0.5


def test_subnormal_numbers_and_zero() -> None:
    smallest = 2.0**-149
    assert errors(np.float32([smallest]), exact(0)) == 1
    assert errors(np.float32([0]), exact(3.25 * smallest)) == 3.25
    assert errors(np.float64([5e-324]), exact(0)) == 1
    assert errors(np.float64([0]), exact(mpmath.mpf(10) ** -5000)) < 1e-9


def test_not_finite() -> None:
    inf, nan = np.inf, np.nan
    values = np.float32([inf, inf, -inf, nan, inf, 1, 3e38])
    truth = exact("inf", "1e60", "-inf", 1, 1, "inf", "1e60")
    np.testing.assert_array_equal(errors(values, truth), [0, 0, 0, inf, inf, inf, inf])


def test_relative_to_terms() -> None:
    assert errors(np.float64([0.0]), exact(2.0**-50), exact(1)) == 4
    assert errors(np.float64([2.0**-50]), exact(0), exact(4)) == 1


def test_equal_infinities_and_nan_of_floats() -> None:
    a = np.array([np.inf, np.nan, 1.0, np.nan, 1.0])
    b = np.array([np.inf, np.nan, 1.0, 1.0, np.inf])
    np.testing.assert_array_equal(float_errors(a, b), [0, 0, 0, np.inf, np.inf])
