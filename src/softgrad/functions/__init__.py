"""The differentiable functions, one module a family.

The functions themselves are in `softgrad`; a module here holds the function's class, and is not
hidden behind the function's name. `LOSSES` lists the losses by name.
"""

from softgrad._protocol import Loss
from softgrad.functions.activations import sigmoid
from softgrad.functions.binary import (
    binary_cross_entropy,
    binary_cross_entropy_probabilities,
    sigmoid_focal,
)
from softgrad.functions.classification import categorical_cross_entropy, multiclass_hinge, nll
from softgrad.functions.divergences import distillation, kl_divergence
from softgrad.functions.focal import focal
from softgrad.functions.losses import cross_entropy
from softgrad.functions.regression import absolute_error, half_squared_error, huber, squared_error
from softgrad.functions.softmax import log_softmax, softmax

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

ACTIVATIONS = {"sigmoid": sigmoid, "softmax": softmax, "log_softmax": log_softmax}
