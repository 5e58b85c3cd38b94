"""Which last activation fits which loss: fused, exact, or refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest

import softgrad as sg
from softgrad.network import Activation, Dropout, Linear, Sequential, WithOptions
from tests.network.cases import function, rows, target

REFUSED = [
    (["softmax"], "cross_entropy", "applied twice"),
    (["softmax", "identity"], "cross_entropy", "applied twice"),
    (["softmin"], "cross_entropy", "applied twice"),
    (["sigmoid"], "cross_entropy", "yes or no of its own"),
    (["log_sigmoid"], "cross_entropy", "yes or no of its own"),
    (["softmax", "softmax"], "squared_error", "normalized twice"),
    (["softmax"], "nll", "log_softmax"),
    ([], "nll", "log_softmax"),
    (["relu"], "categorical_cross_entropy", "softmax"),
    (["log_softmax"], "categorical_cross_entropy", "softmax"),
    (["sigmoid"], "categorical_cross_entropy", "softmax"),
    (["sparsemax"], "categorical_cross_entropy", "infinite"),
    (["sigmoid"], "binary_cross_entropy", "applied twice"),
    (["softmax"], "binary_cross_entropy", "cannot take"),
    ([], "binary_cross_entropy_probabilities", "sigmoid"),
    (["softmax"], "focal", "applied twice"),
    (["softmax", "identity", "softmax"], "squared_error", "normalized twice"),
    (["sigmoid", "softmax"], "categorical_cross_entropy", "yes or no of its own"),
    (["sigmoid", "log_softmax"], "nll", "yes or no of its own"),
    (["logsumexp"], "cross_entropy", "one number a row"),
    (["logsumexp"], "squared_error", "one number a row"),
]


@pytest.mark.parametrize(("last", "loss", "reason"), REFUSED)
def test_pairs_that_make_no_sense(last, loss, reason):
    layers = [Linear(5, 4), *map(function, last)]
    with pytest.raises(ValueError, match=reason):
        Sequential(layers, loss=function(loss))


def test_dropout_after_softmax_leaves_no_probabilities():
    loss = function("categorical_cross_entropy")
    with pytest.raises(ValueError, match=r"Dropout after softmax.* end the network with softmax"):
        Sequential([Linear(5, 4), sg.softmax, Dropout(0.5)], loss=loss)


def test_dropout_does_not_hide_a_softmax():
    with pytest.raises(ValueError, match="applied twice"):
        Sequential([Linear(5, 4), sg.softmax, Dropout(0.5)], loss=sg.cross_entropy)
    with pytest.raises(ValueError, match="normalized twice"):
        Sequential([Linear(5, 4), sg.softmax, Dropout(0.5), sg.softmax])


@pytest.mark.parametrize("axis", [0, None, (0, 1)])
def test_rows_of_a_batch_are_never_mixed(axis):
    with pytest.raises(ValueError, match="mixes the rows of a batch"):
        Activation(sg.softmax, axis=axis)
    with pytest.raises(ValueError, match="mixes the rows of a batch"):
        WithOptions(sg.cross_entropy, axis=axis)


@pytest.mark.parametrize("axis", [1, -1])
def test_the_axis_of_units_may_be_named(axis):
    net = Sequential([Linear(5, 4), Activation(sg.softmax, axis=axis)], dtype=float, seed=0)
    np.testing.assert_allclose(net.forward(rows()).sum(axis=1), 1.0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin", "sparsemax"])
@pytest.mark.parametrize("more", [[], [Linear(1, 3)]])
def test_no_rows_of_one_unit(name, more):
    with pytest.raises(ValueError, match="one unit"):
        Sequential([Linear(5, 1), function(name), *more])


@pytest.mark.parametrize("loss", ["cross_entropy", "multiclass_hinge", "focal"])
def test_one_logit_is_no_choice(loss):
    with pytest.raises(ValueError, match="binary_cross_entropy"):
        Sequential([Linear(5, 1)], loss=function(loss))


def test_one_unit_with_a_target_a_row_says_how_to_shape_it():
    net = Sequential([Linear(5, 1)], loss=function("binary_cross_entropy"))
    with pytest.raises(ValueError, match=r"target\[:, None\]"):
        net.value_and_grad(rows(), np.zeros(7))


FUSED = [
    ("softmax", "categorical_cross_entropy", "cross_entropy", "indices"),
    ("log_softmax", "nll", "cross_entropy", "indices"),
    ("log_softmax", "cross_entropy", "cross_entropy", "indices"),
    ("sigmoid", "binary_cross_entropy_probabilities", "binary_cross_entropy", "yes"),
]


@pytest.mark.parametrize(("last", "loss", "fused", "kind"), FUSED)
def test_fused_pairs_keep_the_digits_of_logits(last, loss, fused, kind):
    """Logits of 1000: in the probabilities of the two-step form nothing is left of them."""
    net = Sequential([Linear(5, 4), function(last)], loss=function(loss), dtype=np.float64, seed=0)
    logits = Sequential([Linear(5, 4)], loss=function(fused), dtype=np.float64, seed=0)
    for part in (net, logits):
        part.parameters[0][...] *= 1000
    X, y = rows(), target(kind)
    loss_a, gradients_a = net.value_and_grad(X, y)
    loss_b, gradients_b = logits.value_and_grad(X, y)
    assert np.isfinite(loss_a)
    assert loss_a == loss_b
    for a, b in zip(gradients_a, gradients_b, strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(net.forward(X), function(last)(logits.forward(X)))


def test_fusion_multiplies_the_temperatures():
    X, y = rows(), target("indices")
    loss = WithOptions(sg.cross_entropy, temperature=1.5)
    layers = [Linear(5, 4), Activation(sg.log_softmax, temperature=2.0)]
    net = Sequential(layers, loss=loss, dtype=np.float64, seed=0)
    wanted = sg.cross_entropy(net.forward(X), y, temperature=1.5)
    assert net.value(X, y) == pytest.approx(wanted, rel=1e-14)


@pytest.mark.parametrize(("name", "options"), [("reduction", "sum"), ("sample_weight", [1.0])])
def test_options_that_belong_to_a_batch(name, options):
    with pytest.raises(ValueError, match="belongs to a batch"):
        WithOptions(sg.cross_entropy, **{name: options})


def test_options_that_do_not_exist():
    with pytest.raises(ValueError, match="no option 'delta'"):
        WithOptions(sg.cross_entropy, delta=1.0)
    with pytest.raises(ValueError, match="no option 'slope'"):
        Activation(sg.softmax, slope=1.0)
    with pytest.raises(ValueError, match="temperature=-1"):
        Activation(sg.softmax, temperature=-1)
    with pytest.raises(TypeError, match="negative_slope='a'"):
        Activation(function("leaky_relu"), negative_slope="a")
    with pytest.raises(TypeError, match="a loss is one of"):
        WithOptions(np.mean)
    with pytest.raises(TypeError, match="differentiable function"):
        Activation(np.tanh)


def test_accuracy_of_classes_and_of_labels():
    net = Sequential([Linear(3, 3, bias=False)], loss=sg.cross_entropy, dtype=np.float64)
    net.parameters[0] = np.eye(3)
    X = np.array([[3.0, 0, 0], [0, 3.0, 0], [0, 3.0, 0], [0, 0, 3.0]])
    assert net.evaluate(X, [0, 1, 2, 2])[1] == 0.75
    assert net.evaluate(X, np.eye(3)[[0, 1, 2, 1]])[1] == 0.5
    yes = Sequential([Linear(3, 3, bias=False)], loss=function("binary_cross_entropy"))
    yes.parameters[0] = np.eye(3)
    labels = np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 1]])
    assert yes.evaluate(X - 1, labels)[1] == pytest.approx(10 / 12)


@pytest.mark.parametrize(
    ("last", "loss", "kind"),
    [
        ("softmax", "squared_error", "probabilities"),
        ("sigmoid", "huber", "yes"),
        ("identity", "squared_error", "values"),
    ],
)
def test_errors_of_probabilities_have_an_accuracy(last, loss, kind):
    net = Sequential([Linear(5, 4), function(last)], loss=function(loss), dtype=float, seed=0)
    X, y = rows(), target(kind)
    z, (_, accuracy) = net.forward(X), net.evaluate(X, y)
    if kind == "probabilities":
        assert accuracy == np.mean(z.argmax(axis=1) == y.argmax(axis=1)) > 0
    elif kind == "yes":
        assert accuracy == np.mean((z > 0.5) == (y > 0.5)) > 0
    else:
        assert np.isnan(accuracy)


def test_a_pass_through_some_layers():
    net = Sequential([Linear(5, 4), sg.sigmoid, Linear(4, 3), sg.softmax], dtype=float, seed=0)
    X = rows()
    first = X @ net.parameters[0].T + net.parameters[1]
    np.testing.assert_allclose(net.forward(X, until=1), first, rtol=1e-12)
    np.testing.assert_allclose(sg.softmax(net.forward(X, until=3)), net.forward(X), rtol=1e-12)
