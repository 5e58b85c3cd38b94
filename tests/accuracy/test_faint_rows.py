"""Derivatives beside a class that is all but certain, where the other probabilities are subnormal.

What they sum to has to come from the logits: a sum of rounded subnormal numbers is off by half of
the smallest number for each.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

import softgrad as sg
from softgrad._reference import exact
from tests.support import ulp

LIMIT = 4.0


def dot(a: Any, b: Any) -> Any:
    return mpmath.fdot(zip(a, b, strict=True))


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def x(request: pytest.FixtureRequest, rng: np.random.Generator) -> Any:
    """Logits of 600 subnormal probabilities and a leader, which is neither first nor last.

    Half of the others have 3.67 times the smallest number, whose roundings all go one way.
    """
    dtype = request.param
    lowest = math.log(np.finfo(dtype).smallest_subnormal)
    others = np.append(np.full(300, lowest + 1.3), rng.uniform(lowest + 1, lowest + 4, 300))
    return np.insert(others, 40, 0.0).astype(dtype)


def vectors(x: Any, rng: np.random.Generator) -> list[Any]:
    unit = (np.arange(len(x)) == np.argmax(x)).astype(x.dtype)
    return [unit, rng.normal(size=len(x)).astype(x.dtype)]


def centred(p: Any, v: Any, leader: int) -> tuple[Any, Any]:
    """v - sum p v and the size of its terms; v relative to the leader's."""
    apart = v - v[leader]
    return apart - dot(p, apart), abs(apart) + dot(p, abs(apart))


def test_tangents_of_log_softmax(x: Any, rng: np.random.Generator) -> None:
    p, leader = exact.Row(x).softmax, int(np.argmax(x))
    for v in vectors(x, rng):
        truth, terms = centred(p, exact.number(v), leader)
        assert ulp.errors(sg.log_softmax.jvp(x, v), truth, terms).max() <= LIMIT


def test_jacobian_of_log_softmax(x: Any) -> None:
    p, leader = exact.Row(x).softmax, int(np.argmax(x))
    truth = mpmath.fsum(p_i for i, p_i in enumerate(p) if i != leader)
    result = sg.log_softmax.jacobian(x)[leader, leader : leader + 1]
    assert ulp.errors(result, np.array([truth]), np.array([truth])).max() <= LIMIT


def test_second_derivatives_of_softmax(x: Any, rng: np.random.Generator) -> None:
    p, leader = exact.Row(x).softmax, int(np.argmax(x))
    for g, v in zip(vectors(x, rng), vectors(x, rng), strict=True):
        back, back_size = centred(p, exact.number(g), leader)
        ahead, ahead_size = centred(p, exact.number(v), leader)
        both, both_size = back * ahead, back_size * ahead_size
        truth = p * (both - dot(p, both))
        terms = p * (both_size + dot(p, both_size))
        assert ulp.errors(sg.softmax.hvp(x, g, v), truth, terms).max() <= LIMIT


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_row_alone_and_among_others(
    x: Any, temperature: float, rng: np.random.Generator
) -> None:
    """Of four rows two are faint; along either axis each has the bits that it has by itself."""
    rows = np.stack([x * x.dtype.type(temperature), rng.normal(size=len(x)).astype(x.dtype)] * 2)
    g, v = rng.normal(size=(2, *rows.shape)).astype(x.dtype)

    def members(x: Any, g: Any, v: Any, **options: Any) -> list[Any]:
        options["temperature"] = temperature
        return [sg.log_softmax.jvp(x, v, **options), sg.softmax.hvp(x, g, v, **options)]

    together, across = members(rows, g, v), members(rows.T, g.T, v.T, axis=0)
    for i in range(len(rows)):
        for whole, turned, single in zip(
            together, across, members(rows[i], g[i], v[i]), strict=True
        ):
            np.testing.assert_array_equal(whole[i], single)
            np.testing.assert_array_equal(turned.T[i], single)
    alone = sg.log_softmax.jacobian(rows[0], temperature=temperature)
    np.testing.assert_array_equal(sg.log_softmax.jacobian(rows, temperature=temperature)[0], alone)
