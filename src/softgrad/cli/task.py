"""What there is to train on: rows in memory, or a file that is read in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.cli.network_options import NetworkOptions
from softgrad.data import DataError, Dataset, check_classes, match_labels, read_labelled
from softgrad.data import stratified_split as split
from softgrad.data.streamed import StreamedData, read_streamed
from softgrad.data.text import TextFeatures
from softgrad.errors import OptionError
from softgrad.estimators import SoftmaxRegression
from softgrad.modelfile import Classifier
from softgrad.report import Measured, Metrics

_ROWS_OF_GRADIENT_CHECK = 512


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    source: str
    target: str | None
    labels: Path | None
    drop: list[str]
    text: str | None
    stream: bool
    out: Path | None
    C: float
    validation: float
    seed: int
    tol: float
    max_iter: int
    balanced: bool
    network: NetworkOptions | None = None


@dataclass(frozen=True)
class Task:
    """Rows to train on and rows to measure on.

    ``watched`` are the validation rows of the learning curve: all of them where they are in memory.
    """

    train: Dataset | StreamedData
    validation: Dataset | StreamedData
    classes: npt.NDArray[Any]
    watched: Dataset
    text: TextFeatures | None = None

    def fit(self, model: SoftmaxRegression) -> None:
        if isinstance(self.train, StreamedData):
            model.fit(self.train.batches)
        else:
            model.fit(self.train.X, self.train.labels)

    def measure(self, model: Classifier) -> Metrics:
        """Metrics of all validation rows."""
        measured = Measured(len(model.classes_))
        for X, labels in self._validation_rows():
            target = match_labels(labels, model.classes_, self.validation.name)
            measured.add(model.predict_log_proba(X), target)
        return measured.metrics()

    def rows_of_gradient_check(self) -> Dataset:
        """Some training rows of every class."""
        rows = self.train.sample if isinstance(self.train, StreamedData) else self.train
        share = min(0.5, _ROWS_OF_GRADIENT_CHECK / rows.n_rows)
        _, some = split(rows.labels, share, seed=0)
        return rows.take(some) if len(np.unique(rows.labels[some])) > 1 else rows

    def _validation_rows(self) -> Iterator[tuple[Any, npt.NDArray[Any]]]:
        if isinstance(self.validation, StreamedData):
            for batch in self.validation.batches:
                yield batch.X, batch.y
        else:
            yield self.validation.X, self.validation.labels


def open_task(options: Options) -> Task:
    """Read, check and split what ``options`` name."""
    return _streamed(options) if options.stream else _in_memory(options)


def _in_memory(options: Options) -> Task:
    data = read_labelled(options.source, options.target, options.labels, options.drop, options.text)
    check_classes(data.labels, data.name, data.target_name)
    train_rows, validation_rows = split(data.labels, options.validation, options.seed)
    if len(validation_rows) == 0:
        raise DataError(
            f"{data.name}: none of the {data.n_rows} rows is left for validation."
            " Provide more rows, or a larger --validation."
        )
    train, validation = data.take(train_rows), data.take(validation_rows)
    text = None
    if data.texts is not None and data.feature_names:  # learnt from the training rows alone
        text = TextFeatures.learn(train.texts, data.feature_names[0], data.name)
        train, validation = text.encode(train), text.encode(validation)
    return Task(train, validation, np.unique(train.labels), validation, text)


def _streamed(options: Options) -> Task:
    if options.text is not None:
        raise OptionError(
            "--stream does not read texts: their words must be counted in memory. Omit --stream,"
            " or give a table of numbers."
        )
    if options.labels is not None:
        raise OptionError(
            "--labels belongs to IDX files, which --stream cannot read in parts (it can: Parquet,"
            " CSV, NPZ written by savez). Convert the file, or omit --stream."
        )
    train, validation = read_streamed(
        options.source,
        options.target,
        drop=options.drop,
        validation=options.validation,
        seed=options.seed,
    )
    return Task(train, validation, train.classes, validation.sample)
