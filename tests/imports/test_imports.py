"""What importing loads, what is public, and what its documentation says."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

import softgrad as sg
from softgrad.functions import ACTIVATIONS, LOSSES

PUBLIC = {
    "logsumexp",
    *ACTIVATIONS,
    "linear_softmax",
    "cross_entropy",
    "check_grad",
    "examine",
    "SoftmaxRegression",
    "TemperatureScaling",
    "expected_calibration_error",
    "explain",
    "reliability_diagram",
    "set_num_threads",
    "get_num_threads",
    "num_threads",
    "info",
    "show_info",
    "__version__",
} | set(LOSSES)
FUNCTIONS = [*ACTIVATIONS, "logsumexp"]


def modules_after(statement: str) -> set[str]:
    code = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(json.loads(run.stdout))


def test_importing_loads_nothing_beyond_numpy_and_its_own_core() -> None:
    added = modules_after("import numpy; import softgrad") - modules_after("import numpy")
    outside = {name for name in added if name.split(".")[0] not in sys.stdlib_module_names}
    foreign = {name for name in outside if name.split(".")[0] not in ("softgrad", "numpy")}
    assert not foreign
    own = {name.split(".")[1] for name in outside if name.startswith("softgrad.")}
    assert not own & {"estimators", "data", "report", "cli", "optimize", "_reference", "modelfile"}


def test_calling_loads_nothing_more() -> None:
    calls = (
        "import numpy as np, softgrad as sg; x = np.ones((3, 4)); sg.softmax.hvp(x, x, x); "
        "sg.cross_entropy.value_and_grad(x, np.array([0, 1, 2]))"
    )
    added = modules_after(calls) - modules_after("import softgrad")
    assert not {n for n in added if n.split(".")[0] in ("scipy", "sklearn", "torch", "mpmath")}


def test_the_classifier_loads_on_first_use() -> None:
    assert "sklearn" in modules_after("import softgrad; softgrad.SoftmaxRegression")
    assert "SoftmaxRegression" in dir(sg)
    with pytest.raises(AttributeError, match="SoftmaxRegresion"):
        _ = sg.SoftmaxRegresion


def test_importing_has_no_side_effects_on_the_environment() -> None:
    code = (
        "import os, numpy; before = dict(os.environ); state = numpy.geterr(); import softgrad; "
        "assert before == dict(os.environ); assert state == numpy.geterr()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_public_list_is_complete() -> None:
    assert set(sg.__all__) == PUBLIC
    assert len(sg.__all__) == len(set(sg.__all__))
    for name in PUBLIC:
        assert getattr(sg, name) is not None
    assert set(dir(sg)) >= PUBLIC


def members(function: Any) -> list[str]:
    return [name for name in dir(type(function)) if not name.startswith("_")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_every_member(name: str) -> None:
    assert {"vjp", "jvp", "jacobian", "hvp"} <= set(members(getattr(sg, name)))


def test_the_loss_has_every_member() -> None:
    wanted = {"value_and_grad", "grad", "vjp", "jvp", "hvp", "jacobian", "hessian", "grad_target"}
    assert wanted <= set(members(sg.cross_entropy))


def documented() -> list[tuple[str, Any]]:
    found = [(name, getattr(sg, name)) for name in sorted(PUBLIC - {"__version__"})]
    for name in [*FUNCTIONS, "cross_entropy"]:
        function = getattr(sg, name)
        found += [(f"{name}.{m}", getattr(function, m)) for m in members(function)]
    return found


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*d, id=d[0]) for d in documented()])
def test_docstrings(name: str, thing: Any) -> None:
    """A docstring of its own (not its type's), with an example for functions and members."""
    text = inspect.getdoc(thing)
    assert text
    assert len(text) > 40
    if name.split(".")[0] in [*FUNCTIONS, "cross_entropy"] and "." not in name:
        assert ">>>" in text
        assert "ULP" in text


@pytest.mark.parametrize("name", [*FUNCTIONS, "cross_entropy"])
def test_functions_present_themselves(name: str) -> None:
    function = getattr(sg, name)
    assert function.__name__ == name
    assert name in repr(function)
    assert "0x" not in repr(function)
    parameters = list(inspect.signature(function).parameters.values())
    assert parameters[0].kind is inspect.Parameter.POSITIONAL_ONLY
    options = [p for p in parameters if p.kind is not inspect.Parameter.POSITIONAL_ONLY]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in options)


def test_functions_can_be_pickled_and_copied() -> None:
    """Parallel tools send functions to other processes."""
    import copy
    import pickle

    for name in [*FUNCTIONS, "cross_entropy"]:
        function = getattr(sg, name)
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function


def test_info() -> None:
    report = sg.info()
    assert report["version"] == sg.__version__
    text = json.dumps(report)
    for word in ("instruction", "threads"):
        assert word in text


def test_show_info_prints(capsys: pytest.CaptureFixture[str]) -> None:
    sg.show_info()
    printed = capsys.readouterr().out
    assert sg.__version__ in printed
    assert len(printed.splitlines()) >= 3
