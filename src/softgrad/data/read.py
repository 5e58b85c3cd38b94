"""One way in: the reader is chosen by what the user names."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.digits import read_digits
from softgrad.data.idx import is_idx, read_idx
from softgrad.data.npz import read_npz
from softgrad.data.table import read_csv


def read_labelled(
    source: str, target: str | None = None, labels: Path | None = None, drop: Sequence[str] = ()
) -> Dataset:
    """Data to train on or to measure a model with: ``digits``, or a CSV, NPZ or IDX file."""
    if source == "digits" and not Path(source).exists():
        return read_digits()
    path = _existing(source)
    if is_idx(path):
        if labels is None:
            raise DataError(f"{path.name} holds no labels. Add --labels with its file of labels.")
        return read_idx(path, _existing(labels))
    if labels is not None:
        raise DataError("--labels belongs to IDX files. Name the column of labels with --target.")
    if _is_npz(path):
        return read_npz(path, target)
    if target is None:
        raise DataError(f"Which column of {path.name} holds the classes? Add --target COLUMN.")
    return read_csv(path, target, drop=drop)


def read_labelled_for(
    source: str, columns: Sequence[str] | None, target: str, labels: Path | None = None
) -> Dataset:
    """Labelled data with the columns that a model was trained on."""
    path = Path(source)
    if columns is None or source == "digits" or not path.exists() or is_idx(path) or _is_npz(path):
        return read_labelled(source, target if _is_npz(path) else None, labels)
    return read_csv(path, target, columns=columns)


def read_unlabelled(source: str, columns: Sequence[str] | None = None) -> Dataset:
    """Data to predict; labels, where present, are of no interest."""
    if source == "digits" and not Path(source).exists():
        return read_digits()
    path = _existing(source)
    if is_idx(path):
        return read_idx(path)
    if _is_npz(path):
        return read_npz(path, labelled=False)
    return read_csv(path, columns=columns)


def _existing(source: str | Path) -> Path:
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"There is no file {str(source)!r}. Check the name and the folder"
            " ('digits' is built in)."
        )
    if path.is_dir():
        raise DataError(f"{str(source)!r} is a folder. Give a CSV, NPZ or IDX file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty. Copy or export it again.")
    return path


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz" or zipfile.is_zipfile(path)
