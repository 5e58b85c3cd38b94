"""Layers and losses from the names and numbers that describe them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softgrad.errors import OptionError
from softgrad.network.activation import Activation, function_named
from softgrad.network.dropout import Dropout
from softgrad.network.layer import Layer
from softgrad.network.linear import Linear
from softgrad.network.normalization import BatchNorm, LayerNorm
from softgrad.network.objective import WithOptions, loss_named

_LAYERS: dict[str, type[Layer]] = {
    "Linear": Linear,
    "Dropout": Dropout,
    "BatchNorm": BatchNorm,
    "LayerNorm": LayerNorm,
}


def layer_of(entry: Mapping[str, Any]) -> Layer:
    """The layer that ``Layer.config`` described."""
    options = dict(entry)
    kind = options.pop("layer", None)
    if kind == "Activation":
        return Activation(function_named(options["function"]), **options["options"])
    if kind not in _LAYERS:
        raise OptionError(
            f"There is no layer {kind!r}; known are Activation, {', '.join(_LAYERS)}."
        )
    return _LAYERS[kind](**options)


def loss_of(entry: Mapping[str, Any] | None) -> WithOptions | None:
    """The loss that ``WithOptions.config`` described."""
    if entry is None:
        return None
    return WithOptions(loss_named(entry["loss"]), **entry["options"])
