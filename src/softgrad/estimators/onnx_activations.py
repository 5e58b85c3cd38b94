"""Every activation of the library as nodes of an ONNX graph, from the operators of opset 13.

What runtimes compute in single precision only (Erf, Elu, Selu) is composed or, where it cannot be,
computed in float32 in between; what ONNX lacks (mish, sparsemax, ...) is composed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from softgrad.errors import OptionError
from softgrad.estimators.onnx_graph import Graph
from softgrad.network import Activation

_SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)  # alpha, scale

Builder = Callable[[Graph, str, dict[str, Any]], str]


def activation_nodes(graph: Graph, x: str, activation: Activation) -> str:
    """Add an activation of ``x``; returns the name of its output."""
    name, options = activation.function.name, dict(activation.options)
    if options.pop("axis", -1) not in (-1, 1):
        raise OptionError(f"{activation!r} has another axis than the units; ONNX export has none.")
    if name not in BUILDERS:
        raise OptionError(
            f"{name} has no ONNX counterpart here; exported are {', '.join(BUILDERS)}."
        )
    return BUILDERS[name](graph, x, options)


def _operator(operator: str, **attributes: Any) -> Builder:
    return lambda graph, x, options: graph.add(operator, x, **attributes)


def _log_sigmoid(graph: Graph, x: str, options: dict[str, Any]) -> str:
    return graph.add("Neg", _softplus(graph, graph.add("Neg", x), {}))


def _softplus(graph: Graph, x: str, options: dict[str, Any]) -> str:
    # max(x, 0) + log(1 + exp(-|x|)): no exp overflows
    small = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    rest = graph.add("Log", graph.add("Add", graph.numbers(1.0), small))
    return graph.add("Add", graph.add("Relu", x), rest)


def _leaky_relu(graph: Graph, x: str, options: dict[str, Any]) -> str:
    slope = graph.numbers(options.get("negative_slope", 0.01))
    positive = graph.add("Greater", x, graph.numbers(0.0))
    return graph.add("Where", positive, x, graph.add("Mul", slope, x))


def _elu(graph: Graph, x: str, options: dict[str, Any], scale: float = 1.0) -> str:
    alpha = options.get("alpha", 1.0)
    # exp of what is not positive: the branch that is not taken cannot overflow
    negative = graph.add("Min", x, graph.numbers(0.0))
    below = graph.add("Sub", graph.add("Exp", negative), graph.numbers(1.0))
    positive = graph.add("Greater", x, graph.numbers(0.0))
    return graph.add(
        "Where",
        positive,
        graph.add("Mul", graph.numbers(scale), x),
        graph.add("Mul", graph.numbers(scale * alpha), below),
    )


def _selu(graph: Graph, x: str, options: dict[str, Any]) -> str:
    return _elu(graph, x, {"alpha": _SELU[0]}, scale=_SELU[1])


def _softsign(graph: Graph, x: str, options: dict[str, Any]) -> str:
    return graph.add("Div", x, graph.add("Add", graph.numbers(1.0), graph.add("Abs", x)))


def _gelu(graph: Graph, x: str, options: dict[str, Any]) -> str:
    argument = graph.add("Mul", x, graph.numbers(math.sqrt(0.5)))
    if graph.dtype == np.float64:  # runtimes have Erf in float32 only
        proto = graph.onnx.TensorProto
        single = graph.add("Erf", graph.add("Cast", argument, to=proto.FLOAT))
        erf = graph.add("Cast", single, to=proto.DOUBLE)
    else:
        erf = graph.add("Erf", argument)
    return _half(graph, x, erf)


def _gelu_tanh(graph: Graph, x: str, options: dict[str, Any]) -> str:
    cube = graph.add("Mul", graph.add("Mul", x, x), x)
    inner = graph.add("Add", x, graph.add("Mul", graph.numbers(0.044715), cube))
    scaled = graph.add("Mul", graph.numbers(math.sqrt(2.0 / math.pi)), inner)
    return _half(graph, x, graph.add("Tanh", scaled))


def _half(graph: Graph, x: str, sign: str) -> str:
    """x (1 + sign) / 2."""
    share = graph.add("Add", graph.numbers(1.0), sign)
    return graph.add("Mul", graph.add("Mul", graph.numbers(0.5), x), share)


def _silu(graph: Graph, x: str, options: dict[str, Any]) -> str:
    return graph.add("Mul", x, graph.add("Sigmoid", x))


def _mish(graph: Graph, x: str, options: dict[str, Any]) -> str:
    return graph.add("Mul", x, graph.add("Tanh", _softplus(graph, x, {})))


def _normalized(operator: str, sign: float = 1.0) -> Builder:
    def build(graph: Graph, x: str, options: dict[str, Any]) -> str:
        factor = sign / options.get("temperature", 1.0)
        if factor != 1.0:
            x = graph.add("Mul", graph.numbers(factor), x)
        return graph.add(operator, x, axis=-1)

    return build


def _sparsemax(graph: Graph, x: str, options: dict[str, Any]) -> str:
    """max(x - tau, 0), tau from the sorted row: A. Martins, R. Astudillo (2016), algorithm 1."""
    one, axis = graph.numbers(1.0), graph.tensor(np.array([-1], np.int64))
    units = graph.add("Gather", graph.add("Shape", x), axis)
    # Less the maximum first: the sums stay small.
    shifted = graph.add("Sub", x, graph.add("ReduceMax", x, axes=[-1], keepdims=1))
    ordered, _ = graph.add_many("TopK", shifted, units, outputs=2, axis=-1)
    sums = graph.add("CumSum", ordered, graph.tensor(np.array(-1, np.int64)))
    rank = graph.add("CumSum", _ones_like(graph, ordered), graph.tensor(np.array(-1, np.int64)))
    reach = graph.add("Add", one, graph.add("Mul", rank, ordered))
    inside = graph.add("Cast", graph.add("Greater", reach, sums), to=graph.number)
    size = graph.add("ReduceSum", inside, axis, keepdims=1)
    total = graph.add("ReduceSum", graph.add("Mul", inside, ordered), axis, keepdims=1)
    tau = graph.add("Div", graph.add("Sub", total, one), size)
    return graph.add("Relu", graph.add("Sub", shifted, tau))


def _ones_like(graph: Graph, x: str) -> str:
    return graph.add("Add", graph.add("Mul", x, graph.numbers(0.0)), graph.numbers(1.0))


BUILDERS: dict[str, Builder] = {
    "identity": _operator("Identity"),
    "sigmoid": _operator("Sigmoid"),
    "log_sigmoid": _log_sigmoid,
    "tanh": _operator("Tanh"),
    "relu": _operator("Relu"),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
    "softmax": _normalized("Softmax"),
    "log_softmax": _normalized("LogSoftmax"),
    "softmin": _normalized("Softmax", sign=-1.0),
    "sparsemax": _sparsemax,
}
