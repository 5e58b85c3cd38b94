"""How much memory the process has used."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def peak_memory_bytes() -> int | None:
    """The largest resident size so far; None where the system does not say."""
    try:  # Linux's ru_maxrss also remembers the process that started this one
        peak = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    except OSError:
        peak = None
    if peak:
        return int(peak[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
