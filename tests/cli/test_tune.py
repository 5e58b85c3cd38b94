"""softgrad tune: what it searches, prunes, keeps and prints; the best network can be had again."""

from __future__ import annotations

import builtins
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from softgrad.cli.app import run

optuna = pytest.importorskip("optuna")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = (X[:, 0] * X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
    np.savez(tmp_path / "my data.npz", X=X, y=y)
    return tmp_path


def tune(*options, code=0):
    assert run(["tune", "my data.npz", *map(str, options)]) == code


def rows(text):
    """Loss and trial of the table's rows."""
    found = re.findall(r"^ *(\d+)  (\d\.\d{5}) +\d+\.\d\d%", text, re.M)
    return [(int(trial), float(loss)) for trial, loss in found]


def test_the_printed_command_makes_the_best_network_again(folder, capfd):
    tune("--trials", 4, "--epochs", 3, "--hidden", "12", "--balanced")
    text = capfd.readouterr().out
    table = rows(text.split("by validation loss:")[1])
    assert len(table) == 4
    assert table == sorted(table, key=lambda row: row[1])
    command = text.strip().splitlines()[-1]
    words = shlex.split(command)
    assert words[:3] == ["softgrad", "train", "my data.npz"]
    assert words[words.index("--hidden") + 1] == "12"
    assert run(words[1:]) == 0
    metrics = json.loads(Path("best/metrics.json").read_text())
    assert min(metrics["history"]["validation_loss"]) == pytest.approx(table[0][1], abs=5e-6)
    capfd.readouterr()
    tune("--trials", 4, "--epochs", 3, "--hidden", "12", "--balanced")
    assert capfd.readouterr().out.strip().splitlines()[-1] == command  # the seed decides


def test_hopeless_trials_are_ended_early(folder, capfd):
    options = ["--hidden", "8", "--epochs", "6", "--optimizer", "sgd", "--batch-size", "128"]
    tune("--trials", 16, *options, "--dropout", "0", "--activation", "relu")
    text = capfd.readouterr().out
    pruned = re.findall(r"^trial +(\d+)/16  pruned after (\d+) epochs", text, re.M)
    assert pruned
    assert all(int(trial) > 5 and 2 <= int(epochs) < 6 for trial, epochs in pruned)
    assert "16 trials in " in text
    assert f", {len(pruned)} of them ended early" in text
    assert not {int(trial) for trial, _ in pruned} & {trial for trial, _ in rows(text)}


def test_a_search_goes_on_from_its_storage(folder, capfd):
    options = ["--hidden", "4", "--epochs", "1", "--storage", "study.log"]
    tune("--trials", 2, *options)
    first = rows(capfd.readouterr().out.split("by validation loss:")[1])
    tune("--trials", 3, *options)
    text = capfd.readouterr().out
    assert "going on after 2 trials" in text
    assert len(re.findall(r"^trial ", text, re.M)) >= 1
    assert "trial   3/3" in text
    assert "trial   2/3" not in text
    assert set(first) < set(rows(text.split("by validation loss:")[1]))
    tune("--trials", 1, "--epochs", "2", *options[:2], *options[4:])  # another search
    assert "going on" not in capfd.readouterr().out


def test_ctrl_c_shows_the_best_so_far(folder, capfd, monkeypatch):
    from softgrad.estimators import NeuralNetClassifier

    fit, calls = NeuralNetClassifier.fit, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(NeuralNetClassifier, "fit", interrupted)
    tune("--trials", 9, "--epochs", 1, "--hidden", "4", code=130)
    out, error = capfd.readouterr()
    assert len(rows(out.split("by validation loss:")[1])) == 2
    assert error.startswith("softgrad: Interrupted; the trials are shown above")


BAD = {
    "activation": (["--activation", "rellu"], "accepted are identity"),
    "loss": (["--loss", "x"], "accepted are auto"),
    "folder": (["--storage", "no/where.log"], "There is no folder 'no'"),
    "diverged": (
        ["--optimizer", "sgd", "--lr", "1e30", "--hidden", "3"],
        "smaller --learning-rate",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_mistakes_end_as_one_line(folder, what, capfd):
    options, message = BAD[what]
    tune("--trials", 1, "--epochs", 1, *options, code=2)
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_optuna_one_line_says_how_to_get_it(folder, capfd, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "optuna":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    tune("--trials", 1, code=2)
    assert "pip install softgrad[tune]" in capfd.readouterr().err
