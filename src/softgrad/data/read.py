"""One way in: the reader is chosen by what the user names."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.digits import read_digits
from softgrad.data.foreign import refuse_foreign
from softgrad.data.idx import is_idx, read_idx
from softgrad.data.npz import read_npz
from softgrad.data.parquet import is_parquet, read_parquet, read_parquet_texts
from softgrad.data.svmlight import is_svmlight, read_svmlight
from softgrad.data.table import read_csv, read_csv_texts


@dataclass(frozen=True)
class Layout:
    """Which part of a file a model was trained on: named columns, a text, or counted features."""

    columns: Sequence[str] | None = None
    text: str | None = None
    n_features: int | None = None
    zero_based: bool | None = None


def read_labelled(
    source: str,
    target: str | None = None,
    labels: Path | None = None,
    drop: Sequence[str] = (),
    text: str | None = None,
) -> Dataset:
    """Data to train on: ``digits``, or a CSV, Parquet, NPZ, IDX or svmlight file."""
    if text is not None and drop:
        raise DataError("--text takes one column and leaves out all others. Omit --drop.")
    if source == "digits" and not Path(source).exists():
        _only_for_tables(text, "digits")
        digits = read_digits()
        _labels_are_known("'digits'", None if target == digits.target_name else target, drop)
        if labels is not None:
            raise DataError("'digits' has its labels. Omit --labels.")
        return digits
    path = existing(source)
    if is_idx(path):
        _only_for_tables(text, path.name)
        _labels_are_known(path.name, target, drop)
        if labels is None:
            raise DataError(f"{path.name} holds no labels. Add --labels with its file of labels.")
        return read_idx(path, existing(labels))
    if labels is not None:
        raise DataError("--labels belongs to IDX files. Name the column of labels with --target.")
    if is_svmlight(path):
        _only_for_tables(text, path.name)
        _labels_are_known(path.name, target, drop)
        return read_svmlight(path)
    if is_npz(path):
        _only_for_tables(text, path.name)
        _labels_are_known(path.name, None, drop)
        return read_npz(path, target)
    if target is None:
        raise DataError(f"Which column of {path.name} holds the classes? Add --target COLUMN.")
    return _read_table(path, target, Layout(text=text), drop, "--text")


def read_labelled_for(
    source: str, layout: Layout, target: str, labels: Path | None = None
) -> Dataset:
    """Labelled data with what a model was trained on."""
    path = Path(source)
    if path.exists() and is_svmlight(path):
        return read_svmlight(path, layout.n_features, layout.zero_based)
    if source == "digits" or not path.exists() or is_idx(path) or is_npz(path):
        return read_labelled(source, target if is_npz(path) else None, labels, text=layout.text)
    if layout.columns is None and layout.text is None:
        return read_labelled(source, target, labels)
    return _read_table(existing(source), target, layout)


def read_unlabelled(source: str, layout: Layout | None = None) -> Dataset:
    """Data to predict; labels, where present, are of no interest."""
    layout = layout or Layout()
    if source == "digits" and not Path(source).exists():
        _only_for_tables(layout.text, source)
        return read_digits()
    path = existing(source)
    if layout.text is None:
        if is_idx(path):
            return read_idx(path)
        if is_svmlight(path):
            return read_svmlight(path, layout.n_features, layout.zero_based)
        if is_npz(path):
            return read_npz(path, labelled=False)
    return _read_table(path, None, layout)


def _read_table(
    path: Path,
    target: str | None,
    layout: Layout,
    drop: Sequence[str] = (),
    option: str | None = None,
) -> Dataset:
    parquet = is_parquet(path)
    if layout.text is not None:
        return (read_parquet_texts if parquet else read_csv_texts)(
            path, layout.text, target, option
        )
    read = read_parquet if parquet else read_csv
    return read(path, target, columns=layout.columns, drop=drop)


def _only_for_tables(text: str | None, name: str) -> None:
    if text is not None:
        raise DataError(f"{name} has no column of text. Give a CSV or Parquet file with {text!r}.")


def _labels_are_known(name: str, target: str | None, drop: Sequence[str]) -> None:
    """Refuse options that name columns where there are none to choose from."""
    given = [o for o, value in (("--target", target), ("--drop", drop)) if value]
    if given:
        raise DataError(f"{name} is no table of named columns. Omit {' and '.join(given)}.")


def existing(source: str | Path) -> Path:
    """The path of a file that is there, not empty, and not of a kind that is never read."""
    path = Path(source)
    if not str(source):
        raise DataError("There is no file: the name is empty. Check the command.")
    if not path.exists():
        raise DataError(
            f"There is no file {str(source)!r}. Check the name and the folder"
            " ('digits' is built in)."
        )
    if path.is_dir():
        raise DataError(
            f"{str(source)!r} is a folder. Give a CSV, Parquet, NPZ, IDX or svmlight file."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty. Copy or export it again.")
    refuse_foreign(path)
    return path


def is_npz(path: Path) -> bool:
    """Whether the name or the contents say so."""
    return path.suffix.lower() == ".npz" or (path.is_file() and zipfile.is_zipfile(path))
