"""The differentiable functions, one module a family.

The functions themselves are in `softgrad`; a module here holds the function's class, and is not
hidden behind the function's name. `ACTIVATIONS` lists those that map an array to one of its shape,
`LOSSES` the losses.
"""

from __future__ import annotations

from softgrad._protocol import Differentiable, Loss
from softgrad.functions.activations import identity, log_sigmoid, sigmoid, softplus, softsign, tanh
from softgrad.functions.binary import (
    binary_cross_entropy,
    binary_cross_entropy_probabilities,
    sigmoid_focal,
)
from softgrad.functions.classification import categorical_cross_entropy, multiclass_hinge, nll
from softgrad.functions.divergences import distillation, kl_divergence
from softgrad.functions.focal import focal
from softgrad.functions.gates import gelu, gelu_tanh, mish, silu
from softgrad.functions.losses import cross_entropy
from softgrad.functions.rectifiers import elu, leaky_relu, relu, selu
from softgrad.functions.regression import absolute_error, half_squared_error, huber, squared_error
from softgrad.functions.softmax import log_softmax, softmax
from softgrad.functions.softmin import softmin
from softgrad.functions.sparsemax import sparsemax

ACTIVATIONS: dict[str, Differentiable] = {
    function.name: function
    for function in (
        identity,
        sigmoid,
        log_sigmoid,
        tanh,
        relu,
        leaky_relu,
        elu,
        selu,
        softplus,
        softsign,
        gelu,
        gelu_tanh,
        silu,
        mish,
        softmax,
        log_softmax,
        softmin,
        sparsemax,
    )
}

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        cross_entropy,
        nll,
        categorical_cross_entropy,
        binary_cross_entropy,
        binary_cross_entropy_probabilities,
        focal,
        sigmoid_focal,
        squared_error,
        half_squared_error,
        absolute_error,
        huber,
        kl_divergence,
        multiclass_hinge,
        distillation,
    )
}
