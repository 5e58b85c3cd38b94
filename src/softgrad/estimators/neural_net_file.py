"""A network classifier as names, numbers and arrays, and made again from them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad._protocol import Differentiable, Loss
from softgrad.errors import OptionTypeError
from softgrad.estimators.neural_net import NeuralNetClassifier
from softgrad.network import Activation, Sequential, Status, WithOptions
from softgrad.network.config import layer_of, loss_of
from softgrad.optimize import first_order, schedules

Array = npt.NDArray[Any]

_NOT_KEPT = {"on_step", "on_epoch", "verbose"}
_WEIGHTS = "network/"
_MADE_OF_FIELDS = {  # what may stand in a file, by name
    kind.__name__: kind
    for kind in (
        *(first_order.SGD, first_order.Adam, first_order.AdamW),
        *(schedules.Constant, schedules.Cosine, schedules.Exponential, schedules.OneCycle),
        *(schedules.Step, schedules.WarmUp),
    )
}


def describe(model: NeuralNetClassifier) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the JSON part of a file says, and its arrays."""
    about = {
        "parameters": parameters_as_json(model),
        "network": model.network_.config(),
        "multi_label": model._multi_label,
        "epochs": model.n_epochs_,
        "best_epoch": model.best_epoch_,
        "status": model.status_.name,
        "message": model.message_,
        "history": {
            name: [None if math.isnan(value) else value for value in curve]
            for name, curve in model.history_.items()
        },
    }
    arrays = {"mean": model.mean_, "scale": model.scale_, "classes": model.classes_}
    arrays |= {f"{_WEIGHTS}{name}": a for name, a in model.network_.state().items()}
    return about, arrays


def restore(about: dict[str, Any], arrays: dict[str, Array]) -> NeuralNetClassifier:
    """The model; ValueError where the parts do not belong together."""
    network = Sequential.from_config(about["network"])
    network.load_state(
        {k.removeprefix(_WEIGHTS): a for k, a in arrays.items() if k.startswith(_WEIGHTS)}
    )
    mean, scale, classes = arrays["mean"], arrays["scale"], arrays["classes"]
    consistent = (
        mean.shape == scale.shape == (network.inputs,)
        and mean.dtype == scale.dtype == np.float64
        and bool(np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all())
        and bool(np.isfinite(network.vector).all())
        and classes.shape == (network.outputs,)
        and network.loss is not None
    )
    if not consistent:
        raise ValueError("arrays that do not fit the network")
    model = NeuralNetClassifier(**parameters_from_json(about["parameters"]))
    model.network_, model.mean_, model.scale_, model.classes_ = network, mean, scale, classes
    model._multi_label = bool(about["multi_label"])
    model.n_features_in_ = len(mean)
    model.n_epochs_, model.best_epoch_ = int(about["epochs"]), int(about["best_epoch"])
    model.status_, model.message_ = Status[about["status"]], str(about["message"])
    model.history_ = {
        str(name): [math.nan if value is None else float(value) for value in curve]
        for name, curve in about["history"].items()
    }
    return model


def parameters_as_json(model: NeuralNetClassifier) -> dict[str, Any]:
    """The options of the constructor as JSON has them."""
    given = model.get_params(deep=False)
    described = {k: _to_json(k, value) for k, value in given.items() if k not in _NOT_KEPT}
    if isinstance(model.class_weight, dict):  # as pairs: JSON would turn the keys into text
        described["class_weight"] = [
            [_plain(key), float(weight)] for key, weight in model.class_weight.items()
        ]
    return described


def parameters_from_json(described: dict[str, Any]) -> dict[str, Any]:
    """The options of the constructor."""
    given = {name: _from_json(value) for name, value in described.items()}
    if isinstance(given["hidden"], list):
        given["hidden"] = tuple(given["hidden"])
    if isinstance(given["class_weight"], list):
        given["class_weight"] = dict(given["class_weight"])
    return given


def _to_json(name: str, value: Any) -> Any:
    if name in ("random_state", "class_weight") and not isinstance(value, int | str | np.integer):
        return None  # generators; dictionaries are written as pairs
    if isinstance(value, Differentiable):
        value = Activation(value)
    if isinstance(value, Activation):
        return value.config()
    if isinstance(value, Loss):
        value = WithOptions(value)
    if isinstance(value, WithOptions):
        return value.config()
    if type(value).__name__ in _MADE_OF_FIELDS:
        fields = {
            f.name: _to_json(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)
        }
        return {"object": type(value).__name__, "fields": fields}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    plain = _plain(value)
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise OptionTypeError(f"{name}={value!r} cannot be saved; only what softgrad brings can.")


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "object" in value:
        kind = _MADE_OF_FIELDS[value["object"]]
        return kind(**{name: _from_json(field) for name, field in value["fields"].items()})
    if "loss" in value:
        return loss_of(value)
    return layer_of(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
