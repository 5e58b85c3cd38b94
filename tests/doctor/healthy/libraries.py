"""The library's own functions, and SciPy's."""

from __future__ import annotations

import scipy.special

import softgrad as sg
from tests.doctor.healthy.registry import healthy

for _function, _kind in (
    (sg.softmax, "softmax"),
    (sg.log_softmax, "log_softmax"),
    (sg.logsumexp, "logsumexp"),
    (sg.sigmoid, "sigmoid"),
    (sg.sigmoid.jacobian, "sigmoid_grad"),
    (sg.softmax.jacobian, "softmax_jacobian"),
    (sg.softmax.vjp, "softmax_vjp"),
    (sg.softmax.vjp, "softmax_backward"),
    (sg.cross_entropy, "cross_entropy"),
    (sg.cross_entropy.grad, "cross_entropy_grad"),
    (sg.cross_entropy.value_and_grad, "cross_entropy_value_and_grad"),
    (scipy.special.softmax, "softmax"),
    (scipy.special.log_softmax, "log_softmax"),
    (scipy.special.logsumexp, "logsumexp"),
    (scipy.special.expit, "sigmoid"),
):
    healthy(_kind)(_function)


@healthy("cross_entropy")
def summed_loss(x, y):
    return sg.cross_entropy(x, y, reduction="sum")


@healthy("cross_entropy")
def one_loss_a_row(x, y):
    return sg.cross_entropy(x, y, reduction="none")


@healthy("cross_entropy_grad")
def gradient_of_the_sum(x, y):
    return sg.cross_entropy.grad(x, y, reduction="sum")
