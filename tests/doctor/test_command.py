"""softgrad doctor, run as a user does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, softgrad

GOOD = """
import numpy as np
from helpers import shift

def softmax(x):
    e = np.exp(shift(x))
    return e / e.sum(axis=-1, keepdims=True)
"""
HELPERS = "def shift(x):\n    return x - x.max(axis=-1, keepdims=True)\n"
BAD = """
import numpy as np

def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=0)

def cross_entropy_grad(x, y):
    return softmax(x) - y

class Broken:
    pass
"""
ROUGH = """
import os, sys, time

def softmax(x):
    while True:
        time.sleep(1)

def softmax_ends(x):
    os._exit(7)

def softmax_shouts(x):
    print("loud", flush=True)
    os.write(1, b"raw")
    os.write(2, b"raw")
    raise ValueError("first line")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("good", GOOD), ("helpers", HELPERS), ("bad", BAD), ("rough", ROUGH)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def pasted(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "doctor", "--paste", *arguments]
    return subprocess.run(command, input=code, capture_output=True, text=True, timeout=120)


def test_healthy_is_0(folder: Path) -> None:
    run = softgrad("doctor", folder / "good.py:softmax", cwd=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "healthy" in run.stdout
    assert run.stderr == ""


def test_a_mistake_is_1_and_is_named(folder: Path) -> None:
    run = softgrad("doctor", "bad.py:softmax", "--html", "report.html", cwd=folder)
    assert run.returncode == 1
    assert "mistake 8" in run.stdout
    assert "mistake 11" in run.stdout
    assert "nan" in run.stdout
    assert max(map(len, run.stdout.splitlines())) <= 80
    page = (folder / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert "mistake 8" in page
    assert "http" not in page


def test_kind_and_options_are_passed_on(folder: Path) -> None:
    columns = softgrad("doctor", "bad.py:softmax", "--layout", "CN", cwd=folder)
    assert "mistake 8" not in columns.stdout
    assert "(C, N)" in columns.stdout
    kind = softgrad("doctor", "bad.py:softmax", "--kind", "sigmoid", cwd=folder)
    assert kind.returncode == 1
    assert "sigmoid" in kind.stdout


@pytest.mark.parametrize(
    ("function", "said"),
    [("softmax", "does not return"), ("softmax_ends", "exit code 7"), ("softmax_shouts", "first")],
)
def test_code_that_hangs_ends_or_shouts(folder: Path, function: str, said: str) -> None:
    run = softgrad("doctor", f"rough.py:{function}", "--time-limit", "3", cwd=folder)
    assert run.returncode == 1, run.stderr
    assert said in run.stdout
    assert "loud" not in run.stdout
    assert "raw" not in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_a_method_is_one_of_an_instance(folder: Path) -> None:
    (folder / "net.py").write_text(
        "import numpy as np\n\nclass Net:\n    def softmax(self, x):\n"
        "        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)\n\n"
        "class Sized(Net):\n    def __init__(self, size):\n        self.size = size\n"
    )
    run = softgrad("doctor", "net.py:Net.softmax", cwd=folder)
    assert run.returncode == 1, run.stderr
    assert "mistake 11" in run.stdout
    sized = softgrad("doctor", "net.py:Sized.softmax", cwd=folder)
    assert sized.returncode == 1, sized.stderr
    assert "size" in sized.stdout
    assert "without arguments" in sized.stdout


def test_everything_that_examine_is_told_can_be_said_here(folder: Path) -> None:
    (folder / "told.py").write_text(
        "import numpy as np\n\ndef softmax_jacobian(v):\n"
        "    return v[:, :, None] * np.eye(v.shape[1]) - v[:, :, None] * v[:, None, :]\n\n"
        "def cross_entropy(x, y):\n    z = x - x.max(axis=1, keepdims=True)\n"
        "    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))\n"
        "    return -log_p[np.arange(len(y)), y].mean()\n"
    )
    probabilities = ("told.py:softmax_jacobian", "--takes", "probabilities")
    assert softgrad("doctor", *probabilities, cwd=folder).returncode == 0
    padded = softgrad("doctor", "told.py:cross_entropy", "--ignore-index", "-1", cwd=folder)
    assert "mistake 25" in padded.stdout
    assert "keep = y != -1" in padded.stdout


def test_a_lambda_has_the_name_that_it_is_given() -> None:
    run = pasted("softmax = lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)\n")
    assert run.returncode == 1, run.stderr
    assert "softmax: 1 mistake" in run.stdout


def test_pasted_code() -> None:
    run = pasted("def softmax(x):\n    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)\n")
    assert run.returncode == 1
    assert "mistake 11" in run.stdout
    two = pasted(BAD.replace("- y", "- np.eye(x.shape[1])[y]"), "--kind", "cross_entropy_grad")
    assert "cross_entropy_grad" in two.stdout
    assert two.returncode == 1


def test_a_file_that_fails_is_diagnosed(folder: Path) -> None:
    run = pasted("import numpy as np\n1 / 0\ndef softmax(x):\n    return x\n")
    assert run.returncode == 1
    assert "ZeroDivisionError" in run.stdout
    assert "line 2" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bad.py:nothing",), "there are: softmax"),
        (("missing.py:softmax",), "No such file"),
        (("bad.py:softmax", "--kind", "softmox"), "accepted are"),
        (("bad.py:softmax", "--time-limit", "0"), "above 0"),
        ((), "--paste"),
        (("bad.py:softmax", "--paste"), "--paste"),
        (("bad.py:softmax", "--layout", "rows"), "layout"),
    ],
)
def test_bad_input_is_2_and_one_line(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    run = softgrad("doctor", *arguments, cwd=folder)
    assert run.returncode == 2, run.stdout
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert run.stdout == ""


def test_code_that_is_none() -> None:
    for code, said in (
        ("", "empty"),
        ("def f(:", "not valid Python, line 1"),
        ("x = 1", "no func"),
    ):
        run = pasted(code)
        assert run.returncode == 2
        assert said in run.stderr
