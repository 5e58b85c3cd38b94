"""Mini-batches of rows from arrays, memory maps, sparse matrices and streams.

Which rows make a batch depends on the seed and the epoch alone, so that a run that was interrupted
finds its place again without having stored a generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, final

import numpy as np

from softgrad import _checks
from softgrad._typing import Array
from softgrad.errors import OptionTypeError, ShapeError, TargetError

_BLOCK_BATCHES = 64  # of a stream: rows are shuffled within so many batches


class Minibatch(NamedTuple):
    """Some rows; ``X`` may be a buffer that the next batch overwrites."""

    X: Any
    target: Array
    sample_weight: Array | None


class Source(ABC):
    """Rows that can be had in batches, as often as wanted."""

    n_rows: int | None
    batch_size: int

    @property
    def steps(self) -> int | None:
        """Batches of an epoch; None until a stream has been read once."""
        return None if self.n_rows is None else max(1, len(self._borders(self.n_rows)) - 1)

    @abstractmethod
    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Minibatch]:
        """The batches of an epoch, without the first ``skip``."""

    merge_last: bool = False

    def _borders(self, rows: int) -> list[int]:
        """Where batches begin and end; a last batch of one row joins the one before if it must."""
        borders = [*range(0, rows, self.batch_size), rows]
        if self.merge_last and len(borders) > 2 and rows - borders[-2] == 1:
            del borders[-2]
        return borders


@final
class ArraySource(Source):
    """Rows of arrays; ``X`` may be memory-mapped or SciPy CSR."""

    def __init__(
        self,
        X: Any,
        target: Any,
        sample_weight: Any = None,
        *,
        batch_size: int,
        shuffle: bool,
        seed: int,
        merge_last: bool = False,
    ) -> None:
        if hasattr(X, "tocsr"):
            self.X = X.tocsr()
        else:  # what has a shape but no iloc is read batch by batch, and may lie in a file
            in_parts = hasattr(X, "shape") and not hasattr(X, "iloc")
            self.X = X if in_parts else np.asarray(X)
        if self.X.ndim != 2:
            raise ShapeError(f"X has shape {self.X.shape}; accepted is (rows, features).")
        rows = int(self.X.shape[0])
        if rows == 0:
            raise ShapeError("X has no rows; there is nothing to train on.")
        self.target = np.asarray(target)
        if self.target.shape[:1] != (rows,):
            raise ShapeError(
                f"X has {rows} rows, but the target has shape {self.target.shape}; "
                "there must be one a row."
            )
        self.weight = _checks.weights(sample_weight, "sample_weight", (rows,), "one a row")
        self.n_rows, self.batch_size = rows, batch_size
        self.shuffle, self.seed, self.merge_last = shuffle, seed, merge_last
        self.buffer = np.empty((0, self.X.shape[1]), self.X.dtype)  # the rows of a batch

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Minibatch]:
        assert self.n_rows is not None
        borders = self._borders(self.n_rows)
        order = _order(self.seed, epoch, 0, self.n_rows) if self.shuffle else None
        dense = isinstance(self.X, np.ndarray)
        for start, stop in pairwise(borders[skip:]):
            rows: Any = slice(start, stop) if order is None else order[start:stop]
            if order is None or not dense:
                X = self.X[rows]
            else:
                if len(self.buffer) < stop - start:
                    self.buffer = np.empty((stop - start, self.X.shape[1]), self.X.dtype)
                # mode="clip" writes straight into the buffer; the indices are a permutation.
                X = np.take(self.X, rows, axis=0, out=self.buffer[: stop - start], mode="clip")
            weight = None if self.weight is None else self.weight[rows]
            yield Minibatch(X, self.target[rows], weight)


@final
class StreamSource(Source):
    """Rows of a stream: an object whose iteration gives (X, y) or (X, y, weight), again and again.

    Batches have the same rows whatever parts the stream comes in. Rows are shuffled within blocks
    of 64 batches; a stream that is sorted by class should be shuffled before.
    """

    def __init__(
        self,
        stream: Any,
        *,
        classes: Array | None,
        batch_size: int,
        shuffle: bool,
        seed: int,
        merge_last: bool = False,
    ) -> None:
        if iter(stream) is stream:
            raise OptionTypeError(
                f"A {type(stream).__name__} can be read only once, but training reads its data in "
                "every epoch. Pass an object whose __iter__ starts again."
            )
        self.stream, self.classes = stream, classes
        self.n_rows = getattr(stream, "n_rows", None)
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.merge_last = merge_last

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Minibatch]:
        seen = 0
        for block, (X, target, weight) in enumerate(self._blocks()):
            rows = int(X.shape[0])
            order = _order(self.seed, epoch, block, rows) if self.shuffle else np.arange(rows)
            borders = self._borders(rows)
            for start, stop in pairwise(borders):
                if skip:
                    skip -= 1
                    continue
                part = order[start:stop]
                yield Minibatch(X[part], target[part], None if weight is None else weight[part])
            seen += rows
        if seen == 0:
            raise ShapeError("The stream has no rows; there is nothing to train on.")
        if self.n_rows is not None and self.n_rows != seen:
            raise ShapeError(
                f"The stream had {self.n_rows} rows, and {seen} at this reading; it must start "
                "again with the same rows every time."
            )
        self.n_rows = seen

    def _blocks(self) -> Iterator[tuple[Any, Array, Array | None]]:
        size = _BLOCK_BATCHES * self.batch_size
        waiting: list[tuple[Any, Array, Array | None]] = []
        rows = 0
        for batch in self.stream:
            X, y, *rest = batch
            weight = rest[0] if rest else None
            waiting.append((X, self._target(y), weight))
            rows += int(X.shape[0])
            # One row more than a block, so that a last batch of one row finds its neighbours.
            while rows > size + 1:
                joined = _join(waiting)
                yield _part(joined, slice(0, size))
                waiting = [_part(joined, slice(size, rows))]
                rows -= size
        if rows:
            yield _join(waiting)

    def _target(self, y: Any) -> Array:
        labels: Array = np.asarray(y)
        if self.classes is None:
            return labels
        index: Array = np.searchsorted(self.classes, labels).clip(max=len(self.classes) - 1)
        if not np.array_equal(self.classes[index], labels):
            stranger = labels[self.classes[index] != labels][0]
            raise TargetError(
                f"A batch holds the label {stranger!r}, which is none of the classes."
            )
        return index


def _order(seed: int, epoch: int, block: int, rows: int) -> Array:
    return np.random.default_rng([seed, 1, epoch, block]).permutation(rows)


def _join(parts: list[tuple[Any, Array, Array | None]]) -> tuple[Any, Array, Array | None]:
    if len(parts) == 1:
        return parts[0]
    X = [part[0] for part in parts]
    if isinstance(X[0], np.ndarray):
        rows: Any = np.concatenate(X)
    else:
        from scipy.sparse import vstack

        rows = vstack(X, format="csr")
    given = [part[2] for part in parts]
    if all(w is None for w in given):
        weight = None
    else:
        weight = np.concatenate(
            [np.ones(len(p[1])) if w is None else w for p, w in zip(parts, given, strict=True)]
        )
    return rows, np.concatenate([part[1] for part in parts]), weight


def _part(batch: tuple[Any, Array, Array | None], rows: slice) -> tuple[Any, Array, Array | None]:
    X, target, weight = batch
    return X[rows], target[rows], None if weight is None else weight[rows]
