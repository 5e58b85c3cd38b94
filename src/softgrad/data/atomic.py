"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that replaces ``path`` only after everything was written and reached the disk.

    Whatever goes wrong before that, ``path`` stays as it was and the unfinished file is removed.
    """
    handle, temporary = _unfinished(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Files that appear all or none: each is complete on the disk before the first is replaced."""
    with ExitStack() as unfinished:
        parts = []
        for path, content in contents.items():
            handle, name = _unfinished(path)
            unfinished.callback(Path(name).unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            parts.append((name, path))
        for name, path in parts:
            os.replace(name, path)


def _unfinished(path: Path) -> tuple[int, str]:
    """A new file beside ``path``, open."""
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")


def _umask() -> int:
    """The permissions that new files lack; mkstemp gives them to the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
