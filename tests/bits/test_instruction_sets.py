"""AVX2 and AVX-512 give the same bits; plain x86-64 stays within the stated errors."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from softgrad import _native
from tests.support.bits import assert_same_bits, example, run
from tests.support.members import BY_NAME, names
from tests.support.ulp import float_errors

AVAILABLE = _native.available_instruction_sets()
CLASSES = [1, 2, 3, 5, 8, 13, 16, 17, 29, 33, 63, 64, 65, 100, 129, 1000, 4097, 40_000, 170_001]


@pytest.fixture(autouse=True)
def restore_instruction_set() -> Iterator[None]:
    before = _native.instruction_set()
    yield
    _native.set_instruction_set(before)


def both(name: str, arguments: Any, first: str, second: str) -> tuple[Any, Any]:
    _native.set_instruction_set(first)
    one = run(name, *arguments)
    _native.set_instruction_set(second)
    return one, run(name, *arguments)


def cases(name: str, dtype: str) -> Iterator[Any]:
    for classes in CLASSES:
        if BY_NAME[name].result == "square" and classes > 100:
            continue
        count = 37 if classes < 1000 else 5 if classes < 5000 else 2
        yield example(name, count, classes, dtype)


needs_both = pytest.mark.skipif(
    not {"avx2", "avx512"} <= set(AVAILABLE), reason="this processor has no AVX-512"
)


@needs_both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", names())
def test_avx2_and_avx512_give_the_same_bits(name: str, dtype: str) -> None:
    for arguments in cases(name, dtype):
        assert_same_bits(*both(name, arguments, "avx2", "avx512"))


@pytest.mark.skipif("avx2" not in AVAILABLE, reason="nothing to compare the baseline with")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "limit"),
    [("softmax", 6), ("log_softmax", 2), ("sigmoid", 6), ("cross_entropy[labels, none]", 2)],
)
def test_the_baseline_is_within_the_stated_error(name: str, limit: float, dtype: str) -> None:
    """Both are within 3 ULP (or 1) of the truth, hence within 6 (or 2) of each other."""
    for arguments in cases(name, dtype):
        baseline, avx2 = both(name, arguments, "baseline", "avx2")
        assert np.all(float_errors(baseline, avx2) <= limit)


def test_the_best_one_is_chosen() -> None:
    order = ["baseline", "avx2", "avx512"]
    best = max(AVAILABLE, key=order.index)
    environment = {k: v for k, v in os.environ.items() if k != "SOFTGRAD_INSTRUCTION_SET"}
    assert in_subprocess("print(_native.instruction_set())", environment) == best


@pytest.mark.parametrize("name", AVAILABLE)
def test_the_environment_chooses(name: str) -> None:
    environment = {**os.environ, "SOFTGRAD_INSTRUCTION_SET": name}
    assert in_subprocess("print(_native.instruction_set())", environment) == name


def test_an_unknown_choice_is_refused_naming_the_choices() -> None:
    environment = {**os.environ, "SOFTGRAD_INSTRUCTION_SET": "avx1024"}
    code = "from softgrad import _native"
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    message = run.stderr.decode()
    assert run.returncode != 0
    assert "ImportError" in message
    assert "avx1024" in message
    assert all(name in message for name in AVAILABLE)


def in_subprocess(statement: str, environment: dict[str, str]) -> str:
    code = f"from softgrad import _native; {statement}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    return done.stdout.decode().strip()
