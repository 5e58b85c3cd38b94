"""Labels read from files: which type they have, and whether they are labels at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError

Array = npt.NDArray[Any]

_MANY_VALUES = 20


def parse_labels(texts: list[str], column: str, name: str) -> Array:
    """Integers where every text is one, otherwise the texts."""
    for row, text in enumerate(texts):
        if not text:
            raise DataError(
                f"{name}: row {row + 1} has no label in column {column!r}."
                " Remove the row or fill in its class."
            )
    try:
        return np.array([int(text) for text in texts], dtype=np.int64)
    except OverflowError:
        return np.array(texts)
    except ValueError:
        _refuse_measurements(texts, column, name)
        return np.array(texts)


def check_labels(labels: Array, name: str) -> Array:
    """Labels from an array: integers, integral floats, booleans or texts, in one dimension."""
    if labels.ndim == 2 and 1 in labels.shape:
        labels = labels.ravel()
    if labels.ndim != 1:
        raise DataError(
            f"{name}: the labels have shape {labels.shape}, but must be one class for each row."
            " Turn one-hot rows into classes with argmax(axis=1)."
        )
    if labels.dtype.kind == "f":
        if not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
            raise DataError(
                f"{name}: the labels are measurements ({labels[labels != np.rint(labels)][0]:g}),"
                " not classes. Choose another target, or bin it into classes first."
            )
        return labels.astype(np.int64)
    if labels.dtype.kind not in "iubU":
        raise DataError(
            f"{name}: labels of type {labels.dtype} are not classes. Use integers or text."
        )
    return labels


def check_classes(labels: Array, name: str, target: str) -> None:
    """Raise :class:`DataError` unless a classifier can be trained on these labels."""
    check_class_count(np.unique(labels), len(labels), name, target)


def check_class_count(classes: Array, n_rows: int, name: str, target: str) -> None:
    """The same, of labels that are not at hand all at once."""
    if len(classes) == 1:
        raise DataError(
            f"{name}: only one class, {classes[0]!s}, in {target!r}."
            " A classifier needs at least two: check the target and any filter."
        )
    if 2 * len(classes) > n_rows:
        raise DataError(
            f"{name}: more classes than its rows can teach: {len(classes)} different values of"
            f" {target!r} in {n_rows} rows. Is it an identifier or a measurement? Choose"
            " another --target, or provide at least two rows for each class."
        )


def match_labels(
    labels: Array, classes: Array, name: str, first_row: int = 0
) -> npt.NDArray[np.int64]:
    """The position of each label in ``classes``; text and numbers are compared as text.

    ``first_row`` rows lie before these.
    """
    if labels.dtype.kind != classes.dtype.kind:
        labels, classes = labels.astype(str), classes.astype(str)
    order = np.argsort(classes, kind="stable")
    position = np.minimum(np.searchsorted(classes, labels, sorter=order), len(classes) - 1)
    index = order[position]
    unknown = classes[index] != labels
    if unknown.any():
        row = int(np.argmax(unknown))
        known = ", ".join(map(str, classes[:6])) + (", ..." if len(classes) > 6 else "")
        raise DataError(
            f"{name}: row {first_row + row + 1} has the label {str(labels[row])!r}, which the model"
            f" does not know (it knows {known}). Check the target, or train on data that has this"
            " class."
        )
    matched: npt.NDArray[np.int64] = index.astype(np.int64)
    return matched


def _refuse_measurements(texts: list[str], column: str, name: str) -> None:
    try:
        numbers = {float(text) for text in texts}
    except ValueError:
        return
    if len(numbers) > _MANY_VALUES:
        raise DataError(
            f"{name}: column {column!r} holds measurements (such as {texts[0]}), not classes."
            " Choose another --target, or bin it into classes first."
        )
