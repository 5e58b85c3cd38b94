"""The end of a network classifier: what its outputs mean, by the loss that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.errors import OptionError
from softgrad.functions import ACTIVATIONS
from softgrad.functions.softmax import log_softmax, softmax
from softgrad.network import Activation, WithOptions

Array = npt.NDArray[Any]

COMPETING, INDEPENDENT, LABELS = "competing classes", "one against the rest", "labels"


@dataclass(frozen=True)
class Head:
    """How the outputs z of the last Linear become probabilities.

    ``meaning``: classes that compete (softmax of z); a yes or no for each class, of which one is
    right (sigmoid of z, divided by their sum over the classes); or labels of which any number is
    right (sigmoid of z). ``last`` is the activation between z and the loss, if there is one.
    """

    meaning: str
    last: Activation | None
    indices: bool  # whether the loss takes class indices

    def target(self, encoded: Array, n_classes: int, dtype: np.dtype[Any]) -> Array:
        """What the loss takes, from class positions (N,) or an indicator (N, L)."""
        if self.meaning == LABELS:
            return encoded.astype(dtype)
        if self.indices:
            return encoded.astype(np.int64)
        one_hot = np.zeros((len(encoded), n_classes), dtype)
        one_hot[np.arange(len(encoded)), encoded] = 1.0
        return one_hot

    def logits(self, z: Array) -> Array:
        """Numbers whose softmax are the probabilities; of labels the log-odds."""
        return _log_sigmoid(z) if self.meaning == INDEPENDENT else z

    def probabilities(self, z: Array) -> Array:
        """Probabilities of the classes, or of every label."""
        if self.meaning == LABELS:
            return np.asarray(ACTIVATIONS["sigmoid"](z))
        return np.asarray(softmax(self.logits(z)))

    def log_probabilities(self, z: Array) -> Array:
        """Their logarithms, computed in log space."""
        return (
            _log_sigmoid(z) if self.meaning == LABELS else np.asarray(log_softmax(self.logits(z)))
        )


def head_for(loss: WithOptions, *, multi_label: bool) -> Head:
    """The head that fits the loss, or the reason why there is none."""
    kind, name = loss.loss, loss.loss.name
    if name == "distillation":
        raise OptionError(
            "distillation learns from the logits of a teacher, not from labels: train a "
            "softgrad.network.Sequential with them as the target."
        )
    if multi_label:
        if kind.multi_label or (kind.takes == "values" and "values" in kind.targets):
            return Head(LABELS, _sigmoid_unless_logits(kind.takes), False)
        raise OptionError(
            f"{name} chooses one class for each row, but y has columns of labels of which any "
            "number may be right. Use binary_cross_entropy or sigmoid_focal."
        )
    if kind.multi_label:
        return Head(INDEPENDENT, _sigmoid_unless_logits(kind.takes), False)
    indices = "indices" in kind.targets
    if kind.takes == "logits" or not (kind.takes != "values" or "values" in kind.targets):
        return Head(COMPETING, None, indices)
    last = "log_softmax" if kind.takes == "log_probabilities" else "softmax"
    return Head(COMPETING, Activation(ACTIVATIONS[last]), indices)


def _sigmoid_unless_logits(takes: str) -> Activation | None:
    return None if takes == "logits" else Activation(ACTIVATIONS["sigmoid"])


def _log_sigmoid(z: Array) -> Array:
    return np.asarray(ACTIVATIONS["log_sigmoid"](z))
