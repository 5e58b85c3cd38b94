"""Rows and labels of a network classifier: checked, named and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, validate_data

from softgrad.errors import InputError, OptionError, TargetError

Array = npt.NDArray[Any]

_DTYPES = [np.float64, np.float32, np.uint8]  # used as they are; everything else becomes float64
_BLOCK = 4096


@dataclass(frozen=True)
class Rows:
    """Rows to learn from: class positions (N,), or an indicator (N, L) of the labels."""

    X: Any
    encoded: Array
    weight: Array | None
    multi_label: bool

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def take(self, rows: npt.NDArray[np.intp]) -> Rows:
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.X[rows], self.encoded[rows], weight, self.multi_label)


@dataclass(frozen=True)
class Encoder:
    """Classes that are known before the labels are seen."""

    classes: Array

    def positions(self, y: Array) -> Array:
        found = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        strange = self.classes[found] != y
        if strange.any():
            row = int(np.argmax(strange))
            known = ", ".join(map(str, self.classes[:6].tolist()))
            more = ", ..." if len(self.classes) > 6 else ""
            raise TargetError(
                f"y holds the label {y[row].item() if hasattr(y[row], 'item') else y[row]!r} in"
                f" row {row}, which is none of the classes ({known}{more}). Name every class at"
                " the first call, or remove such rows."
            )
        return found


def prepare(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    known: Encoder | None = None,
    reset: bool = True,
) -> tuple[Rows, Array]:
    """Check rows and labels, and weigh them; returns them with the classes."""
    X, y = validate_data(
        model,
        X,
        y,
        accept_sparse="csr",
        dtype=_DTYPES,
        order="C",
        multi_output=True,
        ensure_all_finite=False,
        reset=reset,
    )
    X = checked(X, getattr(model, "feature_names_in_", None))
    if hasattr(y, "toarray"):
        y = y.toarray()
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    kind = type_of_target(y)
    if kind == "multiclass-multioutput":
        raise TargetError(
            "y has several columns that are not 0 and 1. Give one class for each row, or one"
            " column of 0 and 1 for each label."
        )
    multi_label = kind == "multilabel-indicator"
    if multi_label:
        classes = np.arange(y.shape[1])
        encoded = y.astype(np.int64)
    elif known is None or not len(known.classes):
        classes, encoded = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise TargetError(
                "NeuralNetClassifier needs at least 2 classes, but y holds only one class:"
                f" {classes[0].item()!r}. Check that y is the label column and was not filtered."
            )
    else:
        classes, encoded = known.classes, known.positions(y)
    weight = _weights(model.class_weight, sample_weight, X, classes, encoded, multi_label)
    return Rows(X, encoded, weight, multi_label), classes


def labels_and_classes(model: Any, classes: Any, first: bool) -> Encoder | None:
    """The classes of a stream: given at the first call, unchanged afterwards."""
    if first:
        return None if classes is None else Encoder(_two_or_more(unique_labels(classes)))
    known: Array = model.classes_
    if classes is not None and not np.array_equal(unique_labels(classes), known):
        raise OptionError(
            f"classes={np.asarray(classes).tolist()} is not the same as on the first call to"
            f" partial_fit: {known.tolist()}."
        )
    return Encoder(known)


def _two_or_more(classes: Array) -> Array:
    if len(classes) < 2:
        raise TargetError(
            "NeuralNetClassifier needs at least 2 classes, but classes holds only one class:"
            f" {classes[0].item()!r}."
        )
    return classes


def new_rows(model: Any, X: Any) -> Any:
    """Rows to predict."""
    X = validate_data(
        model, X, accept_sparse="csr", dtype=_DTYPES, ensure_all_finite=False, reset=False
    )
    return checked(X, getattr(model, "feature_names_in_", None))


def checked(X: Any, names: Any) -> Any:
    """X, if all its numbers are finite; the message names the first that is not."""
    dense = isinstance(X, np.ndarray)
    if not dense and X.dtype == np.uint8:
        X = X.astype(np.float32)
    if X.dtype.kind != "f":
        return X
    numbers = X if dense else X.data
    for start in range(0, len(numbers), _BLOCK):
        finite = np.isfinite(numbers[start : start + _BLOCK])
        if finite.all():
            continue
        first = np.argwhere(~finite)[0]
        if dense:
            row, column = start + int(first[0]), int(first[1])
            bad = X[row, column]
        else:
            entry = start + int(first[0])
            row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
            column, bad = int(X.indices[entry]), X.data[entry]
        what = "NaN" if np.isnan(bad) else "infinity"
        name = f" ({names[column]!r})" if names is not None else ""
        raise InputError(
            f"Input X contains {what}: row {row}, column {column}{name}, counted from 0. Remove"
            " such rows or fill in a number."
        )
    return X


def split_rows(rows: Rows, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Rows to train on, and rows to measure on."""
    from softgrad.data import stratified_split

    labels = np.zeros(len(rows)) if rows.multi_label else rows.encoded
    training, held = stratified_split(labels, fraction, seed)
    if not len(held):
        raise OptionError(
            f"None of the {len(rows)} rows is left for validation. Give more rows, a larger"
            " validation_fraction, or validation rows to fit."
        )
    return rows.take(training), rows.take(held)


def _weights(
    class_weight: Any,
    sample_weight: Any,
    X: Any,
    classes: Array,
    encoded: Array,
    multi_label: bool,
) -> Array | None:
    if multi_label:  # a row may have several: their losses are weighed, see label_weights
        class_weight = None
    weight = None
    if sample_weight is not None or class_weight is not None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if class_weight is None:
        return weight
    by_class = compute_class_weight(
        class_weight, classes=classes, y=classes[encoded], sample_weight=weight
    )
    weighted: Array = weight * by_class[encoded]
    return weighted


def label_weights(class_weight: Any, rows: Rows) -> Array | None:
    """With columns of labels: the weight of each one's loss."""
    if class_weight is None or not rows.multi_label:
        return None
    if not isinstance(class_weight, Mapping):
        raise OptionError(
            f"class_weight={class_weight!r} weighs the rows of a class, but with columns of labels"
            " a row may have several. Give a dictionary of the columns' weights, or balance yes"
            " against no by loss=WithOptions(sg.binary_cross_entropy, pos_weight=...)."
        )
    weights = np.ones(rows.encoded.shape[1])
    for label, weight in class_weight.items():
        if label not in range(len(weights)):
            raise OptionError(
                f"class_weight names the label {label!r}; y has the columns 0 to"
                f" {len(weights) - 1}."
            )
        weights[label] = weight
    return weights
