"""No right implementation is blamed, whatever its style, layout, framework and precision."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from tests.doctor.healthy import HEALTHY
from tests.doctor.patients import Patient, softmax

#: What a class that also has a backward pass may be taken for.
CLASSES = {
    "softmax": ("softmax_backward",),
    "log_softmax": ("softmax_backward",),
    "sigmoid": ("sigmoid_grad",),
    "cross_entropy": ("cross_entropy_value_and_grad",),
}


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: f"{case.kind}{case.id}")
def test_a_right_function_is_healthy(case: Patient) -> None:
    report = sg.examine(case.function, case.kind, **case.options)
    assert report.healthy, str(report)
    assert report.kind == case.kind
    assert "healthy" in str(report)


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: f"{case.kind}{case.id}")
def test_a_right_function_is_healthy_without_its_kind(case: Patient) -> None:
    report = sg.examine(case.function, **case.options)
    assert report.healthy, str(report)
    # A vjp and a backward pass are the same function, and a class that has one is more than its
    # forward pass.
    same = {"softmax_vjp", "softmax_backward", *CLASSES.get(case.kind, ())}
    assert report.kind == case.kind or {report.kind, case.kind} <= {case.kind, *same}


def understood(name: str, **options: object) -> dict[str, str]:
    case = next(c for c in HEALTHY if c.id.endswith(f"-{name}"))
    return sg.examine(case.function, case.kind, **case.options).understood


def test_it_says_how_it_understood_the_function() -> None:
    assert understood("ce_indices")["target"] == "class indices"
    assert understood("ce_indices")["reduction"] == "mean"
    assert understood("ce_one_hot")["arguments"] == "ce_one_hot(target, logits)"
    assert understood("ce_one_hot")["target"] == "one-hot rows"
    assert understood("ce_columns")["layout"].startswith("(C, N)")
    assert understood("ce_columns")["target"] == "one-hot columns"
    assert understood("ce_single_row")["layout"].startswith("(C,)")
    assert understood("ce_of_probabilities")["arguments"].startswith(
        "ce_of_probabilities(probabilities"
    )
    assert understood("one_loss_a_row")["reduction"].startswith("none")
    assert understood("summed_loss")["reduction"] == "sum"
    assert understood("softmax_of_lists")["framework"] in ("plain lists", "NumPy")


def test_a_gradient_of_the_sum_is_right_until_a_mean_is_claimed() -> None:
    def cross_entropy_grad(x, y):
        return softmax(x) - np.eye(x.shape[1])[y]

    report = sg.examine(cross_entropy_grad)
    assert report.healthy
    assert 18 in [remark.mistake for remark in report.remarks]
    assert sg.examine(cross_entropy_grad, reduction="mean").mistakes == (18,)
    assert not [
        r.mistake
        for r in sg.examine(cross_entropy_grad, reduction="sum").remarks
        if r.mistake == 18
    ]


def test_columns_are_right_until_rows_are_claimed() -> None:
    def cross_entropy(Z, Y):
        z = Z - Z.max(axis=0)
        return -np.sum(Y * (z - np.log(np.exp(z).sum(axis=0)))) / Y.shape[1]

    assert sg.examine(cross_entropy).healthy
    assert 8 in [r.mistake for r in sg.examine(cross_entropy).remarks]
    assert 8 in sg.examine(cross_entropy, layout="NC").mistakes


def test_an_output_of_softmax_may_be_the_argument() -> None:
    def softmax_jacobian(v):
        return v[:, :, None] * np.eye(v.shape[1]) - v[:, :, None] * v[:, None, :]

    assert sg.examine(softmax_jacobian, takes="probabilities").healthy
    assert sg.examine(softmax_jacobian, takes="logits").mistakes == (2,)
