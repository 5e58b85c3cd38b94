"""Batches from arrays, from memory-mapped files, and from what users bring themselves."""

from __future__ import annotations

import mmap
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softgrad.data.batches.convert import as_labels, as_matrix, as_weights, column_names
from softgrad.data.batches.protocol import Batch, Batches
from softgrad.data.dataset import DataError
from softgrad.data.images import image_shape_of
from softgrad.data.npz import feature_key, label_key

_BATCH_BYTES = 8 << 20  # a batch of arrays: enough to make its overhead vanish


class ArrayBatches:
    """Slices of arrays, which may be memory-mapped: only the pages of one slice are read.

    Parameters
    ----------
    X : array (N, D) of any numeric type, memory-mapped or not, or SciPy CSR
    y : array (N,) of integers or text
    sample_weight : array (N,) or None
    batch_rows : int or None
        Rows of a batch; by default 8 MiB of them.
    name : str
        How messages call the data.
    feature_names : list of str or None
        By default those of a data frame.

    Raises
    ------
    DataError
        Where the lengths do not belong together or a type is no number.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.data.batches import ArrayBatches, scan
    >>> source = ArrayBatches(np.eye(4), np.array([0, 1, 0, 1]), batch_rows=3)
    >>> [len(batch.y) for batch in source], scan(source).classes
    ([3, 1], array([0, 1]))
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        batch_rows: int | None = None,
        name: str = "the data",
        feature_names: list[str] | None = None,
    ) -> None:
        self.name = name
        self.feature_names = feature_names or column_names(X)
        if column_names(X) is not None or not hasattr(X, "shape"):
            X = as_matrix(X, name, 0)
        if len(X.shape) != 2 or X.shape[0] == 0:
            raise DataError(
                f"{name}: the features have shape {X.shape}, but must have rows and columns."
                " Reshape them to (rows, features)."
            )
        self._X = X
        self._y = y if isinstance(y, np.memmap) else np.asarray(y)
        self._weight = sample_weight
        self.n_rows: int | None = int(X.shape[0])
        self.n_features = int(X.shape[1])
        for what, other in (("labels", self._y), ("sample weights", sample_weight)):
            if other is not None and len(other) != self.n_rows:
                raise DataError(
                    f"{name}: {self.n_rows} rows of features, but {len(other)} {what}."
                    " They must belong to each other row by row."
                )
        row_bytes = 8 * self.n_features if isinstance(X, np.ndarray) else 12 * _stored_per_row(X)
        self.batch_rows = batch_rows or max(1, _BATCH_BYTES // max(1, row_bytes))

    def __iter__(self) -> Iterator[Batch]:
        n_rows = int(self._X.shape[0])
        for start in range(0, n_rows, self.batch_rows):
            stop = min(n_rows, start + self.batch_rows)
            X = as_matrix(self._X[start:stop], self.name, start)
            y = as_labels(self._y[start:stop], self.name, stop - start, start)
            weight = None
            if self._weight is not None:
                weight = as_weights(self._weight[start:stop], self.name, stop - start, start)
            yield Batch(X, y, weight)


class NpzBatches(ArrayBatches):
    """Batches of a memory-mapped NPZ file; made by :func:`npz_batches`.

    ``target`` is the array of labels, ``image_shape`` height and width where the rows are images.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        *,
        batch_rows: int | None,
        name: str,
        target: str,
        image_shape: tuple[int, int] | None,
    ) -> None:
        super().__init__(X, y, batch_rows=batch_rows, name=name)
        self.target = target
        self.image_shape = image_shape

    def __iter__(self) -> Iterator[Batch]:
        for batch in super().__iter__():
            yield batch
            # Pages read stay in the process until the system wants them back, and count as its
            # memory: let go of them. They are read again from the system's own cache, or the disk.
            for array in (self._X, self._y):
                _let_go(array)


class IterableBatches:
    """Batches from any object that can be iterated again and again; made by :func:`as_batches`."""

    def __init__(self, batches: Iterable[Any], name: str = "the batches") -> None:
        self.name = name
        self._batches = batches
        self.n_rows: int | None = None
        first_pass = iter(batches)
        if first_pass is batches or first_pass is iter(batches):
            raise DataError(
                f"{name}: a {type(batches).__name__} can be read only once, but training reads the"
                " data many times. Give a list, or an object whose __iter__ starts again."
            )
        first = next(self._converted(first_pass), None)
        if first is None:
            raise DataError(f"{name}: there is no batch in it. Give at least one (X, y).")
        self.n_features = int(first.X.shape[1])

    def __iter__(self) -> Iterator[Batch]:
        n_rows = 0
        for batch in self._converted(iter(self._batches)):
            n_rows += len(batch.y)
            yield batch
        if self.n_rows is None:
            self.n_rows = n_rows
        elif self.n_rows != n_rows:
            raise DataError(
                f"{self.name}: {self.n_rows} rows at the first reading, {n_rows} at a later one."
                " Give an object whose __iter__ starts again with the same rows."
            )

    def _converted(self, batches: Iterator[Any]) -> Iterator[Batch]:
        row = 0
        self.feature_names: list[str] | None
        for item in batches:
            if not isinstance(item, tuple | list) or len(item) not in (2, 3):
                raise DataError(
                    f"{self.name}: a batch is {type(item).__name__}, but must be (X, y) or"
                    " (X, y, sample_weight)."
                )
            X = as_matrix(item[0], self.name, row)
            names = column_names(item[0])
            if row == 0:
                self.feature_names = names
            elif names != self.feature_names and names and self.feature_names:
                raise DataError(
                    f"{self.name}: the batch at row {row + 1} has the columns"
                    f" {_few(names)}, the first one {_few(self.feature_names)}."
                    " Give every batch the same columns in the same order."
                )
            weight = None if len(item) == 2 or item[2] is None else item[2]
            if weight is not None:
                weight = as_weights(weight, self.name, X.shape[0], row)
            yield Batch(X, as_labels(item[1], self.name, X.shape[0], row), weight)
            row += X.shape[0]


def as_batches(batches: Any, *, name: str = "the batches") -> Batches:
    """Any re-iterable of ``(X, y)`` or ``(X, y, sample_weight)`` as :class:`Batches`.

    Parameters
    ----------
    batches : Batches or iterable of tuples
        X: array (n, D), SciPy sparse matrix or data frame of numbers; y: labels (n,). It must start
        again at every iteration (a list, or an object with ``__iter__``), with the same rows.
    name : str
        How messages call it.

    Returns
    -------
    Batches
        ``batches`` itself where it is one already.

    Raises
    ------
    DataError
        For a generator, which can be read only once; for batches that are not pairs of numbers and
        labels.

    Examples
    --------
    >>> import numpy as np
    >>> from softgrad.data.batches import as_batches, scan
    >>> X, y = np.arange(8.0).reshape(4, 2), np.array(["a", "b", "a", "b"])
    >>> scan(as_batches([(X[:3], y[:3]), (X[3:], y[3:])])).mean
    array([3., 4.])
    >>> as_batches((X, y) for _ in range(3))
    Traceback (most recent call last):
    softgrad.data.dataset.DataError: the batches: a generator can be read only once, ...
    """
    if isinstance(batches, Batches):
        return batches
    if not isinstance(batches, Iterable):
        raise DataError(
            f"{name}: {type(batches).__name__} is no iterable of batches. Give a list of (X, y)."
        )
    return IterableBatches(batches, name)


def is_mappable(path: Path) -> bool:
    """Whether an NPZ file is stored as it is, not compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        return False


def npz_batches(
    path: str | Path,
    target: str | None = None,
    *,
    labelled: bool = True,
    batch_rows: int | None = None,
) -> NpzBatches:
    """An NPZ file of features and labels, memory-mapped: only the pages in use are in memory.

    Parameters
    ----------
    path : str or Path
        Written by ``numpy.savez`` (not ``savez_compressed``: what is compressed cannot be mapped).
    target : str or None
        The array of labels; by default the one called y, target, labels or label.
    labelled : bool
        False: every label is 0, whatever the file has.
    batch_rows : int or None
        Rows of a batch; by default 8 MiB of them.

    Returns
    -------
    NpzBatches
        Images (N, height, width) as rows of pixels; ``image_shape`` keeps their shape.

    Raises
    ------
    DataError
        For compressed, damaged or foreign files.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from softgrad.data.batches import npz_batches
    >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
    ...     np.savez(file, X=np.zeros((5, 3)), y=np.array([0, 1, 0, 1, 1]))
    ...     file.flush()
    ...     npz_batches(file.name).n_rows
    5
    """
    path = Path(path)
    name = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [member.filename.removesuffix(".npy") for member in archive.infolist()]
            label = label_key(keys, target, labelled, name)
            X = _mapped(archive, path, f"{feature_key(keys, label, name)}.npy")
            y: npt.NDArray[Any] = np.broadcast_to(np.int64(0), X.shape[:1])
            if labelled:
                y = _mapped(archive, path, f"{label}.npy")
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"There is no file {str(path)!r}. Check the name and the folder.") from None
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError, OSError):
        raise DataError(
            f"{name} is damaged or not an NPZ file. Write it again with savez."
        ) from None
    image_shape = image_shape_of(X.shape)
    X = X.reshape(len(X), -1) if X.ndim > 2 else X
    return NpzBatches(
        X, y, batch_rows=batch_rows, name=name, target=label or "label", image_shape=image_shape
    )


def _mapped(archive: zipfile.ZipFile, path: Path, member: str) -> npt.NDArray[Any]:
    """The member as a memory map of the archive itself."""
    info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED:
        raise DataError(
            f"{path.name} is compressed, so it cannot be read in parts. Write it with savez instead"
            " of savez_compressed."
        )
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        header = file.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path.name} holds Python objects, which cannot be read without running code."
            " Save arrays of numbers or text."
        )
    with path.open("rb") as raw:  # the local header, whose name and extra field may differ
        raw.seek(info.header_offset + 26)
        name_length, extra_length = np.frombuffer(raw.read(4), "<u2")
    offset = info.header_offset + 30 + int(name_length) + int(extra_length) + header
    if dtype.itemsize * int(np.prod(shape)) == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def _let_go(array: Any) -> None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    if array is not None and hasattr(mmap, "MADV_DONTNEED"):
        array.madvise(mmap.MADV_DONTNEED)


def _stored_per_row(X: Any) -> int:
    return max(1, int(getattr(X, "nnz", X.shape[1])) // max(1, int(X.shape[0])))


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
