"""ONNX files: what onnxruntime computes from them is what the model computes."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import NotFittedError

import softgrad as sg
from softgrad.cli.app import run
from softgrad.data.text import TextFeatures
from softgrad.errors import MissingExtraError
from softgrad.modelfile import TrainedOn, save_model

DATA = [load_iris, load_wine, load_breast_cancer, load_digits]


def session(graph):
    runtime = pytest.importorskip("onnxruntime")
    return runtime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def logit_bound(model, X, dtype):
    """The rounding of a product of X and the weights in the type, per row."""
    products = np.abs(X) @ np.abs(model.coef_).T + np.abs(model.intercept_)
    return (X.shape[1] + 4) * np.finfo(dtype).eps / 2 * products.max(axis=1, keepdims=True)


@pytest.mark.parametrize("load", DATA)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_match_within_rounding(load, dtype):
    pytest.importorskip("onnx")
    X, y = load(return_X_y=True)
    X = X.astype(dtype).astype(np.float64)  # the same numbers on both sides
    model = sg.SoftmaxRegression(0.1, tol=1e-4).fit(X, y)
    graph = session(model.to_onnx(dtype=dtype))
    label, p, log_p = graph.run(None, {"X": X.astype(dtype)})
    assert label.dtype == np.int64
    assert p.dtype == log_p.dtype == dtype
    bound = logit_bound(model, X, dtype)
    size = np.maximum(np.abs(log_p), 1.0)
    limit = 2 * bound + 16 * np.finfo(dtype).eps * size
    assert (np.abs(log_p - model.predict_log_proba(X)) <= limit).all()
    # A probability's relative error is the absolute error of its logarithm.
    ours = model.predict_proba(X)
    assert (np.abs(p - ours) <= ours * np.expm1(limit) + np.finfo(dtype).tiny).all()
    sure = np.sort(ours, axis=1)[:, -1] - np.sort(ours, axis=1)[:, -2] > 1e-3
    assert (label == model.predict(X))[sure].all()
    assert sure.mean() > 0.9


@pytest.mark.parametrize(
    ("kind", "n_classes"),
    [(str, 2), (str, 3), (object, 3), (bool, 2), (np.uint8, 2), (np.uint8, 3), (float, 3)],
)
def test_labels_of_every_kind(kind, n_classes):
    pytest.importorskip("onnx")
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    labels = np.array(["vert", "blau", "grün"])[y] if kind in (str, object) else y
    labels = labels.astype(kind)
    model = sg.SoftmaxRegression(0.1).fit(X, labels)
    label = session(model.to_onnx()).run(["label"], {"X": X.astype(np.float32)})[0]
    assert label.tolist() == model.predict(X).tolist()


def test_logits_that_overflow_exp():
    pytest.importorskip("onnx")
    model = sg.SoftmaxRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    model.coef_, model.intercept_ = np.array([[-900.0], [0.0], [900.0]]), np.zeros(3)
    _, p, log_p = session(model.to_onnx()).run(None, {"X": np.ones((1, 1), np.float32)})
    assert p.tolist() == [[0.0, 0.0, 1.0]]
    assert log_p.tolist() == [[-1800.0, -900.0, 0.0]]


def test_any_number_of_rows_and_a_file(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    X, y = load_iris(return_X_y=True)
    model = sg.SoftmaxRegression().fit(X, y)
    model.to_onnx(tmp_path / "m.onnx")
    graph = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for rows in (0, 1, 150):
        assert graph.run(["probabilities"], {"X": X[:rows].astype("f4")})[0].shape == (rows, 3)
    assert (tmp_path / "m.onnx").read_bytes() == model.to_onnx().SerializeToString()


def test_what_is_refused(monkeypatch):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NotFittedError):
        sg.SoftmaxRegression().to_onnx()
    model = sg.SoftmaxRegression().fit(X, y)
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'"):
        model.to_onnx(dtype="float16")
    model.classes_ = np.array([0.5, 1.5, 2.5])
    with pytest.raises(ValueError, match="Labels of type float64"):
        model.to_onnx()
    model.classes_ = np.arange(3)
    pytest.importorskip("onnx")
    model.coef_ = model.coef_ * 1e40
    with pytest.raises(ValueError, match="overflow float32"):
        model.to_onnx()
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "onnx":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"pip install softgrad\[onnx\]"):
        model.to_onnx(dtype="float64")


def test_export_from_the_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    X, y = load_iris(return_X_y=True)
    model = sg.SoftmaxRegression().fit(X, y)
    save_model(model, tmp_path / "m", TrainedOn("iris", 150))
    assert run(["export", "m", "m.onnx", "--dtype", "float64"]) == 0
    assert "wrote m.onnx: float64 X (rows, 4)" in capsys.readouterr().out
    graph = runtime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    assert (graph.run(["label"], {"X": X})[0] == model.predict(X)).all()

    texts = ["red fish", "blue sky"] * 3
    features = TextFeatures.learn(texts, "message")
    on_texts = sg.SoftmaxRegression().fit(features.rows(texts), [0, 1] * 3)
    save_model(on_texts, tmp_path / "t", TrainedOn("t", 6, text=features))
    (tmp_path / "good.onnx").write_text("good")
    for arguments, words in (
        (["t", "good.onnx"], "takes texts"),
        (["m", "good.onnx", "--dtype", "int8"], "dtype must be"),
        (["m", "none/x.onnx"], "no folder 'none'"),
        (["m", "."], "is a folder"),
        (["none", "good.onnx"], "no model file"),
    ):
        assert run(["export", *arguments]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert err.count("\n") == 1
    assert (tmp_path / "good.onnx").read_text() == "good"
