"""The end of a network: which loss fits which last activation, and what the two are together.

An activation and the loss of its logarithm are one function, computed from the logits without the
cancellation and the overflow in between: softmax and categorical cross-entropy, log_softmax and
nll, sigmoid and binary cross-entropy. All other pairs that make sense go through the activation's
own vjp, which is exact as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

import softgrad
from softgrad._protocol import Loss
from softgrad._typing import Array
from softgrad.errors import OptionError, OptionTypeError
from softgrad.network.activation import Activation, check_axis
from softgrad.network.layer import Layer
from softgrad.network.pairs import last_activation, meaning, refuse_end

#: (activation, loss of its output): the same loss of the activation's input.
_FUSED = {
    ("softmax", "categorical_cross_entropy"): "cross_entropy",
    ("log_softmax", "nll"): "cross_entropy",
    ("log_softmax", "cross_entropy"): "cross_entropy",  # log_softmax(log_softmax(x)) is the inner
    ("sigmoid", "binary_cross_entropy_probabilities"): "binary_cross_entropy",
}

_PER_BATCH = ("sample_weight", "where", "reduction")  # they belong to a batch, or to the network


@final
class WithOptions:
    """A loss with options, as the loss of a network.

    Parameters
    ----------
    loss : Loss
        ``sg.cross_entropy``, ``sg.huber``, ...
    **options
        What the loss takes beside the target: ``label_smoothing``, ``ignore_index``, ``delta``,
        ``class_weight``, ...

    Raises
    ------
    TypeError
        If it is no loss of the library.
    ValueError
        If the loss has no such option, or one that belongs to a batch: sample weights are passed
        to ``value_and_grad``.

    Examples
    --------
    >>> import softgrad as sg
    >>> from softgrad.network import WithOptions
    >>> WithOptions(sg.cross_entropy, label_smoothing=0.1)
    WithOptions(cross_entropy, label_smoothing=0.1)
    """

    def __init__(self, loss: Loss, /, **options: Any) -> None:
        if not isinstance(loss, Loss):
            raise OptionTypeError(
                f"{loss!r} is a {type(loss).__name__}; a loss is one of softgrad's: "
                "sg.cross_entropy, ..."
            )
        for name in options:
            if name in _PER_BATCH:
                raise OptionError(
                    f"{name} belongs to a batch, not to the network's loss."
                    + (" Pass it to value_and_grad." if name == "sample_weight" else "")
                )
            if name not in loss.options:
                takes = ", ".join(n for n in loss.options if n not in _PER_BATCH)
                raise OptionError(f"{loss.name} has no option {name!r}; it takes {takes}.")
        check_axis(options, loss.name, "a mean of rows")
        self.loss = loss
        self.options = options

    def __repr__(self) -> str:
        if not self.options:
            return self.loss.name
        shown = ", ".join(f"{k}={v!r}" for k, v in self.options.items())
        return f"WithOptions({self.loss.name}, {shown})"

    def config(self) -> dict[str, Any]:
        """The loss as names, numbers and lists, from which it can be made again."""
        options = {k: v.tolist() if hasattr(v, "tolist") else v for k, v in self.options.items()}
        return {"loss": self.loss.name, "options": options}


def loss_named(name: str) -> Loss:
    """The library's loss of this name."""
    loss = getattr(softgrad, name, None)
    if not isinstance(loss, Loss):
        raise OptionError(f"softgrad has no loss {name!r}.")
    return loss


@dataclass
class Objective:
    """A loss of the output of a network's last layer, or of the layer before if ``fused``."""

    loss: Loss
    options: dict[str, Any] = field(default_factory=dict)
    fused: bool = False
    gives: str = "values"  # what the last activation makes of the outputs

    def __post_init__(self) -> None:
        self._weights = {"sample_weight", "class_weight"} & set(self.loss.options)

    def _with(self, sample_weight: Any, class_weight: Any) -> dict[str, Any]:
        if sample_weight is None and class_weight is None:
            return self.options
        options = dict(self.options)
        for name, weight in (("sample_weight", sample_weight), ("class_weight", class_weight)):
            if weight is None:
                continue
            if name not in self._weights:
                raise OptionError(f"{self.loss.name} has no {name}.")
            options[name] = weight
        return options

    def value(self, z: Array, target: Any, sample_weight: Any, class_weight: Any) -> Any:
        return self.loss(z, target, **self._with(sample_weight, class_weight))

    def value_and_grad(
        self, z: Array, target: Any, sample_weight: Any, class_weight: Any, out: Array | None
    ) -> tuple[Any, Array]:
        options = self._with(sample_weight, class_weight)
        return self.loss.value_and_grad(z, target, out=out, **options)

    def row_values_and_grads(
        self, z: Array, target: Any, sample_weight: Any, class_weight: Any
    ) -> tuple[Array, Array]:
        options = {**self._with(sample_weight, class_weight), "reduction": "none"}
        return self.loss.value_and_grad(z, target, **options)

    def hvp(self, z: Array, target: Any, v: Array, sample_weight: Any, class_weight: Any) -> Array:
        return self.loss.hvp(z, target, v, **self._with(sample_weight, class_weight))

    # --- What the outputs say -------------------------------------------------------------------

    @property
    def multi_label(self) -> bool:
        return self.loss.multi_label

    def accuracy(self, z: Array, target: Any) -> float:
        """The share of rows (with several labels: of labels) that z has right; NaN if no such."""
        right = self.right(z, target)
        if right is None or not right.size:
            return float("nan")
        return float(np.count_nonzero(right)) / right.size

    def right(self, z: Array, target: Any) -> Array | None:
        """Which rows z has right; None where the targets are no classes."""
        loss, classes = self.loss, np.asarray(target)
        if z.ndim != 2 or not z.shape[1]:
            return None
        if loss.multi_label:
            yes = z > (0.0 if loss.takes == "logits" else 0.5)
            return np.asarray(yes == (classes > 0.5)) if classes.shape == z.shape else None
        if not loss.targets & {"indices", "probabilities"}:
            # An error of values: of probabilities, if those are what the network gives.
            if self.gives == "yes" and classes.shape == z.shape:
                return np.asarray((z > 0.5) == (classes > 0.5))
            if self.gives != "probabilities":
                return None
        if classes.shape == z.shape:
            classes = np.argmax(classes, axis=1)
        return np.asarray(np.argmax(z, axis=1) == classes)


def make_objective(layers: Sequence[Layer], width: int | None, bound: WithOptions) -> Objective:
    """The loss and the last activation as one function, or the reason why they do not fit.

    ``width`` is the number of units of the last layer.
    """
    refuse_end(layers, width, bound.loss)
    if isinstance(layers[-1], Activation):
        fused = _fuse(layers[-1], bound)
        if fused is not None:
            return fused
    return Objective(bound.loss, dict(bound.options), gives=meaning(last_activation(layers)[0]))


def _fuse(last: Activation, bound: WithOptions) -> Objective | None:
    name = _FUSED.get((last.function.name, bound.loss.name))
    loss = getattr(softgrad, name, None) if name else None
    if not isinstance(loss, Loss) or set(last.options) - {"temperature"}:
        return None
    options = dict(bound.options)
    if "temperature" in last.options:
        options["temperature"] = last.options["temperature"] * options.get("temperature", 1.0)
    if not set(options) <= set(loss.options) or options.get("axis", -1) != -1:
        return None
    return Objective(loss, options, fused=True)


def as_bound(loss: Loss | WithOptions) -> WithOptions:
    """A loss with or without options, as one with."""
    return loss if isinstance(loss, WithOptions) else WithOptions(loss)
