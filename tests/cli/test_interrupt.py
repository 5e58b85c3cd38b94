"""Ctrl-C in a training run: a real signal to a real process."""

from __future__ import annotations

import json
import signal
import subprocess

import numpy as np
import pytest

from softgrad.cli.app import run
from softgrad.cli.task import Task
from softgrad.modelfile import load_model
from tests.cli.command import COMMAND

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGINT") or not hasattr(signal, "alarm"), reason="needs POSIX signals"
)


@pytest.fixture
def slow_problem(tmp_path):
    """Takes minutes to converge to a tolerance that is never reached."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 30, 20_000)
    X = rng.standard_normal((20_000, 60)) * np.logspace(-3, 3, 60) + y[:, None] / 10
    np.savez(tmp_path / "slow.npz", X=X, y=y)
    return tmp_path


def start(folder, *options):
    arguments = ["train", str(folder / "slow.npz"), "--tol", "0", "-C", "1e6"]
    arguments += ["--max-iter", "100000", *options]
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_until(process, words):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines) + process.stderr.read())


def test_the_best_model_so_far_is_kept(slow_problem):
    process = start(slow_problem, "--out", str(slow_problem / "out"))
    read_until(process, "  16  loss")
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert stderr.startswith("softgrad: Interrupted; the best model so far is kept in ")
    assert stderr.count("\n") == 1
    assert "it was interrupted;" in stdout
    model, _ = load_model(slow_problem / "out" / "model.softgrad")
    metrics = json.loads((slow_problem / "out" / "metrics.json").read_text())
    assert metrics["interrupted"] is True
    assert metrics["iterations"] >= 16
    assert model.objective_ == metrics["objective"] < 0.9 * np.log(30)
    assert "interrupted" in (slow_problem / "out" / "report.html").read_text()


def test_without_a_folder_it_says_that_nothing_is_kept(slow_problem):
    process = start(slow_problem)
    read_until(process, "   4  loss")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "not kept: there is no --out" in stderr


def test_before_training_nothing_is_written(slow_problem):
    (slow_problem / "out").mkdir()
    process = start(slow_problem, "--out", str(slow_problem / "out"))
    read_until(process, "training and")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    if "nothing was written" in stderr:  # else the first evaluation was already done
        assert list((slow_problem / "out").iterdir()) == []


def test_weights_that_have_learnt_nothing_replace_no_model(tmp_path, monkeypatch, capsys):
    def begun(self, model):
        model.coef_, model.solution_ = np.zeros((10, 64)), None
        raise KeyboardInterrupt

    monkeypatch.setattr(Task, "fit", begun)
    (tmp_path / "model.softgrad").write_text("the good model")
    assert run(["train", "digits", "--out", str(tmp_path)]) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["the good model"]
