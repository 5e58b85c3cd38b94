"""IDX, the format of MNIST: a magic number, the lengths of the axes, the values; gzip or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from softgrad.data.dataset import DataError, Dataset, check_numbers
from softgrad.data.images import as_rows
from softgrad.data.labels import check_labels

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20


def is_idx(path: Path) -> bool:
    """Whether the name says so: ``.idx``, ``-idx3-ubyte``, with or without ``.gz``."""
    stem = path.name.lower().removesuffix(".gz")
    return stem.endswith((".idx", "ubyte")) or "-idx" in stem


def read_idx(path: Path, labels: Path | None = None) -> Dataset:
    """Read examples, and their labels from the second file where given."""
    rows, image_shape, unit = as_rows(read_idx_array(path), path.name)
    check_numbers(rows, path.name)
    y = None
    if labels is not None:
        y = check_labels(read_idx_array(labels), labels.name)
        if len(y) != len(rows):
            raise DataError(
                f"{path.name} has {len(rows)} examples, {labels.name} has {len(y)} labels."
                " Give the two files of the same set."
            )
    return Dataset(path.name, rows, y, None, image_shape, unit)


def read_idx_array(path: Path) -> npt.NDArray[Any]:
    """The array in an IDX file, in native byte order."""
    name = path.name
    opener: Any = gzip.open if _is_gzip(path) else open
    try:
        with opener(path, "rb") as file:
            return _read(file, name)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(
            f"{name} is truncated or damaged inside its compression. Copy or download it again."
        ) from None


def _read(file: IO[bytes], name: str) -> npt.NDArray[Any]:
    magic = file.read(4)
    if not magic:
        raise DataError(f"{name} is empty. Copy or download it again.")
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or magic[3] == 0:
        raise DataError(
            f"{name} is not an IDX file: it starts with {magic.hex(' ')}."
            " Give the file of the MNIST format, or name a CSV file .csv and an NPZ file .npz."
        )
    dtype, n_axes = np.dtype(_TYPES[magic[2]]), magic[3]
    lengths = file.read(4 * n_axes)
    if len(lengths) < 4 * n_axes:
        raise DataError(f"{name} is truncated within its header. Copy or download it again.")
    shape = struct.unpack(f">{n_axes}I", lengths)
    expected = math.prod(shape) * dtype.itemsize
    # Not file.read(expected): a damaged header must not make us reserve memory for it.
    content = bytearray()
    while len(content) < expected and (chunk := file.read(min(_CHUNK, expected - len(content)))):
        content += chunk
    if len(content) < expected or file.read(1):
        found = "fewer" if len(content) < expected else "more"
        raise DataError(
            f"{name} is truncated or damaged: its header promises {expected} bytes"
            f" ({' x '.join(map(str, shape))}), it holds {found}. Copy or download it again."
        )
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
