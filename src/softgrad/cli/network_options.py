"""The options of a network on the command line: how they are told, and what they make."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softgrad.errors import OptionError

if TYPE_CHECKING:
    from softgrad.cli.task import Options
    from softgrad.estimators import NeuralNetClassifier

EPOCHS = 20
_OF_REGRESSION = {"C": "-C", "tol": "--tol", "max_iter": "--max-iter"}
_NOT_OF_THE_MODEL = ("hidden", "patience", "checkpoint", "resume")


@dataclass(frozen=True)
class NetworkOptions:
    """What the user asked for; None where nothing was said."""

    hidden: str
    activation: str | None = None
    loss: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    warm_up: int | None = None
    momentum: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    dropout: float | None = None
    weight_decay: float | None = None
    clip_norm: float | None = None
    label_smoothing: float | None = None
    patience: int | None = None
    checkpoint: Path | None = None
    resume: bool = False

    def model(self, *, seed: int, balanced: bool) -> NeuralNetClassifier:
        """The classifier, before training."""
        from softgrad.estimators import NeuralNetClassifier

        given = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _NOT_OF_THE_MODEL and getattr(self, field.name) is not None
        }
        if self.patience is not None:
            given |= {"early_stopping": True, "patience": self.patience}
        return NeuralNetClassifier(
            sizes(self.hidden),
            dtype="float32",
            class_weight="balanced" if balanced else None,
            random_state=seed,
            **{"epochs": EPOCHS, **given},
        )

    def words(self) -> list[str]:
        """These options as they are written on a command line."""
        words = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None or value is False:
                continue
            words.append("--" + field.name.replace("_", "-"))
            if value is not True:
                words.append(repr(value) if isinstance(value, float) else str(value))
        return words


def sizes(text: str) -> tuple[int, ...]:
    """256,128 as numbers."""
    if text.strip().lower() == "none":
        return ()
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1:
        raise OptionError(
            f"--hidden takes the sizes of the hidden layers, such as 256,128, or 'none', but is"
            f" {text!r}."
        )
    return numbers


def command_line(options: Options, network: NetworkOptions) -> str:
    """The command that trains this network on these data."""
    words = ["softgrad", "train", options.source]
    for name, value in (
        ("--target", options.target),
        ("--labels", options.labels),
        ("--text", options.text),
    ):
        if value is not None:
            words += [name, str(value)]
    for column in options.drop:
        words += ["--drop", column]
    words += ["--validation", repr(options.validation), "--seed", str(options.seed)]
    if options.balanced:
        words.append("--balanced")
    return shlex.join(words + network.words())


def refuse_mixed_options(context: Any, *, network: bool) -> None:
    """Options of a network need --hidden, those of softmax regression must not stand beside it."""
    given = {
        name
        for name in context.params
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    if network:
        for name, option in _OF_REGRESSION.items():
            if name in given:
                raise OptionError(
                    f"{option} belongs to softmax regression; a network (--hidden) has"
                    " --weight-decay, --epochs and --patience."
                )
        if "stream" in given:
            raise OptionError(
                "--stream reads a file in parts for softmax regression; a network needs its rows"
                " in memory. Omit --stream, or train softgrad.network.Sequential on the stream."
            )
        return
    own = {field.name for field in fields(NetworkOptions)} - {"hidden"}
    for name in sorted(own & given):
        raise OptionError(
            f"--{name.replace('_', '-')} belongs to networks. Add --hidden with the sizes of the"
            " hidden layers, such as --hidden 256,128."
        )
