"""Parquet files that fit into memory; for larger ones there is :mod:`softgrad.data.batches`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError, Dataset, check_numbers


def is_parquet(path: Path) -> bool:
    """Whether the name or the first bytes say so."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read_parquet(
    path: Path,
    target: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
) -> Dataset:
    """A table. ``target`` names the column of labels, ``columns`` the features (or: the rest)."""
    from softgrad.data.batches import ParquetBatches

    source = ParquetBatches(path, target, columns=columns, drop=drop)
    assert source.n_rows is not None
    X = np.empty((source.n_rows, source.n_features), source.dtype)
    labels: list[npt.NDArray[Any]] = []
    start = 0
    for batch in source:
        X[start : start + len(batch.y)] = batch.X
        labels.append(batch.y)
        start += len(batch.y)
    check_numbers(X, source.name, source.feature_names)
    y = None if target is None else np.concatenate(labels)
    return Dataset(source.name, X, y, source.feature_names, target_name=target or "label")


def parquet_parts(
    path: Path, target: str | None = None, *, columns: Sequence[str] | None = None
) -> Iterator[Dataset]:
    """The same, some rows at a time."""
    from softgrad.data.batches import ParquetBatches

    source = ParquetBatches(path, target, columns=columns)
    n_rows = 0
    for batch in source:
        check_numbers(batch.X, source.name, source.feature_names, n_rows)
        n_rows += len(batch.y)
        y = None if target is None else batch.y
        names = source.feature_names
        yield Dataset(source.name, batch.X, y, names, target_name=target or "label")


def read_parquet_texts(
    path: Path, text: str, target: str | None = None, option: str | None = "--text"
) -> Dataset:
    """The column of texts, and the column of labels where ``target`` names one."""
    parts = list(parquet_text_parts(path, text, target, option))
    texts = np.concatenate([part.texts for part in parts])
    y = None if target is None else np.concatenate([part.labels for part in parts])
    return replace(parts[0], X=np.empty((len(texts), 0)), y=y, texts=texts)


def parquet_text_parts(
    path: Path, text: str, target: str | None = None, option: str | None = "--text"
) -> Iterator[Dataset]:
    """The same, some rows at a time."""
    from softgrad.data.batches import ParquetBatches
    from softgrad.data.batches.arrow import arrow_labels

    source = ParquetBatches(path, target, columns=[], text=text, text_option=option)
    first = 0
    labels = repeat(None) if target is None else source.column(target)
    for part, classes in zip(source.column(text), labels, strict=False):
        if not (str(part.type).endswith("string") or str(part.type).startswith("string")):
            raise DataError(
                f"{source.name}: column {text!r} holds {part.type}, not text."
                " Choose another --text."
            )
        texts = part.to_pylist()
        missing = next((row for row, value in enumerate(texts) if not (value or "").strip()), None)
        if missing is not None:
            raise DataError(
                f"{source.name}: row {first + missing + 1}, column {text!r} has no text."
                " Remove the row or fill it in."
            )
        yield Dataset(
            name=source.name,
            X=np.empty((len(texts), 0)),
            y=None if target is None else arrow_labels(classes, target, source.name, first),
            feature_names=[text],
            target_name=target or "label",
            texts=np.array(texts, dtype=object),
        )
        first += len(texts)
