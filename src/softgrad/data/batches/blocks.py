"""Batches of any size as blocks of a given number of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from softgrad.data.batches.arrays import as_batches
from softgrad.data.batches.protocol import Batch
from softgrad.data.dataset import DataError


class Block(NamedTuple):
    """Rows for a solver: ``X`` (n, D), class positions ``target`` (n,) as int64, weights or None.

    ``X`` may be a view of the source's memory: read it, do not write to it.
    """

    X: Any
    target: npt.NDArray[np.int64]
    sample_weight: npt.NDArray[np.float64] | None


def blocks(batches: Any, classes: npt.NDArray[Any], rows: int) -> Iterator[Block]:
    """The rows of ``batches`` in blocks of exactly ``rows``, except the last, labels as positions.

    Parameters
    ----------
    batches : Batches, or what :func:`as_batches` takes
    classes : array (K,)
        The classes in rising order, as :func:`scan` found them.
    rows : int
        Rows of a block. The blocks are the same whatever batches the source makes.

    Yields
    ------
    Block

    Raises
    ------
    DataError
        A label that is none of the classes, or batches that changed in type or columns.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.data.batches import blocks
    >>> source = [(np.eye(3), np.array([5, 7, 5])), (np.eye(3)[:2], np.array([7, 7]))]
    >>> [block.target.tolist() for block in blocks(source, np.array([5, 7]), 4)]
    [[0, 1, 0, 1], [1]]
    """
    source = as_batches(batches)
    first_row = 0
    for batch in reblock(source, rows):
        target = _positions(batch.y, classes, source.name, first_row)
        yield Block(batch.X, target, batch.sample_weight)
        first_row += len(target)


def reblock(batches: Any, rows: int) -> Iterator[Batch]:
    """Batches of exactly ``rows`` rows, except the last."""
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, but is {rows}.")
    source = as_batches(batches)
    first: Batch | None = None
    pending: list[Batch] = []
    held = seen = 0
    for batch in source:
        n_rows = len(batch.y)
        if n_rows == 0:
            continue
        if first is not None:
            _check_alike(batch, first, source.name, seen)
        else:
            first = Batch(batch.X[:0], batch.y[:0], batch.sample_weight)
            if batch.X.shape[1] != source.n_features:
                _raise_width(source.name, seen, batch.X.shape[1], source.n_features)
        start = 0
        while held + n_rows - start >= rows:
            stop = start + rows - held
            pending.append(_rows(batch, start, stop))
            yield _joined(pending)
            pending, held, start = [], 0, stop
        if start < n_rows:
            pending.append(_rows(batch, start, n_rows))
            held += n_rows - start
        seen += n_rows
    if pending:
        yield _joined(pending)


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    if start == 0 and stop == len(batch.y):
        return batch
    weight = batch.sample_weight
    return Batch(
        batch.X[start:stop], batch.y[start:stop], None if weight is None else weight[start:stop]
    )


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    matrices = [part.X for part in parts]
    dense = isinstance(matrices[0], np.ndarray)
    X = np.concatenate(matrices) if dense else sparse.vstack(matrices, format="csr")
    weights = [part.sample_weight for part in parts if part.sample_weight is not None]
    y = np.concatenate([part.y for part in parts])
    return Batch(X, y, np.concatenate(weights) if weights else None)


def _check_alike(batch: Batch, first: Batch, name: str, row: int) -> None:
    """Only the same type, columns and kind of labels can stand in one block."""
    if batch.X.shape[1] != first.X.shape[1]:
        _raise_width(name, row, batch.X.shape[1], first.X.shape[1])
    if (batch.sample_weight is None) != (first.sample_weight is None):
        raise DataError(
            f"{name}: some batches have sample weights and the one at row {row + 1} differs."
            " Give all of them weights, or none."
        )
    is_text = [labels.dtype.kind == "U" for labels in (batch.y, first.y)]
    if is_text[0] != is_text[1]:
        raise DataError(
            f"{name}: the labels at row {row + 1} are of type {batch.y.dtype}, the first ones of"
            f" {first.y.dtype}. Give all of them as integers, or all as text."
        )
    same_kind = type(batch.X) is type(first.X) or isinstance(batch.X, np.ndarray) is isinstance(
        first.X, np.ndarray
    )
    if not same_kind or batch.X.dtype != first.X.dtype:
        raise DataError(
            f"{name}: the batch at row {row + 1} holds {_kind(batch.X)}, the first one"
            f" {_kind(first.X)}. Convert all of them to one type."
        )


def _raise_width(name: str, row: int, found: int, expected: int) -> None:
    raise DataError(
        f"{name}: the batch at row {row + 1} has {found} features, the first one has {expected}."
        " Give every batch the same columns."
    )


def _kind(X: Any) -> str:
    return f"{'dense' if isinstance(X, np.ndarray) else 'sparse'} {X.dtype}"


def _positions(
    labels: npt.NDArray[Any], classes: npt.NDArray[Any], name: str, first_row: int
) -> npt.NDArray[np.int64]:
    position = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    unknown = classes[position] != labels
    if unknown.any():
        row = int(np.argmax(unknown))
        raise DataError(
            f"{name}: row {first_row + row + 1} has the label {str(labels[row])!r}, which is none"
            f" of the {len(classes)} classes. Check that the data did not change while being read."
        )
    return position.astype(np.int64, copy=False)
