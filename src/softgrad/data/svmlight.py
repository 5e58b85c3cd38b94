"""svmlight, also called libsvm: lines of ``label index:value index:value``, read as SciPy CSR."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from softgrad.data.dataset import DataError, Dataset
from softgrad.data.labels import check_labels

_SUFFIXES = (".svm", ".svmlight", ".libsvm")


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
    from sklearn.datasets import load_svmlight_file

    name = path.name
    try:
        X, y = load_svmlight_file(str(path), zero_based=True)
    except FileNotFoundError:
        raise
    except (ValueError, IndexError, OverflowError, EOFError, OSError) as error:
        what = " ".join(str(error).split())[:80]
        raise DataError(
            f"{name} is not a well-formed svmlight file ({what})."
            " Each line is a label, then index:value pairs with rising indices."
        ) from None
    if X.shape[0] == 0:
        raise DataError(f"{name} has no rows. Give one line for each example.")
    if X.nnz == 0:
        raise DataError(f"{name} holds labels only. Give index:value pairs after each label.")
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
            f"{name}: row {row}, feature {index} holds {what}."
            " Remove such rows or fill in a number."
        )
    first = 0 if from_zero else 1
    names = [str(index) for index in range(first, first + X.shape[1])]
    return Dataset(name, X, check_labels(y, name), names, zero_based=from_zero)
