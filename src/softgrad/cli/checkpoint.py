"""Checkpoints of a training: from one of them it goes on, bit for bit, or is told why it cannot."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data import Dataset
from softgrad.estimators import NeuralNetClassifier
from softgrad.estimators.neural_net_file import parameters_as_json
from softgrad.modelfile import ModelFileError, read_archive, write_archive

Array = npt.NDArray[Any]

CHECKPOINT_FILE = "checkpoint.softgrad"
_FORMAT = "softgrad checkpoint"
_VERSION = 1
_SECONDS_BETWEEN_STEPS = 30.0
_SECONDS_BETWEEN_EPOCHS = 2.0
_ARCHITECTURE = ("hidden", "activation", "loss")


@dataclass
class Checkpoint:
    """A file that holds the state of one training, and what this training is."""

    path: Path
    identity: dict[str, Any]
    written: float = field(default_factory=time.monotonic)
    seconds_before: float = 0.0

    def is_due(self, *, end_of_epoch: bool) -> bool:
        """Whether so much was computed since the last one that losing it would hurt."""
        limit = _SECONDS_BETWEEN_EPOCHS if end_of_epoch else _SECONDS_BETWEEN_STEPS
        return time.monotonic() - self.written >= limit

    def write(self, state: dict[str, Array], seconds: float) -> None:
        """Replace the file by this state."""
        header = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "seconds": self.seconds_before + seconds,
            **self.identity,
        }
        write_archive(self.path, header, state)
        self.written = time.monotonic()

    def read(self) -> dict[str, Array]:
        """The state, if it is one of this very training."""
        if not self.path.exists():
            raise ModelFileError(
                f"There is no checkpoint {str(self.path)!r} to resume from. Omit --resume to start,"
                " or name its folder with --checkpoint."
            )
        header, state, _ = read_archive(self.path, _FORMAT, _VERSION)
        try:
            self._compare(header)
            self.seconds_before = float(header["seconds"])
        except (KeyError, TypeError):
            raise ModelFileError(f"{self.path.name} lacks a part of its header.") from None
        return state

    def _compare(self, header: dict[str, Any]) -> None:
        name, own = self.path.name, self.identity
        saved, wanted = header["parameters"], own["parameters"]
        if saved["schedule"] == "constant":  # more epochs then do not change those before
            saved = saved | {"epochs": wanted["epochs"]}
        saved = saved | {"patience": wanted["patience"]}
        if any(saved[k] != wanted[k] for k in _ARCHITECTURE) or (
            header["features"],
            header["classes"],
        ) != (own["features"], own["classes"]):
            raise ModelFileError(
                f"{name} is of another architecture: {_architecture(header)}; this command makes"
                f" {_architecture(own)}. Give the same options and data, or omit --resume."
            )
        for key, value in wanted.items():
            if saved[key] != value:
                raise ModelFileError(
                    f"{name} is of a training with --{key.replace('_', '-')} {saved[key]}, not"
                    f" {value}: going on would be another training. Give the same options, or"
                    " omit --resume."
                )
        if header["data"] != own["data"]:
            raise ModelFileError(
                f"{name} is of a training on other rows. Give the same file, --validation and"
                " --seed, or omit --resume."
            )


def identify(model: NeuralNetClassifier, train: Dataset, classes: Array) -> dict[str, Any]:
    """What tells one training from another."""
    parameters = parameters_as_json(model)
    parameters["seed"] = parameters.pop("random_state")
    return {
        "parameters": parameters,
        "features": train.n_features,
        "classes": [str(label) for label in classes],
        "data": _fingerprint(train),
    }


def _fingerprint(data: Dataset) -> str:
    digest = hashlib.blake2b(digest_size=16)
    X = data.X
    parts = [X] if isinstance(X, np.ndarray) else [X.indptr, X.indices, X.data]
    labels = data.labels
    parts.append(labels if labels.dtype.kind != "O" else labels.astype(str))
    for part in parts:
        digest.update(f"{part.shape} {part.dtype}".encode())
        digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _architecture(identity: dict[str, Any]) -> str:
    parameters = identity["parameters"]
    widths = [identity["features"], *parameters["hidden"], len(identity["classes"])]
    activation, loss = parameters["activation"], parameters["loss"]
    loss = "cross_entropy" if loss == "auto" else loss
    return f"{'-'.join(map(str, widths))} with {activation} and {loss}"
