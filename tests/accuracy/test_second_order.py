"""Hessian products whose results are subnormal: one rounding, not a factor times a rounded one."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad._reference import exact
from tests.support import ulp


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", ["log_softmax", "logsumexp"])
def test_hessian_products_of_tiny_probabilities(function: str, dtype: Any, rng: Any) -> None:
    lowest = math.log(np.finfo(dtype).smallest_subnormal)
    x = np.append(rng.uniform(lowest + 1, lowest + 14, 90), 0.0).astype(dtype)
    g, v = (15.0 + rng.normal(size=(2, len(x)))).astype(dtype)
    row = exact.Row(x)
    if function == "log_softmax":
        factor = -mpmath.fsum(exact.number(g))
        result = sg.log_softmax.hvp(x, g, v)
    else:
        factor = exact.number(g[:1])[0]
        result = sg.logsumexp.hvp(x, g[0], v)
    truth = row.softmax_vjp(v) * factor
    terms = row.softmax_vjp_terms(v) * abs(factor)
    assert ulp.errors(result, truth, terms).max() <= 2.5


def test_a_factor_close_to_overflow_overflows_nothing() -> None:
    result = sg.logsumexp.hvp([0.0, 0.0], 1.5e308, [1.0, 0.0])
    np.testing.assert_allclose(result, [3.75e307, -3.75e307], rtol=1e-15)
    small = sg.logsumexp.hvp([0.0, 0.0], 1e-300, [0.5, 0.0])
    np.testing.assert_allclose(small, [1.25e-301, -1.25e-301], rtol=1e-15)
