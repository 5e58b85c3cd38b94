"""Networks as ONNX graphs: what onnxruntime computes from them is what the model computes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification

import softgrad as sg
from softgrad.errors import OptionError
from softgrad.functions import ACTIVATIONS
from softgrad.network import Activation

pytest.importorskip("onnx")

WITH_OPTIONS = [
    Activation(sg.elu, alpha=0.3),
    Activation(sg.leaky_relu, negative_slope=0.2),
    Activation(sg.softmax, temperature=2.0),
]


def run(model, X, dtype):
    runtime = pytest.importorskip("onnxruntime")
    graph = model.to_onnx(dtype=dtype)
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X.astype(dtype)})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [*ACTIVATIONS.values(), *WITH_OPTIONS], ids=repr)
def test_every_activation_matches(activation, dtype):
    X, y = load_iris(return_X_y=True)
    model = sg.NeuralNetClassifier(
        (8, 6), activation=activation, epochs=20, learning_rate=0.01, dtype=dtype, random_state=0
    ).fit(X, y)
    # Far out, where exp overflows and where every unit of a row is 0.
    X = np.concatenate([X, 1e3 * (X - X.mean(axis=0)), -1e3 * X[::7]])
    label, p, log_p = run(model, X, dtype)
    X = X.astype(dtype)
    assert p.dtype == log_p.dtype == dtype
    # gelu in float64 goes through the runtime's error function, which is float32.
    eps = np.finfo(np.float32 if activation is sg.gelu else dtype).eps
    expected = model.predict_log_proba(X)
    size = 1.0 + np.abs(model.decision_function(X)).max(axis=1, keepdims=True)
    assert (np.abs(log_p - expected) <= 64 * eps * size).all()
    # A probability's relative error is the absolute error of its logarithm.
    wrong = np.expm1(np.minimum(64 * eps * size, 1.0)) + np.finfo(np.float32).eps * 8
    assert (np.abs(p - model.predict_proba(X)) <= wrong).all()
    ordered = np.sort(expected, axis=1)
    sure = ordered[:, -1] - ordered[:, -2] > 1e-2 * size[:, 0]
    assert sure.any()
    assert (label == model.predict(X))[sure].all()


@pytest.mark.parametrize("loss", ["squared_error", "nll", "binary_cross_entropy", "hinge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_every_kind_of_end(loss, classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], np.array(["vert", "blau", "grün"])[y[y < classes]]
    loss = "multiclass_hinge" if loss == "hinge" else loss
    model = sg.NeuralNetClassifier((8,), loss=loss, epochs=30, random_state=0).fit(X, y)
    label, p, log_p = run(model, X, "float64")
    assert label.tolist() == model.predict(X).tolist()
    assert np.allclose(p, model.predict_proba(X), rtol=1e-12, atol=0)
    assert np.allclose(log_p, model.predict_log_proba(X), rtol=1e-12, atol=1e-14)


def test_columns_of_labels():
    X, Y = make_multilabel_classification(200, n_classes=4, random_state=0)
    model = sg.NeuralNetClassifier((8,), epochs=30, dropout=0.2, random_state=0).fit(X, Y)
    label, p, log_p = run(model, X, "float64")
    assert (label == model.predict(X)).all()
    assert np.allclose(p, model.predict_proba(X), rtol=1e-12, atol=0)
    assert np.allclose(log_p, model.predict_log_proba(X), rtol=1e-12, atol=1e-14)


def test_pixels_and_no_hidden_layer():
    X, y = load_digits(return_X_y=True)
    model = sg.NeuralNetClassifier((), epochs=5, random_state=0).fit(X.astype(np.uint8), y)
    label, p, _ = run(model, X, "float32")
    assert np.allclose(p, model.predict_proba(X), rtol=1e-4, atol=1e-7)
    assert (label == model.predict(X)).mean() > 0.999


def test_features_far_from_zero_keep_their_digits():
    """Folded into the weights, the mean would be subtracted after the products, and lost."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    X = (1e6 + rng.integers(0, 4, (200, 3)) + 4 * y[:, None]).astype(np.float64)
    model = sg.NeuralNetClassifier((8,), epochs=50, random_state=0).fit(X, y)
    _, p, _ = run(model, X, "float32")
    assert np.allclose(p, model.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_what_cannot_be_exported_is_refused(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = sg.NeuralNetClassifier((4,), epochs=1).fit(X, y)
    with pytest.raises(OptionError, match="'float32' or 'float64'"):
        model.to_onnx(dtype="float16")
    model.mean_ = model.mean_ + 1e300
    with pytest.raises(OptionError, match="overflow float32"):
        model.to_onnx(tmp_path / "m.onnx")
    model = sg.NeuralNetClassifier((4,), epochs=1).fit(X * 1e-50, y)
    with pytest.raises(OptionError, match="underflows float32"):
        model.to_onnx(tmp_path / "m.onnx")
    assert np.isfinite(run(model, X * 1e-50, "float64")[1]).all()
    assert list(tmp_path.iterdir()) == []
