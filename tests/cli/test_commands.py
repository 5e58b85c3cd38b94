"""The commands, from end to end."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import softgrad as sg
from softgrad.data import read_labelled
from softgrad.modelfile import load_model
from tests.cli.command import COMMAND, softgrad
from tests.data.files import idx_bytes, table, write

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """One training run that several tests look at."""
    folder = tmp_path_factory.mktemp("digits") / "new" / "folder"
    return softgrad("train", "digits", "--out", folder), folder


def test_train_digits(digits):
    done, folder = digits
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("gradient agrees", "loss", "accuracy", "gap ≤", "Converged", "Confusion matrix"):
        assert words in done.stdout
    for name in ("model.softgrad", "metrics.json", "report.html"):
        assert f"{folder / name}" in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.json",
        "model.softgrad",
        "report.html",
    ]


def test_metrics_are_those_of_the_model(digits):
    _, folder = digits
    metrics = json.loads((folder / "metrics.json").read_text())
    assert 0.93 < metrics["accuracy"] <= 1
    assert 0 < metrics["log_loss"] < 0.3
    assert 0 < metrics["ece"] < 0.2
    assert metrics["seconds"] > 0
    assert 20e6 < metrics["peak_memory_bytes"] < 2e9
    assert metrics["gradient_check"]["passed"] is True
    assert 0 < metrics["gradient_check"]["relative_error"] < 1e-9
    assert np.sum(metrics["confusion"]) == metrics["n_validation"]
    assert metrics["n_train"] + metrics["n_validation"] == 1797
    accuracy = np.trace(metrics["confusion"]) / metrics["n_validation"]
    assert metrics["accuracy"] == pytest.approx(accuracy)


def test_the_penalty_counts_pixels_from_0_to_1(digits):
    _, folder = digits
    model, trained_on = load_model(folder / "model.softgrad")
    data = read_labelled("digits")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert trained_on.unit == 16
    assert pytest.approx(1 / 256) == model.C
    assert metrics["C"] == 1
    assert model.score(data.X, data.y) > 0.95


def test_training_is_repeatable(digits, tmp_path):
    _, folder = digits
    softgrad("train", "digits", "--out", tmp_path)
    first = (folder / "model.softgrad").read_bytes()
    assert (tmp_path / "model.softgrad").read_bytes() == first


def test_evaluate_and_predict_agree_with_the_library(digits):
    _, folder = digits
    model, _ = load_model(folder / "model.softgrad")
    data = read_labelled("digits")
    done = softgrad("evaluate", folder / "model.softgrad", "digits", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert figures["accuracy"] == model.score(data.X, data.y)
    assert figures["n_rows"] == 1797

    done = softgrad("predict", folder / "model.softgrad", "digits", "--probabilities")
    rows = list(csv.reader(io.StringIO(done.stdout)))
    assert rows[0] == ["prediction", "probability", *(f"p({c})" for c in range(10))]
    assert [int(row[0]) for row in rows[1:]] == model.predict(data.X).tolist()
    probabilities = np.array([row[2:] for row in rows[1:]], dtype=float)
    assert np.allclose(probabilities, model.predict_proba(data.X), rtol=1e-5, atol=0)


def test_csv_from_training_to_prediction(tmp_path):
    write(tmp_path / "t.csv", table())
    done = softgrad("train", "t.csv", "--target", "kind", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # Other order, an additional column, no labels.
    write(tmp_path / "new.csv", "width,note,length\n8,hi,3\n0,ho,3\n")
    done = softgrad("predict", "out/model.softgrad", "new.csv", "--out", "p.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["prediction", "y", "x"]
    done = softgrad("evaluate", "out/model.softgrad", "t.csv", cwd=tmp_path)
    assert done.returncode == 0
    assert "accuracy" in done.stdout


def test_npz_and_idx_give_the_same_model(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(90, dtype=np.uint8) % 3
    images = (rng.random((90, 4, 5)) * 200 + 40 * (y[:, None, None] == 1)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=y)
    write(tmp_path / "im-idx3-ubyte", idx_bytes(images))
    write(tmp_path / "la-idx1-ubyte", idx_bytes(y))
    labels = ["--labels", "la-idx1-ubyte"]
    npz = softgrad("train", "a.npz", "--out", "npz", cwd=tmp_path)
    idx = softgrad("train", "im-idx3-ubyte", *labels, "--out", "idx", cwd=tmp_path)
    assert (npz.returncode, idx.returncode) == (0, 0)
    one, _ = load_model(tmp_path / "npz" / "model.softgrad")
    two, _ = load_model(tmp_path / "idx" / "model.softgrad")
    assert one.coef_.tobytes() == two.coef_.tobytes()
    for source in (["a.npz"], ["im-idx3-ubyte", *labels]):
        done = softgrad("evaluate", "npz/model.softgrad", *source, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_many_classes_show_the_most_frequent_mistakes(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(900) % 30
    np.savez(tmp_path / "a.npz", X=rng.standard_normal((900, 3)) + y[:, None] / 9, y=y)
    done = softgrad("train", tmp_path / "a.npz", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Most frequent mistakes" in done.stdout
    assert "taken for" in done.stdout


def test_softmax_prints_value_logarithm_and_jacobian():
    done = softgrad("softmax", "1", "2", "-3", "--temperature", "2")
    assert (done.returncode, done.stderr) == (0, "")
    numbers = [float(word) for word in done.stdout.split() if is_number(word)]
    x = np.array([1.0, 2.0, -3.0])
    expected = [x, sg.softmax(x, temperature=2), sg.log_softmax(x, temperature=2)]
    jacobian = sg.softmax.jacobian(x, temperature=2)
    expected = np.concatenate([np.stack(expected, axis=1).ravel(), jacobian.ravel()])
    assert numbers == pytest.approx(expected, rel=1e-5)


def is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True


def test_version_and_info():
    assert softgrad("--version").stdout == f"softgrad {sg.__version__}\n"
    done = softgrad("info")
    assert done.returncode == 0
    assert sg.info()["instruction_set"] in done.stdout
    assert f"numpy             {np.__version__}" in done.stdout


def test_the_variable_that_info_names_chooses_the_instruction_set(monkeypatch):
    assert "SOFTGRAD_INSTRUCTION_SET chooses: baseline" in softgrad("info").stdout
    monkeypatch.setenv("SOFTGRAD_INSTRUCTION_SET", "baseline")
    assert "instruction set   baseline" in softgrad("info").stdout


@pytest.mark.parametrize("arguments", [[], ["--help"], ["train", "-h"]])
def test_help(arguments):
    done = softgrad(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


@pytest.mark.parametrize("n_rows", [2, 5000])
def test_a_reader_that_has_seen_enough_is_no_error(digits, tmp_path, n_rows):
    """Fewer and more bytes than the buffers of a pipe: the error comes at the end, or before."""
    np.savez(tmp_path / "a.npz", X=np.zeros((n_rows, 64)))
    command = [*COMMAND, "predict", str(digits[1] / "model.softgrad"), str(tmp_path / "a.npz")]
    read, write_end = os.pipe()
    os.close(read)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, env=environment)
    os.close(write_end)
    _, stderr = process.communicate(timeout=120)
    assert (process.returncode, stderr) == (1, b"")


def test_light_commands_do_not_load_scikit_learn():
    code = (
        "import sys; from softgrad.cli.app import run; run(['softmax', '1', '2']); run(['info']);"
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'scipy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason=f"no MNIST files in {MNIST.parent.name}/mnist")
def test_mnist(tmp_path):
    train = [MNIST / "train-images-idx3-ubyte.gz", "--labels", MNIST / "train-labels-idx1-ubyte.gz"]
    done = softgrad("train", *train, "--out", tmp_path, "--max-iter", "60")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["peak_memory_bytes"] < 600e6  # the pixels as float64 alone take 376 MB
    test = [MNIST / "t10k-images-idx3-ubyte.gz", "--labels", MNIST / "t10k-labels-idx1-ubyte.gz"]
    done = softgrad("evaluate", tmp_path / "model.softgrad", *test, "--json")
    figures = json.loads(done.stdout)
    assert figures["accuracy"] > 0.92
    assert figures["log_loss"] < 0.285


def test_a_training_that_did_not_converge_names_options_of_the_command_line(capsys):
    from softgrad.cli.app import run

    for options, words in (
        (["--max-iter", "1"], "after 1 iteration the limit of iterations was reached"),
        (["--max-iter", "1"], "Raise --max-iter; a smaller -C converges"),
        (["--tol", "0"], "Raise --tol"),
        (["-C", "inf"], "larger weights are always better: set -C."),
    ):
        assert run(["train", "digits", *options]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert words in out
        assert "max_iter" not in out
        assert "warm_start" not in out
        assert "within 1e+00" not in out
