"""softgrad.explain: its numbers, its checks, and what it refuses."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import softgrad as sg
from softgrad.derivation import Derivation
from softgrad.derivation.float64_pair import Float64Pair
from softgrad.errors import OptionError, ShapeError, SoftgradError, TargetError
from softgrad.functions import ACTIVATIONS, LOSSES

X = np.array([[0.7, -1.3, 2.1, 0.2], [0.1, 1.9, -0.4, -2.2], [1.1, 0.4, 0.3, -0.9]])
INDICES = np.array([2, 0, 3])
PROBABILITIES = {"softmax", "softmin", "sparsemax", "sigmoid"}


def failures(derivation: Derivation) -> list[str]:
    return [
        f"{step.title}: {check.what} {check.difference} {check.tolerance} {check.note}"
        for step in derivation.steps
        for check in step.check
        if not check.passed
    ]


def unmeasured(derivation: Derivation) -> list[str]:
    return [c.what for step in derivation.steps for c in step.check if c.difference is None]


def check_count(derivation: Derivation) -> int:
    return sum(len(step.check) for step in derivation.steps)


# --- Every pair ----------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_with_every_loss(activation: str) -> None:
    """All checks agree, and the results are those of the functions themselves."""
    for name, loss in LOSSES.items():
        if loss.takes == "probabilities" and activation not in PROBABILITIES:
            with pytest.raises(OptionError, match="takes probabilities"):
                sg.explain(X, INDICES, activation=activation, loss=name)
            continue
        derivation = sg.explain(X, INDICES, activation=activation, loss=name, temperature=1.5)
        assert failures(derivation) == [], (activation, name)
        if activation != "sparsemax":
            assert unmeasured(derivation) == [], (activation, name)
            assert check_count(derivation) >= 12
        value = ACTIVATIONS[activation](X / 1.5)
        np.testing.assert_array_equal(derivation.values["activation"], value)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_of_the_mean_loss_in_float64_differences(loss: str) -> None:
    """The results of a batch against differences of `values["loss"]` itself."""
    activation = "softmax" if LOSSES[loss].takes == "probabilities" else "gelu"
    options: dict[str, Any] = {"activation": activation, "loss": loss, "temperature": 0.7}
    gradient = sg.explain(X, INDICES, **options).values["grad"]
    for at in [(0, 2), (1, 1), (2, 0)]:
        step = np.zeros_like(X)
        step[at] = 1e-5
        above, below = (
            sg.explain(x, INDICES, **options).values["loss"] for x in (X + step, X - step)
        )
        assert gradient[at] == pytest.approx((above - below) / 2e-5, rel=1e-7, abs=1e-8)


def test_without_a_target_the_activation_alone_is_derived() -> None:
    for activation in ACTIVATIONS:
        derivation = sg.explain(X[0], activation=activation)
        assert set(derivation.values) == {"activation"}
        assert failures(derivation) == []
        assert not any("loss" in step.title for step in derivation.steps)


# --- The default: softmax with cross-entropy -----------------------------------------------------


def test_the_steps_of_softmax_with_cross_entropy() -> None:
    derivation = sg.explain([1.0, 2.0, 3.0], 2)
    words = ["Exponentials", "i = j", "i ≠ j", "Jacobian", "loss", "chain rule", "outer product",
             "batch", "Temperature", "covariance", "sigmoid"]  # fmt: skip
    assert len(words) == len(derivation.steps)
    for word, step in zip(words, derivation.steps, strict=True):
        assert word in step.title
        assert step.check
        assert step.formula_latex
    assert derivation.passed


def test_numbers_against_scipy() -> None:
    T = 2.5
    values = sg.explain(X, INDICES, temperature=T).values
    p = scipy.special.softmax(X / T, axis=1)
    np.testing.assert_allclose(values["activation"], p, rtol=1e-14)
    loss = -scipy.special.log_softmax(X / T, axis=1)[range(3), INDICES].mean()
    assert values["loss"] == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(values["grad"], (p - np.eye(4)[INDICES]) / T / 3, rtol=1e-13)


def test_tables_hold_jacobian_weights_and_hessian() -> None:
    h = np.array([0.5, -2.0])
    x, y = np.array([0.3, -1.0, 2.0]), np.array([0.2, 0.5, 0.3])
    derivation = sg.explain(x, y, features=h, temperature=2.0)
    p = scipy.special.softmax(x / 2)
    J = np.diag(p) - np.outer(p, p)
    found = {step.title.split(":")[0]: step.numbers for step in derivation.steps}

    def matrix(title: str, at: int = 0, columns: int = 3) -> np.ndarray:
        return np.array([c.values for c in found[title][at].columns[:columns]], dtype=float).T

    np.testing.assert_allclose(matrix("The Jacobian"), J, rtol=1e-13)
    dW = np.outer((p - y) / 2, h)
    np.testing.assert_allclose(matrix("The weights of a linear layer", columns=2), dW, rtol=1e-13)
    np.testing.assert_allclose(matrix("Second derivative"), J / 4, rtol=1e-13)


def test_the_batch_step_works_on_the_batch() -> None:
    H = np.array([[1.0, 0.5], [0.2, -1.0], [2.0, 3.0]])
    derivation = sg.explain(X, INDICES, features=H, row=1)
    step = next(s for s in derivation.steps if s.title == "A batch")
    G = (scipy.special.softmax(X, axis=1) - np.eye(4)[INDICES]) / 3
    dW = np.array([c.values for c in step.numbers[1].columns], dtype=float).T
    np.testing.assert_allclose(dW, np.column_stack([G.T @ H, G.sum(axis=0)]), rtol=1e-12)
    assert "Row 1 of a batch of 3" in derivation.summary


def test_targets_in_all_forms_agree() -> None:
    for loss in ("cross_entropy", "squared_error", "binary_cross_entropy"):
        expected = sg.explain(X, INDICES, loss=loss).values["grad"]
        for target in (np.eye(4)[INDICES], np.eye(4, dtype=int)[INDICES], INDICES.tolist()):
            np.testing.assert_array_equal(sg.explain(X, target, loss=loss).values["grad"], expected)


def test_soft_targets_that_do_not_sum_to_one() -> None:
    y = np.array([2.0, 1.0, 0.5])
    derivation = sg.explain([3.0, 2.0, 1.0], y)
    assert failures(derivation) == []
    p = scipy.special.softmax([3.0, 2.0, 1.0])
    np.testing.assert_allclose(derivation.values["grad"], 3.5 * p - y, rtol=1e-12)
    chain = next(s for s in derivation.steps if "chain" in s.title)
    assert not any("= p_j - y_j" in f for f in chain.formula_latex)


def test_label_smoothing_and_options() -> None:
    smooth = sg.explain(X, INDICES, label_smoothing=0.1)
    expected = sg.cross_entropy.grad(X, INDICES, label_smoothing=0.1)
    np.testing.assert_allclose(smooth.values["grad"], expected, rtol=1e-12, atol=1e-16)
    leaky = sg.explain(
        X, X + 1, activation="leaky_relu", loss="huber", negative_slope=0.3, delta=0.5
    )
    assert failures(leaky) == []
    a = np.where(X > 0, X, 0.3 * X)
    np.testing.assert_allclose(leaky.values["activation"], a, rtol=1e-15)
    assert "0.3" in leaky.steps[0].prose


def test_a_label_of_one_output() -> None:
    derivation = sg.explain([0.4], 1, activation="sigmoid", loss="binary_cross_entropy")
    assert derivation.values["grad"] == pytest.approx([scipy.special.expit(0.4) - 1])
    assert failures(derivation) == []


@pytest.mark.parametrize("teacher", ["logits", "probabilities"])
def test_distillation_against_the_loss_itself(teacher: str) -> None:
    rng = np.random.default_rng(3)
    target = rng.normal(size=X.shape) if teacher == "logits" else rng.dirichlet(np.ones(4), 3)
    derivation = sg.explain(X, target, loss="distillation", temperature=3.0, teacher=teacher)
    assert failures(derivation) == []
    one_hot = sg.explain([1.0, 2.0], [1.0, 0.0], loss="distillation")  # logits, and no class
    assert one_hot.values["loss"] == pytest.approx(LOSSES["distillation"]([[1.0, 2]], [[1.0, 0]]))
    loss, grad = LOSSES["distillation"].value_and_grad(X, target, temperature=3.0, teacher=teacher)
    assert derivation.values["loss"] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(derivation.values["grad"], grad, rtol=1e-11, atol=1e-15)


# --- The checks can fail -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "wrong", "seen"),
    [
        ("activation", lambda v: v * 1.001, "log"),
        ("jacobian", lambda v: np.diag(np.diag(v)), "J"),
        ("jacobian", lambda v: v.T * np.array([1.0, 1.0, 1.0001])[:, None], "J"),
        ("slope_of", lambda v: v * 1.000001, "partial p"),
        ("gradient", lambda v: -v, "partial x"),
        ("gradient", lambda v: v / 3, "partial W"),
        ("hessian", lambda v: v * 1.000001, "H"),
    ],
)  # fmt: skip
def test_a_wrong_derivative_is_seen(
    member: str, wrong: Any, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(Float64Pair, member)
    monkeypatch.setattr(Float64Pair, member, lambda self, *a: wrong(right(self, *a)))
    derivation = sg.explain([1.0, 2.0, 2.5], 0)
    assert not derivation.passed
    assert any(seen in failure for failure in failures(derivation))
    text = " ".join(derivation.text().split())
    assert "✗" in text
    assert "that rounding explains)" in text


@pytest.mark.parametrize(
    ("x", "target", "options", "note"),
    [
        ([0.0, 1.0, -1.0], 1, {"activation": "relu", "loss": "squared_error"}, "kink"),
        ([0.0, 1.0, -1.0], 1, {"activation": "identity", "loss": "absolute_error"}, "jump"),
        ([2.0, 1.0, -1.0], [1.0, 0, 0], {"activation": "identity", "loss": "huber"}, "kink"),
        ([1.0, 0.0, -1.0], 0, {"activation": "identity", "loss": "multiclass_hinge"}, "kink"),
        ([1.0, 0.0, -1.0], 0, {"activation": "sparsemax", "loss": "squared_error"}, "kink"),
        ([0.0, 800.0], 0, {}, "border"),
        ([1e15, 1.0, 2.0], 1, {}, "so large"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_named(x: Any, target: Any, options: Any, note: str) -> None:
    derivation = sg.explain(x, target, **options)
    assert failures(derivation) == []
    assert any(note in check.note for step in derivation.steps for check in step.check)


_SATURATED = [40.0, 0.0, -3.0]


@pytest.mark.parametrize(
    ("activation", "loss", "x", "target"),
    [
        ("sigmoid", "categorical_cross_entropy", _SATURATED, 0),  # 1 - p has lost its digits
        ("tanh", "squared_error", [800.0, -800.0, 30.0], 2),
        ("softmax", "squared_error", _SATURATED, 0),
        ("softmax", "focal", _SATURATED, 0),
        ("softmax", "multiclass_hinge", _SATURATED, 0),
        ("gelu", "distillation", [1.0, -1.0], [1.0, 0.0]),  # a difference of equal terms
        ("log_softmax", "huber", [0.0, 0.0, 0.0], 0),
        ("softmax", "absolute_error", np.sin(np.arange(20.0)) * 5, 7),
        ("tanh", "multiclass_hinge", [8.46, -4.0, 8.16, 1.0], 1),  # a kink very close
        ("relu", "absolute_error", [1.0, 1.0, 0.0, 0.0], 1),  # kinks on kinks
        ("selu", "multiclass_hinge", [0.0, 0.0, 0.0], 0),
        ("relu", "categorical_cross_entropy", [1.0, 0.5, 1.0], 0),  # on the border of 0..1
    ],
)
def test_rounding_and_kinks_are_not_taken_for_mistakes(
    activation: str, loss: str, x: Any, target: Any
) -> None:
    derivation = sg.explain(x, target, activation=activation, loss=loss)
    assert failures(derivation) == []
    made = [c for step in derivation.steps for c in step.check if c.difference is not None]
    assert len(made) >= 5


@pytest.mark.parametrize(
    ("activation", "loss", "x"),
    [
        ("identity", "categorical_cross_entropy", [0.0, 0.0, 0.0]),
        ("relu", "binary_cross_entropy_probabilities", [1.0, 1.0, 0.0, 0.0]),
        ("softmax", "categorical_cross_entropy", [-800.0, 800.0, 30.0]),
    ],
)
def test_an_infinite_loss_is_said_to_be_one(activation: str, loss: str, x: Any) -> None:
    derivation = sg.explain(x, 0, activation=activation, loss=loss)
    assert failures(derivation) == []
    assert derivation.values["loss"] == np.inf
    assert "Here it is infinite" in " ".join(derivation.text().split())


def test_a_target_on_the_border_has_numbers() -> None:
    """p = 1 and y = 1: the slope is -1/p, not 0/0."""
    for loss in ("binary_cross_entropy", "sigmoid_focal"):
        text = sg.explain([40.0, 0.0, -3.0], 0, activation="sigmoid", loss=loss).text()
        assert "nan" not in text


def test_a_measured_number_stands_beside_what_it_checks() -> None:
    derivation = sg.explain([1.0, 2.0, 3.0], 2)
    entry = derivation.steps[1].check[0]
    assert entry.measured == pytest.approx(derivation.steps[3].numbers[0].columns[2].values[2])
    assert "finite differences give 0.222695" in derivation.text()
    assert derivation.steps[3].check[0].measured is None  # a matrix is no single number


@pytest.mark.parametrize("T", [1e-3, 0.1, 30.0, 1e4])
def test_temperatures_of_all_sizes(T: float) -> None:
    assert failures(sg.explain(np.array([0.3, -1.2, 0.9]) * T, 1, temperature=T)) == []
    assert failures(sg.explain([0.3, -1.2, 0.9], 1, temperature=T)) == []


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 10.0, 100.0])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_logits_of_all_sizes(scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.normal(size=4) * scale + offset
        assert failures(sg.explain(x, int(rng.integers(4)))) == [], x.tolist()


# --- Many digits ---------------------------------------------------------------------------------


def test_fifty_digits_against_mpmath() -> None:
    texts = ["0.1", "-2.25", "1.7", "0.3"]
    derivation = sg.explain(texts, 2, temperature=1.5, digits=50)
    assert failures(derivation) == []
    with mpmath.workdps(80):
        z = [mpmath.mpf(t) / mpmath.mpf("1.5") for t in texts]
        total = mpmath.fsum(mpmath.exp(v) for v in z)
        p = [mpmath.exp(v) / total for v in z]
        loss = -mpmath.log(p[2])
        grad = [(v - (k == 2)) / mpmath.mpf("1.5") for k, v in enumerate(p)]
        for found, expected in zip(derivation.values["activation"], p, strict=True):
            assert abs(found - expected) < mpmath.mpf(10) ** -75
        for found, expected in zip(derivation.values["grad"], grad, strict=True):
            assert abs(found - expected) < mpmath.mpf(10) ** -75
        assert abs(derivation.values["loss"] - loss) < mpmath.mpf(10) ** -75
        text = derivation.text()
        for number in (*p, loss):
            assert mpmath.nstr(number, 50, strip_zeros=False) in text


def test_options_of_fifty_digits_are_what_was_written() -> None:
    """0.1 is a tenth, and 1 - 0.9 as well."""
    with mpmath.workdps(80):
        leaky = sg.explain([-3], activation="leaky_relu", digits=50)
        bent = leaky.values["activation"][0]
        assert mpmath.almosteq(bent, mpmath.mpf("-0.03"), rel_eps=mpmath.mpf(10) ** -70)
        focal = sg.explain(
            ["-1"], [0], activation="sigmoid", loss="sigmoid_focal", digits=50, alpha=0.9,
            temperature=0.1,
        )  # fmt: skip
        p = 1 / (1 + mpmath.exp(10))
        loss = -mpmath.mpf("0.1") * p**2 * mpmath.log(1 - p)
        assert mpmath.almosteq(focal.values["loss"], loss, rel_eps=mpmath.mpf(10) ** -70)
        smooth = sg.explain(["0", "0"], 0, digits=50, label_smoothing=0.1)
        assert mpmath.almosteq(smooth.values["grad"][0], mpmath.mpf("-0.45"), abs_eps=1e-70)


def test_text_decimals_and_fractions_are_exact() -> None:
    expected = sg.explain(["0.1", "0.25"], 0, digits=30).values["loss"]
    same = sg.explain([Decimal("0.1"), Fraction(1, 4)], 0, digits=30).values["loss"]  # type: ignore[list-item]
    rounded = sg.explain([0.1, 0.25], 0, digits=30).values["loss"]
    assert abs(same - expected) < 1e-60
    assert 1e-19 < abs(rounded - expected) < 1e-16


def test_the_precision_of_others_is_left_alone() -> None:
    before = mpmath.mp.dps
    sg.explain([1.0, 2.0], 0, digits=40)
    assert mpmath.mp.dps == before


@pytest.mark.parametrize("loss", LOSSES)
def test_exact_and_float64_agree(loss: str) -> None:
    activation = "softmax" if LOSSES[loss].takes == "probabilities" else "silu"
    options: dict[str, Any] = {"activation": activation, "loss": loss, "temperature": 1.25}
    exact = sg.explain(X[0], 2, digits=20, **options)
    assert failures(exact) == []
    assert unmeasured(exact) == []
    plain = sg.explain(X[0], 2, **options).values
    for name, value in exact.values.items():
        number = np.array(value, dtype=float)
        np.testing.assert_allclose(plain[name], number, rtol=1e-12, atol=1e-15)


def test_digits_without_mpmath_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mpmath", None)
    with pytest.raises(ImportError, match=r"pip install softgrad\[digits\]"):
        sg.explain([1.0, 2.0], 0, digits=50)


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (([1.0, 2.0], 2), {}, TargetError, "0..1"),
        (([1.0, 2.0], -1), {}, TargetError, "0..1"),
        (([1.0, 2.0], [0.5, 0.2, 0.3]), {}, ShapeError, "shape"),
        (([1.0, 2.0], [-0.5, 1.5]), {}, TargetError, "not negative"),
        (([1.0, 2.0], [0.5, 0.5]), {"loss": "multiclass_hinge"}, TargetError, "one class a row"),
        (([1.0, float("nan")], 0), {}, OptionError, "finite"),
        (([1.0, float("inf")], 0), {"digits": 30}, OptionError, "finite"),
        (([[[1.0]]], 0), {}, ShapeError, r"\(N, C\)"),
        (([], 0), {}, ShapeError, "at least one class"),
        ((["a", "b"], 0), {}, SoftgradError, "text"),
        ((["a", "b"], 0), {"digits": 30}, OptionError, "not a number"),
        (([1.0, 2.0], 0), {"loss": "mse"}, OptionError, "squared_error"),
        (([1.0, 2.0], 0), {"activation": "swish"}, OptionError, "silu"),
        (([1.0, 2.0], 0), {"temperature": 0.0}, OptionError, "> 0"),
        (([1.0, 2.0], 0), {"digits": 3}, OptionError, "7 to 500"),
        (([1.0, 2.0], 0), {"gamma": 2.0}, OptionError, "accepted here: none"),
        (([1.0, 2.0], 0), {"row": 1}, OptionError, "from 0 to 0"),
        (([1.0, 2.0], 0), {"features": [[1.0], [2.0]]}, ShapeError, "features"),
        (([1.0, 2.0], 0), {"features": [0.0, 0.0]}, OptionError, "zeros"),
        (([1.0, 2.0], 0), {"label_smoothing": 1.5}, OptionError, "0..1"),
        (
            ([1.0, 2.0], 0),
            {"loss": "squared_error", "label_smoothing": 0.1},
            OptionError,
            "label_smoothing",
        ),
        (([1.0, 2.0], 0), {"teacher": "logits"}, OptionError, "teacher"),
    ],
)
def test_errors(arguments: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sg.explain(*arguments, **options)


def test_functions_may_be_passed_instead_of_names() -> None:
    by_name = sg.explain([1.0, 2.0], 0, loss="cross_entropy", activation="softmax")
    by_function = sg.explain([1.0, 2.0], 0, loss=sg.cross_entropy, activation=sg.softmax)
    assert by_name.text() == by_function.text()


# --- The text ------------------------------------------------------------------------------------


def test_numbers_in_the_text_agree_to_the_digits_shown() -> None:
    rng = np.random.default_rng(1)
    for scale in (0.01, 1.0, 20.0):
        x = rng.normal(size=5) * scale
        text = sg.explain(x, 1).text()
        block = text.split("x − m")[1].split("✓")[0].splitlines()[1:]
        rows = [line.split() for line in block if re.match(r"\s+\d", line)]
        assert len(rows) == 5
        p = scipy.special.softmax(x)
        for k, row in enumerate(rows):
            shown = row[-1]
            places = len(shown.partition(".")[2].partition("e")[0])
            power = float(f"1e{shown.partition('e')[2] or 0}")
            assert abs(float(shown) - p[k]) <= 0.5000001 * 10.0**-places * power
            assert abs(float(shown) - p[k]) <= 0.05 * p[k]


@pytest.mark.parametrize(
    "case",
    [
        {"logits": [1.0, 2.0, 3.0], "target": 2},
        {"logits": np.linspace(-3, 3, 30), "target": 7},
        {"logits": [123456.5, -0.001, 1e-9], "target": 0, "temperature": 3.7},
        {"logits": X, "target": INDICES, "activation": "mish", "loss": "sigmoid_focal"},
        {"logits": X, "target": INDICES, "activation": "softmax", "loss": "focal"},
        {"logits": X, "target": INDICES, "activation": "gelu_tanh", "loss": "huber"},
        {"logits": X, "target": INDICES, "activation": "sparsemax", "loss": "multiclass_hinge"},
        {"logits": X, "target": X, "loss": "distillation", "temperature": 2.0},
        {"logits": [1.0, 2.0, 3.0], "target": 2, "digits": 30},
    ],
)  # fmt: skip
def test_eighty_columns(case: dict[str, Any]) -> None:
    text = sg.explain(case.pop("logits"), case.pop("target"), **case).text(width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "$" not in text
    assert "\\" not in text


def test_many_classes_are_abbreviated() -> None:
    x = np.sin(np.arange(200.0))
    derivation = sg.explain(x, 123)
    assert failures(derivation) == []
    for step in derivation.steps:
        for table in step.numbers:
            assert len(table.labels) <= 14
            assert len(table.columns) <= 14
            if table.corner == "class" and not table.matrix:
                assert "123" in table.labels
                assert str(int(np.argmax(x))) in table.labels
                assert None in table.labels
    assert len(derivation.text().splitlines()) < 330


def test_the_largest_probability_is_bold() -> None:
    table = sg.explain([1.0, 5.0, 2.0], 0).steps[0].numbers[0]
    assert table.bold == {1}


def test_it_presents_itself() -> None:
    derivation = sg.explain([1.0, 2.0], 0)
    assert repr(derivation) == "<Softmax with cross-entropy: 11 steps, 19 of 19 checks agree>"
    assert str(derivation) == derivation.text()
    assert "19 of 19 checks agree." in derivation.text()


# --- Masks ---------------------------------------------------------------------------------------

KEEP = np.array([True, False, True, True])


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "squared_error", "nll"])
@pytest.mark.parametrize("digits", [None, 30])
def test_masked_classes_take_no_part(loss: str, digits: int | None) -> None:
    """The results are those of the library under the same mask."""
    activation = "log_softmax" if loss == "nll" else "softmax"
    spoilt = np.where(KEEP, X, np.nan)
    derivation = sg.explain(
        spoilt, INDICES, where=KEEP, loss=loss, activation=activation, temperature=2, digits=digits
    )
    assert failures(derivation) == []
    if digits is None:
        assert unmeasured(derivation) == []
    f = ACTIVATIONS[activation]
    value = f(X / 2, where=KEEP)
    np.testing.assert_allclose(
        derivation.values["activation"].astype(float), value, rtol=1e-13, atol=0
    )
    y = np.eye(4)[INDICES]
    if loss in ("cross_entropy", "focal"):
        g = LOSSES[loss].grad(X / 2, INDICES, where=KEEP) / 2
    elif loss == "nll":
        g = f.vjp(X / 2, -y / 3, where=KEEP) / 2
    else:
        inner = LOSSES[loss].grad(value, y, where=np.broadcast_to(KEEP, X.shape), reduction="sum")
        g = f.vjp(X / 2, inner, where=KEEP) / 2 / 3
    np.testing.assert_allclose(derivation.values["grad"].astype(float), g, rtol=1e-12, atol=1e-17)
    assert np.all(derivation.values["grad"][:, 1] == 0)
    text = str(derivation)
    assert "class 1" in text
    assert "counted anew: 0 is class 0, 1 is class 2, 2 is class 3" in text


def test_smoothing_is_spread_over_the_classes_that_take_part() -> None:
    derivation = sg.explain(X, INDICES, where=KEEP, label_smoothing=0.1)
    right = sg.cross_entropy.grad(X, INDICES, where=KEEP, label_smoothing=0.1)
    np.testing.assert_allclose(derivation.values["grad"], right, rtol=1e-13, atol=1e-17)


def test_a_mask_of_nothing_changes_nothing() -> None:
    assert str(sg.explain(X, INDICES, where=np.ones(4, bool))) == str(sg.explain(X, INDICES))


def test_masks_that_cannot_be_meant() -> None:
    with pytest.raises(TargetError, match="class 2, which is masked"):
        sg.explain(X[0], 2, where=np.array([True, True, False, True]))
    with pytest.raises(TargetError, match="class 1, which is masked"):
        sg.explain(X[0], [0.5, 0.5, 0, 0], where=KEEP)
    with pytest.raises(SoftgradError, match="every class"):
        sg.explain(X[0], where=np.zeros(4, bool))
    with pytest.raises(SoftgradError, match="one by one"):
        sg.explain(X, where=np.eye(3, 4) == 0)
    with pytest.raises(SoftgradError, match="dtype"):
        sg.explain(X[0], where=[1, 0, 1, 1])
    with pytest.raises(ShapeError, match="broadcast"):
        sg.explain(X[0], where=[True, False])
    with pytest.raises(OptionError, match=r"\[3\]"):
        sg.explain([1.0, np.nan, 2.0, np.inf], where=KEEP)
