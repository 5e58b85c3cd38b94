"""Cases in which the usual formulas lose every digit."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg


def test_vjp_of_a_confident_row_is_not_zero() -> None:
    """p (g - sum p g) with p = [1, 5.55e-17]: in NumPy g - sum p g is 0."""
    gradient = sg.softmax.vjp(np.array([37.43, 0.0]), np.array([1.0, 0.0]))
    assert gradient[0] == pytest.approx(5.5508250862537188e-17, rel=1e-15)
    assert gradient[1] == pytest.approx(-5.5508250862537188e-17, rel=1e-15)


@pytest.mark.parametrize(
    ("dtype", "lead", "loss"),
    [
        ("float32", 20.0, 2.0611536203143807e-9),
        ("float32", 87.0, 1.6458114310822737e-38),
        ("float32", 100.0, 3.720075976020836e-44),  # a subnormal loss
        ("float64", 40.0, 4.248354255291589e-18),
        ("float64", 700.0, 9.8596765437597709e-305),
        ("float64", 740.0, 4.1887398800480489e-322),
    ],
)
def test_a_confident_row_keeps_its_loss_and_its_gradient(
    dtype: str, lead: float, loss: float
) -> None:
    x = np.array([[0.0, lead]], dtype=dtype)
    value, gradient = sg.cross_entropy.value_and_grad(x, np.array([1]))
    tolerance = {"float32": 2e-7, "float64": 1e-15}[dtype]
    subnormal = float(np.finfo(dtype).smallest_subnormal)
    close = pytest.approx(loss, rel=tolerance, abs=subnormal)
    assert value > 0
    assert value == close
    assert gradient[0, 0] == close
    assert -gradient[0, 1] == close
    assert -sg.log_softmax(x)[0, 1] == close


@pytest.mark.parametrize(("dtype", "lowest"), [("float32", -103.0), ("float64", -744.0)])
def test_subnormal_probabilities_survive(dtype: str, lowest: float) -> None:
    x = np.array([0.0, lowest / 2, lowest * 0.98, lowest], dtype=dtype)
    p = sg.softmax(x)
    assert np.all(p > 0)
    assert np.all(p[2:] < np.finfo(dtype).tiny)
    steps = np.exp(x[2:].astype(np.float64)) / float(np.finfo(dtype).smallest_subnormal)
    assert np.all(np.abs(p[2:] / np.finfo(dtype).smallest_subnormal - steps) <= 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wide_rows_do_not_depend_on_the_offset(dtype: str) -> None:
    """Logits that a large offset leaves exact give the same probabilities as without it."""
    row = np.array([0.0, -8.0, -24.0, -96.0, -3.0], dtype=dtype)
    shifted = row + np.asarray(2.0**18, dtype=dtype)
    assert np.all(shifted - np.asarray(2.0**18, dtype=dtype) == row)
    np.testing.assert_array_max_ulp(sg.softmax(shifted), sg.softmax(row), maxulp=3)
