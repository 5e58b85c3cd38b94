"""Which functions may follow one another at the end of a network, and why others may not."""

from __future__ import annotations

from collections.abc import Sequence

from softgrad._protocol import Loss
from softgrad.errors import OptionError, ShapeError
from softgrad.network.activation import NORMALIZERS, Activation
from softgrad.network.dropout import Dropout
from softgrad.network.layer import Layer

#: What comes out of an activation; of all others any number.
_GIVES = {
    "softmax": "probabilities",
    "softmin": "probabilities",
    "sparsemax": "probabilities",
    "log_softmax": "log_probabilities",
    "sigmoid": "yes",
    "log_sigmoid": "log_yes",
}

_SMALL = "each of these outputs is a yes or no of its own"


def meaning(activation: Activation | None) -> str:
    """What the outputs mean after this last activation."""
    return "values" if activation is None else _GIVES.get(activation.function.name, "values")


def last_activation(layers: Sequence[Layer]) -> tuple[Activation | None, bool]:
    """The activation whose outputs leave the network, and whether Dropout stands behind it.

    identity and Dropout do not hide it: what is trained is what stands before them.
    """
    dropped = False
    for layer in reversed(layers):
        if isinstance(layer, Dropout):
            dropped = True
        elif not isinstance(layer, Activation):
            return None, False
        elif layer.function.name != "identity":
            return layer, dropped
    return None, False


def refuse_repeated(layers: Sequence[Layer], i: int) -> None:
    """Raise if layer i normalizes what is normalized already."""
    layer, (before, _) = layers[i], last_activation(layers[:i])
    if not isinstance(layer, Activation) or before is None:
        return
    if before.function.name in NORMALIZERS - {"log_softmax"} and layer.function.name in NORMALIZERS:
        raise OptionError(
            f"layer {i}, {layer!r}, takes logits, but {before!r} before it gives probabilities: "
            "normalized twice, no class could get far above the others. Drop one of them."
        )


def refuse_end(layers: Sequence[Layer], width: int | None, loss: Loss) -> None:
    """Raise if the loss cannot mean what comes out of the last of ``width`` units."""
    last, dropped = last_activation(layers)
    name, gives = last.function.name if last is not None else None, meaning(last)
    if width == 0:
        raise ShapeError(
            f"{layers[-1]!r} leaves one number a row, without an axis of units; {loss.name} takes "
            "rows of units. Drop it, or put a Linear in its place."
        )
    if width == 1 and _needs_rivals(loss) and not (gives == "yes" and loss.takes != "values"):
        raise OptionError(
            f"{loss.name} of one unit is the same whatever the network says: classes compete "
            "within a row, and one unit has no rival. Use two units, or binary_cross_entropy for "
            "a yes or no."
        )
    if dropped and loss.takes != "logits":
        name, gives = f"Dropout after {name}" if name else "Dropout", "values"
    reason = _reason(loss, gives, name)
    if reason:
        raise OptionError(
            f"{name or 'A last layer without activation'}, then {loss.name}: {reason}"
        )
    _refuse_yes_before_softmax(layers, loss)


def _needs_rivals(loss: Loss) -> bool:
    return not loss.multi_label and (loss.takes != "values" or "values" not in loss.targets)


def _refuse_yes_before_softmax(layers: Sequence[Layer], loss: Loss) -> None:
    """Sigmoid, softmax and a loss of classes: the softmax does not make the pair a better one."""
    last, _ = last_activation(layers)
    if last is None or last.function.name not in NORMALIZERS or "indices" not in loss.targets:
        return
    at = max(i for i, layer in enumerate(layers) if layer is last)
    before, _ = last_activation(layers[:at])
    if meaning(before) in ("yes", "log_yes"):
        raise OptionError(
            f"{before!r}, then {last!r} and {loss.name}: softmax compares the classes of a row, "
            f"but {_SMALL}, too narrow for one class to get far above the others. Drop {before!r}."
        )


def _reason(loss: Loss, gives: str, name: str | None) -> str | None:
    fits = {
        # takes, several labels: what may come, in the order of the messages' advice
        ("logits", False): ("values", "log_probabilities"),
        ("logits", True): ("values",),
        ("probabilities", False): ("probabilities",),
        ("probabilities", True): ("yes", "probabilities"),
        ("log_probabilities", False): ("log_probabilities",),
        ("log_probabilities", True): ("log_yes",),
    }
    if loss.takes == "values":
        return None
    if gives in fits[loss.takes, loss.multi_label]:
        if name == "sparsemax" and loss.targets != {"values"}:
            return (
                "sparsemax gives probabilities that are exactly 0, whose logarithm is -inf: the "
                "loss would be infinite. Use softmax, or squared_error after sparsemax."
            )
        return None
    if loss.takes == "logits" and not loss.multi_label:
        if gives == "probabilities":
            return (
                f"the loss applies softmax itself, so it would be applied twice. Drop {name}, or "
                "use categorical_cross_entropy, which takes probabilities."
            )
        return (
            f"the loss compares the classes of a row by softmax, but {_SMALL}. Drop {name}, or use "
            "binary_cross_entropy_probabilities with a target of 0 and 1 for each output."
        )
    if loss.takes == "logits":
        again = "would be applied twice" if gives == "yes" else f"cannot take what {name} gives"
        return (
            f"the loss applies sigmoid itself, which {again}. Drop {name}, or use "
            "binary_cross_entropy_probabilities after sigmoid."
        )
    wanted = {
        ("probabilities", False): "probabilities of a row's classes: end the network with softmax",
        ("probabilities", True): "probabilities of yes: end the network with sigmoid",
        ("log_probabilities", False): "log-probabilities: end the network with log_softmax",
        ("log_probabilities", True): "logarithms of probabilities: end it with log_sigmoid",
    }[loss.takes, loss.multi_label]
    logits = "binary_cross_entropy" if loss.multi_label else "cross_entropy"
    return f"the loss takes {wanted}, or use {logits}, which takes logits."
