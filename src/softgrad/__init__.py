"""Softmax and everything that people differentiate through it.

Every function is an object that carries its derivatives:

>>> import softgrad as sg
>>> x = [2.0, 1.0, 0.0]
>>> sg.softmax(x).round(3)
array([0.665, 0.245, 0.09 ])
>>> sg.softmax.vjp(x, [1.0, 0.0, 0.0]).round(3)
array([ 0.223, -0.163, -0.06 ])
>>> loss, grad = sg.cross_entropy.value_and_grad([x], [0])

See ``help(sg.softmax)``. Importing loads NumPy and the compiled kernels, nothing else; the
classifiers ``SoftmaxRegression`` and ``NeuralNetClassifier`` and what goes with them load
scikit-learn when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softgrad._threads import get_num_threads, num_threads, set_num_threads
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
from softgrad.functions.linear_softmax import linear_softmax
from softgrad.functions.logsumexp import logsumexp
from softgrad.functions.losses import cross_entropy
from softgrad.functions.rectifiers import elu, leaky_relu, relu, selu
from softgrad.functions.regression import absolute_error, half_squared_error, huber, squared_error
from softgrad.functions.softmax import log_softmax, softmax
from softgrad.functions.softmin import softmin
from softgrad.functions.sparsemax import sparsemax

if TYPE_CHECKING:
    from softgrad._info import info, show_info
    from softgrad.derivation import explain
    from softgrad.doctor import examine
    from softgrad.doctor.gradients import check_grad
    from softgrad.estimators import NeuralNetClassifier, SoftmaxRegression, TemperatureScaling
    from softgrad.report.calibration import expected_calibration_error, reliability_diagram

    __version__: str

__all__ = [
    "NeuralNetClassifier",
    "SoftmaxRegression",
    "TemperatureScaling",
    "__version__",
    "absolute_error",
    "binary_cross_entropy",
    "binary_cross_entropy_probabilities",
    "categorical_cross_entropy",
    "check_grad",
    "cross_entropy",
    "distillation",
    "elu",
    "examine",
    "expected_calibration_error",
    "explain",
    "focal",
    "gelu",
    "gelu_tanh",
    "get_num_threads",
    "half_squared_error",
    "huber",
    "identity",
    "info",
    "kl_divergence",
    "leaky_relu",
    "linear_softmax",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "mish",
    "multiclass_hinge",
    "nll",
    "num_threads",
    "reliability_diagram",
    "relu",
    "selu",
    "set_num_threads",
    "show_info",
    "sigmoid",
    "sigmoid_focal",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "sparsemax",
    "squared_error",
    "tanh",
]

_LAZY = {
    "NeuralNetClassifier": "softgrad.estimators",
    "SoftmaxRegression": "softgrad.estimators",
    "TemperatureScaling": "softgrad.estimators",
    "check_grad": "softgrad.doctor.gradients",
    "examine": "softgrad.doctor",
    "expected_calibration_error": "softgrad.report.calibration",
    "explain": "softgrad.derivation",
    "info": "softgrad._info",
    "reliability_diagram": "softgrad.report.calibration",
    "show_info": "softgrad._info",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("softgrad")
    elif name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'softgrad' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
