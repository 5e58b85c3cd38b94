"""Columns that only number the rows, such as the index that pandas writes into a CSV file."""

from __future__ import annotations

import numpy as np

from softgrad.cli.task import Task
from softgrad.data import Dataset

_FEW_ROWS = 10


def row_counters(task: Task) -> list[str]:
    """The features whose whole numbers rise from each training row to the next, leaving few out.

    Rows of a table are trained on in their order; those between them are for validation.
    """
    rows = task.train if isinstance(task.train, Dataset) else task.train.sample
    names, X = rows.feature_names, rows.X
    if names is None or rows.texts is not None or not isinstance(X, np.ndarray):
        return []
    if len(X) < _FEW_ROWS:
        return []
    n_rows = task.train.n_rows + task.validation.n_rows
    rising = (X[1:] > X[:-1]).all(axis=0) & (X[-1] - X[0] < n_rows)
    return [names[j] for j in np.flatnonzero(rising) if (X[:, j] == np.rint(X[:, j])).all()]
