"""The differentiable functions, one module a family.

The functions themselves are in `softgrad`; a module here holds the function's class, and is not
hidden behind the function's name. `ACTIVATIONS` lists those that map an array to one of its shape.
"""

from __future__ import annotations

from softgrad._protocol import Differentiable
from softgrad.functions.activations import identity, log_sigmoid, sigmoid, softplus, softsign, tanh
from softgrad.functions.gates import gelu, gelu_tanh, mish, silu
from softgrad.functions.rectifiers import elu, leaky_relu, relu, selu
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
