"""The corrected code takes the place of what was examined: same name, arguments and convention."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.doctor.kinds import KINDS
from softgrad.doctor.programs import usual_program
from tests.doctor import patients_styles
from tests.doctor.field import FIELD
from tests.doctor.healthy import HEALTHY
from tests.doctor.patients import PATIENTS, Patient

assert patients_styles  # adds to PATIENTS
if importlib.util.find_spec("torch"):
    importlib.import_module("tests.doctor.field_torch")  # adds to FIELD
#: What has to be the same in the corrected code. A layout can be one of several that it serves.
SAME = ("arguments", "target", "temperature", "label smoothing")


def made(code: str, name: str) -> Any:
    space: dict[str, Any] = {}
    exec(code, space)
    return space[name]


def in_place_of(function: Any, code: str, name: str) -> Any:
    """The corrected code where the function was; of a layer with weights, its two methods."""
    found = made(code, name)
    if "stays as it is" in code:
        return type(name, (found, function), {})
    return found


def own(case: Patient) -> bool:
    """Not a library's: those take what nobody's own function does."""
    module = getattr(case.function, "__module__", None) or ""
    return module.startswith("tests.") or case in FIELD


@pytest.mark.parametrize(
    "case",
    [c for c in (*PATIENTS, *HEALTHY[::3], *FIELD[::3]) if own(c)],
    ids=lambda case: f"{case.kind}{case.id}",
)
def test_the_code_is_right_in_the_same_convention(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    options = dict(case.options)
    if 25 in report.mistakes:
        options.setdefault("ignore_index", -1)
    mended = in_place_of(case.function, report.code, report.name)
    again = sg.examine(mended, report.kind, **options)
    assert again.healthy, f"{report.code}\n{again}"
    for key in SAME:
        before, after = report.understood.get(key), again.understood.get(key)
        if key == "target" and before in ("indices from 1", "class indices in a column"):
            continue  # 0 is a class; indices may come in a column or not
        assert before == after, f"{report.code}\n{again}"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_code_for_what_did_not_work_at_all_is_right(kind: str) -> None:
    report = sg.examine(made(usual_program(KINDS[kind], "mine"), "mine"), kind)
    assert report.healthy, str(report)


# --- Every combination of names, layout, target, reduction and shape of the result ----------------


def probabilities(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def convention(layout: str, target: str, reduction: str, first: str) -> Any:
    """A gradient with a wrong sign, in some convention."""
    axis = 0 if layout == "CN" else -1

    def gradient(scores: Any, wanted: Any) -> Any:
        hot = wanted
        if target == "index":
            hot = np.eye(scores.shape[axis])[wanted]
            hot = hot.T if layout == "CN" else hot
        rows = {"NC": len(scores), "CN": scores.shape[-1], "C": 1}[layout]
        return (hot - probabilities(scores, axis)) / (rows if reduction == "mean" else 1)

    if first == "scores":

        def ce_grad(scores, wanted):
            return gradient(scores, wanted)

        return ce_grad

    def ce_grad_turned(target_, scores):
        return gradient(scores, target_)

    return ce_grad_turned


@pytest.mark.parametrize(
    ("layout", "target", "reduction", "first"),
    [*itertools.product(("NC", "CN", "C"), ("index", "one-hot"), ("mean", "sum"), ("scores", "y"))],
)
def test_the_code_follows_every_convention(
    layout: str, target: str, reduction: str, first: str
) -> None:
    function = convention(layout, target, reduction, first)
    said = {} if layout == "C" else {"reduction": reduction}
    report = sg.examine(function, "cross_entropy_grad", layout=layout, **said)
    assert report.mistakes == (21,), str(report)
    mended = made(report.code, report.name)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(4, 3)), np.array([2, 0, 1, 2])
    hot = np.eye(3)[y]
    if layout == "CN":
        x, hot = x.T, hot.T
    if layout == "C":
        x, y, hot = x[0], y[0], hot[0]
    given = (x, y if target == "index" else hot)
    given = given if first == "scores" else given[::-1]
    np.testing.assert_allclose(mended(*given), -function(*given), rtol=1e-12, atol=1e-15)


def test_keywords_dictionaries_and_closures_are_kept() -> None:
    def loss_and_grad(*, targets, logits):
        p = probabilities(logits, -1)
        return {"grad": p - targets, "loss": -(targets * np.log(p)).sum() / len(p)}

    report = sg.examine(loss_and_grad)
    assert report.mistakes == (13, 18)
    assert "def loss_and_grad(*, targets, logits):" in report.code
    x, y = np.array([[1.0, 2.0], [0.0, 0.5]]), np.eye(2)
    result = made(report.code, "loss_and_grad")(targets=y, logits=x)
    assert list(result) == ["grad", "loss"]
    assert result["loss"] == pytest.approx(sg.cross_entropy(x, y))
    np.testing.assert_allclose(result["grad"], sg.cross_entropy.grad(x, y))

    def softmax_vjp(x):
        p = probabilities(x, -1)
        return p, lambda g: g * p * (1 - p)

    report = sg.examine(softmax_vjp)
    assert report.mistakes == (1,)
    p, back = made(report.code, "softmax_vjp")(x)
    np.testing.assert_allclose(back(x), sg.softmax.vjp(x, x))
    np.testing.assert_allclose(p, sg.softmax(x))


def test_a_class_stays_a_class() -> None:
    class Softmax:
        def forward(self, scores):
            self.kept = probabilities(scores, -1)
            return self.kept

        def backward(self, dout):
            return dout * self.kept * (1 - self.kept)

    report = sg.examine(Softmax)
    assert report.mistakes == (1,)
    layer = made(report.code, "Softmax")()
    x, g = np.array([[1.0, 2.0, 0.0]]), np.array([[1.0, 0.0, -1.0]])
    np.testing.assert_allclose(layer.forward(x), sg.softmax(x))
    np.testing.assert_allclose(layer.backward(g), sg.softmax.vjp(x, g))


@pytest.mark.parametrize("dropped", [False, True])
def test_a_mask_is_meant_as_it_was(dropped: bool) -> None:
    def softmax(x, mask=None):
        if mask is not None:
            x = x - 1e4 * (mask if dropped else 1 - mask)
        return probabilities(x, -1)

    report = sg.examine(softmax)
    assert report.mistakes == (27,)
    mended = made(report.code, "softmax")
    x, keep = np.array([[1.0, 3e4, 2.0]]), np.array([[True, False, True]])
    np.testing.assert_allclose(mended(x, ~keep if dropped else keep), sg.softmax(x, where=keep))
    np.testing.assert_allclose(mended(x), sg.softmax(x))
    assert ("-np.inf, x" in report.findings[0].fix) is dropped


def test_who_returns_lists_is_given_lists() -> None:
    def softmax_backward(dout, probs):
        return [[d * p * (1 - p) for d, p in zip(*rows)] for rows in zip(dout, probs)]  # noqa: B905

    report = sg.examine(softmax_backward)
    assert report.mistakes == (1,)
    mended = made(report.code, "softmax_backward")
    assert mended([[1.0, 0.0]], [[0.5, 0.5]]) == [[0.25, -0.25]]


def test_of_a_layer_the_methods_are_corrected() -> None:
    class Layer:
        def __init__(self, features, classes):
            self.weights, self.bias = np.zeros((classes, features)), np.zeros((1, classes))
            self.grads: dict[str, Any] = {}

        def forward(self, inputs, labels):
            self.inputs, self.labels = inputs, labels
            self.p = probabilities(inputs @ self.weights.T + self.bias, -1)
            return -np.log(self.p[np.arange(len(labels)), labels]).mean()

        def backward(self):
            d = self.p.copy()
            d[np.arange(len(self.labels)), self.labels] -= 1
            self.grads = {"weights": d.T @ self.inputs, "bias": d.sum(axis=0, keepdims=True)}
            return d @ self.weights

    report = sg.examine(Layer, "softmax_layer_grad")
    assert report.mistakes == (13, 18)
    assert "stays as it is" in report.code
    layer = in_place_of(Layer, report.code, "Layer")(2, 3)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4, 2)), np.array([2, 0, 1, 1])
    layer.weights = rng.normal(size=(3, 2))
    logits = X @ layer.weights.T
    assert layer.forward(X, y) == pytest.approx(sg.cross_entropy(logits, y))
    dX, d = layer.backward(), sg.cross_entropy.grad(logits, y)
    np.testing.assert_allclose(dX, d @ layer.weights)
    np.testing.assert_allclose(layer.grads["weights"], d.T @ X)
    np.testing.assert_allclose(layer.grads["bias"], d.sum(axis=0, keepdims=True))


def test_options_that_are_not_heeded_are_said() -> None:
    def cross_entropy(x, y, verbose=False, sample_weight=None):
        w = np.ones(len(y)) if sample_weight is None else sample_weight
        log_p = np.log(probabilities(x, -1))
        return -(w * log_p[np.arange(len(y)), y]).sum() / len(y)

    report = sg.examine(cross_entropy)
    assert report.mistakes == (13, 20)
    assert "# Not taken into account: verbose." in report.code
    assert "def cross_entropy(x, y, verbose=False, sample_weight=None):" in report.code
    mended = made(report.code, "cross_entropy")
    x, y, w = np.array([[1.0, 2.0], [0.0, 0.5]]), np.array([1, 0]), np.array([1.0, 3.0])
    assert mended(x, y) == pytest.approx(sg.cross_entropy(x, y))
    assert mended(x, y, sample_weight=w) == pytest.approx(sg.cross_entropy(x, y, sample_weight=w))


def test_the_corrected_lines_are_in_the_authors_names() -> None:
    def delta(outputs_before_softmax, labels_one_hot):
        p = probabilities(outputs_before_softmax, 0)
        return (labels_one_hot - p) / labels_one_hot.shape[1]

    report = sg.examine(delta, "cross_entropy_grad", layout="CN")
    (finding,) = report.findings
    assert finding.mistake == 21
    assert finding.fix == "grad = (p - labels_one_hot) / p.shape[1]"
    index = sg.examine(
        lambda x, y: (np.eye(x.shape[1])[y] - probabilities(x, 1)) / len(y), "cross_entropy_grad"
    )
    assert "Y = np.eye(p.shape[-1])[y]" in index.findings[0].fix
