"""Text files, compressed or not, by their names."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import IO, Any

#: What a file raises whose compressed contents are damaged or end too early.
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def opened(path: Path) -> IO[str]:
    """The file as text in UTF-8, with or without a byte order mark."""
    open_text = _OPENERS.get(path.suffix.lower(), open)
    file: IO[str] = open_text(path, "rt", encoding="utf-8-sig", newline="")
    return file
