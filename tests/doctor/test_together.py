"""Training steps that take their weights as one tuple or dictionary."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from tests.doctor.patients import softmax


def gradients(W, b, X, y, share=1.0):
    p = softmax(X @ W + b)
    p[np.arange(len(y)), y] -= 1
    p *= share / len(y)
    return X.T @ p, p.sum(axis=0)


def step_of_a_tuple(params, X, y, lr=0.1):
    W, b = params
    dW, db = gradients(W, b, X, y)
    return W - lr * dW, b - lr * db


def step_of_a_dictionary(parameters, X, y, lr=0.1):
    dW, db = gradients(parameters["kernel"], parameters["bias"], X, y)
    return {"kernel": parameters["kernel"] - lr * dW, "bias": parameters["bias"] - lr * db}


def step_of_a_list_upwards(X, y, params, lr):
    W, b = params
    dW, db = gradients(W, b, X, y)
    return [W + lr * dW, b + lr * db]


def step_of_a_sum(params, X, y, lr=0.1):
    dW, db = gradients(params["W"], params["b"], X, y, len(y))
    return {"W": params["W"] - lr * dW, "b": params["b"] - lr * db}


@pytest.mark.parametrize(
    ("function", "mistakes"),
    [
        (step_of_a_tuple, ()),
        (step_of_a_dictionary, ()),
        (step_of_a_list_upwards, (21,)),
    ],
)
def test_weights_that_come_together_are_put_together(function, mistakes):
    report = sg.examine(function, "train_step")
    assert report.mistakes == mistakes, str(report)
    assert "W, b" in report.understood["arguments"]
    assert "It takes its weights together" in str(report)


def test_their_mistakes_are_found():
    report = sg.examine(step_of_a_sum, "train_step", reduction="mean")
    assert report.mistakes == (18,), str(report)


def test_what_cannot_be_put_together_still_raises():
    def train_step(params, X, y):
        return params.nothing

    (finding,) = sg.examine(train_step).findings
    assert finding.title == "It raises AttributeError"
