"""Layers: classes with weights inside, as a function of features, weights, bias and target."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection
from typing import Any

import numpy as np

from softgrad.doctor.kinds import Kind
from softgrad.doctor.subject import LayerText, Subject, parameters_of, text_of

_WEIGHTS = ("W", "w", "weights", "weight", "theta", "params")
_BIASES = ("b", "bias", "biases")


def has_weights(target: Any, claimed: Kind | None) -> bool:
    """Whether a class is a layer of its own: made from two sizes, with weights inside."""
    if claimed is not None and claimed.family != "layer":
        return False
    if not inspect.isclass(target):
        return any(hasattr(target, name) for name in _WEIGHTS)
    required, _, _ = parameters_of(target)
    return claimed is not None or len(required or ()) == 2


def layer_subject(target: Any, forward: str, backward: str) -> Subject:
    """A class with weights as a function of features, weights and target."""

    made = inspect.isclass(target)
    text = _text_of(target, forward, backward)

    def run(X: Any, W: Any, b: Any, y: Any) -> Any:
        layer = target(*W.shape) if made else copy.deepcopy(target)
        # Of square weights nobody can tell: a layer of 2 features and 3 classes shows it.
        held = np.shape(getattr(layer, text.weight, W))
        turned = text.turned if made else held == W.shape[::-1] != W.shape
        setattr(layer, text.weight, W.T if turned else W)
        if text.bias:
            flat = np.ndim(getattr(layer, text.bias)) < 2
            setattr(layer, text.bias, b if flat else b.reshape(np.shape(getattr(layer, text.bias))))
        given = (X, y)[: len(text.first)]
        value = getattr(layer, forward)(*given)
        text.output = _output(value, X @ W + b)
        back = {0: (), 1: (y,), 2: (X, y)}.get(len(text.last), (y,))
        result = getattr(layer, backward)(*(() if len(given) == 2 and not text.last else back))
        places = _places(layer, text.weight, text.bias)
        text.kept = {part: place for part, (place, _) in places.items()}
        found = tuple(value for _, value in places.values()) or result
        found = found if isinstance(found, tuple) else (found,)
        text.returned = _parts_of(result, X, W, text.kept)
        upright = tuple(g.T if turned and np.shape(g) == W.shape[::-1] else g for g in found)
        return (*upright, float(value)) if len(given) == 2 and np.ndim(value) == 0 else upright

    cls = target if made else type(target)
    return Subject(
        run,
        cls.__name__,
        ("X", "W", "b", "y"),
        (),
        frozenset(),
        text_of(cls),
        ("numpy",),
        "layer",
        layer=text,
    )


def _text_of(target: Any, forward: str, backward: str) -> LayerText:
    """What is to be seen of a layer of 2 features and 3 classes, or of an instance."""
    make: Any = target
    layer = make(2, 3) if inspect.isclass(target) else target
    weight = next((n for n in _WEIGHTS if hasattr(layer, n)), "W")
    bias = next((n for n in _BIASES if hasattr(layer, n)), "")
    return LayerText(
        forward,
        parameters_of(getattr(layer, forward))[0] or ("X",),
        backward,
        parameters_of(getattr(layer, backward))[0] or (),
        weight,
        bias,
        np.shape(getattr(layer, weight, ())) == (3, 2),
        bool(bias) and np.ndim(getattr(layer, bias)) > 1,
    )


def _output(value: Any, z: Any) -> str:
    """What forward returns: a loss, the logits, or (right or wrong) probabilities."""
    if value is None:
        return ""
    if np.ndim(value) == 0:
        return "loss"
    return "z" if np.shape(value) == z.shape and np.allclose(value, z) else "p"


def _parts_of(result: Any, X: Any, W: Any, kept: Collection[str]) -> tuple[str, ...]:
    """Which gradients backward returns, in their order."""
    arrays = result if isinstance(result, tuple) else (() if result is None else (result,))
    shapes = {"dX": [X.shape], "dW": [W.shape, W.shape[::-1]]}
    order = ("dX", "dW") if "dW" in kept else ("dW", "dX")  # what is kept is seldom returned too
    found: list[str] = []
    for array in arrays:
        fitting = [p for p in order if np.shape(array) in shapes[p] and p not in found]
        found.append(fitting[0] if fitting else "db")
    return tuple(found)


def _places(layer: Any, weight: str, bias: str) -> dict[str, tuple[str, Any]]:
    """The gradients that a layer keeps: in attributes, or in a dictionary of them."""
    held = {f"self.{name}": value for name, value in vars(layer).items()}
    table = getattr(layer, "grads", {})
    held |= {f'self.grads["{key}"]': value for key, value in table.items()}
    found = {}
    for part, name in (("dW", weight), ("db", bias)):
        spellings = (f"d{name}", f"grad_{name}", f"{name}_grad", f"g{name}", f"d_{name}")
        places = [f"self.{s}" for s in spellings]
        places += [f'self.grads["{s}"]' for s in (*spellings, name)]
        place = next((p for p in places if name and p in held), "")
        if place:
            found[part] = (place, held[place])
    return found
