"""Files larger than memory, to train on: what a first reading tells, and the rows to read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.batches import (
    Batch,
    Batches,
    CsvBatches,
    ParquetBatches,
    Summary,
    npz_batches,
    scan,
    split_batches,
)
from softgrad.data.batches.split import is_validation, row_hash, take
from softgrad.data.dataset import DataError, Dataset
from softgrad.data.idx import is_idx
from softgrad.data.images import unit_of
from softgrad.data.labels import check_class_count
from softgrad.data.parquet import is_parquet
from softgrad.data.read import existing, is_npz
from softgrad.data.svmlight import is_svmlight

_SAMPLE_ROWS = 4096  # of each part, held in memory
_SAMPLE_BYTES = 8 << 20


@dataclass(frozen=True)
class StreamedData:
    """Rows that are read again whenever they are needed; the counterpart of :class:`Dataset`.

    ``sample`` holds some of them, drawn evenly; ``deviation`` (D,) is the standard deviation of
    each feature over the whole file.
    """

    name: str
    batches: Batches
    n_rows: int
    n_features: int
    classes: npt.NDArray[Any]
    sample: Dataset
    deviation: npt.NDArray[np.float64]
    feature_names: list[str] | None
    target_name: str
    image_shape: tuple[int, int] | None = None
    unit: float = 1.0
    texts: None = None
    zero_based: None = None


def read_streamed(
    source: str,
    target: str | None,
    *,
    drop: Sequence[str] = (),
    validation: float = 0.2,
    seed: int = 0,
) -> tuple[StreamedData, StreamedData]:
    """Training and validation rows of a Parquet, CSV or NPZ file, after one reading of it.

    Memory does not grow with the number of rows. Every value has been checked.
    """
    batches, label, image_shape = _open(source, target, drop)
    survey = _Survey(batches, validation, seed)
    summary = scan(survey)
    unit = unit_of(image_shape, summary.dtype, survey.largest)
    parts = split_batches(batches, validation, seed)
    for part, found in zip(parts, survey.parts, strict=True):
        part.n_rows = found.n_rows
        part.feature_names = None  # rows to predict will be arrays, as those of a Dataset are
    _check(summary, survey, batches.name, label, validation)
    training, held_back = (
        StreamedData(
            name=batches.name,
            batches=part,
            n_rows=found.n_rows,
            n_features=summary.n_features,
            classes=np.array(sorted(found.classes)),
            sample=Dataset(
                batches.name,
                found.sample.X,
                found.sample.y,
                summary.feature_names,
                image_shape,
                unit,
                label,
            ),
            deviation=np.sqrt(summary.variance),
            feature_names=summary.feature_names,
            target_name=label,
            image_shape=image_shape,
            unit=unit,
        )
        for part, found in zip(parts, survey.parts, strict=True)
    )
    return training, held_back


def _open(
    source: str, target: str | None, drop: Sequence[str]
) -> tuple[Batches, str, tuple[int, int] | None]:
    """The batches, the name of the labels, and height and width of images."""
    if source == "digits" and not Path(source).exists():
        raise DataError("'digits' is built in and small. Omit --stream.")
    path = existing(source)
    kind = "an IDX" if is_idx(path) else "an svmlight" if is_svmlight(path) else None
    if kind is not None:
        raise DataError(
            f"{path.name} is {kind} file, which --stream cannot read in parts (it can: Parquet,"
            " CSV, NPZ written by savez). Convert it, or omit --stream."
        )
    if is_npz(path):
        if drop:
            raise DataError(f"{path.name} has no columns to leave out. Omit --drop.")
        batches = npz_batches(path, target)
        return batches, batches.target, batches.image_shape
    if target is None:
        raise DataError(f"Which column of {path.name} holds the classes? Add --target COLUMN.")
    if is_parquet(path):
        return ParquetBatches(path, target, drop=drop), target, None
    table = CsvBatches(path, target, drop=drop)
    return table, table.target, None


def _check(summary: Summary, survey: _Survey, name: str, target: str, share: float) -> None:
    check_class_count(summary.classes, summary.n_rows, name, target)
    train, validation = survey.parts
    if validation.n_rows == 0:
        raise DataError(
            f"{name}: none of the {summary.n_rows} rows is left for validation."
            " Provide more rows, or a larger --validation."
        )
    without = sorted(validation.classes - train.classes)
    if without:
        raise DataError(
            f"{name}: all rows of class {without[0]!s} fall into the {share:.0%} kept for"
            " validation (--stream draws rows, whatever their class). Try another --seed, or a"
            " smaller --validation."
        )


class _Part:
    """What was seen of one part: rows, classes, and the rows of the smallest hashes."""

    def __init__(self, sample_rows: int) -> None:
        self.n_rows = 0
        self.classes: set[Any] = set()
        self.sample_rows = sample_rows
        self._hash = np.empty(0, np.uint64)
        self._held: Batch | None = None

    def add(self, batch: Batch, hashes: npt.NDArray[np.uint64]) -> None:
        self.n_rows += len(batch.y)
        self.classes.update(np.unique(batch.y).tolist())
        if len(self._hash) >= self.sample_rows:  # most rows of a long file end here
            near = hashes < self._hash.max()
            if not near.any():
                return
            batch, hashes = take(batch, near), hashes[near]
        hashes = np.concatenate((self._hash, hashes))
        smallest = np.sort(np.argsort(hashes, kind="stable")[: self.sample_rows])
        held = batch
        if self._held is not None:
            held = Batch(
                np.concatenate((self._held.X, batch.X)), np.concatenate((self._held.y, batch.y))
            )
        self._hash, self._held = hashes[smallest], take(Batch(held.X, held.y), smallest)

    @property
    def sample(self) -> Batch:
        assert self._held is not None
        return self._held


class _Survey:
    """The source itself, noting as its rows pass what :func:`scan` does not."""

    def __init__(self, source: Batches, share: float, seed: int) -> None:
        self.source, self.share, self.seed = source, share, seed
        self.name = source.name
        self.n_features = source.n_features
        self.n_rows = source.n_rows
        self.feature_names = source.feature_names
        rows = int(np.clip(_SAMPLE_BYTES // (8 * max(1, self.n_features)), 256, _SAMPLE_ROWS))
        self.parts = _Part(rows), _Part(rows)
        self.largest = 0.0

    def __iter__(self) -> Iterator[Batch]:
        first = 0
        for batch in self.source:
            count = len(batch.y)
            hashes = row_hash(first, count, self.seed)
            validation = is_validation(first, count, self.share, self.seed)
            for part, rows in zip(self.parts, (~validation, validation), strict=True):
                if rows.any():
                    part.add(take(batch, rows), hashes[rows])
            if batch.X.dtype == np.uint8:
                self.largest = max(self.largest, float(batch.X.max(initial=0)))
            first += count
            yield batch
