"""Gradients and Hessian products of whole networks against finite differences in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import softgrad as sg
from softgrad.network import Activation, BatchNorm, LayerNorm, Linear, Sequential
from tests.network.cases import ACTIVATIONS, ENDS, deep, function, rows, target

WEIGHT = np.linspace(0.2, 2.0, 7)


def slope(value, x: np.ndarray) -> np.ndarray:
    """Central differences of fourth order by every entry of x."""
    found, h = np.empty_like(x), 1e-3
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = h
        near, far = value(x + step) - value(x - step), value(x + 2 * step) - value(x - 2 * step)
        found[at] = (8 * near - far) / (12 * h)
    return found


def end(last: str | None, loss: str) -> Sequential:
    return deep(None if last is None else function(last), function(loss))


@pytest.mark.parametrize(("last", "loss", "kind"), ENDS)
def test_every_end_has_the_right_gradient(last, loss, kind):
    net = end(last, loss)
    assert net.gradcheck(rows(), target(kind), sample_weight=WEIGHT, tolerance=1e-9).passed


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
def test_every_activation_has_the_right_gradient_inside(name):
    net = Sequential(
        [Linear(5, 6), function(name), Linear(6, 5), sg.softmax, Linear(5, 4)],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=1,
    )
    assert net.gradcheck(rows(), target("indices"), tolerance=1e-8).passed


def test_options_of_an_activation_reach_its_derivative():
    net = deep(Activation(sg.log_softmax, temperature=2.5), function("nll"))
    assert net.gradcheck(rows(), target("indices"), tolerance=1e-9).passed
    inside = Sequential(
        [Linear(5, 4), Activation(sg.softmax, temperature=0.3), Linear(4, 4)],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=0,
    )
    assert inside.gradcheck(rows(), target("indices"), tolerance=1e-9).passed
    plain = Sequential([Linear(5, 4), sg.softmax, Linear(4, 4)], dtype=np.float64, seed=0)
    assert not np.allclose(plain.forward(rows()), inside.forward(rows()), rtol=1e-3)


def test_gradients_through_batch_statistics():
    net = Sequential(
        [Linear(5, 6), BatchNorm(6), sg.sigmoid, Linear(6, 4), BatchNorm(4)],
        loss=sg.cross_entropy,
        dtype=np.float64,
        seed=2,
    )
    X, y, gradient = rows(), target("indices"), np.empty_like(net.vector)

    def value(x):
        net.vector[...] = x
        return net.value_and_grad(X, y, training=True)[0]

    start = net.vector.copy()
    wanted = slope(value, start)
    net.vector[...] = start
    net.value_and_grad_vector(X, y, gradient, training=True)
    np.testing.assert_allclose(gradient, wanted, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("training", [False, True])
def test_input_gradient(training):
    if training:
        net = Sequential([LayerNorm(5), sg.sigmoid, Linear(5, 4)], loss=sg.cross_entropy, seed=0)
        net = net.astype(np.float64)
    else:
        net = deep()
    X, y = rows(), target("indices")
    gradient = net.input_grad(X, y, sample_weight=WEIGHT)
    wanted = slope(lambda x: float(net.value(x, y, sample_weight=WEIGHT)), X)
    np.testing.assert_allclose(gradient, wanted, atol=1e-10 * np.abs(wanted).max())


CURVED = [end for end in ENDS if end[1] != "multiclass_hinge"]  # flat between its kinks


@pytest.mark.parametrize(("last", "loss", "kind"), CURVED)
def test_hessian_product_is_the_slope_of_the_gradient(last, loss, kind):
    net, X, y = end(last, loss), rows(), target(kind)
    rng = np.random.default_rng(8)
    direction = [rng.normal(size=p.shape) for p in net.parameters]
    along = np.concatenate([d.ravel() for d in direction])
    product = net.hvp(X, y, direction, sample_weight=WEIGHT)
    start, gradients = net.vector.copy(), {}
    for step in (-2, -1, 1, 2):
        net.vector[...] = start + 1e-3 * step * along
        parts = net.value_and_grad(X, y, sample_weight=WEIGHT)[1]
        gradients[step] = np.concatenate([g.ravel() for g in parts])
    wanted = 8 * (gradients[1] - gradients[-1]) - (gradients[2] - gradients[-2])
    wanted /= 12e-3
    got = np.concatenate([p.ravel() for p in product])
    assert np.linalg.norm(wanted) > 1e-3
    np.testing.assert_allclose(got, wanted, atol=1e-8 * np.abs(wanted).max())


def test_hessian_is_symmetric():
    net, X, y = deep(), rows(), target("indices")
    rng = np.random.default_rng(8)
    a, b = ([rng.normal(size=p.shape) for p in net.parameters] for _ in range(2))
    left = sum((p * q).sum() for p, q in zip(net.hvp(X, y, a), b, strict=True))
    right = sum((p * q).sum() for p, q in zip(net.hvp(X, y, b), a, strict=True))
    assert left == pytest.approx(right, rel=1e-12)


def test_rows_one_by_one():
    net, X, y = deep(), rows(), target("indices")
    losses, gradients = net.per_sample_gradients(X, y, sample_weight=WEIGHT)
    for i in range(len(X)):
        loss, own = net.value_and_grad(X[i : i + 1], y[i : i + 1])
        assert losses[i] == pytest.approx(WEIGHT[i] * loss, rel=1e-12)
        for all_rows, one in zip(gradients, own, strict=True):
            np.testing.assert_allclose(all_rows[i], WEIGHT[i] * one, rtol=1e-9, atol=1e-13)


def test_sparse_rows_are_the_dense_ones():
    net = deep()
    X, y = rows(n=40) * (rows(n=40, seed=9) > 0.5), np.arange(40) % 4
    loss, gradients = net.value_and_grad(X, y)
    sparse_loss, sparse = net.value_and_grad(csr_matrix(X), y)
    assert sparse_loss == pytest.approx(loss, rel=1e-14)
    for a, b in zip(sparse, gradients, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(net.forward(csr_matrix(X)), net.forward(X), rtol=1e-13)
    direction = [np.ones(p.shape) for p in net.parameters]
    for a, b in zip(net.hvp(csr_matrix(X), y, direction), net.hvp(X, y, direction), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(
        net.input_grad(csr_matrix(X), y), net.input_grad(X, y), rtol=1e-9, atol=1e-15
    )


def test_single_precision_follows_double():
    net, X, y = deep(), rows(), target("indices")
    loss, gradients = net.value_and_grad(X, y)
    single_loss, single = net.astype(np.float32).value_and_grad(X, y)
    assert single_loss.dtype == np.float32
    assert single_loss == pytest.approx(loss, rel=1e-5)
    for a, b in zip(single, gradients, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_nothing_is_written_to_what_the_caller_owns():
    X = rows()
    X.flags.writeable = False
    layers = [function("relu"), Linear(5, 4)]
    net = Sequential(layers, loss=sg.cross_entropy, dtype=np.float64, seed=0)
    before = X.copy()
    _, first = net.value_and_grad(X, target("indices"))
    kept = [g.copy() for g in first]
    net.value_and_grad(2 * X, target("indices"))
    assert np.array_equal(X, before)
    for a, b in zip(first, kept, strict=True):
        assert np.array_equal(a, b), "a later call wrote into earlier results"


def test_buffers_of_larger_batches_do_not_show():
    net = deep()
    X, y = rows(n=30), np.arange(30) % 4
    fresh = [net.copy().value_and_grad(X[:n], y[:n]) for n in (3, 30, 5)]
    for n, (loss, gradients) in zip((3, 30, 5), fresh, strict=True):
        again, used = net.value_and_grad(X[:n], y[:n])
        assert again == loss
        for a, b in zip(used, gradients, strict=True):
            assert np.array_equal(a, b)


def test_class_weights_and_smoothing():
    from softgrad.network import WithOptions

    X, y, w = rows(), target("indices"), [1.0, 0.0, 2.0, 5.0]
    net = deep(loss=WithOptions(sg.cross_entropy, label_smoothing=0.2))
    loss, _ = net.value_and_grad(X, y, class_weight=w, sample_weight=WEIGHT)
    wanted = sg.cross_entropy(
        net.forward(X), y, class_weight=w, sample_weight=WEIGHT, label_smoothing=0.2
    )
    assert loss == wanted
    assert net.gradcheck(X, y, class_weight=w, sample_weight=WEIGHT, tolerance=1e-9).passed


def test_gradcheck_sees_a_wrong_gradient(monkeypatch):
    net = deep()
    right = Linear.backward

    def wrong(self, x, y, g, call, wanted):
        result = right(self, x, y, g, call, wanted)
        call.gradients[0][0] *= 1.01
        return result

    monkeypatch.setattr(Linear, "backward", wrong)
    assert not net.gradcheck(rows(), target("indices")).passed
