"""Batches kept as plain numbers in a temporary file, where reading their source again is slow.

A pass over a CSV file parses every number once more, which takes many times as long as what a
solver does with it. After the first pass the numbers are in a file that has no name and vanishes
with its owner. Nothing is kept where the disk is short of room, or where temporary files are held
in memory: data larger than memory would end there.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

_SHARE = 0.5  # of the free disk, at most
_IN_MEMORY = ("tmpfs", "ramfs")


class Kept(NamedTuple):
    """A batch in the cache: rows (n, D), codes of their labels (n,), weights (n,) or None."""

    X: npt.NDArray[np.float64]
    codes: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64] | None


class BatchCache:
    """What was seen of a source in one pass, to be read as often as wanted.

    ``begin`` says whether there is room; then every batch goes to ``add``, and ``end`` makes it
    readable. A pass that is broken off, and a disk that fills up, leave nothing behind.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._rows: list[int] = []
        self._weighted = False
        self._n_features = 0
        self.complete = False

    def begin(self, n_rows: int, n_features: int, *, weighted: bool) -> bool:
        """Start anew, for so many numbers; False: there is no place for them."""
        self.drop()
        needed = 8 * n_rows * (n_features + 1 + weighted)
        folder = Path(tempfile.gettempdir())
        try:
            if _is_memory(folder) or needed > _SHARE * shutil.disk_usage(folder).free:
                return False
            self._file = tempfile.TemporaryFile(prefix="softgrad-")  # noqa: SIM115
        except OSError:
            return False
        self._close = weakref.finalize(self, self._file.close)
        self._n_features, self._weighted = n_features, weighted
        return True

    def add(
        self,
        X: npt.NDArray[np.float64],
        codes: npt.NDArray[np.int64],
        weight: npt.NDArray[np.float64] | None,
    ) -> None:
        """The next batch."""
        if self._file is None:
            return
        try:
            for array in (X, codes) if weight is None else (X, weight, codes):
                self._file.write(np.ascontiguousarray(array).data)
        except OSError:
            self.drop()
            return
        self._rows.append(len(X))

    def end(self) -> None:
        """All batches were added."""
        if self._file is None:
            return
        try:
            self._file.flush()
        except OSError:
            self.drop()
            return
        self.complete = True

    def drop(self) -> None:
        """Forget all, and give the disk back."""
        if self._file is not None:
            self._close()
        self._file, self._rows, self.complete = None, [], False

    def __iter__(self) -> Iterator[Kept]:
        """The batches; each is mapped, not read into memory of its own."""
        offset = 0
        for n_rows in self._rows:
            X = self._mapped(np.float64, offset, (n_rows, self._n_features))
            offset += X.nbytes
            weight = None
            if self._weighted:
                weight = self._mapped(np.float64, offset, (n_rows,))
                offset += weight.nbytes
            codes = self._mapped(np.int64, offset, (n_rows,))
            offset += codes.nbytes
            yield Kept(X, codes, weight)

    def _mapped(self, dtype: Any, offset: int, shape: tuple[int, ...]) -> Any:
        assert self._file is not None
        return np.asarray(np.memmap(self._file, dtype, "r", offset, shape))


def _is_memory(folder: Path) -> bool:
    """Whether files there are kept in memory, as far as the system tells."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return False
    folder = folder.resolve()
    points = {Path(fields[1]): fields[2] for fields in mounts if len(fields) > 2}
    nearest = next((place for place in (folder, *folder.parents) if place in points), None)
    return nearest is not None and points[nearest] in _IN_MEMORY
