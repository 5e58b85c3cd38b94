"""What the options of a network classifier mean: names and numbers become layers and optimisers."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from softgrad._protocol import Differentiable, Loss
from softgrad.errors import OptionError, OptionTypeError
from softgrad.functions import ACTIVATIONS, LOSSES
from softgrad.network import Activation, Dropout, Linear, WithOptions
from softgrad.network.layer import Layer
from softgrad.optimize.first_order import SGD, Adam, AdamW, Optimizer
from softgrad.optimize.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "exponential", "one-cycle", "step")
LEARNING_RATES = {"adam": 1e-3, "adamw": 1e-3, "sgd": 0.05}
MOMENTUM = 0.9  # of "sgd"
_LAST_SHARE = 1e-2  # of the learning rate, where "exponential" ends
_STAIRS = 3  # of "step", each a tenth of the one before


def hidden_sizes(hidden: Any) -> tuple[int, ...]:
    """Units of the hidden layers; one number is one layer."""
    sizes = (hidden,) if is_a(Integral, hidden) else hidden
    if isinstance(sizes, str) or not isinstance(sizes, Iterable):
        raise OptionTypeError(
            f"hidden={hidden!r}; accepted are the sizes of the hidden layers, such as (256, 128)."
        )
    sizes = tuple(sizes)
    if not all(is_a(Integral, size) and size >= 1 for size in sizes):
        raise OptionError(f"hidden={hidden!r}; a layer has a whole number of units, at least 1.")
    return tuple(int(size) for size in sizes)


def activation_of(activation: Any) -> Activation:
    """An activation by name, as a function, or with options."""
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, Differentiable):
        return Activation(activation)
    if activation not in ACTIVATIONS:
        raise OptionError(f"activation={activation!r}; accepted are {', '.join(ACTIVATIONS)}.")
    return Activation(ACTIVATIONS[activation])


def loss_of(loss: Any, *, multi_label: bool, label_smoothing: float) -> WithOptions:
    """A loss by name, as a function, or with options; "auto" by what the labels are."""
    if isinstance(loss, str):
        if loss == "auto":
            loss = "binary_cross_entropy" if multi_label else "cross_entropy"
        if loss not in LOSSES:
            raise OptionError(f"loss={loss!r}; accepted are auto, {', '.join(LOSSES)}.")
        loss = LOSSES[loss]
    if isinstance(loss, Loss):
        loss = WithOptions(loss)
    if not isinstance(loss, WithOptions):
        raise OptionTypeError(f"loss={loss!r}; accepted are names of losses and losses.")
    number(label_smoothing, "label_smoothing", 0.0, 1.0)
    if label_smoothing == 0.0:
        return loss
    if "label_smoothing" not in loss.loss.options:
        able = ", ".join(name for name, one in LOSSES.items() if "label_smoothing" in one.options)
        raise OptionError(f"{loss.loss.name} has no label_smoothing; these have: {able}.")
    if "label_smoothing" in loss.options:
        raise OptionError("label_smoothing is given twice: with the loss, and beside it.")
    return WithOptions(loss.loss, **loss.options, label_smoothing=float(label_smoothing))


def hidden_layers(
    n_features: int, n_outputs: int, hidden: tuple[int, ...], activation: Activation, dropout: float
) -> list[Layer]:
    """Linear, activation, dropout for every hidden layer, and a Linear to the outputs."""
    number(dropout, "dropout", 0.0, 1.0, below=True)
    layers: list[Layer] = []
    inputs = n_features
    for size in hidden:
        layers += [Linear(inputs, size), activation]
        if dropout:
            layers.append(Dropout(float(dropout)))
        inputs = size
    layers.append(Linear(inputs, n_outputs))
    return layers


def optimizer_of(
    optimizer: Any,
    learning_rate: float | None,
    momentum: float | None,
    weight_decay: float,
    schedule: Any,
    warm_up: int,
    steps: int | None,
) -> Optimizer:
    """An optimiser whose step sizes follow the schedule over ``steps`` steps (None: unknown)."""
    if isinstance(optimizer, Optimizer):
        for name, given in {
            "learning_rate": learning_rate is not None,
            "momentum": momentum is not None,
            "weight_decay": weight_decay != 0.0,
            "schedule": schedule != "constant",
            "warm_up": warm_up != 0,
        }.items():
            if given:
                raise OptionError(
                    f"{name} is given beside optimizer={optimizer!r}, which brings its own. "
                    "Give the optimiser by name, or set it there."
                )
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise OptionError(
            f"optimizer={optimizer!r}; accepted are {', '.join(OPTIMIZERS)} and optimisers of "
            "softgrad.optimize."
        )
    if momentum is not None and optimizer != "sgd":
        raise OptionError(f"momentum belongs to optimizer='sgd'; {optimizer} has its own.")
    number(weight_decay, "weight_decay", 0.0)
    rates = schedule_of(schedule, learning_rate, LEARNING_RATES[optimizer], warm_up, steps)
    if optimizer == "adam":
        return Adam(rates, weight_decay=float(weight_decay))
    if optimizer == "adamw":
        return AdamW(rates, weight_decay=float(weight_decay))
    momentum = MOMENTUM if momentum is None else number(momentum, "momentum", 0.0, 1.0, below=True)
    return SGD(rates, momentum=momentum, nesterov=momentum > 0.0, weight_decay=float(weight_decay))


def schedule_of(
    schedule: Any, learning_rate: float | None, default: float, warm_up: int, steps: int | None
) -> Schedule:
    """A schedule by name, or one that brings its own step sizes."""
    if not (is_a(Integral, warm_up) and warm_up >= 0):
        raise OptionError(f"warm_up={warm_up!r}; accepted is a number of steps, 0 or more.")
    if isinstance(schedule, Schedule):
        if learning_rate is not None:
            raise OptionError(
                f"learning_rate is given beside schedule={schedule!r}, which brings its own."
            )
        chosen: Schedule = schedule
    else:
        rate = default
        if learning_rate is not None:
            rate = number(learning_rate, "learning_rate", 0.0, above=True)
        chosen = _named_schedule(schedule, rate, steps)
    return WarmUp(chosen, int(warm_up)) if warm_up else chosen


def _named_schedule(name: Any, rate: float, steps: int | None) -> Schedule:
    if name not in SCHEDULES:
        raise OptionError(
            f"schedule={name!r}; accepted are {', '.join(SCHEDULES)} and schedules of "
            "softgrad.optimize."
        )
    if name == "constant":
        return Constant(rate)
    if steps is None:
        raise OptionError(
            f"schedule={name!r} needs the number of steps, which partial_fit never knows. Use "
            "'constant', or a schedule of softgrad.optimize with its own steps."
        )
    if name == "cosine":
        return Cosine(rate, steps=steps)
    if name == "exponential":
        return Exponential(rate, rate * _LAST_SHARE, steps=steps)
    if name == "one-cycle":
        return OneCycle(rate, steps=steps)
    return Step(rate, every=max(1, -(-steps // _STAIRS)))


def number(
    value: Any,
    name: str,
    low: float,
    high: float = float("inf"),
    *,
    above: bool = False,
    below: bool = False,
) -> float:
    """A number from low to high; ``above``, ``below``: without the border itself."""
    inside = is_a(Real, value) and (low < value if above else low <= value)
    inside = inside and (value < high if below or high == float("inf") else value <= high)
    if not inside:
        wanted = f"a number {'above' if above else 'of at least'} {low:g}"
        if high != float("inf"):
            wanted += f" and {'below' if below else 'at most'} {high:g}"
        raise OptionError(f"{name}={value!r}; accepted is {wanted}.")
    return float(value)


def whole(value: Any, name: str, least: int = 1) -> int:
    """A whole number."""
    if not (is_a(Integral, value) and value >= least):
        raise OptionError(f"{name}={value!r}; accepted is a whole number, at least {least}.")
    return int(value)


def is_a(kind: type, value: object) -> bool:
    """Whether it is such a number; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)
