"""The example on real digits: more than the promised share right."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "mnist_network.py"
MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason=f"no MNIST files in {MNIST.parent.name}/mnist")
@pytest.mark.parametrize(("options", "least"), [([], 0.983), (["--model", "regression"], 0.925)])
def test_digits(options, least):
    spec = importlib.util.spec_from_file_location("mnist_network", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert example.main([str(MNIST), *options]) > least
