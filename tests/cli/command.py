"""Runs ``softgrad`` as a user does: another process, its exit code and its two streams."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "softgrad.cli"]


def softgrad(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The finished process."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300
    )
