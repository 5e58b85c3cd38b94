"""The passes over the layers: forward, backward, and the two along a direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from softgrad._typing import Array
from softgrad.network.layer import Layer, Pass


def forward(layers: Sequence[Layer], x: Any, passes: Sequence[Pass]) -> list[Any]:
    """The input and every layer's output."""
    outputs = [x]
    for layer, call in zip(layers, passes, strict=True):
        x = layer.forward(x, call)
        outputs.append(x)
    return outputs


def backward(
    layers: Sequence[Layer],
    outputs: Sequence[Any],
    passes: Sequence[Pass],
    g: Array,
    wanted: bool = False,
) -> Array | None:
    """Parameters' gradients into the passes; the gradient by the input, if wanted.

    No layer computes a gradient that no parameter before it needs.
    """
    lowest = next((i for i, call in enumerate(passes) if call.parameters), len(layers))
    gradient: Array | None = g
    for i in reversed(range(0 if wanted else lowest, len(layers))):
        assert gradient is not None
        needed = wanted or i > lowest
        if passes[i].input_free is None:  # the same in every pass of a plan
            passes[i].input_free = not _is_read(layers, outputs, i)
        gradient = layers[i].backward(outputs[i], outputs[i + 1], gradient, passes[i], needed)
    return gradient


def _is_read(layers: Sequence[Layer], outputs: Sequence[Any], i: int) -> bool:
    """Whether a layer before layer i reads that one's input in its own backward pass."""
    for before in reversed(range(i)):
        layer, x, y = layers[before], outputs[before], outputs[before + 1]
        shared = isinstance(x, np.ndarray) and np.may_share_memory(x, y)
        if layer.reads_output or (shared and layer.reads_input):
            return True
        if not shared:
            return False
    return True  # the caller's own rows


def hessian_product(
    layers: Sequence[Layer],
    x: Any,
    passes: Sequence[Pass],
    directions: Sequence[list[Array]],
    value_and_grad: Callable[[Array], tuple[Any, Array]],
    loss_hvp: Callable[[Array, Array], Array],
) -> None:
    """The derivatives of the parameters' gradients into the passes."""
    outputs = [x]
    tangents: list[Array | None] = [None]
    for layer, call, along in zip(layers, passes, directions[: len(layers)], strict=True):
        # Nothing is overwritten here: every input is read a second time.
        call.in_place = False
        y = layer.forward(outputs[-1], call)
        tangents.append(layer.tangent(outputs[-1], y, tangents[-1], along, call))
        outputs.append(y)
    z, dz = outputs[-1], tangents[-1]
    assert dz is not None
    _, g = value_and_grad(z)
    dg = loss_hvp(z, np.ascontiguousarray(dz))
    for i in reversed(range(len(layers))):
        g, dg = layers[i].backward_tangent(
            outputs[i], outputs[i + 1], tangents[i], g, dg, directions[i], passes[i]
        )
