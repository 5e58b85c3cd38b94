"""softgrad train --hidden: training, checkpoints, Ctrl-C, and the commands that use the model."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from softgrad.cli.app import run
from softgrad.modelfile import load_model
from tests.cli.command import COMMAND
from tests.data.files import idx_bytes

SMALL = ["--hidden", "16,8", "--epochs", "6", "--dropout", "0.1", "--activation", "gelu"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    X = rng.normal(size=(400, 5)) * [1e-3, 1, 10, 1e3, 1] + y[:, None] * [1e-3, 0, 5, 1e3, 2]
    np.savez(tmp_path / "d.npz", X=X, y=np.array(["ash", "elm", "fir", "oak"])[y])
    return tmp_path


def train(*options, code=0, source="d.npz"):
    found = run(["train", source, *map(str, options)])
    assert found == code, options


def test_a_network_is_trained_measured_and_used(folder, capfd):
    train(*SMALL, "--lr", "0.02", "--batch-size", "32", "--out", "out")
    text = capfd.readouterr().out
    assert "gradient agrees with finite differences" in text
    assert re.search(r"epoch +6/6  loss 0\.\d+  accuracy", text)
    assert "rows/s" in text
    assert "left" in text
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["architecture"] == "5-16-8-4"
    assert metrics["n_parameters"] == 5 * 16 + 16 + 16 * 8 + 8 + 8 * 4 + 4
    assert metrics["status"] == "finished"
    assert len(metrics["history"]["validation_loss"]) == metrics["epochs"] == 6
    assert metrics["best_epoch"] == 1 + np.argmin(metrics["history"]["validation_loss"])
    assert metrics["gradient_check"]["passed"]
    assert metrics["accuracy"] > 0.8
    page = Path("out/report.html").read_text()
    assert "Neural network on d.npz" in page
    assert "5-16-8-4" in page
    assert "Accuracy" in page

    assert run(["evaluate", "out/model.softgrad", "d.npz", "--json"]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert figures["classes"] == ["ash", "elm", "fir", "oak"]
    assert figures["accuracy"] > 0.8
    model, _ = load_model(Path("out/model.softgrad"))
    X = np.load("d.npz")["X"]
    assert run(["predict", "out/model.softgrad", "d.npz", "--probabilities"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == model.predict(X).tolist()
    assert float(lines[5].split(",")[3]) == pytest.approx(model.predict_proba(X)[4, 1], rel=1e-5)
    runtime = pytest.importorskip("onnxruntime")
    assert run(["export", "out/model.softgrad", "m.onnx"]) == 0
    label = runtime.InferenceSession("m.onnx").run(["label"], {"X": X.astype(np.float32)})[0]
    assert (label == model.predict(X)).mean() > 0.99


def test_without_hidden_it_stays_softmax_regression(folder):
    train("--out", "out")
    assert json.loads(Path("out/metrics.json").read_text())["solver"].startswith("newton")


def test_no_hidden_layer_is_a_network_too(folder):
    train("--hidden", "none", "--epochs", "2", "--out", "out")
    assert json.loads(Path("out/metrics.json").read_text())["architecture"] == "5-4"


@pytest.mark.parametrize("loss", ["focal", "squared_error", "binary_cross_entropy"])
def test_any_loss(folder, loss):
    train(*SMALL, "--loss", loss, "--out", "out")
    assert json.loads(Path("out/metrics.json").read_text())["options"]["loss"] == loss


def test_images_show_what_the_first_layer_looks_for(folder):
    rng = np.random.default_rng(0)
    y = np.arange(60, dtype=np.uint8) % 3
    images = rng.integers(0, 40, (60, 6, 5), dtype=np.uint8)
    images[np.arange(60), y, :] += 200
    (folder / "i-idx3-ubyte").write_bytes(idx_bytes(images))
    (folder / "l-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(y)))
    labels = ["--labels", "l-idx1-ubyte.gz"]
    train(*labels, "--hidden", "7", "--epochs", "3", "--out", "out", source="i-idx3-ubyte")
    assert Path("out/report.html").read_text().count('alt="weights of unit') == 7


def test_the_same_command_gives_the_same_bytes(folder):
    for out in ("a", "b"):
        train(*SMALL, "--seed", "3", "--out", out)
    assert Path("a/model.softgrad").read_bytes() == Path("b/model.softgrad").read_bytes()
    train(*SMALL, "--seed", "4", "--out", "b")
    assert Path("a/model.softgrad").read_bytes() != Path("b/model.softgrad").read_bytes()


LONG = ["--hidden", "64,32", "--epochs", "30", "--dropout", "0.2", "--batch-size", "4"]
LONG += ["--schedule", "one-cycle"]


def interrupted(folder, *options, after):
    """A real signal to a real process, once it has printed ``after``."""
    process = subprocess.Popen(
        [*COMMAND, "train", "d.npz", *LONG, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if after in line:
            break
    else:
        raise AssertionError("".join(lines) + process.stderr.read())
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    return process.returncode, "".join(lines) + stdout, stderr


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="needs POSIX signals")
def test_an_interrupted_training_goes_on_bit_for_bit(folder):
    options = ["--out", "out"]
    code, stdout, stderr = interrupted(folder, *options, after="epoch   2/30")
    assert code == 130, stderr
    assert stderr.startswith("softgrad: Interrupted; the best model so far is kept in out.")
    assert "Interrupted after" in stdout
    early = json.loads(Path("out/metrics.json").read_text())
    assert early["interrupted"] is True
    assert 2 <= early["epochs"] < 30
    assert early["best_epoch"] >= 1
    best, _ = load_model(Path("out/model.softgrad"))
    assert best.best_epoch_ == early["best_epoch"]

    more = subprocess.run(
        [*COMMAND, "train", "d.npz", *LONG, *options, "--resume"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        timeout=300,
    )
    assert more.returncode == 0, more.stderr
    assert f"going on after {early['epochs']} epochs" in more.stdout
    subprocess.run(
        [*COMMAND, "train", "d.npz", *LONG, "--out", "whole"],
        check=True,
        capture_output=True,
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        timeout=300,
    )
    assert Path("out/model.softgrad").read_bytes() == Path("whole/model.softgrad").read_bytes()


def test_a_finished_training_goes_on_with_more_epochs(folder):
    train(*SMALL[:2], "--epochs", "3", "--checkpoint", "c", "--out", "a")
    assert not Path("a/checkpoint.softgrad").exists()
    train(*SMALL[:2], "--epochs", "5", "--checkpoint", "c", "--resume", "--out", "a")
    train(*SMALL[:2], "--epochs", "5", "--out", "b")
    assert Path("a/model.softgrad").read_bytes() == Path("b/model.softgrad").read_bytes()


OTHER = {
    "architecture": (["--hidden", "16,9"], "5-16-8-4 with gelu.* makes 5-16-9-4 with gelu"),
    "activation": (["--activation", "relu"], "with gelu and .* with relu and"),
    "loss": (["--loss", "focal"], "gelu and cross_entropy; .* gelu and focal"),
    "optimizer": (["--optimizer", "sgd"], "--optimizer adam, not sgd"),
    "rate": (["--lr", "0.1"], "--learning-rate None, not 0.1"),
    "seed": (["--seed", "1"], "--seed 0, not 1"),
    "rows": (["--validation", "0.3"], "training on other rows"),
}


@pytest.mark.parametrize("what", OTHER)
def test_a_checkpoint_of_another_training_is_refused(folder, what, capfd):
    train(*SMALL, "--checkpoint", "c")
    before = Path("c/checkpoint.softgrad").read_bytes()
    more, message = OTHER[what]
    capfd.readouterr()
    train(*SMALL, "--checkpoint", "c", "--resume", *more, code=2)
    error = capfd.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert Path("c/checkpoint.softgrad").read_bytes() == before


def test_epochs_cannot_change_where_the_schedule_depends_on_them(folder, capfd):
    train(*SMALL, "--schedule", "cosine", "--checkpoint", "c")
    more = ["--schedule", "cosine", "--checkpoint", "c", "--resume", "--epochs", "9"]
    train(*SMALL, *more, code=2)
    assert "--epochs 6, not 9" in capfd.readouterr().err


def damaged(folder):
    train(*SMALL, "--checkpoint", "c")
    content = bytearray(Path("c/checkpoint.softgrad").read_bytes())
    content[len(content) // 2] ^= 0xFF
    Path("c/checkpoint.softgrad").write_bytes(content)


def test_a_damaged_checkpoint_is_refused(folder, capfd):
    damaged(folder)
    train(*SMALL, "--checkpoint", "c", "--resume", code=2)
    assert re.search("damaged|truncated", capfd.readouterr().err)


BAD = {
    "no hidden": (["--activation", "gelu"], "--activation belongs to networks. Add --hidden"),
    "resume without hidden": (["--resume"], "--resume belongs to networks"),
    "C with hidden": (["--hidden", "3", "-C", "2"], "-C belongs to softmax regression"),
    "stream": (["--hidden", "3", "--stream"], "Omit --stream"),
    "sizes": (["--hidden", "3,x"], "such as 256,128"),
    "zero units": (["--hidden", "3,0"], "such as 256,128"),
    "activation": (["--hidden", "3", "--activation", "rellu"], "accepted are identity, sigmoid"),
    "loss": (["--hidden", "3", "--loss", "crossentropy"], "accepted are auto, cross_entropy"),
    "distillation": (["--hidden", "3", "--loss", "distillation"], "logits of a teacher"),
    "optimizer": (["--hidden", "3", "--optimizer", "adamm"], "accepted are adam, adamw, sgd"),
    "schedule": (["--hidden", "3", "--schedule", "cos"], "constant, cosine"),
    "rate": (["--hidden", "3", "--lr", "-1"], "learning_rate=-1.0"),
    "dropout": (["--hidden", "3", "--dropout", "1"], "dropout=1.0"),
    "momentum": (["--hidden", "3", "--momentum", "0.5"], "momentum belongs to optimizer='sgd'"),
    "smoothing": (
        ["--hidden", "3", "--loss", "huber", "--label-smoothing", "0.1"],
        "huber has no label_smoothing",
    ),
    "no checkpoint": (["--hidden", "3", "--resume", "--out", "x"], "There is no checkpoint"),
    "nowhere": (["--hidden", "3", "--resume"], "--checkpoint or --out"),
}


@pytest.mark.parametrize("what", BAD)
def test_mistakes_end_as_one_line(folder, what, capfd):
    options, message = BAD[what]
    train(*options, code=2)
    error = capfd.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("x/model.softgrad").exists()


def test_a_diverging_training_keeps_the_last_good_weights(folder, capfd):
    train("--hidden", "8", "--optimizer", "sgd", "--lr", "1e30", "--out", "out", code=1)
    text, last = capfd.readouterr()
    assert re.search(r"The loss became \w+ in epoch 1, batch \d+: the first bad layer is", text)
    assert last == "softgrad: The training diverged; the last good weights are kept in out.\n"
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["status"] == "not_finite"
    model, _ = load_model(Path("out/model.softgrad"))
    assert np.isfinite(model.network_.vector).all()
    assert "the first bad layer is" in Path("out/report.html").read_text()


MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_mnist(tmp_path, capfd):
    out = tmp_path / "out"
    images = {part: MNIST / f"{part}-images-idx3-ubyte.gz" for part in ("train", "t10k")}
    labels = {part: MNIST / f"{part}-labels-idx1-ubyte.gz" for part in ("train", "t10k")}
    options = ["--hidden", "256,128", "--dropout", "0.2", "--schedule", "one-cycle"]
    options += ["--lr", "0.003", "--epochs", "15", "--validation", "0.1", "--out", out]
    train("--labels", labels["train"], *options, source=str(images["train"]))
    capfd.readouterr()
    model = str(out / "model.softgrad")
    assert (
        run(["evaluate", model, str(images["t10k"]), "--labels", str(labels["t10k"]), "--json"])
        == 0
    )
    assert json.loads(capfd.readouterr().out)["accuracy"] > 0.983
