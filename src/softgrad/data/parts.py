"""Rows for a model that was trained before, some at a time: files may be larger than memory.

CSV, Parquet, svmlight and NPZ files (not compressed) are read in parts; what is small by nature,
such as images in IDX files, is one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softgrad.data.batches.arrays import is_mappable, npz_batches
from softgrad.data.dataset import Dataset, check_numbers
from softgrad.data.idx import is_idx
from softgrad.data.labels import match_labels
from softgrad.data.parquet import is_parquet, parquet_parts, parquet_text_parts
from softgrad.data.read import Layout, existing, is_npz, read_labelled_for, read_unlabelled
from softgrad.data.svmlight import is_svmlight, svmlight_parts
from softgrad.data.table import csv_parts, csv_text_parts


def unlabelled_parts(source: str, layout: Layout) -> Iterator[Dataset]:
    """The rows that :func:`~softgrad.data.read.read_unlabelled` reads."""
    path = Path(source)
    if layout.text is None and path.is_file() and is_npz(path):
        if is_mappable(path):
            return _mapped(path, None, labelled=False)
        return iter((read_unlabelled(source, layout),))
    parts = _parts(source, layout, None)
    return iter((read_unlabelled(source, layout),)) if parts is None else parts


def labelled_parts(
    source: str, layout: Layout, target: str, labels: Path | None = None
) -> Iterator[Dataset]:
    """The rows that :func:`~softgrad.data.read.read_labelled_for` reads; labels may be texts."""
    path = Path(source)
    parts = None
    if labels is None:
        if layout.text is None and path.is_file() and is_npz(path) and is_mappable(path):
            parts = _mapped(path, target, labelled=True)
        elif layout.columns is not None or layout.text is not None:
            parts = _parts(source, layout, target)
    return iter((read_labelled_for(source, layout, target, labels),)) if parts is None else parts


def matched_parts(
    parts: Iterator[Dataset], classes: npt.NDArray[np.generic]
) -> Iterator[tuple[Dataset, npt.NDArray[np.int64]]]:
    """Each part with the position of its labels in ``classes``."""
    first = 0
    for part in parts:
        yield part, match_labels(_as_the_classes(part.labels, classes), classes, part.name, first)
        first += part.n_rows


def _as_the_classes(
    labels: npt.NDArray[np.generic], classes: npt.NDArray[np.generic]
) -> npt.NDArray[np.generic]:
    """Texts as integers where these are classes: " 7", "07" and "7" are the same label."""
    if labels.dtype.kind == "U" and classes.dtype.kind in "iu":
        try:
            return np.array([int(text) for text in labels.tolist()], dtype=np.int64)
        except (ValueError, OverflowError):
            return labels  # one of them is none of the classes, and will be named
    return labels


def _parts(source: str, layout: Layout, target: str | None) -> Iterator[Dataset] | None:
    """The parts of a table or of svmlight rows; None for what is read whole."""
    path = Path(source)
    if not path.is_file() or is_idx(path) or is_npz(path):
        return None
    path = existing(source)
    if is_svmlight(path):
        if layout.text is not None or layout.n_features is None or layout.zero_based is None:
            return None
        return svmlight_parts(path, layout.n_features, layout.zero_based)
    if layout.text is not None:
        texts = parquet_text_parts if is_parquet(path) else csv_text_parts
        return texts(path, layout.text, target, None)
    if is_parquet(path):
        return parquet_parts(path, target, columns=layout.columns)
    return csv_parts(path, target, columns=layout.columns)


def _mapped(path: Path, target: str | None, *, labelled: bool) -> Iterator[Dataset]:
    source = npz_batches(path, target, labelled=labelled)
    first = 0
    for batch in source:
        check_numbers(batch.X, source.name, None, first)
        part = Dataset(source.name, batch.X, batch.y, None, source.image_shape)
        yield replace(part, y=batch.y if labelled else None)
        first += len(batch.y)
