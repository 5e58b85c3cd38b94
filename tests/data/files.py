"""Small files to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CODES = {
    "uint8": 0x08,
    "int8": 0x09,
    "int16": 0x0B,
    "int32": 0x0C,
    "float32": 0x0D,
    "float64": 0x0E,
}


def idx_bytes(array: np.ndarray) -> bytes:
    """The array in the format of MNIST."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + lengths
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path: Path, content: str | bytes) -> Path:
    """Write and return the path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def table(n_rows: int = 60) -> str:
    """Two features, two classes that can be told apart."""
    rows = [f"{i % 7},{(i * i) % 5 + 4 * (i % 2)},{'xy'[i % 2]}" for i in range(n_rows)]
    return "\n".join(["length,width,kind", *rows]) + "\n"
