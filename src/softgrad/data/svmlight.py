"""svmlight, also called libsvm: lines of ``label index:value index:value``, read as SciPy CSR."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.labels import check_labels

_SUFFIXES = (".svm", ".svmlight", ".libsvm")
_PART_BYTES = 8 << 20
_MOST_FEATURES = 2**31 - 1  # of a part: those of the file, whatever they are


def is_svmlight(path: Path) -> bool:
    """Whether the name says so: ``.svm``, ``.svmlight``, ``.libsvm``, with or without ``.gz``."""
    return path.name.lower().removesuffix(".gz").removesuffix(".bz2").endswith(_SUFFIXES)


def read_svmlight(
    path: Path, n_features: int | None = None, zero_based: bool | None = None
) -> Dataset:
    """Rows (N, D) and labels. Features count from 1, unless the file has a feature 0.

    ``n_features`` and ``zero_based`` are those of the data a model was trained on. Features beyond
    these are left out: training would have given them weights of zero, as it never saw them.
    """
    X, y = _load(path)
    if X.shape[0] == 0:
        raise _no_rows(path)
    if X.nnz == 0:
        raise _labels_only(path)
    return _dataset(path.name, X, y, n_features, zero_based, 0)


def svmlight_parts(path: Path, n_features: int, zero_based: bool) -> Iterator[Dataset]:
    """The same for a model, some rows at a time."""
    if path.suffix in (".gz", ".bz2"):  # no part of these can be found without all before it
        yield read_svmlight(path, n_features, zero_based)
        return
    first = stored = 0
    for offset in range(0, path.stat().st_size, _PART_BYTES):
        X, y = _load(path, offset=offset, length=_PART_BYTES, n_features=_MOST_FEATURES)
        if X.shape[0] == 0:
            continue
        stored += X.nnz
        yield _dataset(path.name, X, y, n_features, zero_based, first)
        first += X.shape[0]
    if first == 0:
        raise _no_rows(path)
    if stored == 0:
        raise _labels_only(path)


def _load(path: Path, **part: int) -> tuple[Any, Any]:
    from sklearn.datasets import load_svmlight_file

    try:
        X, y = load_svmlight_file(str(path), zero_based=True, **part)
    except FileNotFoundError:
        raise
    except (ValueError, IndexError, OverflowError, EOFError, OSError) as error:
        what = " ".join(str(error).split())[:80]
        raise DataError(
            f"{path.name} is not a well-formed svmlight file ({what})."
            " Each line is a label, then index:value pairs with rising indices."
        ) from None
    return X, y


def _no_rows(path: Path) -> DataError:
    return DataError(f"{path.name} has no rows. Give one line for each example.")


def _labels_only(path: Path) -> DataError:
    return DataError(f"{path.name} holds labels only. Give index:value pairs after each label.")


def _dataset(
    name: str, X: Any, y: Any, n_features: int | None, zero_based: bool | None, first_row: int
) -> Dataset:
    """Rows as the file numbers their features, as a data set; ``first_row`` rows lie before."""
    has_zero = bool((X.indices == 0).any())
    if zero_based is False and has_zero:
        raise DataError(
            f"{name} has a feature 0, the model was trained on features that count from 1."
            " Write both files with the same counting."
        )
    from_zero = has_zero if zero_based is None else zero_based
    X = X if from_zero else X[:, 1:]
    if n_features is not None:
        X.resize(X.shape[0], n_features)
    bad = np.flatnonzero(~np.isfinite(X.data))
    if len(bad):
        row = int(np.searchsorted(X.indptr, bad[0], side="right"))
        index = int(X.indices[bad[0]]) + (not from_zero)
        what = "NaN" if np.isnan(X.data[bad[0]]) else "an infinite value"
        raise DataError(
            f"{name}: row {first_row + row}, feature {index} holds {what}."
            " Remove such rows or fill in a number."
        )
    first = 0 if from_zero else 1
    names = [str(index) for index in range(first, first + X.shape[1])]
    return Dataset(name, X, check_labels(y, name), names, zero_based=from_zero)
