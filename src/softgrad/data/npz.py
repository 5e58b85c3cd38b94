"""NPZ: arrays saved by ``numpy.savez``. Pickled objects are refused: they could run code."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError, Dataset, check_numbers
from softgrad.data.images import as_rows
from softgrad.data.labels import check_labels

_FEATURES = ("X", "x", "data", "images", "features", "x_train", "X_train")
_LABELS = ("y", "target", "labels", "label", "y_train")


def read_npz(path: Path, target: str | None = None, *, labelled: bool = True) -> Dataset:
    """Read features, and labels where ``labelled``; ``target`` names the array of labels."""
    name = path.name
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"{name} is a single array. Save features and labels with savez.")
            label = label_key(archive.files, target, labelled, name)
            features = feature_key(archive.files, label, name)
            X: npt.NDArray[Any] = archive[features]
            y = None if label is None else archive[label]
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError):
        raise DataError(
            f"{name} is damaged or not an NPZ file. Write it again with savez."
        ) from None
    except ValueError:  # what allow_pickle=False refuses
        raise DataError(
            f"{name} holds Python objects, which cannot be read without running code."
            " Save numbers, or text as y.astype(str)."
        ) from None
    rows, image_shape, unit = as_rows(X, name)
    check_numbers(rows, name)
    if y is not None:
        y = check_labels(y, name)
        if len(y) != len(rows):
            raise DataError(
                f"{name}: {features!r} has {len(rows)} rows, {label!r} has {len(y)}."
                " They must belong to each other row by row."
            )
    return Dataset(name, rows, y, None, image_shape, unit, label or "label")


def label_key(keys: list[str], target: str | None, labelled: bool, name: str) -> str | None:
    """The array of labels: the one named, or the first of the usual names."""
    if target is not None and target in keys:
        return target
    if not labelled:
        return next((key for key in _LABELS if key in keys), None)
    found = next((key for key in _LABELS if key in keys), None) if target is None else None
    if found is None:
        wanted = "an array of labels" if target is None else f"an array {target!r}"
        raise DataError(f"{name} has no {wanted[3:]}. Choose --target from: {', '.join(keys)}.")
    return found


def feature_key(keys: list[str], label: str | None, name: str) -> str:
    """The array of features: one of the usual names, or the only one left."""
    others = [key for key in keys if key != label]
    named = [key for key in _FEATURES if key in others]
    if named:
        return named[0]
    if len(others) == 1:
        return others[0]
    raise DataError(
        f"{name}: which array holds the features? It has {', '.join(keys) or 'none'}. Call it 'X'."
    )
