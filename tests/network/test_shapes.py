"""What does not fit is refused, naming the layer, what arrived and what it wants."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import softgrad as sg
from softgrad.network import Activation, BatchNorm, Dropout, LayerNorm, Linear, Sequential
from tests.network.cases import deep, function, rows, target


def test_widths_that_do_not_fit():
    with pytest.raises(
        ValueError,
        match=r"layer 2, Linear\(5, 3\), wants 5 features, but what comes from layer 1, sigmoid, "
        r"has 4",
    ):
        Sequential([Linear(7, 4), sg.sigmoid, Linear(5, 3)])
    for layer in (BatchNorm(5), LayerNorm(5)):
        with pytest.raises(ValueError, match="wants 5 features"):
            Sequential([Linear(7, 4), layer])
    with pytest.raises(ValueError, match="one number a row"):
        Sequential([Linear(7, 4), sg.logsumexp, Linear(4, 2)])


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.zeros((3, 4)), r"X has shape \(3, 4\), but layer 0, Linear\(5, 6\), wants \(rows, 5\)"),
        (np.zeros(5), r"X\[None\]"),
        (np.zeros((2, 5, 1)), r"X.reshape\(len\(X\), -1\)"),
        (csr_matrix((3, 4)), r"wants \(rows, 5\)"),
    ],
)
@pytest.mark.parametrize("member", ["forward", "value_and_grad", "input_grad", "hvp", "evaluate"])
def test_rows_that_do_not_fit(X, match, member):
    net = deep()
    arguments = {
        "forward": (),
        "hvp": ([0, 1, 2], [np.zeros(p.shape) for p in net.parameters]),
    }.get(member, ([0, 1, 2],))
    with pytest.raises(ValueError, match=match):
        getattr(net, member)(X, *arguments)


def test_rows_of_other_types():
    net = deep()
    X = np.arange(35).reshape(7, 5) % 3
    for other in (X.astype(np.uint8), X.tolist(), X.astype(np.float16), np.asfortranarray(X)):
        assert np.array_equal(net.forward(other), net.forward(X.astype(float)))
    with pytest.raises(TypeError, match="complex"):
        net.forward(X.astype(complex))
    with pytest.raises(TypeError, match="read as text"):
        net.forward(np.full((2, 5), "a"))
    with pytest.raises(ValueError, match="takes no sparse rows; put a Linear first"):
        Sequential([Dropout(0.5), Linear(5, 4)]).forward(csr_matrix(X.astype(float)))


def test_labels_that_do_not_fit():
    net = deep()
    with pytest.raises(ValueError, match=r"target holds 4 at \[2\]; class indices for 4 classes"):
        net.value_and_grad(rows(3), [0, 1, 4])
    with pytest.raises(ValueError, match="one a row is shape"):
        net.value_and_grad(rows(3), [0, 1])
    with pytest.raises(ValueError, match="sample_weight has shape"):
        net.value_and_grad(rows(3), [0, 1, 2], sample_weight=[1.0])


def test_empty_batches():
    """Nothing took part: loss 0 and gradient 0, as of the losses."""
    net = deep()
    loss, gradients = net.value_and_grad(np.zeros((0, 5)), np.zeros(0, int))
    assert loss == 0.0
    assert all(not gradient.any() for gradient in gradients)
    assert net.forward(np.zeros((0, 5))).shape == (0, 4)
    assert net.input_grad(np.zeros((0, 5)), np.zeros(0, int)).shape == (0, 5)
    with pytest.raises(ValueError, match="at least 2 rows"):
        net.value_and_grad(
            np.zeros((0, 5)), np.zeros(0, int), training=True, rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([], "at least one layer"),
        ([np.tanh], "layer 0 is <ufunc 'tanh'>"),
        ([sg.cross_entropy], "A loss comes after the layers"),
        ([Linear], "Make one: Linear"),
    ],
)
def test_what_is_no_layer(layers, match):
    with pytest.raises((TypeError, ValueError), match=match):
        Sequential(layers)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Linear(0, 3), "inputs=0"),
        (lambda: Linear(3, 2.5), "outputs=2.5"),
        (lambda: Linear(3, 2, init="xavier"), "init='xavier'"),
        (lambda: Dropout(1.0), "rate"),
        (lambda: Dropout(-0.1), "rate"),
        (lambda: LayerNorm(4, epsilon=0.0), "epsilon"),
        (lambda: BatchNorm(4, momentum=2.0), "momentum"),
        (lambda: Sequential([Linear(3, 2)], dtype=np.float16), "float32 or float64"),
    ],
)
def test_options_out_of_range(make, match):
    with pytest.raises((TypeError, ValueError), match=match):
        make()


def test_parameters_are_a_list_that_can_be_set():
    net = deep()
    X, before = rows(), deep().forward(rows())
    new = [np.full(p.shape, 0.1 * i) for i, p in enumerate(net.parameters)]
    net.parameters[0] = new[0]
    assert np.array_equal(net.parameters[0], new[0])
    assert not np.array_equal(net.forward(X), before)
    net.parameters = new
    assert all(np.array_equal(a, b) for a, b in zip(net.parameters, new, strict=True))
    assert np.array_equal(net.vector, np.concatenate([a.ravel() for a in new]))
    net.parameters[1:3] = [2 * a for a in new[1:3]]
    assert np.array_equal(net.parameters[2], 2 * new[2])
    net.parameters[-1][...] = 7.0
    assert (net.vector[-4:] == 7.0).all()
    with pytest.raises(ValueError, match=r"0.weight has shape \(5, 6\); the network's .* \(6, 5\)"):
        net.parameters[0] = new[0].T
    with pytest.raises(ValueError, match="3 arrays were passed; the network has 9 parameters"):
        net.parameters = new[:3]
    kept = net.vector.copy()
    with pytest.raises(ValueError, match="shape"):
        net.parameters = [*new[:-1], np.zeros(5)]
    assert np.array_equal(net.vector, kept), "some were set before one was refused"


def test_states_and_configurations():
    net = deep(Activation(sg.log_softmax, temperature=2.0), function("nll"))
    again = Sequential.from_config(json.loads(json.dumps(net.config())))
    assert repr(again) == repr(net)
    assert again.dtype == net.dtype
    assert not np.array_equal(again.vector, net.vector)
    again.load_state(net.state())
    assert np.array_equal(again.forward(rows()), net.forward(rows()))
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net), net.copy()):
        assert np.array_equal(other.forward(rows()), net.forward(rows()))
        other.parameters[0][...] = 0.0
        assert net.parameters[0].any()


def test_a_state_of_another_architecture():
    net = deep()
    state = net.state()
    with pytest.raises(ValueError, match=r"Only the network has '0.bias'"):
        net.load_state({k: v for k, v in state.items() if k != "0.bias"})
    with pytest.raises(ValueError, match=r"Only the saved state has '9.weight'"):
        net.load_state({**state, "9.weight": np.zeros(3)})
    with pytest.raises(ValueError, match=r"0.weight has shape \(3, 5\) in the saved state"):
        net.load_state({**state, "0.weight": np.zeros((3, 5))})


def test_a_network_without_a_loss():
    net = Sequential([Linear(5, 4), sg.softmax], seed=0)
    assert net.forward(rows()).sum() == pytest.approx(7.0, rel=1e-6)
    with pytest.raises(ValueError, match="no loss"):
        net.value_and_grad(rows(), target("indices"))


def test_rows_in_blocks_are_all_rows():
    net = deep(dtype=np.float32)
    X = rows(n=2500)
    outputs = net.forward(X)
    assert outputs.shape == (2500, 4)
    np.testing.assert_allclose(outputs[-3:], net.forward(X[-3:]), rtol=1e-5)
    out = np.empty((2500, 4), np.float32)
    assert net.forward(X, out=out) is out
    assert np.array_equal(out, outputs)
    with pytest.raises(ValueError, match="out has shape"):
        net.forward(X, out=out[:-1])


def test_threads_do_not_share_buffers():
    from concurrent.futures import ThreadPoolExecutor

    net = deep()
    batches = [rows(n=50, seed=i) for i in range(40)]
    wanted = [net.forward(X) for X in batches]
    with ThreadPoolExecutor(4) as pool:
        for got, expected in zip(pool.map(net.forward, batches), wanted, strict=True):
            assert np.array_equal(got, expected)
