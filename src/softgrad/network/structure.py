"""Which layers make a network: what may stand in the list, and whether the widths fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from softgrad._protocol import Differentiable, Loss
from softgrad.errors import OptionError, OptionTypeError, ShapeError
from softgrad.network.activation import Activation
from softgrad.network.layer import Layer
from softgrad.network.linear import Linear
from softgrad.network.pairs import refuse_repeated


def as_layers(layers: Iterable[Layer | Differentiable]) -> tuple[Layer, ...]:
    """Layers and bare functions as layers."""
    found = tuple(_as_layer(layer, i) for i, layer in enumerate(layers))
    if not found:
        raise OptionError("A network needs at least one layer.")
    return found


def _as_layer(layer: object, index: int) -> Layer:
    if isinstance(layer, Layer):
        return layer
    if isinstance(layer, Differentiable):
        return Activation(layer)
    hint = ""
    if isinstance(layer, Loss):
        hint = " A loss comes after the layers: Sequential([...], loss=...)."
    elif isinstance(layer, type) and issubclass(layer, Layer):
        hint = f" Make one: {layer.__name__}(...)."
    raise OptionTypeError(
        f"layer {index} is {layer!r}; accepted are layers (Linear, Dropout, ...) and "
        f"differentiable functions of softgrad.{hint}"
    )


def place(layers: Sequence[Layer], index: int) -> str:
    """How messages call a layer."""
    return f"layer {index}, {layers[index]!r}"


def fit_widths(layers: Sequence[Layer]) -> tuple[int | None, int | None]:
    """The features that the first layer wants and the last one gives, None for any number."""
    width: int | None = None
    first: int | None = None
    for i, layer in enumerate(layers):
        wants = layer.wants()
        if wants is not None and width is not None and wants != width:
            what = "one number a row" if width == 0 else f"{width}"
            raise ShapeError(
                f"{place(layers, i)}, wants {wants} features, but what comes from "
                f"{place(layers, i - 1)}, has {what}."
            )
        if wants is not None and width is None:
            width = first = wants
        refuse_repeated(layers, i)
        try:
            width = layer.gives(width)
        except ShapeError as error:
            raise ShapeError(f"{place(layers, i)}: {error}") from None
    return first, width


def next_activation(layers: Iterable[Layer]) -> Layer | None:
    """The activation before the next Linear, if there is one."""
    for layer in layers:
        if isinstance(layer, Activation | Linear):
            return layer if isinstance(layer, Activation) else None
    return None
