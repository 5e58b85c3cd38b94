"""The programs run as they are and print the derivation's numbers."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.derivation import Derivation
from softgrad.errors import OptionError
from softgrad.functions import ACTIVATIONS, LOSSES

X = np.array([[0.7, -1.3, 2.1, 0.2], [0.1, 1.9, -0.4, -2.2], [1.1, 0.4, 0.3, -0.9]])
INDICES = np.array([2, 0, 3])
PROBABILITIES = {"softmax", "softmin", "sparsemax", "sigmoid"}
LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax"}


def run(code: str) -> dict[str, Any]:
    """What the program printed, by name."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
    pairs = (line.split(" = ", 1) for line in output.getvalue().splitlines())
    values = {"inf": np.inf, "nan": np.nan}
    return {name: eval(text, values) for name, text in pairs}


def agree(derivation: Derivation, library: str, name: object) -> None:
    printed = run(derivation.code(library))
    activation = printed.get("p", printed.get("a"))
    expected = derivation.values
    shape = np.atleast_2d(np.array(expected["activation"], dtype=float))
    np.testing.assert_allclose(activation, shape, rtol=1e-12, atol=1e-15, err_msg=str(name))
    if "loss" not in expected:
        assert set(printed) <= {"p", "a"}
        return
    assert printed["loss"] == pytest.approx(float(expected["loss"]), rel=1e-11), name
    gradient = np.atleast_2d(np.array(expected["grad"], dtype=float))
    np.testing.assert_allclose(
        printed["gradient"], gradient, rtol=1e-9, atol=1e-13, err_msg=str(name)
    )


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_pair(activation: str, library: str) -> None:
    pytest.importorskip(LIBRARIES[library])
    for name, loss in LOSSES.items():
        if loss.takes == "probabilities" and activation not in PROBABILITIES:
            continue
        if activation == "sparsemax" and loss.takes == "probabilities":
            target: Any = [2, 1, 0]  # classes in the support: elsewhere the loss is infinite
        else:
            target = INDICES
        if library == "jax" and name not in ("cross_entropy", "huber", "multiclass_hinge", "focal"):
            continue  # compiling takes a second each
        derivation = sg.explain(X, target, activation=activation, loss=name, temperature=1.5)
        agree(derivation, library, (activation, name))


@pytest.mark.parametrize("library", LIBRARIES)
def test_other_forms(library: str) -> None:
    pytest.importorskip(LIBRARIES[library])
    agree(sg.explain([1.0, 2.0, 3.0]), library, "no target")
    agree(sg.explain([1.0, 2.0, 3.0], [0.2, 0.3, 0.5]), library, "soft")
    agree(sg.explain(["0.1", "2", "3"], 2, digits=30), library, "digits")
    agree(sg.explain(np.linspace(-2, 2, 40), 3), library, "many classes")
    agree(sg.explain([1.0, 900.0, -3.0], 0), library, "large")
    alike = {"activation": "elu", "loss": "sigmoid_focal", "alpha": 0.3}
    agree(sg.explain(X, INDICES, **alike), library, "an option of both")  # type: ignore[arg-type]


@pytest.mark.parametrize("library", LIBRARIES)
def test_large_logits_overflow_nowhere(library: str) -> None:
    """Not even in the branch of a where that is not taken, which would make the gradient NaN."""
    pytest.importorskip(LIBRARIES[library])
    for activation in ("elu", "selu", "softplus", "log_sigmoid", "sigmoid"):
        derivation = sg.explain([800.0, -800.0, 30.0], 2, activation=activation, loss="huber")
        agree(derivation, library, activation)
    agree(sg.explain([800.0, -800.0, 30.0], 2, loss="focal"), library, "focal")
    flat = sg.explain([0.0, 1.0], [1.0, 1.0], activation="elu", loss="squared_error")
    agree(flat, library, "at the seam")


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_runs_by_itself(library: str) -> None:
    """As a script of its own, without warnings."""
    pytest.importorskip(LIBRARIES[library])
    code = sg.explain([1.0, 2.0, 3.0], 2).code(library)
    assert "softgrad" not in code
    flags = ["-W", "error"] if library == "numpy" else []
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^loss = 0\.4076059644443", done.stdout, re.M)
    assert "Warning" not in done.stderr


def test_lines_are_short_and_an_unknown_library_is_refused() -> None:
    derivation = sg.explain(np.sin(np.arange(60.0)), 3)
    assert max(map(len, derivation.code("numpy").splitlines())) <= 88
    short = sg.explain([[1.0, 2.0, 3.0], [0.5, -1.0, 0.25]], [0, 1])
    for library in LIBRARIES:
        assert max(map(len, short.code(library).splitlines())) <= 88
    with pytest.raises(OptionError, match="numpy, torch, jax"):
        derivation.code("tensorflow")
