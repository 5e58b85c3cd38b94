"""Initial weights, dropout and running statistics."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.network import Activation, BatchNorm, Dropout, LayerNorm, Linear, Sequential
from tests.network.cases import function

INPUTS, OUTPUTS = 400, 300


def first_weight(*following, init=None) -> np.ndarray:
    net = Sequential([Linear(INPUTS, OUTPUTS, init=init), *following], dtype=np.float64, seed=0)
    assert not net.parameters[1].any(), "biases start at 0"
    return net.parameters[0]


@pytest.mark.parametrize(
    ("following", "variance"),
    [
        ([], 2 / (INPUTS + OUTPUTS)),
        (["sigmoid"], 2 / (INPUTS + OUTPUTS)),
        (["tanh"], 2 / (INPUTS + OUTPUTS)),
        (["relu"], 2 / INPUTS),
        (["gelu"], 2 / INPUTS),
        (["selu"], 1 / INPUTS),
    ],
)
def test_the_activation_that_follows_decides(following, variance):
    weight = first_weight(*map(function, following))
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 4 * np.sqrt(variance / weight.size)


def test_it_is_found_behind_other_layers_and_not_behind_a_linear_one():
    relu = function("relu")
    behind = first_weight(BatchNorm(OUTPUTS), Dropout(0.5), relu)
    assert behind.var() == pytest.approx(2 / INPUTS, rel=0.02)
    assert first_weight(Linear(OUTPUTS, 5), relu).var() == pytest.approx(
        2 / (INPUTS + OUTPUTS), rel=0.02
    )


def test_the_slope_of_a_leaky_relu_counts():
    leaky = Activation(function("leaky_relu"), negative_slope=0.7)
    assert first_weight(leaky).var() == pytest.approx(2 / (1 + 0.49) / INPUTS, rel=0.02)


@pytest.mark.parametrize(
    ("init", "variance", "widest"),
    [
        ("glorot", 2 / (INPUTS + OUTPUTS), 4.0),
        ("glorot_uniform", 2 / (INPUTS + OUTPUTS), 1.733),
        ("he", 2 / INPUTS, 4.0),
        ("he_uniform", 2 / INPUTS, 1.733),
        ("lecun", 1 / INPUTS, 4.0),
        ("lecun_uniform", 1 / INPUTS, 1.733),
    ],
)
def test_named_initializations(init, variance, widest):
    weight = first_weight(sg.sigmoid, init=init)
    assert weight.var() == pytest.approx(variance, rel=0.02)
    largest = np.abs(weight).max() / np.sqrt(variance)
    assert largest < widest if widest < 2 else largest > widest


@pytest.mark.parametrize("shape", [(40, 30), (30, 40)])
def test_orthogonal(shape):
    net = Sequential([Linear(*shape, init="orthogonal")], dtype=np.float64, seed=0)
    w = net.parameters[0]
    small = w @ w.T if shape[0] > shape[1] else w.T @ w
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-12)


def test_an_initialization_of_ones_own():
    assert (first_weight(init=lambda rng, shape: np.full(shape, 3.0)) == 3.0).all()
    with pytest.raises(ValueError, match=r"init returned shape \(2,\) for the weight"):
        first_weight(init=lambda rng, shape: np.zeros(2))


def test_the_seed_decides():
    def make(seed, dtype=np.float64):
        return Sequential([Linear(4, 3), sg.sigmoid, Linear(3, 2)], seed=seed, dtype=dtype)

    assert np.array_equal(make(1).vector, make(1).vector)
    assert not np.array_equal(make(1).vector, make(2).vector)
    assert not np.array_equal(make(None).vector, make(None).vector)
    assert np.array_equal(make(1, np.float32).vector, make(1).vector.astype(np.float32))
    assert not np.array_equal(make(1).parameters[0][:2], make(1).parameters[2][:, :4])


def test_dropout():
    net = Sequential(
        [
            Linear(1, 1000, bias=False, init=lambda rng, s: np.ones(s)),
            Dropout(0.3),
            Linear(1000, 2),
        ],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=0,
    )
    X, y = np.ones((200, 1)), np.zeros(200, int)
    passes = net.passes(_space(net), net.layers, training=True, rng=np.random.default_rng(0))
    from softgrad.network import engine

    dropped = engine.forward(net.layers, X, passes)[2]
    assert set(np.unique(dropped)) == {0.0, 1.0 / 0.7}
    assert np.mean(dropped == 0.0) == pytest.approx(0.3, abs=0.005)
    assert not np.array_equal(dropped[0], dropped[1])
    assert np.array_equal(net.forward(X), net.forward(X)), "dropout is for training"
    losses = {
        float(net.value_and_grad(X, y, training=True, rng=np.random.default_rng(s))[0])
        for s in (0, 0, 1)
    }
    assert len(losses) == 2
    with pytest.raises(ValueError, match="rng"):
        net.value_and_grad(X, y, training=True)


def test_the_gradient_is_of_the_same_draw_of_dropout():
    net = Sequential(
        [Linear(3, 20), sg.sigmoid, Dropout(0.5), Linear(20, 2)],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=0,
    )
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(6, 3)), rng.integers(2, size=6)

    def value_and_grad():
        return net.value_and_grad(X, y, training=True, rng=np.random.default_rng(5))

    _, gradients = value_and_grad()
    for parameter, gradient in zip(net.parameters, gradients, strict=True):
        at = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
        values = []
        for step in (1e-5, -2e-5):
            parameter[at] += step
            values.append(float(value_and_grad()[0]))
        parameter[at] += 1e-5
        assert (values[0] - values[1]) / 2e-5 == pytest.approx(gradient[at], rel=1e-6)


def test_running_statistics_move_in_training_only():
    net = Sequential([BatchNorm(2, momentum=0.25), Linear(2, 2)], loss=sg.cross_entropy, seed=0)
    X, y = np.array([[1.0, 10.0], [3.0, 30.0]], np.float32), [0, 1]
    before = net.state()
    net.forward(X), net.value_and_grad(X, y), net.gradcheck(X, y), net.evaluate(X, y)
    assert all(np.array_equal(a, before[n]) for n, a in net.state().items())
    net.value_and_grad(X, y, training=True)
    state = net.state()
    np.testing.assert_allclose(state["0.mean"], [0.5, 5.0])
    np.testing.assert_allclose(state["0.variance"], [0.75 + 0.25 * 2, 0.75 + 0.25 * 200])


def test_normalized_rows_and_batches():
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 5.0, size=(50, 8))
    rows = Sequential([LayerNorm(8)], dtype=np.float64).forward(X)
    np.testing.assert_allclose(rows.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.var(axis=1), 1.0, rtol=1e-4)


def _space(net):
    from softgrad.network.workspace import Workspace

    return Workspace(net.dtype)
