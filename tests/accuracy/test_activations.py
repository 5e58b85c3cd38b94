"""Errors of the elementwise functions and of sparsemax in ULP, against arbitrary precision."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad import _native
from softgrad._reference.exact_activations import exact
from softgrad.functions import ACTIVATIONS
from tests.conftest import Observed
from tests.support import ulp
from tests.support.members import ELEMENTWISE

DTYPES = ["float32", "float64"]
#: The promises: ULP of the value and of the derivatives (where terms cancel, of their size).
VALUE, DERIVATIVE = 3.0, 4.0
LOOSER = {"gelu": 4.0, "mish": 4.0}
TIGHTER = {("tanh", "float32"): 0.51}  # as good as the best of the peers


def points(dtype: str) -> Any:
    """Ordinary and tiny numbers, both tails down to subnormal results, and zeros of derivatives."""
    rng = np.random.default_rng(8)
    edge = 110 if dtype == "float32" else 760
    zeros = [-0.7517915247, -0.7524614220, -1.2784645427, -1.1924312145, 2.3993572805, 2**0.5]
    return np.concatenate(
        [
            np.linspace(-edge, edge, 121),
            np.linspace(-40, 14, 109),
            np.linspace(-6, 6, 120),
            rng.normal(size=120) * 10.0 ** rng.uniform(-40, 1, size=120),
            zeros,
            np.negative(zeros),
            [0.0, -0.0, 17.3, -17.3, 36.7, -36.7, 88.7, -88.8, 1e30, -1e30],
        ]
    ).astype(dtype)


@lru_cache(maxsize=64)
def truth(name: str, dtype: str, parameter: float) -> Any:
    x = points(dtype)
    return x, exact(name, x, parameter)


def check(
    name: str, parameter: dict[str, float], dtype: str, observed: Observed, prefix: str = ""
) -> None:
    function: Any = ACTIVATIONS[name]
    x, orders = truth(name, dtype, next(iter(parameter.values()), 0.0))
    one = np.ones_like(x)
    results = {
        name: (function(x, **parameter), 0),
        f"{name}.vjp": (function.vjp(x, one, **parameter), 1),
        f"{name}.jacobian": (function.jacobian(x, **parameter), 1),
        f"{name}.hvp": (function.hvp(x, one, one, **parameter), 2),
    }
    for label, (result, order) in results.items():
        value, terms = orders[order]
        error = ulp.errors(result, value, terms)
        limit = DERIVATIVE if order else TIGHTER.get((name, dtype), LOOSER.get(name, VALUE))
        observed.check(prefix + label, dtype, error, limit, f"x = {x[int(np.argmax(error))]!r}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "parameter"), ELEMENTWISE, ids=str)
def test_elementwise(
    name: str, parameter: dict[str, float], dtype: str, observed: Observed
) -> None:
    check(name, parameter, dtype, observed)


@pytest.fixture
def restore_instruction_set() -> Iterator[None]:
    before = _native.instruction_set()
    yield
    _native.set_instruction_set(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "parameter"), ELEMENTWISE, ids=str)
@pytest.mark.usefixtures("restore_instruction_set")
def test_the_baseline(
    name: str, parameter: dict[str, float], dtype: str, observed: Observed
) -> None:
    """Processors without fused multiply-add keep the promises too."""
    _native.set_instruction_set("baseline")
    check(name, parameter, dtype, observed, "baseline ")


def test_gelu_far_to_the_left() -> None:
    """Down to the smallest subnormal, where x (1 + erf(x / sqrt 2)) / 2 is 0 from -8.3 on."""
    assert sg.gelu(-30.0) == pytest.approx(-30 * 4.906713927148187e-198, rel=1e-15)
    assert sg.gelu(np.float64(-38.4)) < 0
    assert sg.gelu(np.float32(-14.0)) < 0
    assert sg.gelu(-40.0) == 0


@pytest.mark.parametrize(("name", "parameter"), ELEMENTWISE, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_infinity_and_nan(name: str, parameter: dict[str, float], dtype: str) -> None:
    """Limits at the ends of the line, in value and derivatives; NaN for NaN alone."""
    function: Any = ACTIVATIONS[name]
    far = 1e30
    x = np.array([-np.inf, 1.0, np.nan, np.inf], dtype=dtype)
    for member in (function, function.jacobian):
        result = member(x, **parameter)
        near = member(np.array([-far, 1.0, np.nan, far], dtype=dtype), **parameter)
        wanted = np.where(np.abs(near) > 1e20, np.copysign(np.inf, near), near)
        np.testing.assert_allclose(result, wanted, atol=1e-29)
    one = np.ones_like(x)
    curvature = function.hvp(x, one, one, **parameter)
    np.testing.assert_array_equal(curvature[[0, 3]], 0)
    assert np.isnan(curvature[2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 3e4])
def test_sparsemax(dtype: str, offset: float) -> None:
    """Against rational arithmetic: ties, wide rows, far from zero, one class ahead of all."""
    rng = np.random.default_rng(5)
    rows = [rng.normal(size=n) * scale for n in (1, 2, 7, 40) for scale in (0.01, 0.3, 1, 20)]
    rows += [np.zeros(9), rng.integers(0, 2, size=12) * 0.25, np.array([5.0, 0, 0, -np.inf])]
    for row in rows:
        x = (row + offset).astype(dtype)
        p = sg.sparsemax(x)
        finite = [Fraction(float(a)) for a in x if np.isfinite(a)]
        ordered = sorted(finite, reverse=True)
        sizes = [k for k in range(1, len(ordered) + 1) if 1 + k * ordered[k - 1] > sum(ordered[:k])]
        tau = (sum(ordered[: sizes[-1]]) - 1) / sizes[-1]
        for a, got in zip(x, p, strict=True):
            wanted = max(Fraction(float(a)) - tau, Fraction(0)) if np.isfinite(a) else Fraction(0)
            size = max(float(wanted), float(ordered[0]) - float(a) if wanted else 0.0)
            unit = Fraction(float(np.spacing(np.asarray(size, dtype=dtype))))
            assert abs(Fraction(float(got)) - wanted) <= 2 * unit
