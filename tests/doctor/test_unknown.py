"""Bugs that nobody has catalogued, and callables that do not work: a diagnosis, no traceback."""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

import numpy as np
import pytest

import softgrad as sg
from softgrad.doctor import Report
from softgrad.doctor.structure import describe
from softgrad.errors import OptionError, OptionTypeError
from tests.doctor.patients import log_softmax, one_hot, softmax


def structure(function, kind: str, **options: object) -> str:
    report = sg.examine(function, kind, **options)
    assert report.mistakes == (None,), str(report)
    assert not report.healthy
    assert "catalogue" in str(report)
    return report.findings[0].structure


def ce_grad(x, y):
    return (softmax(x) - one_hot(y, x.shape[1])) / len(y)


def test_a_constant_ratio() -> None:
    assert "0.7 times" in structure(lambda x, y: 0.7 * ce_grad(x, y), "cross_entropy_grad")


def test_one_factor_a_class() -> None:
    def scaled(x, y):
        return ce_grad(x, y) * np.linspace(1, 2, x.shape[1])

    assert "for each class" in structure(scaled, "cross_entropy_grad", layout="NC")


def test_one_factor_a_row() -> None:
    def scaled(x, y):
        return ce_grad(x, y) * np.linspace(1, 2, len(x))[:, None]

    assert "for each row" in structure(scaled, "cross_entropy_grad", layout="NC")


def test_a_factor_that_the_number_of_rows_decides() -> None:
    def one_less(x, y):
        return ce_grad(x, y) * len(y) / (len(y) - 1)

    text = structure(one_less, "cross_entropy_grad", layout="NC")
    assert "shape of the input alone: 1.333 for 4 x 3, 1.2 for 6 x 3" in text


def test_rounding_is_no_argmax() -> None:
    assert "moves in jumps" in structure(lambda x: np.round(softmax(x), 2), "softmax")


def test_only_some_rows() -> None:
    def first_row(x, y):
        g = ce_grad(x, y)
        g[0] = 0
        return g

    assert "some rows: [0]" in structure(first_row, "cross_entropy_grad", layout="NC")


def test_only_some_classes() -> None:
    def last_class(x, y):
        g = ce_grad(x, y)
        g[:, -1] += 0.1
        return g

    assert "some classes: [2]" in structure(last_class, "cross_entropy_grad", layout="NC")


def test_off_the_diagonal_only() -> None:
    def softmax_jacobian(x):
        p = softmax(x)
        J = p[:, :, None] * p[:, None, :]  # a sign lost
        n = np.arange(p.shape[1])
        J[:, n, n] = p * (1 - p)
        return J

    assert "Off the diagonal only" in structure(softmax_jacobian, "softmax_jacobian")


def test_on_the_diagonal_only() -> None:
    def softmax_jacobian(x):
        p = softmax(x)
        return p[:, :, None] * np.eye(p.shape[1]) ** 2 * 2 - p[:, :, None] * p[:, None, :]

    assert "On the diagonal only" in structure(softmax_jacobian, "softmax_jacobian")


def test_a_constant_difference() -> None:
    assert "+0.25" in structure(lambda x, y: sg.cross_entropy(x, y) + 0.25, "cross_entropy")


def test_only_at_large_logits() -> None:
    def log_softmax_saturates(x):
        return np.where(np.abs(x) > 300, -7.0, log_softmax(x))

    report = sg.examine(log_softmax_saturates, "log_softmax")
    assert not report.healthy
    assert np.abs(report.findings[0].example.inputs["logits"]).max() > 300


def test_the_wrong_shape() -> None:
    assert "shape" in structure(lambda x: softmax(x)[:, :-1], "softmax")
    assert "shape" in structure(lambda x, y: np.zeros(7), "cross_entropy_grad")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.sum(axis=0), "added up over the rows"),
        (lambda v: 3 * v.mean(axis=0, keepdims=True), "added up over the rows"),
        (lambda v: (v @ [1.0, 2.0, 4.0])[:, None], ""),
        (lambda v: v[-1], "of the last row alone"),
        (lambda v: (v**2).sum(), ""),
        (lambda v: v[:, :2], ""),
    ],
)
def test_what_a_result_of_another_shape_is_made_of(change: Any, words: str) -> None:
    logits = np.array([[0.1, 2.0, -1.0], [0.5, 0.0, 1.5], [3.0, -2.0, 0.2], [0.0, 0.3, 0.7]])
    right = [sg.cross_entropy.grad(k * logits, [0, 2, 1, 1]) for k in (1.0, 0.5)]
    found = describe(right, [np.asarray(change(v)) for v in right])
    assert found.startswith("It returns shape")
    assert found.endswith(f"is right: it has the right numbers {words}." if words else "is right.")


def test_a_gradient_that_is_added_up_over_the_rows() -> None:
    def gradient(x, y):
        return (softmax(x) - np.eye(x.shape[1])[y]).sum(axis=0)

    assert "the right numbers added up over the rows" in structure(gradient, "cross_entropy_grad")


def test_none_is_returned() -> None:
    report = sg.examine(lambda x: None, "softmax")
    assert report.findings[0].title == "It returns None"


def test_text_is_returned() -> None:
    report = sg.examine(lambda x: "probabilities", "softmax")
    assert not report.healthy
    assert "real numbers" in str(report)


@pytest.mark.parametrize("error", [KeyError("p"), ZeroDivisionError(), RuntimeError("no\nway")])
def test_an_error_is_reported_and_not_raised(error: Exception) -> None:
    def softmax_raises(x):
        raise error

    report = sg.examine(softmax_raises)
    assert type(error).__name__ in report.findings[0].title
    assert type(error).__name__ in str(report)
    assert report.to_html()


def test_the_example_of_an_error_is_the_smallest_that_raises_it() -> None:
    def softmax_of_few(x):
        if x.shape[1] > 2:
            raise ValueError("too many")
        raise KeyError("two")

    def softmax_of_more(x):
        if x.shape[-2] < 2:
            return softmax(x)
        raise ValueError("too many")

    (finding,) = sg.examine(softmax_of_few).findings
    assert finding.title == "It raises ValueError"
    assert finding.example.inputs["logits"].shape == (1, 3)
    (finding,) = sg.examine(softmax_of_more, layout="NC").findings
    np.testing.assert_array_equal(finding.example.inputs["logits"], np.zeros((2, 2)))


def test_of_two_results_both_are_looked_at() -> None:
    """That the loss alone would need fewer mistakes is no reason to leave the gradient out."""

    def loss_and_grad(logits, y):
        p = softmax(logits.T).T
        grad = one_hot(y, logits.shape[1]) - p
        return -np.log(p[np.arange(len(y)), y]).mean(), grad

    report = sg.examine(loss_and_grad, layout="NC")
    assert report.kind == "cross_entropy_value_and_grad"
    assert report.mistakes == (8, 13, 18, 21)


def test_zeros_of_a_function_without_a_name_say_nothing() -> None:
    with pytest.raises(OptionError, match="pass kind="):
        sg.examine(lambda a, b, c: a)


def test_an_exit_is_no_exit() -> None:
    def softmax_exits(x):
        raise SystemExit(3)

    assert "exit(3)" in str(sg.examine(softmax_exits))


def test_a_loop_without_end_is_ended() -> None:
    def softmax_hangs(x):
        while True:
            pass

    start = time.monotonic()
    report = sg.examine(softmax_hangs, time_limit=0.3)
    assert time.monotonic() - start < 5
    assert report.findings[0].title == "It does not return"


def test_arguments_that_no_softmax_has() -> None:
    report = sg.examine(lambda a, b, c, d, e: a, "softmax")
    assert "arguments" in report.findings[0].title


def test_what_is_printed_does_not_appear(capsys: pytest.CaptureFixture[str]) -> None:
    def softmax_prints(x):
        print("here I am")
        return softmax(x)

    report = sg.examine(softmax_prints)
    assert report.healthy
    assert "here I am" in report.notes[0]
    assert capsys.readouterr().out == ""


def test_chance_is_noticed_and_the_generators_are_left_alone() -> None:
    generator = np.random.default_rng(0)

    def softmax_noisy(x):
        return softmax(x) * (1 + 1e-6 * generator.normal(size=x.shape))

    random.seed(5)
    before = random.getstate()
    report = sg.examine(softmax_noisy)
    assert not report.healthy
    assert "every call" in report.findings[0].structure.lower()
    assert random.getstate() == before


def test_state_between_calls_is_noticed() -> None:
    seen = []

    def softmax_remembers(x):
        seen.append(1)
        return softmax(x) * (1 if len(seen) < 14 else 2)

    assert not sg.examine(softmax_remembers).healthy


def test_inputs_are_copies() -> None:
    kept = []

    def softmax_keeps(x):
        kept.append(x)
        return softmax(x)

    assert sg.examine(softmax_keeps).healthy
    kept[0][:] = 7
    assert sg.examine(softmax_keeps).healthy


def test_what_cannot_be_asked() -> None:
    with pytest.raises(OptionTypeError, match="call"):
        sg.examine(3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="softmax_vjp"):
        sg.examine(softmax, "softmaxx")
    with pytest.raises(OptionError, match="layout"):
        sg.examine(softmax, layout="rows")
    with pytest.raises(OptionError, match="pass kind="):
        sg.examine(lambda x: x**3 + math.pi)


def test_a_class_that_needs_arguments() -> None:
    class Softmax:
        def __init__(self, size):
            self.size = size

        def forward(self, x):
            return softmax(x)

        def backward(self, g):
            return g

    assert "instance" in str(sg.examine(Softmax))
    assert not sg.examine(Softmax(3)).healthy


def test_the_report_as_data_text_and_page() -> None:
    def softmax_wrong(x):
        return np.exp(x) / np.exp(x).sum(axis=0)

    report = sg.examine(softmax_wrong)
    again = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert str(again) == str(report)
    assert again.to_html() == report.to_html()
    assert max(map(len, str(report).splitlines())) <= 80
    assert "<h3>1. The wrong axis" in report._repr_html_()
    assert report.to_html().startswith("<!doctype html>")
    assert not bool(report)
    assert repr(report) == "<softgrad report on softmax_wrong (softmax): mistakes [8, 11]>"


def test_code_in_a_name_stays_text() -> None:
    def f(x):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in sg.examine(f, "softmax").to_html()
